"""The passphrase on the Settings page: setting, changing and removing it, and locking."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from plum_desktop.app import keychain, turning
from plum_desktop.base.errors import PlumError
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import Switch, button, label, small
from plum_desktop.ui.base.passphrase import PassphraseDialog
from plum_desktop.ui.base.words import said


class PassphraseRow(QWidget):
    """Signals: told(sentence), failed(sentence), wished(`set`, `remove` or `lock`, passphrase).

    What is wished is done while no window is open.
    """

    told = Signal(str)
    failed = Signal(str)
    wished = Signal(str, str)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self._folder = bridge.plum.folder
        title = self.tr("Passphrase")
        self._off = self.tr(
            "Encrypts chats, facts, backups, settings, unfinished learning and what was learned. "
            "It protects them on a disk that is lost or copied; not while Plum is unlocked, and "
            "not from somebody who controls this computer. Models, logs, what you export and what "
            "the disk keeps of deleted files are not encrypted. Without the passphrase all of it "
            "is lost."
        )
        self._on = self.tr(
            "Chats, facts, backups, settings, unfinished learning and what was learned are "
            "encrypted on the disk. Models, logs, what you export and what the disk keeps of "
            "deleted files are not."
        )
        about = QVBoxLayout()
        about.setSpacing(2)
        about.addWidget(label(title))
        self._text = small(wrap=True)
        about.addWidget(self._text)
        self.keychain_switch = Switch(self.tr("Open on this computer without asking"))
        self.keychain_switch.clicked.connect(self._on_keychain)
        shown = (title, self._off, self.tr("Lock now"), self.keychain_switch.text())
        self.words = " ".join(shown).casefold()
        self._keychain = QWidget()
        kept = QVBoxLayout(self._keychain)
        kept.setContentsMargins(0, 6, 0, 0)
        kept.setSpacing(2)
        kept.addWidget(self.keychain_switch)
        kept.addWidget(
            small(
                self.tr(
                    "Keeps the key in the system's keychain: whoever is logged in as you can open "
                    "Plum then. Once locked it asks all the same."
                ),
                wrap=True,
            )
        )
        about.addWidget(self._keychain)
        self.set_button = button(self.tr("Set a passphrase…"), "plain", self._on_set)
        self.lock_button = button(
            self.tr("Lock now"), "plain", lambda: self.wished.emit("lock", "")
        )
        self.change_button = button(self.tr("Change…"), "plain", self._on_change)
        self.remove_button = button(self.tr("Remove…"), "plain", self._on_remove)
        deeds = QHBoxLayout()
        deeds.setSpacing(8)
        deeds.addStretch(1)
        for each in (self.set_button, self.lock_button, self.change_button, self.remove_button):
            deeds.addWidget(each)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 8, 8)
        column.setSpacing(8)
        column.addLayout(about)
        column.addLayout(deeds)
        self.refresh()

    def refresh(self) -> None:
        on = turning.is_on(self._folder)
        self._text.setText(self._on if on else self._off)
        self.set_button.setVisible(not on)
        self._keychain.setVisible(on)
        self.keychain_switch.setChecked(on and keychain.is_on(self._folder))
        self.keychain_switch.setEnabled(True)
        for each in (self.lock_button, self.change_button, self.remove_button):
            each.setVisible(on)

    def _on_set(self) -> None:
        try:
            turning.refuse_to_turn_on(self._folder)
        except PlumError as error:
            self.failed.emit(said(error.sentence))
            return

        def attempt(typed: list[str]) -> None:
            self._require_same(*typed)
            turning.check(typed[0])

        dialog = PassphraseDialog(
            self.window(),
            self.tr("Set a passphrase"),
            self.tr(
                "At least 8 characters; a few words in a row are best. Nobody can open your chats "
                "without it. Plum closes its window, encrypts everything and opens again."
            ),
            [self.tr("New passphrase"), self.tr("The same again")],
            self.tr("Encrypt everything"),
            attempt,
        )
        dialog.accepted.connect(lambda: self.wished.emit("set", dialog.fields[0].text()))
        dialog.open()

    def _on_keychain(self, wanted: bool) -> None:
        # Elsewhere, since the system may ask whether Plum may do this.
        self.keychain_switch.setEnabled(False)
        work = keychain.turn_on if wanted else keychain.turn_off

        def failed(sentence: str) -> None:
            self.refresh()
            self.failed.emit(sentence)

        self._bridge.ask(
            lambda: work(self._folder), lambda _: self.refresh(), failed, owner=self, lane="slow"
        )

    def _on_change(self) -> None:
        def attempt(typed: list[str]) -> None:
            self._require_same(*typed[1:])
            turning.change(self._folder, typed[0], typed[1])

        dialog = PassphraseDialog(
            self.window(),
            self.tr("Change the passphrase"),
            self.tr("Copies of the data folder that were made before still open with the old one."),
            [
                self.tr("Passphrase until now"), self.tr("New passphrase"),
                self.tr("The same again"),
            ],
            self.tr("Change"),
            attempt,
        )  # fmt: skip
        dialog.accepted.connect(lambda: self.told.emit(self.tr("The passphrase is changed.")))
        dialog.open()

    def _on_remove(self) -> None:
        dialog = PassphraseDialog(
            self.window(),
            self.tr("Remove the passphrase"),
            self.tr("Plum closes its window, decrypts everything for good and opens again."),
            [self.tr("Passphrase")],
            self.tr("Decrypt everything"),
            lambda typed: turning.unlock(self._folder, typed[0]),
        )
        dialog.accepted.connect(lambda: self.wished.emit("remove", dialog.fields[0].text()))
        dialog.open()

    def _require_same(self, words: str, again: str) -> None:
        if words != again:
            raise PlumError(self.tr("The two passphrases differ; type them again."))
