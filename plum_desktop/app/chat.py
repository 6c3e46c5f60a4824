"""Conversation: a message goes in, the reply streams into the store as it is said."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from plum_desktop.app import titles
from plum_desktop.app.attachments import content_of, estimated_tokens
from plum_desktop.app.preferences import Preferences
from plum_desktop.app.serving import MemoryMode, Serving
from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.base.types import (
    UNTITLED,
    Attachment,
    Chat,
    FinishReason,
    Message,
    WireMessage,
)
from plum_desktop.engine.client import Cancellation
from plum_desktop.store import Store

OnText = Callable[[str, str], None]

_SAVE_EVERY = 0.5  # seconds: the most of a streamed reply that a kill can lose


@dataclass(frozen=True, slots=True)
class Room:
    """How a conversation fills the context, in tokens."""

    tokens: int
    context: int
    too_long: int = 0  # by how many what is about to be sent does not fit, even alone
    first: str | None = None  # the first message that the model still sees; None: it sees all
    exact: bool = True  # counted by the model; False: estimated, since none is loaded


class ChatService:
    """Sends, answers and stops.  Every method that answers blocks until the reply has ended.

    `on_text` gets the reply's message id and its whole text so far, on the caller's thread.
    One reply is written at a time; a second call waits for the first.
    """

    def __init__(self, store: Store, serving: Serving, preferences: Preferences) -> None:
        self._store = store
        self._serving = serving
        self._preferences = preferences
        self._turn = threading.Lock()
        self._under_way: Cancellation | None = None
        self._naming: Cancellation | None = None

    def send(
        self,
        chat_id: str,
        text: str,
        on_text: OnText | None = None,
        memory: MemoryMode | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> Message:
        """Add the user's message to the shown branch and answer it; the reply, as stored.

        A reply that cannot be written is kept with finish_reason "failed" and what it had,
        and the reason is raised as PlumError.
        """
        text = _required(text)
        chat = self._store.chats.get(chat_id)
        if chat.leaf is None and chat.title == UNTITLED:
            self._store.chats.update(chat.id, title=titles.first_words(text))
        asked = self._store.chats.add_message(chat.id, "user", text, attachments=attachments)
        return self._answer(chat, asked.id, on_text, memory)

    def regenerate(
        self, message_id: str, on_text: OnText | None = None, memory: MemoryMode | None = None
    ) -> Message:
        """Answer again; the new reply stands beside the old one, and is shown."""
        old = self._store.chats.message(message_id)
        if old.role != "assistant" or old.parent_id is None:
            raise PlumError("Only a reply can be written again.")
        return self._answer(self._store.chats.get(old.chat_id), old.parent_id, on_text, memory)

    def edit(
        self,
        message_id: str,
        text: str,
        on_text: OnText | None = None,
        memory: MemoryMode | None = None,
        attachments: Sequence[Attachment] | None = None,
    ) -> Message:
        """Say something else in place of a message: a new branch, and its reply.

        The message's files stay with it, unless `attachments` are given.
        """
        text = _required(text)
        old = self._store.chats.message(message_id)
        if old.role != "user":
            raise PlumError("Only your own messages can be edited.")
        files = old.attachments if attachments is None else attachments
        asked = self._store.chats.add_message(
            old.chat_id, "user", text, parent_id=old.parent_id, attachments=files
        )
        return self._answer(self._store.chats.get(old.chat_id), asked.id, on_text, memory)

    def go_on(
        self, message_id: str, on_text: OnText | None = None, memory: MemoryMode | None = None
    ) -> Message:
        """Write on a reply that was stopped or cut off, from where it ends."""
        old = self._store.chats.message(message_id)
        chat = self._store.chats.get(old.chat_id)
        if old.role != "assistant" or old.finish_reason == "stop" or not old.text.strip():
            raise PlumError("Only a reply that was stopped or cut off can be gone on with.")
        if chat.leaf != old.id:
            raise PlumError("Only the last reply of a chat can be gone on with.")
        return self._answer(chat, old.parent_id, on_text, memory, old)

    def stop(self) -> None:
        """End the reply under way; what was said is kept.  From any thread, any time."""
        if naming := self._naming:
            naming.cancel()
        if under_way := self._under_way:
            under_way.cancel()

    def ask(
        self,
        messages: list[WireMessage],
        memory: MemoryMode | None = None,
        max_tokens: int = 256,
        temperature: float | None = None,
        on_text: Callable[[str], None] | None = None,
        *,
        model: str | None = None,
        question: str | None = None,
        begun: str = "",
    ) -> str:
        """Answer without storing anything; `on_text` gets the whole text so far.

        `question` is the user's own words where the last message holds more than them;
        `begun` is the beginning of the reply, which is gone on with.  Raises Cancelled when
        stopped.
        """
        if temperature is None:
            temperature = self._preferences.current.temperature
        said = begun

        def grow(piece: str) -> None:
            nonlocal said
            said += piece
            if on_text:
                on_text(said)

        with self._reply() as cancellation:
            result = self._serving.chat(
                messages,
                memory,
                model,
                question=question,
                max_tokens=max_tokens,
                temperature=temperature,
                on_text=grow,
                cancellation=cancellation,
                begun=begun,
            )
        return begun + result.text

    def room(self, chat: Chat, branch: Sequence[Message], draft: Message | None = None) -> Room:
        """How `branch`, and what is about to be sent, fill the context.  Waits for no reply."""
        settings = self._preferences.current
        said = seen([*branch, draft] if draft else branch)
        messages = history(said, chat, settings.persona)
        if not said:
            return Room(0, settings.context, exact=False)
        measured = self._serving.measure(messages, settings.max_tokens)
        if measured is None:
            tokens = sum(estimated_tokens(one["content"]) for one in messages)
            last = estimated_tokens(messages[-1]["content"])
            over = max(0, last - settings.context) if draft else 0
            return Room(min(tokens, settings.context), settings.context, over, exact=False)
        over = max(0, measured.last - measured.limit) if draft else 0
        first = said[measured.dropped].id if measured.dropped else None
        return Room(measured.tokens, measured.n_ctx, over, first)

    def name(self, chat_id: str) -> str | None:
        """Have the model name a chat after its first exchange; the new title, if it got one.

        A title that somebody gave stays.  Whoever wants a reply meanwhile need not wait: the
        naming ends, and the chat keeps its first words.
        """
        chat = self._store.chats.get(chat_id)
        branch = self._store.chats.branch(chat_id)
        if len(branch) != 2 or branch[1].finish_reason not in ("stop", "length"):
            return None
        asked, answered = branch[0].text, branch[1].text
        if chat.title != titles.first_words(asked):
            return None
        settings = self._preferences.current
        self._naming = cancellation = Cancellation()
        try:
            if self._under_way:
                return None
            result = self._serving.chat(
                [*history(branch, chat, settings.persona), titles.REQUEST],
                # As the chat is answered: another memory may mean another model to load.
                None if chat.memory else "off",
                chat.model,
                question="",
                max_tokens=titles.ANSWER_TOKENS,
                temperature=0.0,
                cancellation=cancellation,
            )
        except (Cancelled, PlumError):
            return None  # the first words will do
        finally:
            self._naming = None
        title = titles.title_in(result.text, asked, answered)
        with self._store.transaction():
            if not title or self._store.chats.get(chat_id).title != chat.title:
                return None
            self._store.chats.update(chat_id, title=title)
        return title

    @contextlib.contextmanager
    def _reply(self) -> Iterator[Cancellation]:
        """One reply at a time, and what stops it."""
        with self._turn:
            self._under_way = cancellation = Cancellation()
            if naming := self._naming:
                naming.cancel()
            try:
                yield cancellation
            finally:
                self._under_way = None

    def _answer(
        self,
        chat: Chat,
        parent_id: str | None,
        on_text: OnText | None,
        memory: MemoryMode | None,
        begun: Message | None = None,
    ) -> Message:
        """Write the reply to `parent_id`, a new one or the one that has `begun`."""
        settings = self._preferences.current
        chats = self._store.chats
        if memory is None and not chat.memory:
            memory = "off"
        with self._reply() as cancellation:
            # The reply is there before the model is: whatever fails, it can be tried again.
            reply = begun or chats.add_message(chat.id, "assistant", "", parent_id=parent_id)
            if begun:
                chats.reopen_message(begun.id)
            writing = _Writing(self._store, reply.id, on_text, reply.text)
            branch = chats.branch(chat.id)[:-1]
            try:
                result = self._serving.chat(
                    history(branch, chat, settings.persona),
                    memory,
                    chat.model,
                    chat_id=chat.id,
                    question=branch[-1].text if branch else None,
                    max_tokens=settings.max_tokens,
                    temperature=temperature_of(chat, settings.temperature),
                    on_text=writing.grow,
                    cancellation=cancellation,
                    begun=reply.text,
                )
                tokens = (reply.tokens or 0) + result.completion_tokens
                writing.finish(reply.text + result.text, result.finish_reason, tokens)
            except Cancelled:
                writing.finish(writing.text, "cancelled")
            except PlumError:
                writing.finish(writing.text, "failed")
                raise
            except BaseException:  # Ctrl-C, or a defect of ours: keep what was said
                writing.finish(writing.text, "cancelled")
                raise
        return chats.message(reply.id)


class _Writing:
    """A reply on its way into the store."""

    def __init__(self, store: Store, message_id: str, on_text: OnText | None, begun: str) -> None:
        self.text = begun
        self._store = store
        self._id = message_id
        self._on_text = on_text
        self._saved = time.monotonic()

    def grow(self, piece: str) -> None:
        self.text += piece
        if time.monotonic() - self._saved >= _SAVE_EVERY:
            self._store.chats.grow_message(self._id, self.text)
            self._saved = time.monotonic()
        if self._on_text:
            self._on_text(self._id, self.text)

    def finish(self, text: str, reason: FinishReason, tokens: int | None = None) -> None:
        self._store.chats.finish_message(self._id, text, reason, tokens=tokens)


def seen(branch: Sequence[Message]) -> list[Message]:
    """The messages of a branch that the model sees.

    A question whose reply came to nothing is left out with it, since templates want the
    roles to alternate.
    """
    kept: list[Message] = []
    for message in branch:
        if message.role != "assistant" or message.text.strip():
            kept.append(message)
        elif kept and kept[-1].role == "user":
            kept.pop()
    return kept


def history(branch: Sequence[Message], chat: Chat, default_persona: str = "") -> list[WireMessage]:
    """The turns that the model sees: the persona, then the branch."""
    persona = chat.persona if chat.persona is not None else default_persona
    messages: list[WireMessage] = []
    if persona.strip():
        messages.append({"role": "system", "content": persona})
    messages += [{"role": one.role, "content": content_of(one)} for one in seen(branch)]
    return messages


def temperature_of(chat: Chat, default: float) -> float:
    return default if chat.temperature is None else chat.temperature


def _required(text: str) -> str:
    if not text.strip():
        raise PlumError("There is nothing to send: the message is empty.")
    return text
