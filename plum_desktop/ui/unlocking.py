"""What no window may be open for: the passphrase at the start, and writing everything anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtWidgets import QApplication, QDialog, QProgressBar, QVBoxLayout

from plum_desktop.app import keychain, turning
from plum_desktop.base.paths import DataFolder
from plum_desktop.ui.base.bridge import sentence
from plum_desktop.ui.base.controls import label, small
from plum_desktop.ui.base.passphrase import PassphraseDialog
from plum_desktop.ui.base.theme import apply_theme, scaled

translate = QCoreApplication.translate  # which lupdate knows by this name
Wish = Literal["lock", "set", "remove"]


def unlocked(app: QApplication, folder: DataFolder, *, by_keychain: bool) -> bool:
    """Whether the folder can be opened: asks for its passphrase if there is one, unless the
    keychain has the key and may be asked.
    """
    if not turning.is_on(folder) or turning.is_unlocked(folder):
        return True
    if by_keychain and keychain.unlock(folder):
        return True
    QApplication.setQuitOnLastWindowClosed(False)  # the window that comes sets it again
    if not app.styleSheet():
        apply_theme(app, "system")  # which one is set is encrypted, too
    dialog = PassphraseDialog(
        None,
        translate("unlocking", "Plum is locked"),
        "",
        [translate("unlocking", "Passphrase")],
        translate("unlocking", "Unlock"),
        lambda typed: turning.unlock(folder, typed[0]),
    )
    return dialog.exec() == QDialog.DialogCode.Accepted


def fulfil(folder: DataFolder, wish: Wish, words: str) -> str | None:
    """Do what the window was closed for; a sentence if that failed."""
    if wish == "lock":
        turning.lock(folder)
        return None
    QApplication.setQuitOnLastWindowClosed(False)
    if wish == "set":
        title = translate("unlocking", "Encrypting everything")
        return _Turning(title, lambda told: turning.turn_on(folder, words, told)).run()
    title = translate("unlocking", "Decrypting everything")
    return _Turning(title, lambda told: turning.turn_off(folder, words, told)).run()


class _Turning(QObject):
    """Work in a thread, and how far it is."""

    _told = Signal(int)
    _ended = Signal()

    def __init__(self, title: str, work: Callable[[turning.Progress], None]) -> None:
        super().__init__()
        self._work = work
        self._trouble: str | None = None
        self._dialog = QDialog()
        self._dialog.setWindowTitle(title)
        self._dialog.setFixedWidth(scaled(400))
        box = QVBoxLayout(self._dialog)
        box.setContentsMargins(24, 20, 24, 24)
        box.setSpacing(12)
        box.addWidget(label(title, pixels=20, bold=True))
        text = translate(
            "unlocking",
            "If this is cut short, Plum is as it was before, or does the rest next time.",
        )
        box.addWidget(small(text, wrap=True))
        bar = QProgressBar()
        bar.setAccessibleName(title)
        bar.setRange(0, 1000)
        box.addWidget(bar)
        self._told.connect(bar.setValue)
        self._ended.connect(self._dialog.accept)

    def run(self) -> str | None:
        """Until it ends; closing the dialog only hides it.  A sentence if it failed."""
        thread = threading.Thread(target=self._do, name="turning", daemon=True)
        thread.start()
        self._dialog.exec()
        thread.join()
        return self._trouble

    def _do(self) -> None:
        try:
            self._work(lambda share: self._told.emit(round(1000 * share)))
        except Exception as error:  # noqa: BLE001  # nobody else would hear of it
            self._trouble = sentence(error)
        finally:
            self._ended.emit()
