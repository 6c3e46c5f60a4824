"""The list of chats on the Memory page: what of each is remembered, and how well."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from PySide6.QtCore import (
    QAbstractListModel,
    QCoreApplication,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from plum_desktop.app.memory import ChatMemory
from plum_desktop.base.types import Fact, FactState
from plum_desktop.ui.base import words
from plum_desktop.ui.base.theme import current_theme, scaled, text_font
from plum_desktop.ui.base.ticks import paint_ground, visual

translate = QCoreApplication.translate  # which lupdate knows by this name
Index = QModelIndex | QPersistentModelIndex
MemoryRole = Qt.ItemDataRole.UserRole + 1
_BAR = 72  # pixels of how well a chat is remembered
_ROW = 52


class TaughtModel(QAbstractListModel):
    """Chats from which something was taught."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._all: list[ChatMemory] = []
        self._shown: list[ChatMemory] = []
        self._wanted = ""
        self._state: FactState | None = None

    def set_memories(self, memories: Sequence[ChatMemory]) -> None:
        self._all = list(memories)
        self.search(self._wanted)

    def search(self, text: str, state: FactState | None = None) -> None:
        """Only facts in `state` (None: in any) that have `text` in them or in their chat's title,
        and only chats with such facts.
        """
        self._wanted, self._state = text.casefold().strip(), state
        self.beginResetModel()
        self._shown = [found for each in self._all if (found := self._matching(each)).facts]
        self.endResetModel()

    def _matching(self, memory: ChatMemory) -> ChatMemory:
        named = self._wanted in memory.title.casefold()
        facts = tuple(
            fact for fact in memory.facts
            if (named or self._wanted in fact.statement.casefold())
            and self._state in (None, fact.state)
        )  # fmt: skip
        return dataclasses.replace(memory, facts=facts)

    def put(self, fact: Fact) -> None:
        """A fact that is another than before, in the place where it stands."""
        for memories in (self._all, self._shown):
            for at, memory in enumerate(memories):
                facts = tuple(fact if each.id == fact.id else each for each in memory.facts)
                memories[at] = dataclasses.replace(memory, facts=facts)

    def is_empty(self) -> bool:
        return not self._all

    def memory_at(self, row: int) -> ChatMemory:
        return self._shown[row]

    def row_of(self, memory_id: str | None) -> int | None:
        ids = [memory.id for memory in self._shown]
        return ids.index(memory_id) if memory_id in ids else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        memory = self._shown[index.row()]
        if role == MemoryRole:
            return memory
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return memory.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{memory.title}, {recall_words(memory)}"
        return None


def recall_words(memory: ChatMemory) -> str:
    """How well a chat is remembered, in a few words."""
    asked = [fact.last_recall for fact in memory.facts if fact.last_recall is not None]
    if not asked:
        return translate("facts", "not asked yet")
    said = translate("facts", "asked about {asked}, Plum remembered {right}")
    return said.format(asked=words.number(len(asked)), right=words.number(round(sum(asked))))


class TaughtDelegate(QStyledItemDelegate):
    """Title, date, and a small bar of how well the chat is remembered."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(160, scaled(_ROW))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        memory: ChatMemory = index.data(MemoryRole)
        theme = current_theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option, theme)
        area = option.rect.adjusted(12, 6, -12, -6)
        painter.setFont(text_font(14))
        painter.setPen(QColor(theme.text))
        title = painter.fontMetrics().elidedText(
            memory.title, Qt.TextElideMode.ElideRight, area.width()
        )
        painter.drawText(area, Qt.AlignmentFlag.AlignTop, title)
        painter.setFont(text_font(12))
        painter.setPen(QColor(theme.muted))
        below = words.moment(memory.chat.created) if memory.chat else self.tr("outside every chat")
        metrics = painter.fontMetrics()
        wide = min(_BAR, max(_BAR // 3, area.width() - metrics.horizontalAdvance(below) - 8))
        room = area.width() - (0 if memory.recall is None else wide + 8)
        below = metrics.elidedText(below, Qt.TextElideMode.ElideRight, room)
        painter.drawText(area, Qt.AlignmentFlag.AlignBottom, below)
        if memory.recall is not None:
            track = QRectF(visual(option, QRect(area.right() - wide, area.bottom() - 9, wide, 4)))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.line))
            painter.drawRoundedRect(track, 2, 2)
            painter.setBrush(QColor(theme.accent))
            done = max(4.0, track.width() * memory.recall)
            mirrored = option.direction == Qt.LayoutDirection.RightToLeft
            track.setLeft(track.right() - done) if mirrored else track.setWidth(done)
            painter.drawRoundedRect(track, 2, 2)
        painter.restore()
