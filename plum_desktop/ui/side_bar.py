"""The side bar: new chat, search, the chats, and the way to the other pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from PySide6.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.base.types import Chat, SearchHit
from plum_desktop.ui import words
from plum_desktop.ui.bridge import Bridge
from plum_desktop.ui.chat_list import (
    ChatDelegate,
    ChatListModel,
    HitDelegate,
    HitModel,
    HitRole,
)
from plum_desktop.ui.commands import set_tip, with_keys
from plum_desktop.ui.controls import IconButton, Notice, button, small
from plum_desktop.ui.theme import current_theme, icon, scaled, set_property

Page = Literal["chat", "memory", "learning", "models", "settings"]
Mode = Literal["full", "rail", "hidden"]

WIDTH, RAIL = 264, 57
UNDO_MS = 8000
_SEARCH_MS = 120
_TITLES_AT_MOST = 10


class SideBar(QFrame):
    """Signals:
    new_asked
    chat_chosen(chat id), hit_chosen(chat id, message id)
    chat_updated(Chat): renamed, pinned, archived or kept from learning
    chat_removed(chat id): deleted, for now or for good
    page_chosen(page name)
    learned_changed: what there is to learn may be another amount now
    import_asked, export_asked(chat id; empty: all of them)
    counted(how many chats there are)
    """

    new_asked = Signal()
    chat_chosen = Signal(str)
    hit_chosen = Signal(str, str)
    chat_updated = Signal(object)
    chat_removed = Signal(str)
    page_chosen = Signal(str)
    learned_changed = Signal()
    import_asked = Signal()
    export_asked = Signal(str)
    counted = Signal(int)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("side")
        self._bridge = bridge
        self._store = bridge.plum.store
        self._archived = False
        self._current: str | None = None
        self._mode: Mode = "full"
        self._doomed: Chat | None = None  # deleted on screen, stored until the bar is gone
        self._remembered: Callable[[str], bool] = lambda _: False

        box = QVBoxLayout(self)
        box.setContentsMargins(0, 12, 0, 8)
        box.setSpacing(8)
        box.addLayout(self._make_top())
        box.addWidget(self._make_search())
        box.addWidget(self._make_lists(), 1)
        self._air = QWidget()  # fills the rail, where there is no list
        box.addWidget(self._air, 1)
        self._undo = Notice()
        self._undo.hide()
        self._undo_time = QTimer(self, singleShot=True, interval=UNDO_MS)
        self._undo_time.timeout.connect(self.commit_delete)
        around = QHBoxLayout()
        around.setContentsMargins(8, 0, 8, 0)
        around.addWidget(self._undo)
        box.addLayout(around)
        box.addLayout(self._make_navigation())
        self._find_edge()
        self.set_mode("full")

    def _make_top(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(12, 0, 8, 0)
        row.setSpacing(4)
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
        menu.addAction(self.tr("Export all chats…"), lambda: self.export_asked.emit(""))
        self.more_button.setMenu(menu)
        row.addWidget(self.more_button)
        return row

    def _make_search(self) -> QWidget:
        self._search_box = QWidget()
        row = QHBoxLayout(self._search_box)
        row.setContentsMargins(12, 0, 12, 0)
        self.search = _SearchField()
        self.search.setObjectName("search")
        self.search.setClearButtonEnabled(True)
        self.show_search_keys("")
        self.search.setAccessibleName(self.tr("Search all chats"))
        self._glass = QAction(self.search)
        self.search.addAction(self._glass, QLineEdit.ActionPosition.LeadingPosition)
        self.search.went_down.connect(self._enter_list)
        self.search.returnPressed.connect(self._on_search_entered)
        self._search_soon = QTimer(self, singleShot=True, interval=_SEARCH_MS)
        self._search_soon.timeout.connect(self._search)
        self.search.textChanged.connect(lambda _: self._search_soon.start())
        row.addWidget(self.search)
        return self._search_box

    def _make_lists(self) -> QWidget:
        self.chats = ChatListModel(self)
        self.chats.renamed.connect(self._on_renamed)
        self.list = _ChatView()
        self.list.setModel(self.chats)
        self.list.setItemDelegate(ChatDelegate(self.list))
        self.list.setAccessibleName(self.tr("Chats"))
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._on_menu_wanted)
        self.list.chosen.connect(self._on_chosen)
        for key, slot in ((Qt.Key.Key_F2, self._rename), (Qt.Key.Key_Delete, self._delete_chosen)):
            shortcut = QShortcut(QKeySequence(key), self.list, slot)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)

        self.hits = HitModel(self)
        self.hit_list = _ChatView()
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
        self._search_box.setVisible(full)
        self._lists.setVisible(full)
        self._undo.setVisible(full and self._doomed is not None)
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

    def add_commands(self, temporary: QAction, narrow: QAction) -> None:
        """Put commands of the window into the menu, where their keys are told."""
        first = self._menu.actions()[0]
        self._menu.insertAction(first, temporary)
        self._menu.insertSeparator(first)
        self._menu.addSeparator()
        self._menu.addAction(narrow)

    def show_search_keys(self, keys: str) -> None:
        self.search.setPlaceholderText(with_keys(self.tr("Search"), keys))

    def focus_search(self) -> None:
        if self._mode != "full":
            self.set_mode("full")
        self.search.setFocus()
        self.search.selectAll()

    def refresh(self) -> None:
        """Read the chats again."""
        archived = self._archived

        def show(chats: list[Chat]) -> None:
            top = self.list.verticalScrollBar().value()
            self.chats.set_chats(chats)
            self._select(self._current)
            self.list.verticalScrollBar().setValue(top)
            self._say_empty()
            self.counted.emit(len(chats))

        self._bridge.ask(lambda: self._store.chats.list(archived=archived), show, owner=self)

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
        self._glass.setIcon(icon("search", theme.muted))
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
        index = self.chats.index_of(chat_id)
        selection = self.list.selectionModel()
        if index.isValid():
            selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        else:
            selection.clear()

    # Search

    def _search(self) -> None:
        text = self.search.text().strip()
        if not text:
            self.hits.set_hits([])
            self._lists.setCurrentWidget(self.list)
            self._say_empty()
            return

        def find() -> list[SearchHit]:
            wanted = text.casefold()
            chats = self._store.chats.list() + self._store.chats.list(archived=True)
            titled = [chat for chat in chats if wanted in chat.title.casefold()]
            hits = [
                SearchHit(chat.id, "", chat.title, "user", "", chat.created)
                for chat in titled[:_TITLES_AT_MOST]
            ]
            return hits + self._store.search(text)

        def show(hits: list[SearchHit]) -> None:
            if self.search.text().strip() != text:
                return
            shown = [hit for hit in hits if hit.chat_id not in self.chats.hidden]
            self.hits.set_hits(shown)
            if shown:
                self._lists.setCurrentWidget(self.hit_list)
            else:
                self._empty.setText(
                    self.tr("Nothing found for “{text}”. Try fewer words, or only their beginning.")
                    .format(text=text)
                )  # fmt: skip
                self._lists.setCurrentWidget(self._empty)

        self._bridge.ask(find, show, owner=self)

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

    # One chat

    def _on_chosen(self, index: QModelIndex) -> None:
        if chat := self.chats.chat_at(index):
            self.chat_chosen.emit(chat.id)

    def _on_archive_toggled(self, on: bool) -> None:
        self._archived = on
        self.refresh()

    def _on_menu_wanted(self, at: QPoint) -> None:
        index = self.list.indexAt(at)
        if not self.chats.chat_at(index):
            index = self.list.currentIndex()
            at = self.list.visualRect(index).center()
        if chat := self.chats.chat_at(index):
            menu = self.menu_for(chat)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.list.viewport().mapToGlobal(at))

    def menu_for(self, chat: Chat) -> QMenu:
        """What can be done with a chat."""
        menu = QMenu(self)

        def add(text: str, slot: Callable[[], object], keys: str = "") -> QAction:
            action = menu.addAction(text)
            action.triggered.connect(lambda: slot())
            if keys:
                action.setShortcut(QKeySequence(keys))
            return action

        add(self.tr("Rename"), lambda: self._edit(chat), "F2")
        pinned = self.tr("Unpin") if chat.pinned else self.tr("Pin")
        add(pinned, lambda: self._update(chat, pinned=not chat.pinned))
        kept = self.tr("Take out of the archive") if chat.archived else self.tr("Archive")
        add(kept, lambda: self._update(chat, archived=not chat.archived))
        learn = add(self.tr("Learn from it"), lambda: self._update(chat, learn=not chat.learn))
        learn.setCheckable(True)
        learn.setChecked(chat.learn)
        menu.addSeparator()
        add(self.tr("Export…"), lambda: self.export_asked.emit(chat.id))
        add(self.tr("Delete"), lambda: self.delete(chat), "Del")
        return menu

    def _edit(self, chat: Chat) -> None:
        index = self.chats.index_of(chat.id)
        self.list.setCurrentIndex(index)
        self.list.edit(index)

    def _rename(self) -> None:
        if chat := self.chats.chat_at(self.list.currentIndex()):
            self._edit(chat)

    def _delete_chosen(self) -> None:
        if chat := self.chats.chat_at(self.list.currentIndex()):
            self.delete(chat)

    def _on_renamed(self, chat_id: str, title: str) -> None:
        if chat := self.chats.chat(chat_id):
            self._update(chat, title=title)

    def _update(self, chat: Chat, **fields: Any) -> None:
        def changed(new: Chat) -> None:
            self.chat_updated.emit(new)
            self.refresh()
            if "learn" in fields or "archived" in fields:
                self.learned_changed.emit()

        def work() -> Chat:
            self._store.chats.update(chat.id, **fields)
            return self._store.chats.get(chat.id)

        self._bridge.ask(work, changed, owner=self)

    # Deleting, which can be undone for a while

    def delete(self, chat: Chat) -> None:
        """Take a chat off the screen; it is deleted when the bar with Undo goes."""
        self.commit_delete()
        self._doomed = chat
        self.chats.hide(chat.id)
        self._say_empty()
        text = self.tr("Deleted “{title}”.").format(title=words.shortened(chat.title, 40))
        if self._remembered(chat.id):
            text += " " + self.tr("What was learned from it stays in memory.")
        self._undo.say(text)
        self._undo.set_buttons(button(self.tr("Undo"), "quiet", self.undo_delete))
        self._undo.setVisible(self._mode == "full")
        self._undo_time.start()
        self.chat_removed.emit(chat.id)

    def undo_delete(self) -> None:
        if chat := self._doomed:
            self._doomed = None
            self._undo_time.stop()
            self._undo.hide()
            self.chats.hide(chat.id, False)
            self._say_empty()
            self.chat_chosen.emit(chat.id)

    def commit_delete(self) -> None:
        """Delete for good what the bar still offers to bring back."""
        if chat := self._doomed:
            self._doomed = None
            self._undo_time.stop()
            self._undo.hide()

            def gone(_: object) -> None:
                self.chats.hide(chat.id, False)
                self.refresh()
                self.learned_changed.emit()

            self._bridge.ask(lambda: self._store.chats.delete(chat.id), gone, owner=self)


class _SearchField(QLineEdit):
    """Signals: went_down, to the list."""

    went_down = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Down:
            self.went_down.emit()
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)


class _ChatView(QListView):
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
        self.clicked.connect(self.chosen)

    def move_to_first(self) -> None:
        """Choose the first row that can be."""
        model = self.model()
        for row in range(model.rowCount()):
            index = model.index(row, 0)
            if model.flags(index) & Qt.ItemFlag.ItemIsSelectable:
                self.setCurrentIndex(index)
                return

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and self.state() != QAbstractItemView.State.EditingState:
            self.chosen.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)
