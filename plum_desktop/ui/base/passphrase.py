"""A dialog that asks for passphrases and stays until they are right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from plum_desktop.base.errors import PlumError
from plum_desktop.ui.base.controls import announce, button, label, small
from plum_desktop.ui.base.theme import scaled
from plum_desktop.ui.base.words import said

_WIDTH = 440


class PassphraseDialog(QDialog):
    """One field for each of `fields`.  `attempt` gets what was typed; its PlumError is shown."""

    def __init__(
        self, parent: QWidget | None, title: str, text: str, fields: Sequence[str], deed: str,
        attempt: Callable[[list[str]], None],
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._attempt = attempt
        self.setWindowTitle(title)
        self.setFixedWidth(scaled(_WIDTH))
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 20)
        box.setSpacing(12)
        box.addWidget(label(title, pixels=20, bold=True, wrap=True))
        if text:
            box.addWidget(small(text, wrap=True))
        self.fields: list[QLineEdit] = []
        for name in fields:
            line = QLineEdit()
            line.setEchoMode(QLineEdit.EchoMode.Password)
            line.setPlaceholderText(name)
            line.setAccessibleName(name)
            self.fields.append(line)
            box.addWidget(line)
        self.trouble = small(tone="danger", wrap=True)
        self.trouble.hide()
        box.addWidget(self.trouble)
        deeds = QHBoxLayout()
        deeds.setSpacing(8)
        deeds.addStretch(1)
        away = self.tr("Cancel") if parent else self.tr("Quit")
        deeds.addWidget(button(away, "quiet", self.reject))
        self.deed = button(deed, "primary", self._try)
        self.deed.setDefault(True)
        deeds.addWidget(self.deed)
        box.addLayout(deeds)
        self.fields[0].setFocus()

    def _try(self) -> None:
        QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)  # for half a second
        try:
            self._attempt([line.text() for line in self.fields])
        except PlumError as error:
            self._refuse(said(error.sentence))
        else:
            self.accept()
        finally:
            QApplication.restoreOverrideCursor()

    def _refuse(self, sentence: str) -> None:
        self.trouble.setText(sentence)
        self.trouble.show()
        announce(self, sentence)
        for line in self.fields:
            line.clear()
        self.fields[0].setFocus()
