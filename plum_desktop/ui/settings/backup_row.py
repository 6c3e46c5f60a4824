"""Backups on the Settings page: making one, and putting one back."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QMessageBox, QVBoxLayout, QWidget

from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import Choice, button, label, small
from plum_desktop.ui.settings.setting_row import field_width


class BackupRow(QWidget):
    """Signals: told(sentence), failed(sentence), restored."""

    told = Signal(str)
    failed = Signal(str)
    restored = Signal()

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self._backups = bridge.plum.backups
        title = self.tr("Backups of your chats")
        text = self.tr(
            "One a day is made by itself; those of seven days and of four weeks before stay. "
            "What you forget goes from them too."
        )
        self.words = f"{title} {text} {self.tr('Restore')}".casefold()
        said = QVBoxLayout()
        said.setSpacing(2)
        name = label(title)
        said.addWidget(name)
        said.addWidget(small(text, wrap=True))
        self.choice = Choice()
        self.choice.setAccessibleName(title)
        self.choice.setAccessibleDescription(text)
        name.setBuddy(self.choice)
        self.restore_button = button(self.tr("Restore…"), "plain", self._on_restore)
        self.make_button = button(self.tr("Back up now"), "plain", self._on_make)
        deeds = QHBoxLayout()
        deeds.setSpacing(8)
        deeds.addStretch(1)
        deeds.addWidget(self.make_button)
        deeds.addWidget(self.restore_button)
        chosen = QVBoxLayout()
        chosen.setSpacing(8)
        chosen.addWidget(self.choice)
        chosen.addLayout(deeds)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 8, 8, 8)
        row.setSpacing(8)
        row.addLayout(said, 1)
        row.addSpacing(16)
        row.addLayout(chosen)
        self._fit()

    def refresh(self) -> None:
        """Read which there are."""

        def show(found: list[tuple[str, float, str]]) -> None:
            self.choice.clear()
            for name, created, how in found:
                made = {
                    "daily": self.tr("by itself"), "kept": self.tr("by you"),
                    "before-restore": self.tr("before restoring"),
                }.get(how, self.tr("before an update"))  # fmt: skip
                self.choice.addItem(f"{words.moment(created)}, {made}", name)
            if not found:
                self.choice.addItem(self.tr("None yet"), None)
            self.choice.setEnabled(bool(found))
            self.restore_button.setEnabled(bool(found))

        self._bridge.ask(
            lambda: [(b.name, b.created, b.label) for b in self._backups.list() if b.restorable],
            show, self.failed.emit, owner=self,
        )  # fmt: skip

    def _on_make(self) -> None:
        def made(_: object) -> None:
            self.refresh()
            self.told.emit(self.tr("The backup is made. It stays until you delete its file."))

        self._bridge.ask(self._backups.create, made, self.failed.emit, owner=self, lane="slow")

    def _on_restore(self) -> None:
        name, when = self.choice.currentData(), self.choice.currentText()
        box = QMessageBox(self.window())
        box.setWindowTitle(self.tr("Restore a backup"))
        box.setText(self.tr("Put back your chats as they were in this backup?"))
        box.setInformativeText(
            self.tr("{backup}.\n\nA backup is made of what is here now, so that you can go back.")
            .format(backup=when)
        )  # fmt: skip
        restores = box.addButton(self.tr("Restore"), QMessageBox.ButtonRole.DestructiveRole)
        cancels = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(cancels)
        box.setEscapeButton(cancels)

        def done(_: object) -> None:
            self.refresh()
            self.restored.emit()
            self.told.emit(self.tr("Your chats are back as they were in that backup."))

        def answered() -> None:
            if box.clickedButton() is restores:
                self._bridge.ask(
                    lambda: self._backups.restore(name), done, self.failed.emit, owner=self,
                    lane="slow",
                )  # fmt: skip

        box.finished.connect(lambda _: answered())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def _fit(self) -> None:
        self.choice.setFixedWidth(field_width())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()
