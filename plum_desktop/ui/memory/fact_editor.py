"""One line in which a fact is put in words: a new one, or another wording of an old one."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QVBoxLayout

from plum_desktop.base.types import Fact
from plum_desktop.ui.base.controls import button, label, small


class FactEditor(QFrame):
    """Signals: saved(fact id, text), an empty id for a new fact; closed."""

    saved = Signal(str, str)
    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self._fact_id = ""
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(8)
        self._title = label(bold=True, wrap=True)
        box.addWidget(self._title)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.text = QLineEdit()
        self.text.setPlaceholderText(self.tr("My sister lives in Bergen."))
        self.text.setAccessibleName(self.tr("A fact"))
        self.text.returnPressed.connect(self._save)
        row.addWidget(self.text, 1)
        self.save_button = button(self.tr("Save"), "primary", self._save)
        row.addWidget(self.save_button)
        row.addWidget(button(self.tr("Cancel"), "quiet", self.close_up))
        box.addLayout(row)
        self.note = small(wrap=True)
        box.addWidget(self.note)
        self.text.textChanged.connect(lambda text: self.save_button.setEnabled(bool(text.strip())))

    def open(self, fact: Fact | None) -> None:
        """None: for a fact that is new."""
        self._fact_id = fact.id if fact else ""
        self._title.setText(self.tr("Put it in other words") if fact else self.tr("Tell Plum"))
        self.text.setAccessibleName(self._title.text())
        self.text.setText(fact.subject if fact else "")
        self.save_button.setEnabled(bool(self.text.text().strip()))
        note = self.tr("One thing, in a whole sentence, as you would say it to Plum.")
        if fact and fact.chat_id is not None:
            note = self.tr(
                "What the chat says is left out from now on, and your words are taught instead."
            )
        self.note.setText(note)
        self.show()
        self.text.setFocus()

    def refuse(self, sentence: str) -> None:
        """What was typed cannot be kept."""
        self.note.setText(sentence)
        self.note.setAccessibleName(sentence)

    def close_up(self) -> None:
        self.hide()
        self.closed.emit()

    def _save(self) -> None:
        if self.text.text().strip():
            self.saved.emit(self._fact_id, self.text.text())
