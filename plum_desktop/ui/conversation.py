"""The conversation page: what is said, what is being said, and where one answers."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMessageBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Chat, FinishReason, Message, Role, WireMessage
from plum_desktop.ui import words
from plum_desktop.ui.bridge import Bridge
from plum_desktop.ui.chat_header import ChatHeader
from plum_desktop.ui.composer import Composer
from plum_desktop.ui.controls import Column, Notice, announce, button, small
from plum_desktop.ui.turn_list import TurnList
from plum_desktop.ui.turn_view import column_width, gutter
from plum_desktop.ui.turns import Turn, TurnModel
from plum_desktop.ui.welcome import Welcome

if TYPE_CHECKING:
    from plum_desktop.app.chat import OnText
    from plum_desktop.app.models import ModelInfo

_TEMPORARY = "temporary"  # stands for a chat id in the bridge's signals


class Conversation(QWidget):
    """One chat at a time; a new chat is stored with its first message.

    Signals:
        chat_changed(chat id): something in it is new; the side bar looks again.
        chat_made(chat id): the new chat has got its id.
        models_asked: the reader wants to choose a model.
        model_chosen(name)
    """

    chat_changed = Signal(str)
    chat_made = Signal(str)
    models_asked = Signal()
    model_chosen = Signal(str)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("conversation")
        self._bridge = bridge
        self._plum = bridge.plum
        self._chat: Chat | None = None  # None: a new chat, or a temporary one
        self._temporary: list[Message] | None = None
        self._memory_of_new = True
        self._first = False  # whether the store holds no chat at all
        self._opening = 0  # the newest request to show something wins
        self._busy: str | None = None  # the chat that is being answered
        self._stopped = False  # that its reader has stopped it
        self._loading = False  # whether the hint speaks of a model being loaded
        self._sent = ""  # what was sent last, should sending fail
        self._edited: Turn | None = None
        self._drafts: dict[str, str] = {}
        self._errors: dict[str, tuple[str, bool]] = {}
        self._asked: set[str] = set()  # messages whose siblings are being looked up
        self._growing = ("", "", "")  # chat, message and text of the reply under way
        self._model: ModelInfo | None = None
        self._ids = itertools.count(1)

        self.header = ChatHeader()
        self.header.memory_switched.connect(self._on_memory_switched)
        self.header.model_chosen.connect(self.model_chosen)
        self.header.models_asked.connect(self.models_asked)

        self.turns = TurnModel(self)
        self.turns.rowsAboutToBeRemoved.connect(self._keep_focus)
        self.list = TurnList(self.turns)
        self.list.again_asked.connect(self._on_again_asked)
        self.list.edit_asked.connect(self._on_edit_asked)
        self.list.step_asked.connect(self._on_step_asked)
        self.list.link_clicked.connect(self.ask_about_link)
        self.list.models_asked.connect(self.models_asked)
        self.list.in_sight.connect(self._on_in_sight)
        self.welcome = Welcome(self._plum.folder)
        self.welcome.models_asked.connect(self.models_asked)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.welcome)
        self._stack.addWidget(self.list)

        self.composer = Composer()
        self.composer.sent.connect(self._on_sent)
        self.composer.stop_asked.connect(self.stop)
        self.composer.edit_cancelled.connect(self._on_edit_cancelled)
        self.notice = Notice(closable=True)
        self.notice.hide()
        self._hint = small()
        self._hint.setMinimumHeight(20)
        column = Column(lambda: column_width() + gutter())
        column.box.setSpacing(8)
        column.box.addWidget(self.notice)
        column.box.addWidget(self.composer)
        column.box.addWidget(self._hint)

        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 8)
        box.setSpacing(0)
        box.addWidget(self.header)
        box.addWidget(self._stack, 1)
        below = QHBoxLayout()
        bar = self.list.verticalScrollBar().sizeHint().width()
        below.setContentsMargins(0, 0, bar, 0)  # in line with the text above
        below.addWidget(column)
        box.addLayout(below)

        bridge.reply_grew.connect(self._on_reply_grew)
        bridge.reply_ended.connect(self._on_reply_ended)
        bridge.engine_progressed.connect(self._on_engine_progressed)
        self.new_chat()

    def setFocus(self) -> None:  # type: ignore[override]
        """Go to where one writes.  With a focus proxy the tab key would pass the header by."""
        self.composer.setFocus()

    # What is shown

    @property
    def chat_id(self) -> str | None:
        """The stored chat on screen; None for a new one and a temporary one."""
        return self._chat.id if self._chat else None

    @property
    def model_name(self) -> str | None:
        return self._model.name if self._model else None

    @property
    def busy(self) -> bool:
        """Whether a reply is under way, in whichever chat."""
        return self._busy is not None

    def new_chat(self, *, temporary: bool = False) -> None:
        """An empty page; nothing is stored before something is said."""
        self._leave()
        self._chat = None
        self._temporary = [] if temporary else None
        self._memory_of_new = True
        self.turns.clear()
        if temporary:
            self.welcome.set_temporary()
        else:
            self.welcome.set_first(self._first)
            self.composer.set_text(self._drafts.pop("", ""))
        self._show_chat()
        self.composer.setFocus()

    def set_first(self, first: bool) -> None:
        """Whether the store holds no chat at all."""
        self._first = first
        if self._temporary is None:
            self.welcome.set_first(first)

    def open(self, chat_id: str, message_id: str | None = None) -> None:
        """Show a chat; with a message, the branch it is on, at that message."""
        if chat_id != self.chat_id:
            self._leave()
        self._opening += 1
        wanted = self._opening
        chats = self._plum.store.chats

        def read() -> tuple[Chat, list[Message]]:
            branch = chats.branch(chat_id)
            if message_id and all(message.id != message_id for message in branch):
                chats.show(chat_id, message_id)
                branch = chats.branch(chat_id)
            return chats.get(chat_id), branch

        def show(found: tuple[Chat, list[Message]]) -> None:
            if wanted != self._opening:
                return
            if self.chat_id != chat_id:
                self.turns.clear()
                self.composer.set_text(self._drafts.pop(chat_id, ""))
            self._chat, branch = found
            self._temporary = None
            self._set_branch(branch)
            self._show_chat()
            row = self.turns.row_of(message_id) if message_id else None
            if row is not None:
                self.list.go_to(row)

        self._bridge.ask(read, show, self._say, owner=self)

    def refresh(self) -> None:
        """Read the chat on screen again: something else may have written to it."""
        if self._chat and self._busy != self._chat.id:
            self.open(self._chat.id)

    def forget(self, chat_id: str) -> None:
        """A chat was deleted: leave it, and let nobody go on answering there."""
        if self._busy == chat_id:
            self.stop()
        if self.chat_id == chat_id:
            self.new_chat()

    def set_chat(self, chat: Chat) -> None:
        """The side bar has changed something about the chat on screen."""
        if self._chat and chat.id == self._chat.id:
            self._chat = chat
            self._show_chat()

    def set_models(self, models: Sequence[ModelInfo]) -> None:
        self._model = next((model for model in models if model.in_use), None)
        self.header.set_models(models)
        self.welcome.set_model(self._model)
        if self._temporary is not None:
            self.welcome.set_temporary()

    def _leave(self) -> None:
        """Put away what belongs to the chat that was on screen."""
        self._opening += 1
        if self.composer.editing:
            self.composer.end_edit()
        self._edited = None
        if self._temporary is None:
            key = self.chat_id or ""
            if text := self.composer.text():
                self._drafts[key] = text
        self.composer.set_text("")
        self.notice.hide()
        if self._busy == _TEMPORARY:
            self.stop()

    def _set_branch(self, branch: Sequence[Message]) -> None:
        writing = self._busy is not None and self._busy == self.chat_id
        self.turns.set_branch(branch, writing=writing)
        chat_id, message_id, text = self._growing
        if writing and chat_id == self.chat_id and branch and branch[-1].id == message_id:
            self.turns.grow(message_id, text)  # the store is a moment behind
        for row, turn in enumerate(self.turns.turns()):
            if turn.state == "failed" and turn.error is None and turn.id in self._errors:
                self.turns.explain(row, *self._errors[turn.id])

    def _show_chat(self) -> None:
        memory = self._chat.memory if self._chat else self._memory_of_new
        if self._temporary is not None:
            title = self.tr("Temporary chat")
        else:
            title = self._chat.title if self._chat else self.tr("New chat")
        self.header.show_chat(title, memory=memory, temporary=self._temporary is not None)
        if self._temporary is not None:
            self.composer.set_memory("temporary")
        else:
            self.composer.set_memory("on" if memory else "off")
        self._stack.setCurrentWidget(self.list if self.turns.rowCount() else self.welcome)
        self._show_busy()

    def _show_busy(self) -> None:
        mine = self._busy is not None and self._busy == self._key
        self.composer.set_busy(self._busy is not None)
        if self._busy is None or mine:
            self._hint.setText("")
        else:
            self._hint.setText(self.tr("Plum is still answering in another chat."))

    @property
    def _key(self) -> str | None:
        return _TEMPORARY if self._temporary is not None else self.chat_id

    # Saying something

    def _on_sent(self, text: str) -> None:
        if self._busy is not None:
            return
        self.notice.hide()
        self._sent = text
        if edited := self._edited:
            self.composer.end_edit()
            self._edited = None
            row = self.turns.row_of(edited.id)
            if row is not None:
                self.turns.cut_after(row)
        else:
            self.composer.set_text("")
        self.turns.append("user", text)
        if self._temporary is not None:
            self._answer_temporary(text, edited)
        elif edited:
            edited_id = edited.id
            self._answer(lambda on_text: self._plum.chats.edit(edited_id, text, on_text))
        elif self._chat:
            chat_id = self._chat.id
            self._answer(lambda on_text: self._plum.chats.send(chat_id, text, on_text))
        else:
            self._make_chat(text)

    def _make_chat(self, text: str) -> None:
        """Store a new chat for its first message, then send that."""
        memory, title = self._memory_of_new, self._plum.chats.title_of(text)
        self._wait_for_reply()
        self._busy = ""
        self._opening += 1
        wanted = self._opening

        def made(chat: Chat) -> None:
            self._busy = chat.id
            if wanted == self._opening:
                self._chat = chat
                self._show_chat()
                self.chat_made.emit(chat.id)
            self._show_busy()
            self._bridge.reply(
                chat.id, lambda on_text: self._plum.chats.send(chat.id, text, on_text)
            )

        def failed(error: str) -> None:
            self._busy = None
            self._take_back(error)

        self._bridge.ask(
            lambda: self._plum.store.chats.create(title, memory=memory), made, failed, owner=self
        )

    def _answer(self, work: Callable[[OnText], object]) -> None:
        """Show that a reply is coming in the chat on screen, and have it written."""
        assert self._chat
        self._busy = self._chat.id
        self._wait_for_reply()
        self._bridge.reply(self._chat.id, work)

    def _wait_for_reply(self) -> None:
        self._stopped = False
        self.turns.append("assistant", "", "waiting")
        self._stack.setCurrentWidget(self.list)
        self.list.go_to_end()
        self._show_busy()

    def _answer_temporary(self, text: str, edited: Turn | None) -> None:
        """Answer from what is on screen; only this object remembers it."""
        assert self._temporary is not None
        said = self._temporary
        if edited:
            at = next(at for at, message in enumerate(said) if message.id == edited.id)
            del said[at:]
        said.append(self._message("user", text))
        self._continue_temporary()

    def _continue_temporary(self) -> None:
        said = self._temporary
        assert said is not None
        self.turns.set_branch(said)
        self._busy = _TEMPORARY
        self._wait_for_reply()
        reply_id = self._new_id()
        wire: list[WireMessage] = []
        if persona := self._plum.settings.persona.strip():
            wire.append({"role": "system", "content": persona})
        wire += [{"role": each.role, "content": each.text} for each in said if each.text.strip()]
        settings = self._plum.settings

        def work(on_text: OnText) -> None:
            self._plum.chats.ask(
                wire, None if self._memory_of_new else "off", settings.max_tokens,
                on_text=lambda so_far: on_text(reply_id, so_far),
            )  # fmt: skip

        self._bridge.reply(_TEMPORARY, work)

    def _message(self, role: Role, text: str, message_id: str = "") -> Message:
        return Message(
            message_id or self._new_id(), _TEMPORARY, None, role, text, time.time(),
            finish_reason="stop" if role == "assistant" else None,
        )  # fmt: skip

    def _new_id(self) -> str:
        return f"{_TEMPORARY}-{next(self._ids)}"

    # The reply

    def _on_reply_grew(self, chat_id: str, message_id: str, text: str) -> None:
        self._growing = (chat_id, message_id, text)
        self.loaded()
        if chat_id == self._key and self.turns.rowCount():
            self.turns.grow(message_id, text)

    def _on_reply_ended(self, chat_id: str, error: str | None) -> None:
        self._busy, self._growing, self._loading = None, ("", "", ""), False
        if chat_id == _TEMPORARY:
            self._end_temporary(error)
        elif chat_id == self.chat_id:
            self._end_reply(chat_id, error)
        self._show_busy()
        announce(self, error or self.tr("Plum has answered."))
        if chat_id != _TEMPORARY:
            self.chat_changed.emit(chat_id)

    def _end_reply(self, chat_id: str, error: str | None) -> None:
        chats, needs_model = self._plum.store.chats, self._model is None

        def show(found: tuple[Chat, list[Message]]) -> None:
            if chat_id != self.chat_id:
                return
            self._chat, branch = found
            last = branch[-1] if branch else None
            if error and last and last.role == "assistant" and last.finish_reason == "failed":
                self._errors[last.id] = (error, needs_model)
                self._set_branch(branch)
            else:
                self._set_branch(branch)
                if error:
                    self._take_back(error)
            self._show_chat()

        self._bridge.ask(
            lambda: (chats.get(chat_id), chats.branch(chat_id)), show, self._say, owner=self
        )

    def _end_temporary(self, error: str | None) -> None:
        said = self._temporary
        if said is None:
            return
        last = self.turns.last()
        if last and last.role == "assistant" and last.text:
            reply = self._message("assistant", last.text, last.id)
            reason: FinishReason = "failed" if error else "cancelled" if self._stopped else "stop"
            said.append(dataclasses.replace(reply, finish_reason=reason))
        elif said and said[-1].role == "user":
            self.composer.set_text(said.pop().text)
        self.turns.set_branch(said)
        self._show_chat()
        if error:
            self._say(error)

    def _take_back(self, error: str) -> None:
        """Nothing was stored: what was to be sent goes back where it was written."""
        while (last := self.turns.last()) and not last.id:
            self.turns.cut_after(self.turns.rowCount() - 1)
        if self._sent and not self.composer.text():
            self.composer.set_text(self._sent)
        self._show_chat()
        self._say(error)

    def _on_engine_progressed(self, fraction: float, _text: str) -> None:
        share = words.percent(fraction)
        self._hint.setText(self.tr("Loading the model, {share}").format(share=share))
        self._loading = True

    def loaded(self) -> None:
        """The model has been loaded, or could not be."""
        if self._loading:
            self._loading = False
            self._show_busy()

    # What can be done with a turn

    def stop(self) -> None:
        """Stop the reply under way; what was said is kept."""
        if self._busy is not None:
            self._stopped = True
            self._bridge.stop_reply()

    def edit_last(self) -> None:
        if (turn := self.turns.last("user")) and turn.id:
            self._on_edit_asked(turn)

    def step(self, step: int) -> None:
        """Walk to a sibling of the focused turn, else of the last one that has any."""
        focused = self.list.focused_view(QApplication.focusWidget())
        turns = [focused.turn] if focused else []
        turns += reversed(self.turns.turns())
        turn = next((each for each in turns if each.place[1] > 1), None)
        if turn:
            self._on_step_asked(turn, step)

    def _keep_focus(self, _parent: QModelIndex, first: int, last: int) -> None:
        """Qt would hand the focus of a turn that goes to its neighbour, where no key is heard."""
        view = self.list.focused_view(QApplication.focusWidget())
        if view and view.turn in self.turns.turns()[first : last + 1]:
            self.composer.setFocus()

    def _on_again_asked(self, turn: Turn) -> None:
        row = self.turns.row_of(turn.id)
        if self._busy is not None or row is None:
            return
        self.notice.hide()
        self._sent = ""
        if self._temporary is not None:
            del self._temporary[row:]
            self.turns.cut_after(row)
            self._continue_temporary()
        elif self._chat:
            message_id = turn.id
            self.turns.cut_after(row)
            self._answer(lambda on_text: self._plum.chats.regenerate(message_id, on_text))

    def _on_edit_asked(self, turn: Turn) -> None:
        if self._busy is None:
            self._edited = turn
            self.composer.begin_edit(turn.text)

    def _on_edit_cancelled(self) -> None:
        self._edited = None
        self.composer.setFocus()

    def _on_step_asked(self, turn: Turn, step: int) -> None:
        place, count = turn.place
        if self._busy is not None or not self._chat or not 1 <= place + step <= count:
            return
        assert turn.siblings is not None
        chat_id, sibling = self._chat.id, turn.siblings[place - 1 + step]
        self._bridge.ask(
            lambda: self._plum.store.chats.show(chat_id, sibling),
            lambda _: self.open(chat_id), self._say, owner=self,
        )  # fmt: skip

    def _on_in_sight(self, ids: list[str]) -> None:
        wanted = [each for each in ids if each not in self._asked]
        if self._temporary is not None or not wanted:
            return
        self._asked.update(wanted)
        chats = self._plum.store.chats

        def find() -> dict[str, tuple[str, ...]]:
            found = {}
            for message_id in wanted:
                try:
                    found[message_id] = tuple(each.id for each in chats.siblings(message_id))
                except PlumError:
                    continue  # deleted meanwhile
            return found

        def found(siblings: dict[str, tuple[str, ...]]) -> None:
            self._asked.difference_update(wanted)
            self.turns.set_siblings(siblings)

        self._bridge.ask(find, found, owner=self)

    def _on_memory_switched(self, on: bool) -> None:
        if self._chat:
            chat_id = self._chat.id
            self._chat = dataclasses.replace(self._chat, memory=on)
            self._bridge.ask(lambda: self._plum.store.chats.update(chat_id, memory=on), owner=self)
        else:
            self._memory_of_new = on
        self._show_chat()
        self.composer.setFocus()  # who switches memory is about to ask something

    def ask_about_link(self, address: str) -> None:
        """Nothing opens without a word: the whole address is shown first."""
        box = QMessageBox(self)
        box.setWindowTitle(self.tr("Open a link"))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(self.tr("Open this address in your browser?"))
        box.setInformativeText(address)
        opens = box.addButton(self.tr("Open"), QMessageBox.ButtonRole.AcceptRole)
        copies = box.addButton(self.tr("Copy address"), QMessageBox.ButtonRole.ActionRole)
        cancels = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(cancels)
        box.setEscapeButton(cancels)

        def answered() -> None:
            if box.clickedButton() is opens:
                QDesktopServices.openUrl(QUrl(address))
            elif box.clickedButton() is copies:
                QGuiApplication.clipboard().setText(address)

        box.finished.connect(lambda _: answered())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def _say(self, error: str) -> None:
        """An error with no better place stands right above the composer."""
        self.notice.say(error, "danger")
        if self._model is None:
            self.notice.set_buttons(
                button(self.tr("Choose a model"), "plain", self.models_asked.emit)
            )
        else:
            self.notice.set_buttons()
        self.notice.show()
