"""The main window: side bar, pages, status line, and what concerns them all."""

from __future__ import annotations

import base64
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QObject, Qt
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QMessageBox,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.app.exchange import ImportReport, export_chats, import_file
from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import FileLock, read_json, write_json
from plum_desktop.ui import words
from plum_desktop.ui.bridge import Bridge
from plum_desktop.ui.compare_page import ComparePage
from plum_desktop.ui.controls import Notice, announce, button
from plum_desktop.ui.conversation import Conversation
from plum_desktop.ui.export import AdapterExport, open_dialog, save_dialog
from plum_desktop.ui.learn_sheet import LearnSheet
from plum_desktop.ui.learning_page import LearningPage
from plum_desktop.ui.lessons import Lessons
from plum_desktop.ui.memory_page import MemoryPage
from plum_desktop.ui.models_page import ModelsPage
from plum_desktop.ui.page import Page
from plum_desktop.ui.result_card import ResultView
from plum_desktop.ui.scheduler import Scheduler
from plum_desktop.ui.settings_page import SettingsPage
from plum_desktop.ui.side_bar import Mode, SideBar
from plum_desktop.ui.status_line import StatusLine
from plum_desktop.ui.theme import apply_theme
from plum_desktop.ui.why import WhyPopup

if TYPE_CHECKING:
    from plum_desktop.app.job import Outcome
    from plum_desktop.app.models import ModelInfo
    from plum_desktop.app.product import Plum
    from plum_desktop.base.types import Adapter

_NARROW, _NARROWEST = 820, 600  # below these widths: icons only, and no side bar
_SHEET_WIDTH, _SHEET_TOP = 560, 64

log = logging.getLogger(__name__)


class MainWindow(QMainWindow):
    """Everything on screen.  `start` begins the work that needs a running event loop."""

    def __init__(self, plum: Plum) -> None:
        super().__init__()
        self.setWindowTitle(self.tr("Plum Desktop"))
        self.setMinimumSize(420, 420)
        self.resize(1180, 760)
        self.plum = plum
        self.bridge = Bridge(plum, self)
        self.lessons = Lessons(self.bridge, self)
        self.scheduler = Scheduler(self.bridge, self.lessons, self)
        self._wanted_mode: Mode = "full"  # where there is room for it
        self._leaving = False
        self._warm = False  # whether to load what the next reply will need
        self._state_file = plum.folder.root / "window.json"

        self.side = SideBar(self.bridge)
        self.conversation = Conversation(self.bridge)
        self.export = AdapterExport(self.bridge, self, self.tell, self.say)
        self.memory = MemoryPage(self.bridge)
        self.learning = LearningPage(self.bridge, self.lessons, self.export)
        self.compare = ComparePage(self.bridge)
        self.models = ModelsPage(self.bridge)
        self.settings = SettingsPage(self.bridge)
        self.pages: dict[str, QWidget] = {
            "chat": self.conversation, "memory": self.memory, "learning": self.learning,
            "models": self.models, "settings": self.settings, "compare": self.compare,
        }  # fmt: skip
        self.stack = QStackedWidget()
        for page in self.pages.values():
            self.stack.addWidget(page)
        self.status = StatusLine(self.lessons)
        self.offer = Notice()
        self.offer.hide()
        self._lay_out()

        self.sheet = LearnSheet(self.lessons)
        self.result = ResultView()
        self.why = WhyPopup(self.bridge, self)
        self._overlay = _Overlay(self.stack)
        for each in (self.sheet, self.result):
            self._overlay.add(each)
        self.actions_by_name: dict[str, QAction] = {}
        self._make_actions()
        self._connect()
        self._load_state()

    def _lay_out(self) -> None:
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        around = QVBoxLayout()
        around.setContentsMargins(12, 0, 12, 8)
        around.addWidget(self.offer)
        around.addWidget(self.models.unfinished)
        column.addWidget(self.stack, 1)
        column.addLayout(around)
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self.side)
        middle.addWidget(right, 1)
        whole = QWidget()
        box = QVBoxLayout(whole)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addLayout(middle, 1)
        box.addWidget(self.status)
        self.setCentralWidget(whole)

    def _make_actions(self) -> None:
        """Every command of the window, with its keys; a palette can list them as they are."""
        table = (
            ("new_chat", self.tr("New chat"), "Ctrl+N", self.new_chat),
            ("temporary", self.tr("Temporary chat"), "Ctrl+Shift+T", self.new_temporary),
            ("search", self.tr("Search"), "Ctrl+K", self.side.focus_search),
            ("learn", self.tr("Learn from my chats"), "Ctrl+L", self.open_sheet),
            ("compare", self.tr("Compare answers"), "Ctrl+Shift+K", self.open_compare),
            ("escape", self.tr("Stop or close"), "Esc", self._on_escape),
            ("edit_last", self.tr("Change what you said last"), "Ctrl+Up", self._on_edit_last),
            ("attach", self.tr("Attach files"), "Ctrl+O", self._on_attach),
            ("options", self.tr("Persona, temperature and model"), "Ctrl+.", self._on_options),
            ("older", self.tr("Older version"), "Ctrl+[", lambda: self.conversation.step(-1)),
            ("newer", self.tr("Newer version"), "Ctrl+]", lambda: self.conversation.step(1)),
            ("settings", self.tr("Settings"), "Ctrl+,", lambda: self.show_page("settings")),
            ("side_bar", self.tr("Side bar"), "Ctrl+B", self._on_side_asked),
            ("quit", self.tr("Quit"), "Ctrl+Q", self.close),
        )
        for name, text, keys, slot in table:
            action = QAction(text, self)
            action.setShortcut(QKeySequence(keys))
            action.triggered.connect(lambda _=False, slot=slot: slot())
            self.addAction(action)
            self.actions_by_name[name] = action

    def _connect(self) -> None:
        side, chat = self.side, self.conversation
        side.new_asked.connect(self.new_chat)
        side.temporary_asked.connect(self.new_temporary)
        side.chat_chosen.connect(self.open_chat)
        side.hit_chosen.connect(self.open_chat)
        side.chat_updated.connect(chat.set_chat)
        side.chat_removed.connect(chat.forget)
        side.page_chosen.connect(self.show_page)
        side.learned_changed.connect(self.lessons.look_soon)
        side.import_asked.connect(self._on_import_asked)
        side.export_asked.connect(self._on_export_asked)
        side.counted.connect(lambda count: chat.set_first(count == 0))
        side.narrowed.connect(self._on_side_asked)

        chat.chat_made.connect(self._on_chat_made)
        chat.chat_changed.connect(self._on_chat_changed)
        chat.models_asked.connect(lambda: self.show_page("models"))
        chat.model_chosen.connect(self.models.use)
        chat.header.side_asked.connect(self._on_side_asked)
        for page in self.pages.values():
            if isinstance(page, Page):
                page.side.clicked.connect(self._on_side_asked)

        self.memory.chat_chosen.connect(self.open_chat)
        self.memory.learn_asked.connect(self.open_sheet)
        self.memory.facts_changed.connect(self.lessons.look_soon)
        self.memory.serving_changed.connect(self._on_serving_changed)
        self.why.chat_chosen.connect(self.open_chat)
        self.learning.learn_asked.connect(self.open_sheet)
        self.learning.compare_asked.connect(self.open_compare)
        self.learning.schedule.changed.connect(self.scheduler.look)
        self.learning.schedule.settings_asked.connect(lambda: self.show_page("settings"))
        self.scheduler.decided.connect(self.learning.schedule.show_decision)
        self.compare.back_asked.connect(lambda: self.show_page("learning"))
        self.learning.serving_changed.connect(self._on_serving_changed)
        self.models.models_changed.connect(self._on_models_changed)
        self.models.learn_asked.connect(self.open_sheet)
        self.models.news.connect(self._on_news)
        self.settings.setting_changed.connect(self._on_setting_changed)

        self.status.learn_asked.connect(self.open_sheet)
        self.status.learning_asked.connect(lambda: self.show_page("learning"))
        self.status.result_asked.connect(self._show_result)
        self.status.focus_lost.connect(lambda: self.pages[self.page].setFocus())
        self.sheet.closed.connect(self._close_overlay)
        self.sheet.models_asked.connect(lambda: self.show_page("models"))
        self.result.kept.connect(self._on_kept)
        self.result.compare_asked.connect(self.open_compare)
        self.result.undo_asked.connect(self._on_undo_asked)
        self.result.details_asked.connect(self._on_details_asked)
        result_menu = self.export.menu(self.result.export_button, self._result_adapter)
        self.result.export_asked.connect(
            lambda: result_menu.popup(self.result.export_button.mapToGlobal(
                self.result.export_button.rect().bottomLeft()))
        )  # fmt: skip

        self.lessons.ended.connect(self._on_learning_ended)
        self.lessons.failed.connect(self.say)
        self.lessons.serving_changed.connect(self._on_serving_changed)
        self.lessons.changed.connect(self._show_offer)
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
        self.side.refresh()
        self.models.refresh()
        self.models.look_for_unfinished()
        self.lessons.look_for_interrupted()
        self.lessons.look_soon()
        self._learn_what_is_remembered()
        self.bridge.watch()
        self.scheduler.start(self.windowHandle())
        self._warm_up()
        self.conversation.composer.setFocus()

    def _someone_answers(self) -> bool:
        """Whether some process is writing a reply now."""
        return FileLock(self.plum.folder.busy_lock).held_by_someone()

    def _warm_up(self) -> None:
        """Load the model ahead; a failure is told when the model is needed."""
        if self._warm:
            loaded = self.conversation.loaded
            self.bridge.ask(
                lambda: self.plum.serving.engine(), lambda _: loaded(), lambda _: loaded(),
                owner=self, lane="reply",
            )  # fmt: skip

    def leave(self) -> None:
        """Close without a question: nobody may be there to answer."""
        self._leaving = True
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.lessons.running and not self._leaving:
            event.ignore()
            self._ask_before_leaving()
            return
        self.hide()
        self._save_state()
        self.conversation.drafts.save()
        self.side.commit_delete()
        self.compare.stop()
        self.bridge.close()
        self.lessons.leave()
        event.accept()

    def _ask_before_leaving(self) -> None:
        box = QMessageBox(self)
        box.setWindowTitle(self.tr("Plum is learning"))
        box.setText(self.tr("Plum is still learning from your chats."))
        box.setInformativeText(
            self.tr("What is done so far is kept. You can go on when you open Plum next time.")
        )
        stays = box.addButton(self.tr("Stay"), QMessageBox.ButtonRole.RejectRole)
        leaves = box.addButton(self.tr("Quit and go on next time"), _ACCEPT)
        box.setDefaultButton(stays)
        box.setEscapeButton(stays)

        def answered() -> None:
            if box.clickedButton() is leaves:
                self.leave()

        box.finished.connect(lambda _: answered())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def _load_state(self) -> None:
        with contextlib.suppress(FileNotFoundError, DamagedFile, ValueError, TypeError, KeyError):
            state = read_json(self._state_file)
            self.restoreGeometry(QByteArray(base64.b64decode(state["geometry"])))
            if state["side"] in ("full", "rail"):
                self._wanted_mode = state["side"]
            self.side.chats.set_closed(map(str, state["closed_folders"]))
        self._fit_side()

    def _save_state(self) -> None:
        geometry = base64.b64encode(self.saveGeometry().data()).decode()
        state = {
            "geometry": geometry, "side": self._wanted_mode,
            "closed_folders": self.side.chats.closed(),
        }  # fmt: skip
        try:
            write_json(self._state_file, state)
        except PlumError:
            log.warning("the window's place could not be saved")

    # Pages

    def show_page(self, name: str) -> None:
        """chat, memory, learning, compare, models or settings."""
        page = self.pages[name]
        focus = QApplication.focusWidget()
        self._close_overlay()
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
        return next(name for name, page in self.pages.items() if page is current)

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

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_side()

    def _fit_side(self) -> None:
        """Narrow the side bar where there is no room, and bring it back where there is."""
        mode: Mode = self._wanted_mode
        if self.width() < _NARROWEST:
            mode = "hidden"
        elif self.width() < _NARROW:
            mode = "rail"
        if mode != self.side.mode:
            self.side.set_mode(mode)
        self._show_side_buttons()

    def _on_side_asked(self) -> None:
        mode: Mode = "rail" if self.side.mode == "full" else "full"
        if self.width() >= _NARROW:
            self._wanted_mode = mode
        self.side.set_mode(mode)
        self._show_side_buttons()

    def _show_side_buttons(self) -> None:
        narrow = self.side.mode != "full"
        self.conversation.header.side.setVisible(narrow)
        for page in self.pages.values():
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
        page = self.stack.currentWidget()
        if isinstance(page, MemoryPage | LearningPage):
            page.refresh()
        self._learn_what_is_remembered()

    def _on_import_asked(self) -> None:
        dialog = open_dialog(
            self,
            self.tr("Import chats from ChatGPT, Claude or Plum"),
            self.tr("Chats (*.zip *.json *.jsonl)"),
        )
        dialog.fileSelected.connect(lambda path: self.import_chats(Path(path)))
        dialog.open()

    def import_chats(self, path: Path) -> None:
        def done(report: ImportReport) -> None:
            text = self.tr("{chats} came in.").format(chats=words.chats(report.added))
            if report.skipped:
                text += " " + self.tr("{chats} were here already.").format(
                    chats=words.chats(report.skipped)
                )
            if report.problems:
                text += " " + self.tr("Left out: {first}").format(first=report.problems[0])
            if (more := len(report.problems) - 1) > 0:
                text += " " + self.tr("And %n more.", "", more)
            self.tell(text)
            self.side.refresh()
            self.lessons.look_soon()

        self.tell(self.tr("Reading {name}…").format(name=path.name))
        self.bridge.ask(
            lambda: import_file(self.plum.store, path), done, self.say, owner=self, lane="slow"
        )

    def _on_export_asked(self, chat_ids: list[str]) -> None:
        ids = chat_ids or None
        kinds = {
            "md": self.tr("Markdown, to read (*.md)"),
            "jsonl": self.tr("JSON Lines, to import again or to train on (*.jsonl)"),
            "json": self.tr("JSON, everything (*.json)"),
        }
        if not ids:  # not to be read in one go
            kinds["md"] = kinds.pop("md")
        suffix = next(iter(kinds))
        dialog = save_dialog(self, self.tr("Export chats"), f"chats.{suffix}")
        dialog.setNameFilters(list(kinds.values()))
        dialog.setDefaultSuffix(suffix)
        dialog.filterSelected.connect(
            lambda chosen: dialog.setDefaultSuffix(
                next(suffix for suffix, text in kinds.items() if text == chosen)
            )
        )
        dialog.setOption(dialog.Option.DontConfirmOverwrite, False)
        dialog.fileSelected.connect(lambda path: self.export_chats(ids, Path(path)))
        dialog.open()

    def export_chats(self, ids: list[str] | None, path: Path) -> None:
        kinds = {".jsonl": "jsonl", ".json": "json"}
        kind = kinds.get(path.suffix.lower(), "markdown")
        self.bridge.ask(
            lambda: export_chats(self.plum.store, ids, path, kind),  # type: ignore[arg-type]
            lambda _: self.tell(self.tr("Exported to {path}.").format(path=path)),
            self.say, owner=self, lane="slow",
        )  # fmt: skip

    # Learning

    def open_sheet(self) -> None:
        if self.lessons.running:
            self.show_page("learning")
            return
        self.side.commit_delete()
        self.sheet.open()
        self._overlay.show_only(self.sheet)

    def _close_overlay(self) -> None:
        focus = QApplication.focusWidget()
        was_in = focus is not None and self._overlay.holds(focus)
        self._overlay.show_only(None)
        if was_in:
            self.pages[self.page].setFocus()

    def _on_learning_ended(self, outcome: Outcome) -> None:
        if self.page == "learning":  # which says all that the card would
            self.learning.refresh(outcome.run.id)
            self.lessons.put_away()
        elif outcome.state != "stopped":
            self.result.set_outcome(outcome)
            self._overlay.show_only(self.result)
        announce(self, outcome.message)
        QApplication.alert(self)

    def _show_result(self) -> None:
        if self.lessons.outcome:
            self.result.set_outcome(self.lessons.outcome)
            self._overlay.show_only(self.result)

    def _result_adapter(self) -> str | None:
        outcome = self.lessons.outcome
        return outcome.adapter.id if outcome and outcome.adapter else None

    def _on_kept(self) -> None:
        self._close_overlay()
        self.lessons.put_away()

    def _on_undo_asked(self) -> None:
        self._close_overlay()
        self.lessons.undo()

    def _on_details_asked(self) -> None:
        self.lessons.put_away()
        self.show_page("learning")

    def _show_offer(self) -> None:
        """An interrupted job is offered, never begun again unasked."""
        run = self.lessons.interrupted
        if run is None or self.lessons.running:
            focus = QApplication.focusWidget()
            had_focus = focus is not None and self.offer.isAncestorOf(focus)
            self.offer.hide()
            if had_focus:
                self.pages[self.page].setFocus()
            return
        if not self.offer.isHidden():
            return
        self.offer.say(
            self.tr("Learning from {chats} was interrupted ({when}).").format(
                chats=words.chats(len(run.chats)), when=words.moment(run.created)
            )
        )
        self.offer.set_buttons(
            button(self.tr("Go on"), "primary", self.lessons.resume_interrupted),
            button(self.tr("Not now"), "plain", self.lessons.put_off_interrupted),
            button(self.tr("Drop it"), "quiet", self.lessons.discard_interrupted),
        )
        self.offer.show()

    def _on_serving_changed(self) -> None:
        self._learn_what_is_remembered()
        self._warm_up()
        page = self.stack.currentWidget()
        if isinstance(page, MemoryPage | LearningPage):
            page.refresh()

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

    def _on_setting_changed(self, key: str) -> None:
        if key == "theme":
            app = QApplication.instance()
            assert isinstance(app, QApplication)
            apply_theme(app, self.plum.settings.theme)
        elif key.startswith("schedule"):
            self.scheduler.look()
        elif key in ("context", "threads"):
            self._warm_up()

    # Keys

    def _on_escape(self) -> None:
        focus = QApplication.focusWidget()
        if focus is self.side.search and self.side.search.text():
            self.side.search.clear()
        elif self._overlay.shows(self.sheet):
            self._close_overlay()
        elif self.conversation.composer.editing:
            self.conversation.composer.cancel_edit()
        elif self.memory.editor.isVisible():
            self.memory.editor.close_up()
        elif self.page == "compare" and self.compare.busy:
            self.compare.stop()
        elif self.conversation.busy:
            self.conversation.stop()
        elif self._overlay.shows(self.result):
            self._close_overlay()
        else:
            self.pages[self.page].setFocus()

    def _on_attach(self) -> None:
        if self.stack.currentWidget() is self.conversation:
            self.conversation.attaching.choose()

    def _on_options(self) -> None:
        if self.stack.currentWidget() is self.conversation:
            self.conversation.show_options()

    def _on_edit_last(self) -> None:
        if self.stack.currentWidget() is self.conversation:
            self.conversation.edit_last()


_ACCEPT = QMessageBox.ButtonRole.AcceptRole


class _Overlay(QObject):
    """One sheet at a time over the pages, centred below the head."""

    def __init__(self, ground: QWidget) -> None:
        super().__init__(ground)
        self._ground = ground
        self._sheets: list[QWidget] = []
        ground.installEventFilter(self)

    def add(self, sheet: QWidget) -> None:
        sheet.setParent(self._ground)
        sheet.hide()
        sheet.installEventFilter(self)
        self._sheets.append(sheet)

    def show_only(self, sheet: QWidget | None) -> None:
        for each in self._sheets:
            if each is sheet:
                each.show()
                self._place(each)
                each.raise_()
            elif not each.isHidden():
                each.hide()

    def holds(self, widget: QWidget) -> bool:
        """Whether `widget` is part of a sheet."""
        return any(each.isAncestorOf(widget) for each in self._sheets)

    def shows(self, sheet: QWidget) -> bool:
        return not sheet.isHidden()

    def _place(self, sheet: QWidget) -> None:
        width = min(_SHEET_WIDTH, self._ground.width() - 32)
        layout = sheet.layout()
        assert layout
        tall = layout.hasHeightForWidth()
        height = layout.heightForWidth(width) if tall else layout.minimumSize().height()
        height = min(height, self._ground.height() - _SHEET_TOP - 16)
        sheet.setGeometry((self._ground.width() - width) // 2, _SHEET_TOP, width, height)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kinds = (QEvent.Type.Resize,) if watched is self._ground else (QEvent.Type.LayoutRequest,)
        if event.type() in kinds:
            for sheet in self._sheets:
                if not sheet.isHidden():
                    self._place(sheet)
        return super().eventFilter(watched, event)
