"""The side bar: new chat, search, the chats, and the way to the other pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

from PySide6.QtCore import QEvent, QModelIndex, QPoint, QSize, Qt, Signal
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
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.commands import set_tip
from plum_desktop.ui.base.controls import IconButton, button, rule, small
from plum_desktop.ui.base.theme import current_theme, icon, scaled, set_property
from plum_desktop.ui.base.undo_bar import UndoBar
from plum_desktop.ui.sidebar.chat_actions import ChatActions
from plum_desktop.ui.sidebar.chat_list import ChatListModel
from plum_desktop.ui.sidebar.chat_view import ChatView, RowView
from plum_desktop.ui.sidebar.search_box import SearchBox
from plum_desktop.ui.sidebar.search_results import HitDelegate, HitModel, HitRole

Page = Literal["chat", "memory", "learning", "models", "settings"]
Mode = Literal["full", "rail", "hidden"]

WIDTH, RAIL = 264, 57
_AT_FIRST = 100  # chats that are listed before all are read; a tall screen has room for 60


class SideBar(QFrame):
    """Signals:
    new_asked
    chat_chosen(chat id), hit_chosen(chat id, message id)
    chat_updated(Chat): renamed, pinned, archived, moved or kept from learning
    chat_removed(chat id): deleted, for now or for good
    page_chosen(page name)
    learned_changed: what there is to learn may be another amount now
    import_asked, export_asked(chat ids; none: all of them)
    counted(how many chats are listed)
    """

    new_asked = Signal()
    chat_chosen = Signal(str)
    hit_chosen = Signal(str, str)
    chat_updated = Signal(object)
    chat_removed = Signal(str)
    page_chosen = Signal(str)
    learned_changed = Signal()
    import_asked = Signal()
    export_asked = Signal(list)
    forget_asked = Signal(list)
    forget_deleted_asked = Signal()
    counted = Signal(int)

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("side")
        self._bridge = bridge
        self._store = bridge.plum.store
        self._archived = False
        self._current: str | None = None
        self._mode: Mode = "full"

        self._undo = UndoBar()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 12, 0, 8)
        box.setSpacing(8)
        box.addLayout(self._make_top())
        box.addWidget(self._make_search())
        box.addWidget(self._make_lists(), 1)
        self._air = QWidget()  # fills the rail, where there is no list
        box.addWidget(self._air, 1)
        around = QHBoxLayout()
        around.setContentsMargins(8, 0, 8, 0)
        around.addWidget(self._undo)
        box.addLayout(around)
        box.addWidget(rule())
        box.addLayout(self._make_navigation())
        self._find_edge()
        self.set_mode("full")

    def _make_top(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(4)
        row.addSpacing(4)
        self.new_button = button(self.tr("New chat"), "plain", self.new_asked.emit)
        set_tip(self.new_button, self.tr("New chat"), "new_chat")
        row.addWidget(self.new_button, 1)
        self.more_button = IconButton("more", self.tr("More"))
        self.more_button.setPopupMode(IconButton.ToolButtonPopupMode.InstantPopup)
        menu = self._menu = QMenu(self.more_button)
        self._archive_action = menu.addAction(self.tr("Show archived chats"))
        self._archive_action.setCheckable(True)
        self._archive_action.toggled.connect(self._on_archive_toggled)
        menu.addSeparator()
        menu.addAction(self.tr("Import chats…"), self.import_asked.emit)
        menu.addAction(self.tr("Export all chats…"), lambda: self.export_asked.emit([]))
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
        self.chats.modelReset.connect(self._say_empty)
        self.list = ChatView(self.chats)
        self.list.setAccessibleName(self.tr("Chats"))
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._on_menu_wanted)
        self.list.chosen.connect(self._on_chosen)
        self.chat_actions = self._make_chat_actions()
        for key, slot in (
            (Qt.Key.Key_F2, self.chat_actions.rename_chosen),
            (Qt.Key.Key_Delete, self.chat_actions.delete_chosen),
        ):
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
        self._empty.setMargin(12)
        self._lists = QStackedWidget()
        for each in (self.list, self.hit_list, self._empty):
            self._lists.addWidget(each)
        self._say_empty()
        return self._lists

    def _make_chat_actions(self) -> ChatActions:
        made = ChatActions(self._bridge, self.list, self.chats, self._undo, self.refresh, self)
        made.updated.connect(self.chat_updated)
        made.removed.connect(self.chat_removed)
        made.opened.connect(self.chat_chosen)
        made.export_asked.connect(self.export_asked)
        made.forget_asked.connect(self.forget_asked)
        made.forget_deleted_asked.connect(self.forget_deleted_asked)
        made.learned_changed.connect(self.learned_changed)
        return made

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
            set_tip(made, title, name)
            self.page_buttons[name] = made
        return self._grid

    # For the window

    def set_mode(self, mode: Mode) -> None:
        """full, rail (icons only) or hidden."""
        self._mode = mode
        full = mode == "full"
        self.setVisible(mode != "hidden")
        self.setFixedWidth(scaled(WIDTH) if full else RAIL)
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
        self._current = self.chat_actions.on_screen = chat_id
        self._select(chat_id)

    def set_remembered(self, remembered: Callable[[str], bool]) -> None:
        """How to tell whether a chat is in what serves now."""
        self.chat_actions.remembered = remembered

    def add_commands(self, temporary: QAction, narrow: QAction, update: QAction) -> None:
        """Put commands of the window into the menu, where their keys are told."""
        first = self._menu.actions()[0]
        self._menu.insertAction(first, temporary)
        self._menu.insertSeparator(first)
        self._menu.addSeparator()
        self._menu.addAction(narrow)
        self._menu.addSeparator()
        self._menu.addAction(update)

    def show_search_keys(self, keys: str) -> None:
        self.search_box.show_keys(keys)

    def focus_search(self) -> None:
        if self._mode != "full":
            self.set_mode("full")
        self.search.setFocus()
        self.search.selectAll()

    def refresh(self, then: Callable[[], object] | None = None) -> None:
        """Read the chats again; `then` comes when they are shown."""
        # What is in sight first: thousands take a tenth of a second.
        self._list(None if self.chats.chat_count() else _AT_FIRST, then)

    def _list(self, most: int | None, then: Callable[[], object] | None) -> None:
        """List `most` of the chats, and then all of them."""
        archived = self._archived

        def read() -> tuple[list[Chat], list[str], list[str]]:
            store = self._store
            chats = store.chats.list(archived=archived, limit=most)
            return chats, store.folders.paths(), store.personas()

        def show(found: tuple[list[Chat], list[str], list[str]]) -> None:
            chats, folders, personas = found
            self.chat_actions.folders = folders
            self.search_box.set_places(folders, personas)
            self.chats.set_chats(chats)
            if len(self.list.chosen_chats()) < 2 and not self.list.hasFocus():
                top = self.list.verticalScrollBar().value()
                self._select(self._current)
                self.list.verticalScrollBar().setValue(top)
            self._say_empty()
            self.counted.emit(len(chats))
            if len(chats) == most:
                self._list(None, then)
            elif then:
                then()

        self._bridge.ask(read, show, owner=self)

    def commit_delete(self) -> None:
        """Do for good what the bar still offers to undo."""
        self._undo.commit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw_icons()
        elif event.type() == QEvent.Type.FontChange:
            self.set_mode(self._mode)
        elif event.type() == QEvent.Type.LayoutDirectionChange:
            self._find_edge()

    def _find_edge(self) -> None:
        """Say which side the line is on, which a style sheet cannot mirror."""
        set_property(self, "mirrored", self.layoutDirection() == Qt.LayoutDirection.RightToLeft)

    def _draw_icons(self) -> None:
        theme = current_theme()
        size = QSize(scaled(16), scaled(16))
        self.new_button.setIcon(icon("new", theme.text))
        self.new_button.setIconSize(size)
        for name, made in self.page_buttons.items():
            made.setIcon(icon(name, theme.text, theme.muted))
            made.setIconSize(size)

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

    # The list

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
            menu = self.chat_actions.menu_for(*chats)
        elif folder := self.list.chosen_folder():
            menu = self.chat_actions.folder_menu(folder)
        else:
            return
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.list.viewport().mapToGlobal(at))
