"""Every command of the main window, with its keys: the palette and the settings list them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QApplication

from plum_desktop.app import turning
from plum_desktop.ui.base.commands import Commands
from plum_desktop.ui.palette import Entry

if TYPE_CHECKING:
    from plum_desktop.ui.window import MainWindow

_RECENT = 12  # chats in the palette


class WindowCommands(Commands):
    """What they do is looked up when they are asked for: the window's parts come later."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._main = window
        look, page = window.appearance, partial(partial, window.show_page)
        theme = partial(partial, look.choose_theme)
        table = (
            ("new_chat", self.tr("New chat"), "Ctrl+N", window.new_chat),
            ("temporary", self.tr("Temporary chat"), "Ctrl+Shift+T", window.new_temporary),
            ("search", self.tr("Search all chats"), "Ctrl+K", lambda: window.side.focus_search()),
            ("palette", self.tr("Commands"), "Ctrl+Shift+P", self._open_palette),
            ("learn", self.tr("Learn from my chats"), "Ctrl+L", window.open_sheet),
            ("compare", self.tr("Compare answers"), "Ctrl+Shift+K", window.open_compare),
            ("escape", self.tr("Stop or close"), "Esc", self._stop_or_close),
            ("edit_last", self.tr("Change what you said last"), "Ctrl+Up", self._edit_last),
            ("attach", self.tr("Attach files"), "Ctrl+O", self._attach),
            ("options", self.tr("Persona, temperature and model"), "Ctrl+.", self._show_options),
            ("older", self.tr("Older version"), "Ctrl+[", lambda: window.conversation.step(-1)),
            ("newer", self.tr("Newer version"), "Ctrl+]", lambda: window.conversation.step(1)),
            ("chat", self.tr("Go to the conversation"), "", page("chat")),
            ("memory", self.tr("Go to Memory"), "", page("memory")),
            ("add_fact", self.tr("Add a fact"), "", self._add_fact),
            ("learning", self.tr("Go to Learning"), "", page("learning")),
            ("models", self.tr("Go to Models"), "", page("models")),
            ("settings", self.tr("Settings"), "Ctrl+,", page("settings")),
            ("side_bar", self.tr("Narrow or widen the side bar"), "Ctrl+B", window.switch_side),
            ("theme_system", self.tr("Theme: as the system"), "", theme("system")),
            ("theme_light", self.tr("Theme: light"), "", theme("light")),
            ("theme_dark", self.tr("Theme: dark"), "", theme("dark")),
            ("larger", self.tr("Larger text"), "Ctrl+=", lambda: look.step_text_size(1)),
            ("smaller", self.tr("Smaller text"), "Ctrl+-", lambda: look.step_text_size(-1)),
            ("usual_size", self.tr("Text in its usual size"), "Ctrl+0", look.reset_text_size),
            ("import", self.tr("Import chats…"), "", lambda: window.exchange.ask_for_import()),
            ("export", self.tr("Export all chats…"), "", lambda: window.exchange.ask_for_export()),
            ("update", self.tr("Check for updates…"), "", lambda: window.updates.check()),
            ("lock", self.tr("Lock now"), "Ctrl+Shift+L", lambda: window.leave_for("lock")),
            ("quit", self.tr("Quit"), "Ctrl+Q", window.close),
        )
        for row in table:
            self.add(*row)
        self.actions["lock"].setEnabled(turning.is_on(window.plum.folder))

    def _open_palette(self) -> None:
        window = self._main
        entries = [
            Entry(action.text(), shown_keys(action), action.trigger)
            for name, action in self.actions.items()
            if name != "palette" and action.isEnabled()
        ]
        entries += [
            Entry(chat.title, self.tr("chat"), partial(window.open_chat, chat.id))
            for chat in window.side.chats.recent(_RECENT)
        ]
        window.palette_sheet.open(entries)
        window.over_all.show_only(window.palette_sheet)

    def _stop_or_close(self) -> None:
        """What is nearest: what covers the rest goes first."""
        window = self._main
        search, chat, cards = window.side.search, window.conversation, window.cards
        if window.over_all.shows(window.palette_sheet):
            window.palette_sheet.close_up()
        elif QApplication.focusWidget() is search and search.text():
            search.clear()
        elif cards.shows(window.sheet):
            cards.close()
        elif chat.composer.editing:
            chat.composer.cancel_edit()
        elif window.page == "memory" and window.memory.editor.isVisible():
            window.memory.editor.close_up()
        elif window.page == "compare" and window.compare.busy:
            window.compare.stop()
        elif chat.busy:
            chat.stop()
        elif cards.shows(window.result):
            cards.close()
        else:
            window.focus_page()

    def _add_fact(self) -> None:
        self._main.show_page("memory")
        self._main.memory.add_fact()

    # Of the conversation, and of no other page

    def _attach(self) -> None:
        if self._main.page == "chat":
            self._main.conversation.attaching.choose()

    def _show_options(self) -> None:
        if self._main.page == "chat":
            self._main.conversation.show_options()

    def _edit_last(self) -> None:
        if self._main.page == "chat":
            self._main.conversation.edit_last()


def shown_keys(action: QAction) -> str:
    """The keys of a command, as this system writes them."""
    return action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
