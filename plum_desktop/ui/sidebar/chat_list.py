"""The list of chats in the side bar: a model with sections, and how its rows are painted."""

from __future__ import annotations

import dataclasses
import html
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QLineEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from plum_desktop.base.types import Chat
from plum_desktop.ui.base import words
from plum_desktop.ui.base.theme import Theme, current_theme, icon, scaled, text_font
from plum_desktop.ui.base.ticks import paint_ground

Index = QModelIndex | QPersistentModelIndex

ChatRole = Qt.ItemDataRole.UserRole + 1
FolderRole = Qt.ItemDataRole.UserRole + 2
DepthRole = Qt.ItemDataRole.UserRole + 3
CHATS_MIME = "application/x-plum-chats"  # a JSON list of ids
ROW_HEIGHT = 34
_INDENT, _DEEPEST = 16, 5  # pixels for each folder that a row stands in, up to this many


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder in the list; `count` is of the chats in it and in the folders inside it."""

    path: str
    count: int
    open: bool

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class ChatListModel(QAbstractListModel):
    """Chats under the sections Pinned, Today, Yesterday, Folders, Earlier.

    A chat in a folder stands there; a pinned one stands under Pinned too.

    Signals: renamed(chat id, title), folder_renamed(path, new path), typed over their rows.
    """

    renamed = Signal(str, str)
    folder_renamed = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._chats: list[Chat] = []
        self._hidden: set[str] = set()
        self._closed: set[str] = set()
        self._rows: list[Row] = []
        self._folders_at = 0  # what comes before this row stands in no folder
        self._rows_of: dict[str, list[int]] = {}

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if isinstance(row, str):
            return words.section_title(row) if role in _TEXT_ROLES else None
        if role == DepthRole:
            return self._depth(index.row())
        if isinstance(row, FolderRow):
            return self._folder_data(row, role)
        if role == ChatRole:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return row.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"<qt>{html.escape(row.title)}<br>{html.escape(words.moment(row.updated))}</qt>"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._spoken(row)
        return None

    def _folder_data(self, folder: FolderRow, role: int) -> object:
        if role == FolderRole:
            return folder
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return folder.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"<qt>{html.escape(folder.path)}<br>{words.chats(folder.count)}</qt>"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            state = self.tr("open") if folder.open else self.tr("closed")
            return ", ".join(
                (
                    self.tr("Folder {path}").format(path=folder.path),
                    words.chats(folder.count),
                    state,
                )
            )
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

    def _depth(self, at: int) -> int:
        """How many folders a row stands in."""
        row = self._rows[at]
        if isinstance(row, FolderRow):
            return row.path.count("/")
        if isinstance(row, Chat) and row.folder and not (row.pinned and at < self._folders_at):
            return row.folder.count("/") + 1
        return 0

    def flags(self, index: Index) -> Qt.ItemFlag:
        row = self._rows[index.row()] if index.isValid() else ""
        if isinstance(row, str):
            return Qt.ItemFlag.NoItemFlags
        item = Qt.ItemFlag
        flags = item.ItemIsSelectable | item.ItemIsEnabled | item.ItemIsEditable
        return flags | item.ItemIsDragEnabled if isinstance(row, Chat) else flags

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        typed = " ".join(str(value).split())
        if role != Qt.ItemDataRole.EditRole or typed in ("", index.data(role)):
            return False
        if chat := self.chat_at(index):
            self.put(dataclasses.replace(chat, title=typed))
            self.renamed.emit(chat.id, typed)
        elif folder := self.folder_at(index):
            parent, slash, _ = folder.path.rpartition("/")
            self.folder_renamed.emit(folder.path, parent + slash + typed)
        return True

    def set_chats(self, chats: Sequence[Chat], now: datetime | None = None) -> None:
        """Show `chats`, which come newest first; hidden ones stay hidden."""
        self._chats = list(chats)
        now = now or datetime.now().astimezone()
        sections: dict[str, list[Row]] = {name: [] for name in words.SECTIONS}
        filed: list[Chat] = []
        for chat in self._chats:
            if chat.id in self._hidden:
                continue
            if chat.folder:
                filed.append(chat)
            if chat.pinned or not chat.folder:
                sections[words.section_of(chat.updated, chat.pinned, now)].append(chat)
        sections["folders"] = self._folder_rows(filed)
        rows: list[Row] = []
        folders_at = 0
        for name, members in sections.items():
            if name == "folders":
                folders_at = len(rows)
            if members:
                rows += [name, *members]
        if rows == self._rows:
            return
        self.beginResetModel()
        self._rows, self._folders_at = rows, folders_at
        self._rows_of = {}
        for at, row in enumerate(rows):
            if isinstance(row, Chat):
                self._rows_of.setdefault(row.id, []).append(at)
        self.endResetModel()

    def _folder_rows(self, chats: Sequence[Chat]) -> list[Row]:
        """Each folder by name: the folders inside it, then its chats; a closed one hides both."""
        counts: Counter[str] = Counter()
        for path, count in Counter(chat.folder or "" for chat in chats).items():
            for each in _with_parents(path):
                counts[each] += count
        places = {path: _place(path) for path in counts}  # thousands of chats share a few
        placed: list[tuple[_Place, str, Row]] = [
            (places[path], path, FolderRow(path, count, path not in self._closed))
            for path, count in counts.items()
        ]
        for at, chat in enumerate(chats):
            path = chat.folder or ""
            placed.append(((*places[path], (1, "", at)), path + "/", chat))
        placed.sort(key=lambda each: each[0])
        shut = tuple(path + "/" for path in self._closed)
        return [row for _, path, row in placed if not path.startswith(shut)]

    def put(self, chat: Chat) -> None:
        """Show a changed chat at once; a change of place waits for the next `set_chats`."""
        self._chats = [chat if each.id == chat.id else each for each in self._chats]
        for row in self._rows_of.get(chat.id, ()):
            self._rows[row] = chat
            self.dataChanged.emit(self.index(row), self.index(row))

    def hide(self, chat_ids: Iterable[str]) -> None:
        """Take chats out of sight, with nothing stored yet."""
        self._hidden.update(chat_ids)
        self.set_chats(self._chats)

    def bring_back(self, chat_ids: Iterable[str]) -> None:
        """Show again what was hidden, as far as it is still there."""
        self._hidden.difference_update(chat_ids)
        self.set_chats(self._chats)

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset(self._hidden)

    def set_closed(self, paths: Iterable[str]) -> None:
        """Close these folders, and open all others."""
        self._closed = set(paths)
        self.set_chats(self._chats)

    def closed(self) -> list[str]:
        """The folders that are closed."""
        there = {path for chat in self._chats for path in _with_parents(chat.folder or "")}
        return sorted(self._closed & there)

    def set_open(self, path: str, opened: bool) -> None:
        """Open or close a folder."""
        (self._closed.discard if opened else self._closed.add)(path)
        self.set_chats(self._chats)

    def chat_at(self, index: Index) -> Chat | None:
        row = self._rows[index.row()] if index.isValid() else None
        return row if isinstance(row, Chat) else None

    def folder_at(self, index: Index) -> FolderRow | None:
        row = self._rows[index.row()] if index.isValid() else None
        return row if isinstance(row, FolderRow) else None

    def home_of(self, index: Index) -> str | None:
        """The folder that a row is, or stands in."""
        if folder := self.folder_at(index):
            return folder.path
        chat = self.chat_at(index)
        return chat.folder if chat and self._depth(index.row()) else None

    def chat(self, chat_id: str) -> Chat | None:
        return self.chat_at(self.index_of(chat_id))

    def index_of(self, chat_id: str | None) -> QModelIndex:
        rows = self._rows_of.get(chat_id or "")
        return self.index(rows[0]) if rows else QModelIndex()

    def index_of_folder(self, path: str) -> QModelIndex:
        for at, row in enumerate(self._rows):
            if isinstance(row, FolderRow) and row.path == path:
                return self.index(at)
        return QModelIndex()

    def recent(self, most: int) -> list[Chat]:
        """The chats on screen that were used last."""
        there = [chat for chat in self._chats if chat.id not in self._hidden]
        return sorted(there, key=lambda chat: -chat.updated)[:most]

    def chat_count(self) -> int:
        """How many chats there are, those in closed folders included."""
        return sum(chat.id not in self._hidden for chat in self._chats)

    # Chats can be dragged; what a drop does is the view's matter

    def supportedDragActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        return [CHATS_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        chats = {chat.id: None for index in indexes if (chat := self.chat_at(index))}
        data = QMimeData()
        data.setData(CHATS_MIME, json.dumps(list(chats)).encode())
        return data


_Place = tuple[tuple[int, str, int], ...]


def _place(path: str) -> _Place:
    """Where a folder stands among others: by name, before the chats beside it."""
    return tuple((0, name.casefold() + "/" + name, 0) for name in path.split("/"))


def _with_parents(path: str) -> list[str]:
    """`Work/Clients`: Work, and Work/Clients."""
    names = path.split("/") if path else []
    return ["/".join(names[: at + 1]) for at in range(len(names))]


Row = str | FolderRow | Chat  # a section's name, a folder, or a chat
Placed = Callable[[QRect], QRect]  # a part of a row told as from the left, where it goes
_TEXT_ROLES = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole)


class ChatDelegate(QStyledItemDelegate):
    """One line a chat or a folder, a little air above a section."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(120, scaled(ROW_HEIGHT))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        chat, folder = index.data(ChatRole), index.data(FolderRole)
        theme = current_theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if chat is None and folder is None:
            painter.setFont(text_font(12, bold=True))
            painter.setPen(QColor(theme.muted))
            area = option.rect.adjusted(16, 8, -16, 0)
            painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, index.data())
        else:
            paint_ground(painter, option, theme, GROUND_INSET)
            indent = 16 + _INDENT * min(index.data(DepthRole), _DEEPEST)
            area = option.rect.adjusted(indent, 0, -14, 0)
            placed = partial(QStyle.visualRect, option.direction, option.rect)
            if folder is not None:
                self._paint_folder(painter, area, placed, folder, theme)
            else:
                self._paint_chat(painter, area, placed, chat, theme)
        painter.restore()

    @staticmethod
    def _paint_folder(
        painter: QPainter, area: QRect, placed: Placed, folder: FolderRow, theme: Theme
    ) -> None:
        arrow = QRect(area.left() - 3, area.center().y() - 6, 14, 14)
        shut = "previous" if painter.layoutDirection() == _FROM_RIGHT else "next"
        icon("down" if folder.open else shut, theme.muted).paint(painter, placed(arrow))
        painter.setFont(text_font(12))
        painter.setPen(QColor(theme.muted))
        count = words.number(folder.count)
        width = painter.fontMetrics().horizontalAdvance(count) + 8
        figure = QRect(area.right() - width, area.top(), width, area.height())
        painter.drawText(placed(figure), _RIGHT, count)
        painter.setFont(text_font(14))
        painter.setPen(QColor(theme.text))
        _paint_line(painter, placed(area.adjusted(_INDENT, 0, -width, 0)), folder.name)

    def _paint_chat(
        self, painter: QPainter, area: QRect, placed: Placed, chat: Chat, theme: Theme
    ) -> None:
        right = area.right()
        for name in self._signs(chat):
            sign = QRect(right - 14, area.center().y() - 7, 14, 14)
            icon(name, theme.muted).paint(painter, placed(sign))
            right -= 20
        painter.setFont(text_font(14))
        painter.setPen(QColor(theme.text if not chat.archived else theme.muted))
        _paint_line(painter, placed(area.adjusted(0, 0, right - area.right(), 0)), chat.title)

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
        editor.setAccessibleName(self.tr("New name"))
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


GROUND_INSET = 8  # pixels; rows of the side bar stand free of its edges
_FROM_RIGHT = Qt.LayoutDirection.RightToLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight


def _paint_line(painter: QPainter, area: QRect, text: str) -> None:
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, area.width())
    painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, shown)
