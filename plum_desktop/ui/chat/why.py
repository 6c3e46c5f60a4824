"""Why an answer says what it says: the taught facts that are nearest to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import button, label, small
from plum_desktop.ui.base.theme import scaled

if TYPE_CHECKING:
    from plum_desktop.app.memory import Related

_WIDTH = 380


class WhyPopup(QFrame):
    """Signals: chat_chosen(chat id)."""

    chat_chosen = Signal(str)

    def __init__(self, bridge: Bridge, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self._bridge = bridge
        self.setProperty("kind", "sheet")
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(16, 12, 16, 12)
        self._box.setSpacing(8)
        self._title = label(bold=True, wrap=True)
        self._box.addWidget(self._title)
        self._note = small(wrap=True)
        self._box.addWidget(self._note)
        self._rows: list[QWidget] = []

    def ask(self, question: str, answer: str, at: QPoint) -> None:
        """Look for what is near to an answer and show it at a place of the screen."""
        self._bridge.ask(
            lambda: self._bridge.plum.memory.related(question, answer),
            lambda found: self._open(found, at), owner=self,
        )  # fmt: skip

    def _open(self, found: Sequence[Related], at: QPoint) -> None:
        for row in self._rows:
            self._box.removeWidget(row)
            row.hide()
            row.deleteLater()
        self._rows = [self._row(each) for each in found]
        for row in self._rows:
            self._box.insertWidget(self._box.count() - 1, row)
        if found:
            self._title.setText(self.tr("Learned, and near to this answer"))
            note = self.tr("Found by their words; what the model really drew on nobody can see.")
        else:
            self._title.setText(self.tr("Nothing that was learned is near to this answer"))
            note = self.tr("It comes from the model itself, or from this chat.")
        self._note.setText(note)
        self.setAccessibleName(self._title.text())
        self.setAccessibleDescription(" ".join(each.fact.statement for each in found) or note)
        self.setFixedWidth(scaled(_WIDTH))
        self.adjustSize()
        area = self.screen().availableGeometry()
        self.move(
            max(area.x(), min(at.x(), area.x() + area.width() - self.width())),
            max(area.y(), min(at.y(), area.y() + area.height() - self.height())),
        )
        self.show()

    def _row(self, related: Related) -> QWidget:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(8)
        line.addWidget(label(related.fact.statement, wrap=True), 1)
        if chat := related.chat:
            opens = button(self.tr("Open"), "quiet", lambda: self._choose(chat.id))
            opens.setAccessibleName(self.tr("Open the chat {title}").format(title=chat.title))
            opens.setToolTip(chat.title)
            line.addWidget(opens, 0, Qt.AlignmentFlag.AlignTop)
        return row

    def _choose(self, chat_id: str) -> None:
        self.hide()
        self.chat_chosen.emit(chat_id)
