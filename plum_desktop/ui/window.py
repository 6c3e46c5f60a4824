"""The main window: side bar, pages, status line, and what concerns them all."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray
from PySide6.QtGui import QCloseEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.app import turning
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import FileLock
from plum_desktop.ui.appearance import Appearance
from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import announce, button
from plum_desktop.ui.base.export import AdapterExport
from plum_desktop.ui.base.overlay import Overlay
from plum_desktop.ui.base.page import Page
from plum_desktop.ui.base.undo_bar import UndoBar
from plum_desktop.ui.chat.conversation import Conversation
from plum_desktop.ui.chat.why import WhyPopup
from plum_desktop.ui.crash_notice import CrashNotice
from plum_desktop.ui.forgetter import Forgetter
from plum_desktop.ui.idle_lock import IdleLock
from plum_desktop.ui.learning.cards import LearningCards
from plum_desktop.ui.learning.interrupted import InterruptedOffer
from plum_desktop.ui.learning.lessons import Lessons
from plum_desktop.ui.learning.scheduler import Scheduler
from plum_desktop.ui.leaving import Leaving, ask_before_leaving
from plum_desktop.ui.models.models_page import ModelsPage
from plum_desktop.ui.notices import Notices
from plum_desktop.ui.palette import Palette
from plum_desktop.ui.place import Place, load_place, save_place
from plum_desktop.ui.sidebar.exchange import ChatExchange
from plum_desktop.ui.sidebar.room import SideRoom
from plum_desktop.ui.sidebar.side_bar import SideBar
from plum_desktop.ui.status_line import StatusLine
from plum_desktop.ui.tray import Tray
from plum_desktop.ui.unlocking import Wish
from plum_desktop.ui.update_notice import UpdateNotice
from plum_desktop.ui.window_commands import WindowCommands, shown_keys

if TYPE_CHECKING:
    from plum_desktop.app.job import Outcome
    from plum_desktop.app.models import ModelInfo
    from plum_desktop.app.product import Plum
    from plum_desktop.base.crash import CrashFile
    from plum_desktop.base.types import Adapter
    from plum_desktop.ui.learning.compare_page import ComparePage
    from plum_desktop.ui.learning.learning_page import LearningPage
    from plum_desktop.ui.memory.memory_page import MemoryPage
    from plum_desktop.ui.settings.settings_page import SettingsPage


class MainWindow(QMainWindow):
    """Everything on screen.  `start` begins the work that needs a running event loop.

    A page that the start does not need is made, and its modules read, when it is first asked for:
    three quarters of all widgets are on those pages.
    """

    pages = ("chat", "memory", "learning", "models", "settings", "compare")

    def __init__(self, plum: Plum, crash: CrashFile | None = None) -> None:
        super().__init__()
        self.setWindowTitle(self.tr("Plum Desktop"))
        self.setMinimumSize(420, 420)
        self.resize(1180, 760)
        self.plum = plum
        self.bridge = Bridge(plum, self)
        self.lessons = Lessons(self.bridge, self)
        self.scheduler = Scheduler(self.bridge, self.lessons, self)
        self._leaving = False
        self.wish: tuple[Wish, str] | None = None  # what it closes for; the second: a passphrase
        self._warm = False  # whether to load what the next reply will need
        self._place_file = plum.folder.window_place
        self._last = load_place(self._place_file)
        self.appearance = Appearance(self)
        self._chosen: Counter[str] = Counter()  # how often a command chose each setting
        self.commands = WindowCommands(self)

        self.side = SideBar(self.bridge, self)
        self._room = SideRoom(self.side, self)
        self._room.fitted.connect(self._show_side_buttons)
        self.conversation = Conversation(self.bridge)
        self.export = AdapterExport(self.bridge, self, self.tell, self.say)
        self.exchange = ChatExchange(self.bridge, self, self.tell, self.say)
        self.models = ModelsPage(self.bridge)
        self.stack = QStackedWidget()
        self._made: dict[str, QWidget] = {}  # the pages that are there
        self._add_page("chat", self.conversation)
        self._add_page("models", self.models)
        self.status = StatusLine(self.lessons)
        self.offer = InterruptedOffer(self.lessons)
        self.crash = CrashNotice(crash)
        self.updates = UpdateNotice(self.bridge)
        self.undo_adapter = UndoBar()
        self._lay_out()

        self.cards = LearningCards(self.lessons, self.export, self.stack)
        self.sheet, self.result = self.cards.sheet, self.cards.result
        self.why = WhyPopup(self.bridge, self)
        self.palette_sheet = Palette()
        self.over_all = Overlay(self._whole)
        self.over_all.add(self.palette_sheet)
        self.tray = Tray(self.lessons, self)
        self.forgetter = Forgetter(self.bridge, self)
        self._idle = IdleLock(self._lock_after, self)
        self._idle.idle.connect(self._on_idle)
        self._connect()
        self.commands.choose(plum.settings.keys)
        self.restoreGeometry(QByteArray(self._last.geometry))
        if self._last.side == "rail":
            self._room.wanted = "rail"
        self.side.chats.set_closed(self._last.closed_folders)
        self._room.fit()

    def _lay_out(self) -> None:
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.stack, 1)
        column.addWidget(
            Notices(
                self.crash, self.updates, self.offer, self.models.unfinished, self.models.undo,
                self.undo_adapter,
            )
        )  # fmt: skip
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self.side)
        middle.addWidget(right, 1)
        self._whole = whole = QWidget()
        box = QVBoxLayout(whole)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addLayout(middle, 1)
        box.addWidget(self.status)
        self.setCentralWidget(whole)

    def _connect(self) -> None:
        side, chat = self.side, self.conversation
        side.new_asked.connect(self.new_chat)
        side.chat_chosen.connect(self.open_chat)
        side.hit_chosen.connect(self.open_chat)
        side.chat_updated.connect(chat.set_chat)
        side.chat_removed.connect(chat.forget)
        side.page_chosen.connect(self.show_page)
        side.learned_changed.connect(self.lessons.look_soon)
        side.learned_changed.connect(self.lessons.look_whether_it_is_there)
        side.import_asked.connect(self.exchange.ask_for_import)
        side.export_asked.connect(self.exchange.ask_for_export)
        self.exchange.came_in.connect(self._on_chats_came)
        side.forget_asked.connect(self._on_forget_asked)
        side.forget_deleted_asked.connect(self.forgetter.ask_deleted)
        chat.delete_asked.connect(self.forgetter.ask_message)
        self.forgetter.going.connect(side.chat_actions.hide)
        self.forgetter.changed.connect(self._on_forgotten)
        self.forgetter.forgot.connect(self._tell_forgotten)
        self.forgetter.failed.connect(self.say)
        side.counted.connect(lambda count: chat.set_first(count == 0))
        actions = self.commands.actions
        side.add_commands(actions["temporary"], actions["side_bar"], actions["update"])
        self.commands.changed.connect(
            lambda: side.show_search_keys(shown_keys(self.commands.actions["search"]))
        )
        self.appearance.chosen.connect(self._choose)
        self.appearance.resized.connect(self._room.fit)

        chat.chat_made.connect(self._on_chat_made)
        chat.chat_changed.connect(self._on_chat_changed)
        chat.models_asked.connect(lambda: self.show_page("models"))
        chat.model_chosen.connect(self.models.use)
        chat.why_asked.connect(self.why.ask)
        chat.header.side_asked.connect(self._room.switch)
        self.why.chat_chosen.connect(self.open_chat)
        self.models.models_changed.connect(self._on_models_changed)
        self.models.learn_asked.connect(self.open_sheet)
        self.models.news.connect(self._on_news)

        self.status.learn_asked.connect(self.open_sheet)
        self.status.learning_asked.connect(lambda: self.show_page("learning"))
        self.status.result_asked.connect(self._show_result)
        self.status.focus_lost.connect(self.focus_page)
        self.cards.models_asked.connect(lambda: self.show_page("models"))
        self.cards.compare_asked.connect(self.open_compare)
        self.cards.learning_asked.connect(lambda: self.show_page("learning"))
        self.cards.focus_lost.connect(self.focus_page)

        for each in (self.crash, self.updates, self.offer):
            each.closed.connect(self.focus_page)
        self.palette_sheet.closed.connect(lambda: self.over_all.show_only(None))
        self.tray.open_asked.connect(self.come_forward)
        self.tray.new_asked.connect(self._on_new_from_tray)
        self.tray.quit_asked.connect(self.leave)

        self.lessons.ended.connect(self._on_learning_ended)
        self.lessons.failed.connect(self.say)
        self.lessons.serving_changed.connect(self._on_serving_changed)
        self.bridge.failed.connect(self.say)
        self.bridge.store_changed.connect(self._on_store_changed)

    # Starting and ending

    def start(self, *, warm: bool = True) -> None:
        """Fill the window; with `warm`, load the model before it is asked anything."""
        self._warm = warm
        store = self.plum.store

        def tidy() -> None:
            if not self._someone_answers():
                store.chats.close_interrupted()

        self.bridge.ask(tidy, owner=self)
        self.bridge.ask(self.plum.backups.look_after, owner=self, lane="slow")
        if self.plum.recovered:
            self.say(words.said(self.plum.recovered))
        self.side.refresh()
        self.models.refresh_files()  # the rest when its page is shown
        self.models.look_for_unfinished()
        self.lessons.look_for_interrupted()
        self.lessons.look_soon()
        self._learn_what_is_remembered()
        self.bridge.watch()
        self.scheduler.start(self.windowHandle())
        self._idle.look()
        self._warm_up()
        self.tray.show()
        self.crash.show_report()
        self.updates.watch()
        self.conversation.composer.setFocus()
        self._go_where_it_was()

    def _go_where_it_was(self) -> None:
        if chat_id := self._last.chat:
            chats = self.plum.store.chats
            self.bridge.ask(
                lambda: chats.get(chat_id),
                lambda _: self._reopen(chat_id), lambda _: None, owner=self,  # deleted meanwhile
            )  # fmt: skip
        if self._last.page in self.pages and self._last.page != "chat":
            self.show_page(self._last.page)

    def _reopen(self, chat_id: str) -> None:
        """Open the chat of last time, if nothing was begun since."""
        chat = self.conversation
        if chat.chat_id is None and not chat.busy and not chat.composer.text():
            self.side.set_current(chat_id)
            chat.open(chat_id)

    def _someone_answers(self) -> bool:
        """Whether some process is writing a reply now."""
        return FileLock(self.plum.folder.busy_lock).held_by_someone()

    def _warm_up(self) -> None:
        """Load the model ahead; a failure is told when the model is needed."""
        if self._warm:
            loaded = self.conversation.replies.set_loaded
            self.bridge.ask(
                lambda: self.plum.serving.engine(), lambda _: loaded(), lambda _: loaded(),
                owner=self, lane="reply",
            )  # fmt: skip

    def leave(self) -> None:
        """Close without a question: nobody may be there to answer."""
        self._leaving = True
        self.close()

    def _lock_after(self) -> float:
        """Seconds without input after which it locks; 0: never."""
        return 60.0 * self.plum.settings.lock_minutes * turning.is_on(self.plum.folder)

    def _on_idle(self) -> None:
        if not (self.lessons.running or self.conversation.busy):
            self.leave_for("lock")

    def leave_for(self, wish: Wish, words: str = "") -> None:
        """Close, so that what no window may be open for can be done; then another one opens."""
        if wish != "lock" and self.lessons.running:
            self.settings.say(self.tr("Plum is learning right now; stop that first."))
            return
        self.wish = wish, words
        self.leave()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.lessons.running and not self._leaving:
            how = self.plum.settings.leaving
            if how == "tray" and self.tray.there:
                event.ignore()
                self._go_to_tray()
                return
            if how != "quit":
                event.ignore()
                ask_before_leaving(self, tray=self.tray.there, answered=self._on_leaving_answered)
                return
        in_tray = self.isHidden()
        self.hide()
        self._save_place()
        self.tray.hide()
        self.conversation.drafts.save()
        self._commit_deletions()
        if "compare" in self._made:
            self.compare.stop()
        self.bridge.close()
        self.lessons.leave()
        event.accept()
        if in_tray:
            QApplication.quit()  # no window in sight closes, so Qt would go on

    def _commit_deletions(self) -> None:
        """Do for good what can still be undone."""
        self.side.commit_delete()
        self.models.undo.commit()
        self.undo_adapter.commit()

    def _on_leaving_answered(self, what: Leaving, remember: bool) -> None:
        if remember:
            with contextlib.suppress(PlumError):  # it is asked again, then
                self.plum.set_setting("leaving", what)
                self._show_settings()
        if what == "tray":
            self._go_to_tray()
        elif what == "quit":
            self.leave()

    def _go_to_tray(self) -> None:
        """Out of sight, and learning on."""
        self._save_place()
        self._commit_deletions()
        QApplication.setQuitOnLastWindowClosed(False)
        self.hide()

    def come_forward(self) -> None:
        self.setWindowState(self.windowState() & ~self.windowState().WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        QApplication.setQuitOnLastWindowClosed(True)

    def _on_new_from_tray(self) -> None:
        self.come_forward()
        self.new_chat()

    def _save_place(self) -> None:
        chat_id = self.conversation.chat_id or ""
        geometry = bytes(self.saveGeometry().data())
        closed = tuple(self.side.chats.closed())
        place = Place(geometry, self._room.wanted, self.page, chat_id, closed)
        save_place(self._place_file, place)

    # Pages

    @cached_property
    def memory(self) -> MemoryPage:
        from plum_desktop.ui.memory.memory_page import MemoryPage

        page = MemoryPage(self.bridge)
        page.chat_chosen.connect(self.open_chat)
        page.learn_asked.connect(self.open_sheet)
        page.facts_changed.connect(self.lessons.look_soon)
        page.serving_changed.connect(self._on_serving_changed)
        page.forget_asked.connect(self._on_forget_asked)
        page.forget_deleted_asked.connect(self.forgetter.ask_deleted)
        self._add_page("memory", page)
        return page

    @cached_property
    def learning(self) -> LearningPage:
        from plum_desktop.ui.learning.learning_page import LearningPage

        page = LearningPage(self.bridge, self.lessons, self.export, self.undo_adapter)
        page.learn_asked.connect(self.open_sheet)
        page.compare_asked.connect(self.open_compare)
        page.serving_changed.connect(self._on_serving_changed)
        schedule = page.schedule
        schedule.changed.connect(self.scheduler.look)
        schedule.settings_asked.connect(lambda: self.show_page("settings"))
        self.scheduler.decided.connect(schedule.show_decision)
        if self.scheduler.decision:
            schedule.show_decision(self.scheduler.decision)
        self._add_page("learning", page)
        return page

    @cached_property
    def compare(self) -> ComparePage:
        from plum_desktop.ui.learning.compare_page import ComparePage

        page = ComparePage(self.bridge)
        page.back_asked.connect(lambda: self.show_page("learning"))
        self._add_page("compare", page)
        return page

    @cached_property
    def settings(self) -> SettingsPage:
        from plum_desktop.ui.settings.settings_page import SettingsPage

        page = SettingsPage(self.bridge, self.commands)
        page.setting_changed.connect(self._on_setting_changed)
        page.wished.connect(self.leave_for)
        page.restored.connect(self._on_restored)
        self._add_page("settings", page)
        return page

    def _add_page(self, name: str, page: QWidget) -> None:
        self._made[name] = page
        self.stack.addWidget(page)
        if isinstance(page, Page):
            page.side.clicked.connect(self._room.switch)
            page.side.setVisible(self.side.mode != "full")

    def focus_page(self) -> None:
        self._made[self.page].setFocus()

    def show_page(self, name: str) -> None:
        """One of `pages`."""
        page = self.conversation if name == "chat" else getattr(self, name)
        focus = QApplication.focusWidget()
        self.cards.close()
        self.stack.setCurrentWidget(page)
        self.side.show_page(name)
        if isinstance(page, Page):
            page.notice.hide()
            page.refresh()
        if name == "learning":
            self.scheduler.look()
        if name == "chat" or (focus and self.stack.isAncestorOf(focus)):
            page.setFocus()

    @property
    def page(self) -> str:
        """Which page is on screen."""
        current = self.stack.currentWidget()
        return next(name for name, page in self._made.items() if page is current)

    def new_chat(self) -> None:
        self.show_page("chat")
        self.side.set_current(None)
        self.conversation.new_chat()

    def new_temporary(self) -> None:
        self.show_page("chat")
        self.side.set_current(None)
        self.conversation.new_chat(temporary=True)

    def open_chat(self, chat_id: str, message_id: str | None = None) -> None:
        self.side.set_current(chat_id)
        self.show_page("chat")
        self.conversation.open(chat_id, message_id)

    def open_compare(self) -> None:
        """Ask with memory and without; the shown chat's last question is a first suggestion."""
        asked = self.conversation.turns.last("user") if self.page == "chat" else None
        self.show_page("compare")
        self.compare.suggest(asked.text if asked else "")
        self.compare.setFocus()

    def say(self, sentence: str) -> None:
        """An error that belongs to no place in particular stands on the page in sight."""
        page = self.stack.currentWidget()
        if isinstance(page, Page):
            page.say(sentence)
        else:
            self.conversation.notice.say(sentence, "danger")
            self.conversation.notice.set_buttons()
            self.conversation.notice.show()

    def tell(self, sentence: str, *buttons: QPushButton) -> None:
        page = self.stack.currentWidget()
        notice = page.notice if isinstance(page, Page) else self.conversation.notice
        notice.say(sentence)
        notice.set_buttons(*buttons)
        notice.show()

    def switch_side(self) -> None:
        """Narrow or widen the side bar."""
        self._room.switch()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._room.fit()

    def _show_side_buttons(self, narrow: bool) -> None:
        self.conversation.header.side.setVisible(narrow)
        for page in self._made.values():
            if isinstance(page, Page):
                page.side.setVisible(narrow)

    # Chats

    def _on_chat_made(self, chat_id: str) -> None:
        self.side.set_current(chat_id)
        self.side.refresh()

    def _on_chat_changed(self, _chat_id: str) -> None:
        self.side.refresh()
        self.lessons.look_soon()

    def _on_store_changed(self) -> None:
        self.side.refresh()
        self.conversation.refresh()
        self.lessons.look_soon()
        self._read_page_again()
        self._learn_what_is_remembered()

    def _read_page_again(self) -> None:
        """What it shows of the chats, or of what was learned, is no longer so."""
        page = self._made[self.page]
        if self.page in ("memory", "learning") and isinstance(page, Page):
            page.refresh()

    def _on_chats_came(self) -> None:
        self.side.refresh()
        self.lessons.look_soon()

    # Forgetting

    def _on_forget_asked(self, chat_ids: list[str]) -> None:
        self._commit_deletions()
        self.forgetter.ask_chats(chat_ids)

    def _on_forgotten(self, chat_ids: list[str]) -> None:
        self.side.chat_actions.show_again(chat_ids)
        self._on_store_changed()
        self._on_serving_changed()

    def _tell_forgotten(self, sentence: str, again: bool) -> None:
        learn = button(self.tr("Learn from my chats"), "plain", self.open_sheet)
        self.tell(sentence, *([learn] if again else []))
        announce(self, sentence)

    def _on_restored(self) -> None:
        self.side.set_current(None)
        self.conversation.new_chat()
        self._on_store_changed()
        self._on_serving_changed()

    # Learning

    def open_sheet(self) -> None:
        if self.lessons.running:
            self.show_page("learning")
            return
        self._commit_deletions()
        self.cards.open_sheet()

    def _on_learning_ended(self, outcome: Outcome) -> None:
        if self.page == "learning":  # which says all that the card would
            self.learning.refresh(outcome.run.id)
            self.lessons.put_away()
        elif outcome.state != "stopped":
            self.cards.show_result(outcome)
        announce(self, words.said(outcome.message))
        # What was deleted meanwhile lay in the run's folder, too.
        self.bridge.ask(self.plum.forgetting.finish, owner=self, lane="slow")
        if not self.isActiveWindow():
            QApplication.alert(self)
            if outcome.state != "stopped" and self.plum.settings.notify == "on":
                self.tray.notify(outcome)

    def _show_result(self) -> None:
        if self.lessons.outcome:
            self.cards.show_result(self.lessons.outcome)

    def _on_serving_changed(self) -> None:
        self._learn_what_is_remembered()
        self._warm_up()
        self._read_page_again()

    def _learn_what_is_remembered(self) -> None:
        def found(adapter: Adapter | None) -> None:
            seen = frozenset(adapter.chats) if adapter else frozenset()
            self.side.set_remembered(lambda chat_id: chat_id in seen)

        self.bridge.ask(
            lambda: self.plum.adapters.active(), found, lambda _: None, owner=self, lane="slow"
        )

    def _on_models_changed(self, models: Sequence[ModelInfo]) -> None:
        before = self.conversation.model_name
        self.conversation.set_models(models)
        if before is not None and before != self.conversation.model_name:
            self._warm_up()
            self.lessons.look_soon()

    def _on_news(self, sentence: str, word: str, act: Callable[[], object] | None) -> None:
        self.tell(sentence, *([button(word, "plain", act)] if word else []))
        announce(self, sentence)

    # Settings

    def _choose(self, key: str, value: object) -> None:
        """Set what a command sets."""
        self._chosen[key] += 1
        choice = self._chosen[key]

        def done(_: object) -> None:
            self._show_settings()
            if choice == self._chosen[key]:  # else what is kept would come back over a newer choice
                self._on_setting_changed(key)

        self.bridge.ask(lambda: self.plum.set_setting(key, value), done, self.say, owner=self)

    def _show_settings(self) -> None:
        if "settings" in self._made:
            self.settings.refresh()

    def _on_setting_changed(self, key: str) -> None:
        self.appearance.apply(key, self.plum.settings)
        if key == "keys":
            self.commands.choose(self.plum.settings.keys)
        elif key.startswith("schedule"):
            self.scheduler.look()
        elif key in ("context", "threads"):
            self._warm_up()
        elif key == "lock_minutes":
            self._idle.look()
        elif key == "updates":
            self.updates.watch()
