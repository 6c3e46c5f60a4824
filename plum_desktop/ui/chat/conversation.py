"""The conversation page: what is said, what is being said, and where one answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QStackedWidget, QVBoxLayout, QWidget

from plum_desktop.app.chat import history
from plum_desktop.app.titles import first_words
from plum_desktop.base.types import Attachment, Chat, FinishReason, Message
from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import announce, button
from plum_desktop.ui.base.links import ask_about_link
from plum_desktop.ui.chat.attachments import paths_in
from plum_desktop.ui.chat.chat_header import ChatHeader
from plum_desktop.ui.chat.chat_options import ChatOptions
from plum_desktop.ui.chat.composer import Composer
from plum_desktop.ui.chat.drafts import Drafts
from plum_desktop.ui.chat.foot import Foot
from plum_desktop.ui.chat.meter import Meter, Subject
from plum_desktop.ui.chat.personas import PersonaDialog
from plum_desktop.ui.chat.replies import Replies
from plum_desktop.ui.chat.siblings import Siblings
from plum_desktop.ui.chat.temporary import TEMPORARY, TemporaryChat
from plum_desktop.ui.chat.turn_list import TurnList
from plum_desktop.ui.chat.turns import Turn, TurnModel
from plum_desktop.ui.chat.welcome import Welcome

if TYPE_CHECKING:
    from plum_desktop.app.chat import OnText, Room
    from plum_desktop.app.models import ModelInfo
    from plum_desktop.app.personas import Persona

Files = tuple[Attachment, ...]

_NEW = Chat(id="", title="", created=0, updated=0)
_FIRST_EXCHANGE = 2  # turns


class Conversation(QWidget):
    """One chat at a time; a new chat is stored with its first message.

    Signals:
        chat_changed(chat id): something in it is new; the side bar looks again.
        chat_made(chat id): the new chat has got its id.
        models_asked: the reader wants to choose a model.
        model_chosen(name)
        why_asked(question, answer, a place of the screen): what was learned near to it?
    """

    chat_changed = Signal(str)
    chat_made = Signal(str)
    models_asked = Signal()
    model_chosen = Signal(str)
    why_asked = Signal(str, str, QPoint)
    delete_asked = Signal(str)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("conversation")
        self._bridge = bridge
        self._plum = bridge.plum
        self._chat: Chat | None = None  # None: a new chat, or a temporary one
        self._temporary: TemporaryChat | None = None
        self._new = _NEW  # what a new or a temporary chat is to be like
        self._first = False  # whether the store holds no chat at all
        self._opening = 0  # the newest request to show something wins
        self._edited: Turn | None = None
        self._errors: dict[str, tuple[str, bool]] = {}
        self._models: Sequence[ModelInfo] = ()
        self._model: ModelInfo | None = None

        self.replies = Replies(bridge, self)
        self.replies.grew.connect(self._on_reply_grew)
        self.replies.ended.connect(self._on_reply_ended)
        self.replies.loading.connect(self._on_loading)
        self.replies.loaded.connect(self._on_loaded)
        self.replies.named.connect(self._on_named)
        self.composer = Composer()
        self.meter = Meter(bridge, self._to_measure)
        self.meter.measured.connect(self._on_measured)
        self.drafts = Drafts(bridge, self.composer, self)
        self.drafts.changed.connect(self.meter.look_soon)
        self.attaching = self.drafts.attaching
        self.setAcceptDrops(True)
        self.header = ChatHeader()
        self.header.memory_switched.connect(self._on_memory_switched)
        self.header.model_chosen.connect(self._on_model_chosen)
        self.header.options_asked.connect(self.show_options)
        self.options = ChatOptions(self)
        self.options.changed.connect(lambda fields: self._change_chat(**fields))
        self.options.personas_asked.connect(self._on_personas_asked)
        self.header.models_asked.connect(self.models_asked)

        self.turns = TurnModel(self)
        self.turns.rowsAboutToBeRemoved.connect(self._keep_focus)
        self.siblings = Siblings(bridge, self.turns, self)
        self.siblings.walked.connect(self.open)
        self.siblings.failed.connect(self._say)
        self.list = TurnList(self.turns)
        self.list.again_asked.connect(self._on_again_asked)
        self.list.edit_asked.connect(self._on_edit_asked)
        self.list.go_on_asked.connect(self._on_go_on_asked)
        self.list.quote_asked.connect(self.composer.quote)
        self.list.file_asked.connect(self.attaching.show_text)
        self.list.step_asked.connect(self._on_step_asked)
        self.list.link_clicked.connect(lambda address: ask_about_link(self, address))
        self.list.models_asked.connect(self.models_asked)
        self.list.why_asked.connect(self._on_why_asked)
        self.list.delete_asked.connect(self._on_delete_asked)
        self.list.in_sight.connect(self._on_in_sight)
        self.welcome = Welcome(self._plum.folder)
        self.welcome.models_asked.connect(self.models_asked)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.welcome)
        self._stack.addWidget(self.list)

        self.composer.sent.connect(self._on_sent)
        self.composer.stop_asked.connect(self.stop)
        self.composer.edit_cancelled.connect(self._on_edit_cancelled)
        bar = self.list.verticalScrollBar().sizeHint().width()
        self._foot = Foot(self.composer, self.meter, bar)
        self.notice = self._foot.notice
        self.attaching.refused.connect(self._foot.say)  # nothing a model could mend

        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 8)
        box.setSpacing(0)
        box.addWidget(self.header)
        box.addWidget(self._stack, 1)
        box.addWidget(self._foot)

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
        return self.replies.busy

    def new_chat(self, *, temporary: bool = False) -> None:
        """An empty page; nothing is stored before something is said."""
        self._leave()
        self._chat = None
        self._temporary = TemporaryChat() if temporary else None
        self._new = _NEW
        self.turns.clear()
        if temporary:
            self.welcome.set_temporary()
        else:
            self.welcome.set_first(self._first)
        self.drafts.open(None if temporary else "")
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

        def read() -> tuple[Chat, list[Message], str]:
            branch = chats.branch(chat_id)
            if message_id and all(message.id != message_id for message in branch):
                chats.show(chat_id, message_id)
                branch = chats.branch(chat_id)
            return chats.get(chat_id), branch, self._plum.store.drafts.get(chat_id)

        def show(found: tuple[Chat, list[Message], str]) -> None:
            if wanted != self._opening:
                return
            is_other = self.chat_id != chat_id
            if is_other:
                self.turns.clear()
            self._chat, branch, draft = found
            self._temporary = None
            if is_other:
                self.drafts.open(chat_id, draft)
            self._set_branch(branch)
            self._show_chat()
            row = self.turns.row_of(message_id) if message_id else None
            if row is not None:
                self.list.go_to(row)

        self._bridge.ask(read, show, self._say, owner=self)

    def refresh(self) -> None:
        """Read the chat on screen again: something else may have written to it."""
        if self._chat and self.replies.chat != self._chat.id:
            self.open(self._chat.id)

    def forget(self, chat_id: str) -> None:
        """A chat was deleted: leave it, and let nobody go on answering there."""
        self.drafts.forget(chat_id)
        if self.replies.chat == chat_id:
            self.stop()
        if self.chat_id == chat_id:
            self.new_chat()

    def set_chat(self, chat: Chat) -> None:
        """The side bar has changed something about the chat on screen."""
        if self._chat and chat.id == self._chat.id:
            self._chat = chat
            self._show_chat()

    def set_models(self, models: Sequence[ModelInfo]) -> None:
        self._models = models
        self._model = next((model for model in models if model.in_use), None)
        self.header.set_models(models, self._record.model)
        self.welcome.set_model(self._model)
        if self._temporary is not None:
            self.welcome.set_temporary()

    def _leave(self) -> None:
        """Put away what belongs to the chat that was on screen."""
        self._opening += 1
        self._edited = None
        self.drafts.close()
        self.meter.clear()
        self.options.hide()
        self.notice.hide()
        if self.replies.chat == TEMPORARY:
            self.stop()

    def _set_branch(self, branch: Sequence[Message]) -> None:
        writing = self.replies.busy and self.replies.chat == self.chat_id
        self.turns.set_branch(branch, writing=writing)
        last = branch[-1].id if branch else ""
        so_far = self.replies.text_of(self.chat_id, last)
        if writing and so_far is not None:
            self.turns.grow(last, so_far)  # the store is a moment behind
        for row, turn in enumerate(self.turns.turns()):
            if turn.state == "failed" and turn.error is None and turn.id in self._errors:
                self.turns.explain(row, *self._errors[turn.id])

    @property
    def _record(self) -> Chat:
        """The chat on screen, also where it is not stored."""
        return self._chat or self._new

    def _show_chat(self) -> None:
        memory = self._record.memory
        if self._temporary is not None:
            title = self.tr("Temporary chat")
        else:
            title = self._chat.title if self._chat else self.tr("New chat")
        self.header.show_chat(title, memory=memory, temporary=self._temporary is not None)
        self.header.set_models(self._models, self._record.model)
        self.list.set_explains(self._temporary is None)
        if self._temporary is not None:
            self.composer.set_memory("temporary")
        else:
            self.composer.set_memory("on" if memory else "off")
        self._stack.setCurrentWidget(self.list if self.turns.rowCount() else self.welcome)
        self._show_busy()
        self.meter.look_soon()

    def _show_busy(self) -> None:
        mine = self.replies.chat == self._key
        self.composer.set_busy(self.busy)
        if not self.busy or mine:
            self._foot.hint("")
        else:
            self._foot.hint(self.tr("Plum is still answering in another chat."))

    @property
    def _key(self) -> str | None:
        return TEMPORARY if self._temporary is not None else self.chat_id

    # Saying something

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if paths_in(event.mimeData()):
            self._foot.hint(self.tr("Drop the files to attach them."))
            event.acceptProposedAction()

    def dragLeaveEvent(self, _event: QDragLeaveEvent) -> None:
        self._show_busy()

    def dropEvent(self, event: QDropEvent) -> None:
        self._show_busy()
        self.attaching.add(paths_in(event.mimeData()))
        event.acceptProposedAction()
        self.composer.setFocus()

    def _on_sent(self, text: str) -> None:
        if self.busy:
            return
        self.notice.hide()
        edited, self._edited = self._edited, None
        files = self.drafts.take()
        if edited:
            row = self.turns.row_of(edited.id)
            if row is not None:
                self.turns.cut_after(row)
        self.turns.append("user", text, attachments=files)
        if self._temporary is not None:
            self._temporary.say(text, files, edited.id if edited else None)
            self._answer_temporary()
        elif edited:
            edited_id = edited.id
            self._answer(
                lambda on_text: self._plum.chats.edit(edited_id, text, on_text, attachments=files)
            )
        elif self._chat:
            chat_id = self._chat.id
            self._answer(
                lambda on_text: self._plum.chats.send(chat_id, text, on_text, attachments=files)
            )
        else:
            self._make_chat(text, files)

    def _make_chat(self, text: str, files: Files) -> None:
        """Store a new chat for its first message, then send that."""
        new, title = self._new, first_words(text)
        self._wait_for_reply()
        self.replies.expect("")
        self._opening += 1
        wanted = self._opening

        def made(chat: Chat) -> None:
            self.replies.expect(chat.id)
            if wanted == self._opening:
                self._chat = chat
                self.drafts.begun(chat.id)
                self._show_chat()
                self.chat_made.emit(chat.id)
            self._show_busy()
            self.replies.write(
                chat.id,
                lambda on_text: self._plum.chats.send(chat.id, text, on_text, attachments=files),
            )

        def failed(error: str) -> None:
            self.replies.give_up()
            self._take_back(error)

        def create() -> Chat:
            return self._plum.store.chats.create(
                title, memory=new.memory, persona=new.persona, model=new.model,
                temperature=new.temperature,
            )  # fmt: skip

        self._bridge.ask(create, made, failed, owner=self)

    def _answer(self, work: Callable[[OnText], object], begun: int | None = None) -> None:
        """Show that a reply is coming in the chat on screen, and have it written."""
        assert self._chat
        self.replies.expect(self._chat.id)
        self._wait_for_reply(begun)
        self.replies.write(self._chat.id, work)

    def _wait_for_reply(self, begun: int | None = None) -> None:
        """Show that a reply is coming: a new one, or more of the one at row `begun`."""
        if begun is None:
            self.turns.append("assistant", "", "waiting")
        else:
            self.turns.resume(begun)
        self._stack.setCurrentWidget(self.list)
        self.list.go_to_end()
        self._show_busy()

    def _answer_temporary(self, begun: Message | None = None) -> None:
        """Have the last message answered, or the reply gone on with that has `begun`."""
        assert self._temporary is not None
        said = self._temporary.said
        self.turns.set_branch([*said, begun] if begun else said)
        self.replies.expect(TEMPORARY)
        self._wait_for_reply(len(said) if begun else None)
        reply_id = begun.id if begun else self._temporary.new_id()
        chat, settings = self._new, self._plum.settings
        wire = history(said, chat, settings.persona)
        question = said[-1].text

        def work(on_text: OnText) -> None:
            self._plum.chats.ask(
                wire, None if chat.memory else "off", settings.max_tokens, chat.temperature,
                lambda so_far: on_text(reply_id, so_far), model=chat.model, question=question,
                begun=begun.text if begun else "",
            )  # fmt: skip

        self.replies.write(TEMPORARY, work)

    # The reply

    def _on_reply_grew(self, chat_id: str, message_id: str, text: str) -> None:
        if chat_id == self._key and self.turns.rowCount():
            self.turns.grow(message_id, text)

    def _on_reply_ended(self, chat_id: str, error: str | None) -> None:
        if chat_id == TEMPORARY:
            self._end_temporary(error)
        elif chat_id == self.chat_id:
            self._end_reply(chat_id, error)
        elif not error:
            self.replies.name(chat_id)
        self._show_busy()
        announce(self, error or self.tr("Plum has answered."))
        if chat_id != TEMPORARY:
            self.chat_changed.emit(chat_id)
        self.attaching.count()

    def _on_named(self, chat_id: str, title: str) -> None:
        if self._chat and self._chat.id == chat_id:
            self._chat = dataclasses.replace(self._chat, title=title)
            self._show_chat()
        self.chat_changed.emit(chat_id)

    def _end_reply(self, chat_id: str, error: str | None) -> None:
        chats, needs_model = self._plum.store.chats, self._model is None

        def read(found: tuple[Chat, list[Message]]) -> None:
            # Named only now: a title given while this was read would be shown as it was before.
            if not error and len(found[1]) <= _FIRST_EXCHANGE:
                self.replies.name(chat_id)
            if chat_id == self.chat_id:
                show(*found)

        def show(chat: Chat, branch: list[Message]) -> None:
            self._chat = chat
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
            lambda: (chats.get(chat_id), chats.branch(chat_id)), read, self._say, owner=self
        )

    def _end_temporary(self, error: str | None) -> None:
        if self._temporary is None:
            return
        last = self.turns.last()
        if last and last.role == "assistant" and last.text:
            reason: FinishReason = (
                "failed" if error else "cancelled" if self.replies.stopped else "stop"
            )
            self._temporary.reply(last.id, last.text, reason)
        elif taken := self._temporary.take_back():
            self.drafts.restore(taken.text, taken.attachments)
        self.turns.set_branch(self._temporary.said)
        self._show_chat()
        if error:
            self._say(error)

    def _take_back(self, error: str) -> None:
        """Nothing was stored: what was to be sent goes back where it was written."""
        while (last := self.turns.last()) and not last.id:
            self.turns.cut_after(self.turns.rowCount() - 1)
        self.drafts.give_back()
        self._show_chat()
        self._say(error)

    def _on_loading(self, fraction: float | None) -> None:
        if fraction is None:
            self._show_busy()
        else:
            share = words.percent(fraction)
            self._foot.hint(self.tr("Loading the model, {share}").format(share=share))

    def _on_loaded(self) -> None:
        if not self.busy:
            self.attaching.count()
            self.meter.look_soon()

    # How full the context is

    def _to_measure(self) -> Subject | None:
        if self.busy:
            return None  # what is shown stays true until the reply has ended
        text, files = self.composer.text().strip(), self.drafts.files
        draft = None
        if text or files:
            draft = Message("", "", None, "user", text, 0.0, attachments=files)
        chat, edited = self._record, self._edited
        said = list(self._temporary.said) if self._temporary is not None else None

        def branch() -> list[Message]:
            found = said
            if found is None:
                found = self._plum.store.chats.branch(chat.id) if chat.id else []
            ids = [message.id for message in found]
            return found[: ids.index(edited.id)] if edited and edited.id in ids else found

        return Subject(chat, branch, draft)

    def _on_measured(self, room: Room) -> None:
        self.turns.set_first_seen(room.first)
        self.composer.show_too_long(room.too_long, exact=room.exact)

    # What can be done with a turn

    def stop(self) -> None:
        """Stop the reply under way; what was said is kept."""
        self.replies.stop()

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

    def _row_to_write(self, turn: Turn) -> int | None:
        """Where a reply is to be written anew, or on; None: not now."""
        row = self.turns.row_of(turn.id)
        if self.busy or row is None:
            return None
        self.notice.hide()
        self.drafts.nothing_sent()
        return row

    def _on_again_asked(self, turn: Turn) -> None:
        if (row := self._row_to_write(turn)) is None:
            return
        if self._temporary is not None:
            self._temporary.cut(row)
            self.turns.cut_after(row)
            self._answer_temporary()
        elif self._chat:
            message_id = turn.id
            self.turns.cut_after(row)
            self._answer(lambda on_text: self._plum.chats.regenerate(message_id, on_text))

    def _on_go_on_asked(self, turn: Turn) -> None:
        if (row := self._row_to_write(turn)) is None:
            return
        if self._temporary is not None:
            begun = self._temporary.said[row]
            self._temporary.cut(row)
            self._answer_temporary(begun)
        elif self._chat:
            message_id = turn.id
            self._answer(lambda on_text: self._plum.chats.go_on(message_id, on_text), row)

    def _on_edit_asked(self, turn: Turn) -> None:
        if not self.busy:
            self._edited = turn
            self.drafts.begin_edit(turn.text, turn.attachments)

    def _on_edit_cancelled(self) -> None:
        self._edited = None
        self.drafts.end_edit()
        self.composer.setFocus()

    def _on_step_asked(self, turn: Turn, step: int) -> None:
        if not self.busy and self._chat:
            self.siblings.walk(self._chat.id, turn, step)

    def _on_delete_asked(self, turn: Turn) -> None:
        if not self.busy and self._chat:
            self.delete_asked.emit(turn.id)

    def _on_why_asked(self, turn: Turn, place: QPoint) -> None:
        before = self.turns.turns()[: self.turns.row_of(turn.id)]
        question = next((each.text for each in reversed(before) if each.role == "user"), "")
        self.why_asked.emit(question, turn.text, place)

    def _on_in_sight(self, ids: list[str]) -> None:
        if self._temporary is None:
            self.siblings.look_up(ids)

    # What holds for this chat alone

    def _on_memory_switched(self, on: bool) -> None:
        self._change_chat(memory=on)
        self.composer.setFocus()  # who switches memory is about to ask something

    def _on_model_chosen(self, name: str) -> None:
        if self._record.model:
            self._change_chat(model=name)
        else:
            self.model_chosen.emit(name)

    def _change_chat(self, **fields: Any) -> None:
        """Change fields of the chat on screen, wherever it is kept."""
        if self._chat:
            chat_id = self._chat.id
            self._chat = dataclasses.replace(self._chat, **fields)
            self._bridge.ask(
                lambda: self._plum.store.chats.update(chat_id, **fields), failed=self._say,
                owner=self,
            )  # fmt: skip
        else:
            self._new = dataclasses.replace(self._new, **fields)
        self._show_chat()

    def show_options(self) -> None:
        """What holds for this chat alone."""

        def show(personas: list[Persona]) -> None:
            self.options.set_chat(self._record, personas, self._models, self._plum.settings)
            self.options.open_below(self.header.options)

        self._bridge.ask(self._plum.personas.all, show, self._say, owner=self)

    def _on_personas_asked(self) -> None:
        dialog = PersonaDialog(self._bridge, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.changed.connect(self.meter.look_soon)
        dialog.open()

    def _say(self, error: str) -> None:
        """An error with no better place stands right above the composer."""
        remedies = []
        if self._model is None:
            remedies = [button(self.tr("Choose a model"), "plain", self.models_asked.emit)]
        self._foot.say(error, *remedies)
