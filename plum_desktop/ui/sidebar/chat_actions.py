"""What can be done with chats and folders: the menus, and the deeds behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from plum_desktop.base.types import Chat
from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.undo_bar import UndoBar
from plum_desktop.ui.sidebar.chat_list import ChatListModel, FolderRow
from plum_desktop.ui.sidebar.chat_view import ChatView

Then = Callable[[], object]


class ChatActions(QObject):
    """Acts on one chat, on several, or on a folder.

    Signals:
    updated(Chat): renamed, pinned, archived, moved or kept from learning
    removed(chat id): deleted, for now or for good
    opened(chat id): it was on screen, and has come back
    export_asked(chat ids)
    forget_asked(chat ids)
    forget_deleted_asked: what was learned from chats that are deleted now
    learned_changed: what there is to learn may be another amount now
    """

    updated = Signal(object)
    removed = Signal(str)
    opened = Signal(str)
    export_asked = Signal(list)
    forget_asked = Signal(list)
    forget_deleted_asked = Signal()
    learned_changed = Signal()

    def __init__(
        self, bridge: Bridge, view: ChatView, chats: ChatListModel, undo: UndoBar,
        refresh: Callable[[Then | None], object], parent: QWidget,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._bridge = bridge
        self._store = bridge.plum.store
        self._view, self._chats, self._undo = view, chats, undo
        self._refresh = refresh  # reads the list again, then calls back
        self._parent = parent
        self.folders: list[str] = []  # all there are, those of archived chats too
        self.on_screen: str | None = None
        self.remembered: Callable[[str], bool] = lambda _: False
        chats.renamed.connect(self._on_renamed)
        chats.folder_renamed.connect(self.rename_folder)
        view.dropped.connect(lambda chat_ids, folder: self.move_chats(chat_ids, folder or None))

    def menu_for(self, *chats: Chat) -> QMenu:
        """What can be done with a chat, or with several at once."""
        menu = _Menu(self._parent)
        if len(chats) == 1:
            menu.add(self.tr("Rename"), lambda: self._edit(chats[0]), "F2")
        pinned = all(chat.pinned for chat in chats)
        text = self.tr("Unpin") if pinned else self.tr("Pin")
        menu.add(text, lambda: self.update(*chats, pinned=not pinned))
        archived = all(chat.archived for chat in chats)
        text = self.tr("Take out of the archive") if archived else self.tr("Archive")
        menu.add(text, lambda: self.update(*chats, archived=not archived))
        self._add_move_menu(menu, chats)
        learned = all(chat.learn for chat in chats)
        text = self.tr("Learn from it") if len(chats) == 1 else self.tr("Learn from them")
        learn = menu.add(text, lambda: self.update(*chats, learn=not learned))
        learn.setCheckable(True)
        learn.setChecked(learned)
        menu.addSeparator()
        menu.add(self.tr("Export…"), lambda: self.export_asked.emit([chat.id for chat in chats]))
        menu.add(self.tr("Delete"), lambda: self.delete(*chats), "Del")
        menu.add(self.tr("Forget…"), lambda: self.forget_asked.emit([chat.id for chat in chats]))
        return menu

    def _add_move_menu(self, menu: QMenu, chats: Sequence[Chat]) -> None:
        """The folders there are, and a new one."""
        moves = _Menu(self.tr("Move to folder"), menu)
        menu.addMenu(moves)
        ids = [chat.id for chat in chats]
        homes = {chat.folder for chat in chats}
        for path in self.folders:
            each = moves.add(path.replace("&", "&&"), partial(self.move_chats, ids, path))
            each.setCheckable(True)
            each.setChecked(homes == {path})
        if self.folders:
            moves.addSeparator()
        moves.add(self.tr("New folder…"), lambda: self._move_to_new_folder(ids))
        if homes != {None}:
            moves.add(self.tr("Out of the folder"), lambda: self.move_chats(ids, None))

    def folder_menu(self, folder: FolderRow) -> QMenu:
        """What can be done with a folder."""
        menu = _Menu(self._parent)
        menu.add(self.tr("Rename"), lambda: self._edit_folder(folder.path), "F2")
        menu.add(self.tr("Remove the folder"), lambda: self.remove_folder(folder.path), "Del")
        return menu

    def _edit(self, chat: Chat) -> None:
        index = self._chats.index_of(chat.id)
        self._view.setCurrentIndex(index)
        self._view.edit(index)

    def _edit_folder(self, path: str) -> None:
        index = self._chats.index_of_folder(path)
        if index.isValid():
            self._view.setCurrentIndex(index)
            self._view.edit(index)

    def rename_chosen(self) -> None:
        index = self._view.currentIndex()
        if index.isValid():
            self._view.edit(index)

    def delete_chosen(self) -> None:
        if chats := self._view.chosen_chats():
            self.delete(*chats)
        elif folder := self._view.chosen_folder():
            self.remove_folder(folder.path)

    def _on_renamed(self, chat_id: str, title: str) -> None:
        if chat := self._chats.chat(chat_id):
            self.update(chat, title=title)

    def update(self, *chats: Chat, **fields: Any) -> None:
        ids = [chat.id for chat in chats]

        def changed(new: list[Chat]) -> None:
            for chat in new:
                self.updated.emit(chat)
            self._refresh(None)
            if "learn" in fields or "archived" in fields:
                self.learned_changed.emit()

        def work() -> list[Chat]:
            self._store.chats.update(*ids, **fields)
            return [self._store.chats.get(chat_id) for chat_id in ids]

        self._bridge.ask(work, changed, owner=self)

    # Folders

    def move_chats(self, chat_ids: Sequence[str], folder: str | None) -> None:
        """Put chats into a folder, or out of any."""
        self._put(dict.fromkeys(chat_ids, folder))

    def _put(self, folders: dict[str, str | None], then: Then | None = None) -> None:
        def work() -> list[Chat]:
            return [self._store.chats.get(chat_id) for chat_id in self._store.folders.put(folders)]

        def done(chats: list[Chat]) -> None:
            for chat in chats:
                self.updated.emit(chat)
            self._refresh(then)

        self._bridge.ask(work, done, owner=self)

    def _move_to_new_folder(self, chat_ids: Sequence[str]) -> None:
        """A new folder gets its name in its row, where it can be typed over at once."""
        name = path = self.tr("New folder")
        number = 1
        while path in self.folders:
            number += 1
            path = f"{name} {number}"
        self._put(dict.fromkeys(chat_ids, path), lambda: self._edit_folder(path))

    def rename_folder(self, path: str, new: str) -> None:
        """Give a folder another path; where that is there already, joining them can be undone."""
        there = new in self.folders

        def renamed(before: dict[str, str | None]) -> None:
            if there:
                name = words.shortened(new, 30)
                text = self.tr("“{name}” has the chats of both folders now.").format(name=name)
                self._undo.offer(text, lambda: self._put(before))

        self._change_folders(lambda: self._store.folders.rename(path, new), renamed)

    def remove_folder(self, path: str) -> None:
        """Take a folder away; its chats stay, one level up.  Can be undone for a while."""

        def removed(before: dict[str, str | None]) -> None:
            name = words.shortened(path.rpartition("/")[2], 30)
            text = self.tr("Removed the folder “{name}”; its chats are kept.").format(name=name)
            self._undo.offer(text, lambda: self._put(before))

        self._change_folders(lambda: self._store.folders.remove(path), removed)

    def _change_folders(
        self,
        work: Callable[[], dict[str, str | None]],
        then: Callable[[dict[str, str | None]], object],
    ) -> None:
        def done(before: dict[str, str | None]) -> None:
            then(before)
            self._refresh(None)

        self._bridge.ask(work, done, owner=self)

    # Deleting, which can be undone for a while

    def delete(self, *chats: Chat) -> None:
        """Take chats off the screen; they are deleted when the bar with Undo goes."""
        ids = [chat.id for chat in chats]
        on_screen = self.on_screen if self.on_screen in ids else None
        if len(chats) == 1:
            title = words.shortened(chats[0].title, 40)
            text = self.tr("Deleted “{title}”.").format(title=title)
        else:
            text = self.tr("Deleted {chats}.").format(chats=words.chats(len(chats)))
        remembered = any(map(self.remembered, ids))
        if remembered:
            text += " " + (
                self.tr("What was learned from it stays in memory.")
                if len(chats) == 1
                else self.tr("What was learned from them stays in memory.")
            )
        forget = self.forget_deleted_asked.emit
        self._undo.offer(
            text, lambda: self._bring_back(ids, on_screen), lambda: self._delete_for_good(ids),
            (self.tr("Forget that too…"), lambda: self._delete_for_good(ids, forget))
            if remembered else None,
        )  # fmt: skip
        self.hide(ids)

    def _bring_back(self, chat_ids: Sequence[str], on_screen: str | None) -> None:
        self._chats.bring_back(chat_ids)
        if on_screen:
            self.opened.emit(on_screen)

    def hide(self, chat_ids: Sequence[str]) -> None:
        """Take chats off the screen that somebody else is deleting."""
        self._chats.hide(chat_ids)
        for chat_id in chat_ids:
            self.removed.emit(chat_id)

    def show_again(self, chat_ids: Sequence[str]) -> None:
        """They are gone, or were not deleted after all: show those that are there."""
        self._refresh(lambda: self._chats.bring_back(chat_ids))
        self.learned_changed.emit()

    def _delete_for_good(self, chat_ids: Sequence[str], then: Then | None = None) -> None:
        def gone(_: object) -> None:
            self.show_again(chat_ids)
            if then:
                then()

        def failed(sentence: str) -> None:
            self.show_again(chat_ids)
            self._bridge.failed.emit(sentence)

        delete = self._bridge.plum.forgetting.delete
        self._bridge.ask(lambda: delete(chat_ids), gone, failed, owner=self, lane="slow")


class _Menu(QMenu):
    def add(self, text: str, slot: Callable[[], object], keys: str = "") -> QAction:
        action = self.addAction(text)
        action.triggered.connect(lambda: slot())
        if keys:
            action.setShortcut(QKeySequence(keys))
        return action
