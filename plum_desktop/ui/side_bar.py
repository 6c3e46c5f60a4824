"""The side bar: new chat, search, the chats, and the way to the other pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from PySide6.QtCore import QEvent, QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.app.search import find
from plum_desktop.base.types import Chat, SearchHit
from plum_desktop.ui import words
from plum_desktop.ui.bridge import Bridge
from plum_desktop.ui.chat_list import ChatListModel, FolderRow
from plum_desktop.ui.chat_view import ChatView, RowView
from plum_desktop.ui.controls import IconButton, button, small, with_keys
from plum_desktop.ui.search_box import SearchBox
from plum_desktop.ui.search_results import HitDelegate, HitModel, HitRole
from plum_desktop.ui.theme import current_theme, icon, set_property
from plum_desktop.ui.undo_bar import UndoBar

Page = Literal["chat", "memory", "learning", "models", "settings"]
Mode = Literal["full", "rail", "hidden"]

WIDTH, RAIL = 264, 57


class SideBar(QFrame):
    """Signals:
    new_asked, temporary_asked
    chat_chosen(chat id), hit_chosen(chat id, message id)
    chat_updated(Chat): renamed, pinned, archived, moved or kept from learning
    chat_removed(chat id): deleted, for now or for good
    page_chosen(page name)
    learned_changed: what there is to learn may be another amount now
    import_asked, export_asked(chat ids; none: all of them)
    narrowed: the reader wants less of it, or more
    counted(how many chats there are)
    """

    new_asked = Signal()
    temporary_asked = Signal()
    chat_chosen = Signal(str)
    hit_chosen = Signal(str, str)
    chat_updated = Signal(object)
    chat_removed = Signal(str)
    page_chosen = Signal(str)
    learned_changed = Signal()
    import_asked = Signal()
    export_asked = Signal(list)
    narrowed = Signal()
    counted = Signal(int)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("side")
        self._bridge = bridge
        self._store = bridge.plum.store
        self._archived = False
        self._current: str | None = None
        self._mode: Mode = "full"
        self._folders: list[str] = []  # of archived chats too
        self._remembered: Callable[[str], bool] = lambda _: False

        box = QVBoxLayout(self)
        box.setContentsMargins(0, 12, 0, 8)
        box.setSpacing(8)
        box.addLayout(self._make_top())
        box.addWidget(self._make_search())
        box.addWidget(self._make_lists(), 1)
        self._air = QWidget()  # fills the rail, where there is no list
        box.addWidget(self._air, 1)
        self._undo = UndoBar()
        around = QHBoxLayout()
        around.setContentsMargins(8, 0, 8, 0)
        around.addWidget(self._undo)
        box.addLayout(around)
        box.addLayout(self._make_navigation())
        self.set_mode("full")

    def _make_top(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(12, 0, 8, 0)
        row.setSpacing(4)
        self.new_button = button(self.tr("New chat"), "plain", self.new_asked.emit)
        self.new_button.setToolTip(with_keys(self.tr("New chat"), "Ctrl+N"))
        row.addWidget(self.new_button, 1)
        self.more_button = IconButton("more", self.tr("More"))
        self.more_button.setPopupMode(IconButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.more_button)
        menu.addAction(self.tr("Temporary chat"), self.temporary_asked.emit)
        menu.addSeparator()
        self._archive_action = menu.addAction(self.tr("Show archived chats"))
        self._archive_action.setCheckable(True)
        self._archive_action.toggled.connect(self._on_archive_toggled)
        menu.addSeparator()
        menu.addAction(self.tr("Import chats…"), self.import_asked.emit)
        menu.addAction(self.tr("Export all chats…"), lambda: self.export_asked.emit([]))
        menu.addSeparator()
        menu.addAction(self.tr("Narrow the side bar"), self.narrowed.emit)
        self.more_button.setMenu(menu)
        row.addWidget(self.more_button)
        return row

    def _make_search(self) -> QWidget:
        self.search_box = SearchBox()
        self.search = self.search_box.field
        self.search_box.went_down.connect(self._enter_list)
        self.search_box.entered.connect(self._on_search_entered)
        self.search_box.changed.connect(self._search)
        return self.search_box

    def _make_lists(self) -> QWidget:
        self.chats = ChatListModel(self)
        self.chats.renamed.connect(self._on_renamed)
        self.chats.folder_renamed.connect(self.rename_folder)
        self.list = ChatView(self.chats)
        self.list.setAccessibleName(self.tr("Chats"))
        self.list.dropped.connect(self._on_dropped)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._on_menu_wanted)
        self.list.chosen.connect(self._on_chosen)
        for key, slot in ((Qt.Key.Key_F2, self._rename), (Qt.Key.Key_Delete, self._delete_chosen)):
            shortcut = QShortcut(QKeySequence(key), self.list, slot)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)

        self.hits = HitModel(self)
        self.hit_list = RowView()
        self.hit_list.setModel(self.hits)
        self.hit_list.setItemDelegate(HitDelegate(self.hit_list))
        self.hit_list.setAccessibleName(self.tr("Search results"))
        self.hit_list.chosen.connect(self._on_hit_chosen)

        self._empty = small(wrap=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._empty.setContentsMargins(16, 8, 16, 8)
        self._lists = QStackedWidget()
        for each in (self.list, self.hit_list, self._empty):
            self._lists.addWidget(each)
        self._say_empty()
        return self._lists

    def _make_navigation(self) -> QGridLayout:
        self._grid = QGridLayout()
        self._grid.setContentsMargins(8, 0, 8, 0)
        self._grid.setSpacing(2)
        self._pages = QButtonGroup(self)
        self._pages.setExclusive(False)
        self.page_buttons: dict[str, QPushButton] = {}
        for name, title in (
            ("memory", self.tr("Memory")), ("learning", self.tr("Learning")),
            ("models", self.tr("Models")), ("settings", self.tr("Settings")),
        ):  # fmt: skip
            made = button(title, "row", partial(self.page_chosen.emit, name))
            made.setCheckable(True)
            made.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click goes on to the page
            made.setToolTip(title if name != "settings" else with_keys(title, "Ctrl+,"))
            self.page_buttons[name] = made
        return self._grid

    # For the window

    def set_mode(self, mode: Mode) -> None:
        """full, rail (icons only) or hidden."""
        self._mode = mode
        full = mode == "full"
        self.setVisible(mode != "hidden")
        self.setFixedWidth(WIDTH if full else RAIL)
        self.search_box.setVisible(full)
        self._lists.setVisible(full)
        self._undo.set_room(full)
        self.more_button.setVisible(full)
        self.new_button.setText(self.tr("New chat") if full else "")
        for at, made in enumerate(self.page_buttons.values()):
            self._grid.removeWidget(made)
            self._grid.addWidget(made, at // 2 if full else at, at % 2 if full else 0)
            made.setText(made.accessibleName() if full else "")
            set_property(made, "narrow", not full)
        self._air.setVisible(not full)
        self._draw_icons()

    @property
    def mode(self) -> Mode:
        return self._mode

    def show_page(self, page: str) -> None:
        """Say which page is on screen."""
        for name, made in self.page_buttons.items():
            made.setChecked(name == page)
        if page == "chat":
            self._select(self._current)
        else:
            self.list.clearSelection()

    def set_current(self, chat_id: str | None) -> None:
        self._current = chat_id
        self._select(chat_id)

    def set_remembered(self, remembered: Callable[[str], bool]) -> None:
        """How to tell whether a chat is in what serves now."""
        self._remembered = remembered

    def focus_search(self) -> None:
        if self._mode != "full":
            self.set_mode("full")
        self.search.setFocus()
        self.search.selectAll()

    def refresh(self, then: Callable[[], object] | None = None) -> None:
        """Read the chats again; `then` comes when they are shown."""
        archived = self._archived

        def read() -> tuple[list[Chat], list[str], list[str]]:
            store = self._store
            return store.chats.list(archived=archived), store.folders.paths(), store.personas()

        def show(found: tuple[list[Chat], list[str], list[str]]) -> None:
            chats, self._folders, personas = found
            self.search_box.set_places(self._folders, personas)
            top = self.list.verticalScrollBar().value()
            chosen = [chat.id for chat in self.list.chosen_chats()]
            self.chats.set_chats(chats)
            if len(chosen) > 1 or self.list.hasFocus():
                self.list.choose(chosen)
            else:
                self._select(self._current)
            self.list.verticalScrollBar().setValue(top)
            self._say_empty()
            self.counted.emit(len(chats))
            if then:
                then()

        self._bridge.ask(read, show, owner=self)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw_icons()

    def _draw_icons(self) -> None:
        theme = current_theme()
        self.new_button.setIcon(icon("new", theme.text))
        for name, made in self.page_buttons.items():
            made.setIcon(icon(name, theme.text, theme.muted))

    def _say_empty(self) -> None:
        if self.search.text().strip():
            return
        if self.chats.chat_count():
            self._lists.setCurrentWidget(self.list)
            return
        self._empty.setText(
            self.tr("No archived chats. Archive a chat from its menu.")
            if self._archived
            else self.tr("Your chats will be listed here. Write a message to begin the first.")
        )
        self._lists.setCurrentWidget(self._empty)

    def _select(self, chat_id: str | None) -> None:
        self.list.choose([chat_id] if chat_id else [])

    # Search

    def _search(self) -> None:
        text, within = self.search_box.text(), self.search_box.within()
        if not text:
            self.hits.set_hits([])
            self._lists.setCurrentWidget(self.list)
            self._say_empty()
            return
        if self._archived and within.archived is False:
            within = replace(within, archived=None)  # who looks at the archive searches it

        def show(hits: list[SearchHit]) -> None:
            if self.search_box.text() != text:
                return
            shown = [hit for hit in hits if hit.chat_id not in self.chats.hidden]
            self.hits.set_hits(shown)
            if shown:
                self._lists.setCurrentWidget(self.hit_list)
            else:
                self._empty.setText(self._nothing_found(text))
                self._lists.setCurrentWidget(self._empty)

        self._bridge.ask(lambda: find(self._store, text, within), show, owner=self)

    def _nothing_found(self, text: str) -> str:
        said = self.tr("Nothing found for “{text}”.").format(text=text)
        if self.search_box.narrowed():
            return f"{said} " + self.tr("It may be there at another time or in another place.")
        return f"{said} " + self.tr("Try fewer words, or only their beginning.")

    def _enter_list(self) -> None:
        view = self.hit_list if self._lists.currentWidget() is self.hit_list else self.list
        view.setFocus()
        if not view.currentIndex().isValid():
            view.move_to_first()

    def _on_search_entered(self) -> None:
        if self._lists.currentWidget() is self.hit_list and self.hits.rowCount():
            self._on_hit_chosen(self.hits.index(0))

    def _on_hit_chosen(self, index: QModelIndex) -> None:
        hit: SearchHit = index.data(HitRole)
        if hit.message_id:
            self.hit_chosen.emit(hit.chat_id, hit.message_id)
        else:
            self.chat_chosen.emit(hit.chat_id)

    # What can be done with chats

    def _on_chosen(self, index: QModelIndex) -> None:
        if chat := self.chats.chat_at(index):
            self.chat_chosen.emit(chat.id)
        else:
            self.list.toggle(index)

    def _on_archive_toggled(self, on: bool) -> None:
        self._archived = on
        self.refresh()

    def _on_menu_wanted(self, at: QPoint) -> None:
        index = self.list.indexAt(at)
        if not index.isValid() or not self.list.selectionModel().isSelected(index):
            index = self.list.currentIndex()
            at = self.list.visualRect(index).center()
        if chats := self.list.chosen_chats():
            menu = self.menu_for(*chats)
        elif folder := self.list.chosen_folder():
            menu = self.folder_menu(folder)
        else:
            return
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.list.viewport().mapToGlobal(at))

    def menu_for(self, *chats: Chat) -> QMenu:
        """What can be done with a chat, or with several at once."""
        menu = _Menu(self)
        if len(chats) == 1:
            menu.add(self.tr("Rename"), lambda: self._edit(chats[0]), "F2")
        pinned = all(chat.pinned for chat in chats)
        text = self.tr("Unpin") if pinned else self.tr("Pin")
        menu.add(text, lambda: self._update(*chats, pinned=not pinned))
        archived = all(chat.archived for chat in chats)
        text = self.tr("Take out of the archive") if archived else self.tr("Archive")
        menu.add(text, lambda: self._update(*chats, archived=not archived))
        self._add_move_menu(menu, chats)
        learned = all(chat.learn for chat in chats)
        text = self.tr("Learn from it") if len(chats) == 1 else self.tr("Learn from them")
        learn = menu.add(text, lambda: self._update(*chats, learn=not learned))
        learn.setCheckable(True)
        learn.setChecked(learned)
        menu.addSeparator()
        menu.add(self.tr("Export…"), lambda: self.export_asked.emit([chat.id for chat in chats]))
        menu.add(self.tr("Delete"), lambda: self.delete(*chats), "Del")
        return menu

    def _add_move_menu(self, menu: QMenu, chats: Sequence[Chat]) -> None:
        """The folders there are, and a new one."""
        moves = _Menu(self.tr("Move to folder"), menu)
        menu.addMenu(moves)
        ids = [chat.id for chat in chats]
        homes = {chat.folder for chat in chats}
        for path in self._folders:
            each = moves.add(path.replace("&", "&&"), partial(self.move_chats, ids, path))
            each.setCheckable(True)
            each.setChecked(homes == {path})
        if self._folders:
            moves.addSeparator()
        moves.add(self.tr("New folder…"), lambda: self._move_to_new_folder(ids))
        if homes != {None}:
            moves.add(self.tr("Out of the folder"), lambda: self.move_chats(ids, None))

    def folder_menu(self, folder: FolderRow) -> QMenu:
        """What can be done with a folder."""
        menu = _Menu(self)
        menu.add(self.tr("Rename"), lambda: self._edit_folder(folder.path), "F2")
        menu.add(self.tr("Remove the folder"), lambda: self.remove_folder(folder.path), "Del")
        return menu

    def _edit(self, chat: Chat) -> None:
        index = self.chats.index_of(chat.id)
        self.list.setCurrentIndex(index)
        self.list.edit(index)

    def _edit_folder(self, path: str) -> None:
        index = self.chats.index_of_folder(path)
        if index.isValid():
            self.list.setCurrentIndex(index)
            self.list.edit(index)

    def _rename(self) -> None:
        index = self.list.currentIndex()
        if index.isValid():
            self.list.edit(index)

    def _delete_chosen(self) -> None:
        if chats := self.list.chosen_chats():
            self.delete(*chats)
        elif folder := self.list.chosen_folder():
            self.remove_folder(folder.path)

    def _on_renamed(self, chat_id: str, title: str) -> None:
        if chat := self.chats.chat(chat_id):
            self._update(chat, title=title)

    def _update(self, *chats: Chat, **fields: Any) -> None:
        ids = [chat.id for chat in chats]

        def changed(new: list[Chat]) -> None:
            for chat in new:
                self.chat_updated.emit(chat)
            self.refresh()
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

    def _put(
        self, folders: dict[str, str | None], then: Callable[[], object] | None = None
    ) -> None:
        def work() -> list[Chat]:
            return [self._store.chats.get(chat_id) for chat_id in self._store.folders.put(folders)]

        def done(chats: list[Chat]) -> None:
            for chat in chats:
                self.chat_updated.emit(chat)
            self.refresh(then)

        self._bridge.ask(work, done, owner=self)

    def _on_dropped(self, chat_ids: list[str], folder: str) -> None:
        self.move_chats(chat_ids, folder or None)

    def _move_to_new_folder(self, chat_ids: Sequence[str]) -> None:
        """A new folder gets its name in its row, where it can be typed over at once."""
        name = path = self.tr("New folder")
        number = 1
        while path in self._folders:
            number += 1
            path = f"{name} {number}"
        self._put(dict.fromkeys(chat_ids, path), lambda: self._edit_folder(path))

    def rename_folder(self, path: str, new: str) -> None:
        self._change_folders(lambda: self._store.folders.rename(path, new))

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
        then: Callable[[dict[str, str | None]], object] | None = None,
    ) -> None:
        def done(before: dict[str, str | None]) -> None:
            if then:
                then(before)
            self.refresh()

        self._bridge.ask(work, done, owner=self)

    # Deleting, which can be undone for a while

    def delete(self, *chats: Chat) -> None:
        """Take chats off the screen; they are deleted when the bar with Undo goes."""
        ids = [chat.id for chat in chats]
        on_screen = self._current if self._current in ids else None
        if len(chats) == 1:
            title = words.shortened(chats[0].title, 40)
            text = self.tr("Deleted “{title}”.").format(title=title)
        else:
            text = self.tr("Deleted {chats}.").format(chats=words.chats(len(chats)))
        if any(map(self._remembered, ids)):
            text += " " + (
                self.tr("What was learned from it stays in memory.")
                if len(chats) == 1
                else self.tr("What was learned from them stays in memory.")
            )
        self._undo.offer(
            text, lambda: self._bring_back(ids, on_screen), lambda: self._delete_for_good(ids)
        )
        self.chats.hide(ids)
        self._say_empty()
        for chat_id in ids:
            self.chat_removed.emit(chat_id)

    def _bring_back(self, chat_ids: Sequence[str], on_screen: str | None) -> None:
        self.chats.bring_back(chat_ids)
        self._say_empty()
        if on_screen:
            self.chat_chosen.emit(on_screen)

    def _delete_for_good(self, chat_ids: Sequence[str]) -> None:
        def gone(_: object) -> None:
            self.refresh(lambda: self.chats.bring_back(chat_ids))
            self.learned_changed.emit()

        def failed(sentence: str) -> None:
            gone(None)
            self._bridge.failed.emit(sentence)

        self._bridge.ask(lambda: self._store.chats.delete(*chat_ids), gone, failed, owner=self)

    def commit_delete(self) -> None:
        """Delete for good what the bar still offers to bring back."""
        self._undo.commit()


class _Menu(QMenu):
    def add(self, text: str, slot: Callable[[], object], keys: str = "") -> QAction:
        action = self.addAction(text)
        action.triggered.connect(lambda: slot())
        if keys:
            action.setShortcut(QKeySequence(keys))
        return action
