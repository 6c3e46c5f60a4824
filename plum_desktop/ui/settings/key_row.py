"""One command on the Settings page, and the keys that do it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QKeySequenceEdit, QLineEdit, QVBoxLayout, QWidget

from plum_desktop.ui.base.commands import Commands
from plum_desktop.ui.base.controls import IconButton, announce, label, small
from plum_desktop.ui.settings.setting_row import field_width

_NATIVE = QKeySequence.SequenceFormat.NativeText


class KeyRow(QWidget):
    """Signals: chosen(mapping for the settings)."""

    chosen = Signal(dict)

    def __init__(self, commands: Commands, name: str) -> None:
        super().__init__()
        self._commands, self._name = commands, name
        text = commands.text(name)
        self.words = f"{text} {self.tr('Keys')}".casefold()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 4)
        column.setSpacing(2)
        row = QHBoxLayout()
        row.setSpacing(8)
        said = label(text, wrap=True)
        row.addWidget(said, 1)
        self.editor = QKeySequenceEdit()
        self.editor.setMaximumSequenceLength(1)
        self.editor.setClearButtonEnabled(True)
        named = self.tr("Keys for {command}").format(command=text)
        self.editor.setAccessibleName(named)
        if line := self.editor.findChild(QLineEdit):
            line.setAccessibleName(named)
        said.setBuddy(self.editor)
        self.editor.editingFinished.connect(self._on_edited)
        row.addWidget(self.editor)
        default = commands.default(name).toString(_NATIVE) or self.tr("none")
        self.reset_button = IconButton(
            "undo",
            self.tr("{command}: back to the default ({keys})").format(command=text, keys=default),
            size=16,
        )
        policy = self.reset_button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset_button.setSizePolicy(policy)
        self.reset_button.clicked.connect(lambda: self._try(commands.default(name)))
        row.addWidget(self.reset_button)
        column.addLayout(row)
        self.trouble = small(tone="danger", wrap=True)
        self.trouble.hide()
        column.addWidget(self.trouble)
        commands.changed.connect(self.refresh)
        self.refresh()
        self._fit()

    def refresh(self) -> None:
        keys = self._commands.keys(self._name)
        self.trouble.hide()
        self._show(keys)
        differs = keys != self._commands.default(self._name)
        if not differs and self.reset_button.hasFocus():
            self.editor.setFocus()
        self.reset_button.setVisible(differs)

    def _show(self, keys: QKeySequence) -> None:
        was = self.editor.blockSignals(True)
        self.editor.setKeySequence(keys)
        self.editor.blockSignals(was)

    def _on_edited(self) -> None:
        self._try(self.editor.keySequence())

    def _try(self, keys: QKeySequence) -> None:
        if keys == self._commands.keys(self._name):
            return
        if trouble := self._commands.trouble(self._name, keys):
            self._show(self._commands.keys(self._name))
            self.trouble.setText(trouble)
            self.trouble.show()
            announce(self, trouble)
        else:
            self.chosen.emit(self._commands.chosen(self._name, keys))

    def _fit(self) -> None:
        self.editor.setFixedWidth(field_width())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()
