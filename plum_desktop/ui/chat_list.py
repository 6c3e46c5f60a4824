"""The list of chats in the side bar: a model with sections, and how its rows are painted."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QAbstractTextDocumentLayout, QColor, QPainter, QPalette, QTextDocument
from PySide6.QtWidgets import (
    QLineEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from plum_desktop.base.types import Chat, SearchHit
from plum_desktop.ui import words
from plum_desktop.ui.theme import SMALL_PIXELS, Theme, current_theme, icon, scaled, text_font

Index = QModelIndex | QPersistentModelIndex
Row = str | Chat  # a section's name, or a chat

ChatRole = Qt.ItemDataRole.UserRole + 1
HitRole = Qt.ItemDataRole.UserRole + 2
ROW_HEIGHT, HIT_HEIGHT = 34, 56
_MARKS = str.maketrans({"\ue000": "", "\ue001": ""})


class ChatListModel(QAbstractListModel):
    """Chats under the sections Pinned, Today, Yesterday, Earlier.

    Signals: renamed(chat id, title), typed over its row.
    """

    renamed = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._chats: list[Chat] = []
        self._hidden: set[str] = set()
        self._rows: list[Row] = []
        self._row_of: dict[str, int] = {}

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if isinstance(row, str):
            return words.section_title(row) if role in _TEXT_ROLES else None
        if role == ChatRole:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return row.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"<qt>{html.escape(row.title)}<br>{html.escape(words.moment(row.updated))}</qt>"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._spoken(row)
        return None

    def _spoken(self, chat: Chat) -> str:
        parts = [chat.title]
        if chat.pinned:
            parts.append(self.tr("pinned"))
        if not chat.learn:
            parts.append(self.tr("not learned from"))
        if chat.archived:
            parts.append(self.tr("archived"))
        return ", ".join(parts)

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid() or isinstance(self._rows[index.row()], str):
            return Qt.ItemFlag.NoItemFlags
        item = Qt.ItemFlag
        return item.ItemIsSelectable | item.ItemIsEnabled | item.ItemIsEditable

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        chat = self.chat_at(index)
        title = " ".join(str(value).split())
        if role != Qt.ItemDataRole.EditRole or chat is None or title in ("", chat.title):
            return False
        self.put(dataclasses.replace(chat, title=title))
        self.renamed.emit(chat.id, title)
        return True

    def set_chats(self, chats: Sequence[Chat], now: datetime | None = None) -> None:
        """Show `chats`, which come newest first; hidden ones stay hidden."""
        self._chats = list(chats)
        now = now or datetime.now().astimezone()
        sections: dict[str, list[Chat]] = {name: [] for name in words.SECTIONS}
        for chat in self._chats:
            if chat.id not in self._hidden:
                sections[words.section_of(chat.updated, chat.pinned, now)].append(chat)
        rows: list[Row] = []
        for name, members in sections.items():
            if members:
                rows += [name, *members]
        if rows == self._rows:
            return
        self.beginResetModel()
        self._rows = rows
        self._row_of = {row.id: at for at, row in enumerate(rows) if isinstance(row, Chat)}
        self.endResetModel()

    def put(self, chat: Chat) -> None:
        """Show a changed chat at once; a change of place waits for the next `set_chats`."""
        row = self._row_of.get(chat.id)
        if row is not None:
            self._rows[row] = chat
            self._chats = [chat if each.id == chat.id else each for each in self._chats]
            self.dataChanged.emit(self.index(row), self.index(row))

    def hide(self, chat_id: str, hidden: bool = True) -> None:
        """Take a chat out of sight, or bring it back, with nothing stored yet."""
        (self._hidden.add if hidden else self._hidden.discard)(chat_id)
        self.set_chats(self._chats)

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset(self._hidden)

    def chat_at(self, index: Index) -> Chat | None:
        row = self._rows[index.row()] if index.isValid() else None
        return row if isinstance(row, Chat) else None

    def chat(self, chat_id: str) -> Chat | None:
        row = self._row_of.get(chat_id)
        return self.chat_at(self.index(row)) if row is not None else None

    def index_of(self, chat_id: str | None) -> QModelIndex:
        row = self._row_of.get(chat_id or "")
        return self.index(row) if row is not None else QModelIndex()

    def recent(self, most: int) -> list[Chat]:
        """The chats on screen that were used last."""
        there = [chat for chat in self._chats if chat.id not in self._hidden]
        return sorted(there, key=lambda chat: -chat.updated)[:most]

    def chat_count(self) -> int:
        return len(self._row_of)


_TEXT_ROLES = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole)


class ChatDelegate(QStyledItemDelegate):
    """One line a chat, a little air above a section."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(120, scaled(ROW_HEIGHT))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        chat = index.data(ChatRole)
        theme = current_theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if chat is None:
            painter.setFont(text_font(12, bold=True))
            painter.setPen(QColor(theme.muted))
            area = option.rect.adjusted(16, 8, -16, 0)
            painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, index.data())
        else:
            _paint_back(painter, option, theme)
            self._paint_chat(painter, option, chat, theme)
        painter.restore()

    def _paint_chat(
        self, painter: QPainter, option: QStyleOptionViewItem, chat: Chat, theme: Theme
    ) -> None:
        area, mirrored = option.rect, partial(QStyle.visualRect, option.direction, option.rect)
        right = area.right() - 14
        for name in self._signs(chat):
            sign = QRect(right - 14, area.center().y() - 7, 14, 14)
            icon(name, theme.muted).paint(painter, mirrored(sign))
            right -= 20
        painter.setFont(text_font(14))
        painter.setPen(QColor(theme.text if not chat.archived else theme.muted))
        line = QRect(area.left() + 16, area.top(), right - area.left() - 16, area.height())
        title = painter.fontMetrics().elidedText(
            chat.title, Qt.TextElideMode.ElideRight, line.width()
        )
        painter.drawText(mirrored(line), Qt.AlignmentFlag.AlignVCenter, title)

    @staticmethod
    def _signs(chat: Chat) -> list[str]:
        signs = []
        if not chat.learn:
            signs.append("no_learning")
        if not chat.memory:
            signs.append("no_memory")
        if chat.archived:
            signs.append("archive")
        return signs

    def createEditor(
        self, parent: QWidget, _option: QStyleOptionViewItem, _index: Index
    ) -> QWidget:
        editor = QLineEdit(parent)
        editor.setMaxLength(200)
        editor.setAccessibleName(self.tr("New title"))
        editor.setStyleSheet("padding: 2px 6px; border-radius: 6px;")
        return editor

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        assert isinstance(editor, QLineEdit)
        editor.setText(str(index.data(Qt.ItemDataRole.EditRole)))
        editor.selectAll()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        assert isinstance(editor, QLineEdit)
        model.setData(index, editor.text(), Qt.ItemDataRole.EditRole)

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem, _index: Index
    ) -> None:
        editor.setGeometry(option.rect.adjusted(8, 2, -8, -2))


def _paint_back(painter: QPainter, option: QStyleOptionViewItem, theme: Theme) -> None:
    """The ground of a row that is chosen, focused, or under the pointer."""
    state = option.state
    chosen = bool(state & QStyle.StateFlag.State_Selected)
    if chosen or state & QStyle.StateFlag.State_MouseOver:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.accent_soft if chosen else theme.hover))
        painter.drawRoundedRect(option.rect.adjusted(8, 1, -8, -1), 6, 6)
    if state & QStyle.StateFlag.State_HasFocus:
        painter.setPen(QColor(theme.accent))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(option.rect).adjusted(8.5, 1.5, -8.5, -1.5), 6, 6)


class HitModel(QAbstractListModel):
    """What a search found: chats by their title first, then messages."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._hits: list[SearchHit] = []

    def set_hits(self, hits: Sequence[SearchHit]) -> None:
        self.beginResetModel()
        self._hits = list(hits)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._hits)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        hit = self._hits[index.row()]
        if role == HitRole:
            return hit
        if role == Qt.ItemDataRole.DisplayRole:
            return hit.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{hit.title}: {hit.snippet.translate(_MARKS)}"
        return None


class HitDelegate(QStyledItemDelegate):
    """Title, and under it the words that match, marked."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(120, scaled(HIT_HEIGHT))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        hit: SearchHit = index.data(HitRole)
        theme = current_theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _paint_back(painter, option, theme)
        area = option.rect.adjusted(16, 6, -16, -6)
        painter.setFont(text_font(14, bold=not hit.snippet))
        painter.setPen(QColor(theme.text))
        title = painter.fontMetrics().elidedText(
            hit.title, Qt.TextElideMode.ElideRight, area.width()
        )
        upper = QRect(
            area.left(), area.top(), area.width(), scaled(20) if hit.snippet else area.height()
        )
        painter.drawText(upper, Qt.AlignmentFlag.AlignVCenter, title)
        if hit.snippet:
            self._paint_snippet(painter, area.adjusted(0, scaled(22), 0, 0), hit.snippet, theme)
        painter.restore()

    @staticmethod
    def _paint_snippet(painter: QPainter, area: QRect, snippet: str, theme: Theme) -> None:
        text = html.escape(" ".join(snippet.split()))
        text = text.replace("\ue000", f'<span style="background-color:{theme.mark}">')
        text = text.replace("\ue001", "</span>")
        document = QTextDocument()
        document.setDocumentMargin(0)
        document.setDefaultFont(text_font(SMALL_PIXELS))
        option = document.defaultTextOption()
        option.setWrapMode(option.WrapMode.NoWrap)
        option.setTextDirection(painter.layoutDirection())
        document.setDefaultTextOption(option)
        document.setTextWidth(area.width())
        document.setHtml(text)
        painter.translate(area.topLeft())
        painter.setClipRect(QRect(0, 0, area.width(), area.height()))
        context = QAbstractTextDocumentLayout.PaintContext()
        context.palette.setColor(QPalette.ColorRole.Text, QColor(theme.muted))
        document.documentLayout().draw(painter, context)
