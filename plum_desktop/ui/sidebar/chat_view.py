"""The views of the side bar: rows that open, and chats that can be chosen and dragged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QRectF,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QAbstractItemView, QFrame, QListView

from plum_desktop.base.types import Chat
from plum_desktop.ui.base.theme import current_theme
from plum_desktop.ui.sidebar.chat_list import CHATS_MIME, ChatDelegate, ChatListModel, FolderRow

_SEVERAL = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
_Select = QItemSelectionModel.SelectionFlag


class RowView(QListView):
    """A list that opens what is clicked, or chosen with Enter.

    Signals: chosen(index).
    """

    chosen = Signal(QModelIndex)

    def __init__(self) -> None:
        super().__init__()
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._plain = True  # whether the last click was without Ctrl and Shift
        self.clicked.connect(self._on_clicked)

    def move_to_first(self) -> None:
        """Choose the first row that can be."""
        model = self.model()
        for row in range(model.rowCount()):
            index = model.index(row, 0)
            if model.flags(index) & Qt.ItemFlag.ItemIsSelectable:
                self.setCurrentIndex(index)
                return

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._plain = not event.modifiers() & _SEVERAL
        super().mouseReleaseEvent(event)

    def _on_clicked(self, index: QModelIndex) -> None:
        if self._plain:
            self.chosen.emit(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and self.state() != QAbstractItemView.State.EditingState:
            self.chosen.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)


class _Place(NamedTuple):
    """Where a reader of the list is."""

    chosen: list[str]  # chat ids
    folder: str | None  # the current row, where that is a folder
    row: int
    top: int  # of what is in sight, pixels


class ChatView(RowView):
    """The chats and their folders: several can be chosen, and dragged onto a folder.

    Signals: dropped(chat ids, folder; empty: out of any).
    """

    dropped = Signal(list, str)

    def __init__(self, chats: ChatListModel) -> None:
        super().__init__()
        self._chats = chats
        self._target: str | None = None  # the folder under what is being dragged
        self._place = _Place([], None, -1, 0)
        chats.modelAboutToBeReset.connect(self._remember_place)
        self.setModel(chats)
        chats.modelReset.connect(self._find_place)
        self.setItemDelegate(ChatDelegate(self))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDragEnabled(True)
        self.setDropIndicatorShown(False)  # a drop goes into a folder, not between rows

    # What is chosen

    def chosen_chats(self) -> list[Chat]:
        """In the order of the list, each once."""
        rows = sorted(self.selectionModel().selectedIndexes(), key=QModelIndex.row)
        chats = filter(None, map(self._chats.chat_at, rows))
        return list({chat.id: chat for chat in chats}.values())

    def chosen_folder(self) -> FolderRow | None:
        """The folder, if one and nothing else is chosen."""
        rows = self.selectionModel().selectedIndexes()
        return self._chats.folder_at(rows[0]) if len(rows) == 1 else None

    def choose(self, chat_ids: Iterable[str]) -> None:
        """Choose these chats and no others; the last is the current row."""
        rows = [index for each in chat_ids if (index := self._chats.index_of(each)).isValid()]
        model = self.selectionModel()
        if not rows:
            model.clear()
            return
        selection = QItemSelection()
        for index in rows:
            selection.select(index, index)
        model.setCurrentIndex(rows[-1], _Select.NoUpdate)
        model.select(selection, _Select.ClearAndSelect)

    def _remember_place(self) -> None:
        current = self.currentIndex()
        folder = self._chats.folder_at(current)
        self._place = _Place(
            [chat.id for chat in self.chosen_chats()], folder.path if folder else None,
            current.row(), self.verticalScrollBar().value(),
        )  # fmt: skip

    def _find_place(self) -> None:
        """Go on where the reader was before the rows were made anew."""
        place = self._place
        folder = self._chats.index_of_folder(place.folder) if place.folder else QModelIndex()
        if folder.isValid():
            self.setCurrentIndex(folder)
        else:
            self.choose(place.chosen)
        if place.row >= 0 and not self.currentIndex().isValid() and self._chats.rowCount():
            # What was current is gone: the keys go on from there, with nothing chosen.
            near = self._chats.index(min(place.row, self._chats.rowCount() - 1))
            self.selectionModel().setCurrentIndex(near, _Select.NoUpdate)
        self.verticalScrollBar().setValue(place.top)

    # Folders open and close

    def toggle(self, index: QModelIndex) -> None:
        if folder := self._chats.folder_at(index):
            self._chats.set_open(folder.path, not folder.open)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        folder = self._chats.folder_at(self.currentIndex())
        key = event.key()
        if folder and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._chats.set_open(folder.path, key == Qt.Key.Key_Right)
        elif folder and key == Qt.Key.Key_Space:
            self._chats.set_open(folder.path, not folder.open)
        else:
            super().keyPressEvent(event)

    # Chats dropped onto a folder go in, dropped elsewhere they go out of theirs

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self._look_under(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        super().dragMoveEvent(event)  # scrolls near the edges
        self._look_under(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        super().dragLeaveEvent(event)
        self._show_target(None)

    def dropEvent(self, event: QDropEvent) -> None:
        self._look_under(event)
        target = self._target
        self._show_target(None)
        self.setState(QAbstractItemView.State.NoState)
        if event.isAccepted():
            chats = json.loads(bytes(event.mimeData().data(CHATS_MIME).data()))
            self.dropped.emit(chats, target or "")

    def _look_under(self, event: QDropEvent) -> None:
        at: QPoint = event.position().toPoint()
        ours = event.source() is self and event.mimeData().hasFormat(CHATS_MIME)
        if not ours:
            event.ignore()
            return
        self._show_target(self._chats.home_of(self.indexAt(at)))
        event.setDropAction(Qt.DropAction.MoveAction)
        event.accept()

    def _show_target(self, folder: str | None) -> None:
        if folder != self._target:
            self._target = folder
            self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        index = self._chats.index_of_folder(self._target) if self._target else QModelIndex()
        if index.isValid():
            painter = QPainter(self.viewport())
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(current_theme().accent), 2))
            area = QRectF(self.visualRect(index)).adjusted(9, 2, -9, -2)
            painter.drawRoundedRect(area, 6, 6)
