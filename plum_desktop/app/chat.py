"""Conversation: a message goes in, the reply streams into the store as it is said."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator

from plum_desktop.app.preferences import Preferences
from plum_desktop.app.serving import MemoryMode, Serving
from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.base.types import Chat, FinishReason, Message, WireMessage
from plum_desktop.engine.client import Cancellation
from plum_desktop.store import Store

UNTITLED = "New chat"
OnText = Callable[[str, str], None]

_SAVE_EVERY = 0.5  # seconds: the most of a streamed reply that a kill can lose
_TITLE_LENGTH = 48


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

    def send(
        self,
        chat_id: str,
        text: str,
        on_text: OnText | None = None,
        memory: MemoryMode | None = None,
    ) -> Message:
        """Add the user's message to the shown branch and answer it; the reply, as stored.

        A reply that cannot be written is kept with finish_reason "failed" and what it had,
        and the reason is raised as PlumError.
        """
        text = _required(text)
        chat = self._store.chats.get(chat_id)
        if chat.leaf is None and chat.title == UNTITLED:
            self._store.chats.update(chat.id, title=self.title_of(text))
        asked = self._store.chats.add_message(chat.id, "user", text)
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
    ) -> Message:
        """Say something else in place of a message: a new branch, and its reply."""
        text = _required(text)
        old = self._store.chats.message(message_id)
        if old.role != "user":
            raise PlumError("Only your own messages can be edited.")
        asked = self._store.chats.add_message(old.chat_id, "user", text, parent_id=old.parent_id)
        return self._answer(self._store.chats.get(old.chat_id), asked.id, on_text, memory)

    def stop(self) -> None:
        """End the reply under way; what was said is kept.  From any thread, any time."""
        if under_way := self._under_way:
            under_way.cancel()

    def ask(
        self,
        messages: list[WireMessage],
        memory: MemoryMode | None = None,
        max_tokens: int = 256,
        temperature: float | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> str:
        """Answer without storing anything; `on_text` gets the whole text so far.

        Raises Cancelled when stopped.
        """
        if temperature is None:
            temperature = self._preferences.current.temperature
        said = ""

        def grow(piece: str) -> None:
            nonlocal said
            said += piece
            if on_text:
                on_text(said)

        with self._reply() as cancellation:
            result = self._serving.chat(
                messages,
                memory,
                max_tokens=max_tokens,
                temperature=temperature,
                on_text=grow,
                cancellation=cancellation,
            )
        return result.text

    @staticmethod
    def title_of(text: str) -> str:
        """The first words of a chat's first message."""
        words = re.sub(r"\s+", " ", text).strip()
        if len(words) <= _TITLE_LENGTH:
            return words
        cut = words[:_TITLE_LENGTH].rsplit(" ", 1)[0]
        return cut.rstrip(".,;:!?-") + "…"

    @contextlib.contextmanager
    def _reply(self) -> Iterator[Cancellation]:
        """One reply at a time, and what stops it."""
        with self._turn:
            self._under_way = cancellation = Cancellation()
            try:
                yield cancellation
            finally:
                self._under_way = None

    def _answer(
        self, chat: Chat, parent_id: str, on_text: OnText | None, memory: MemoryMode | None
    ) -> Message:
        settings = self._preferences.current
        if memory is None and not chat.memory:
            memory = "off"
        with self._reply() as cancellation:
            # The reply is there before the model is: whatever fails, it can be tried again.
            reply = self._store.chats.add_message(chat.id, "assistant", "", parent_id=parent_id)
            writing = _Writing(self._store, reply.id, on_text)
            messages = history(self._store.chats.branch(chat.id)[:-1], chat, settings.persona)
            try:
                result = self._serving.chat(
                    messages,
                    memory,
                    chat.model,
                    chat_id=chat.id,
                    max_tokens=settings.max_tokens,
                    temperature=settings.temperature,
                    on_text=writing.grow,
                    cancellation=cancellation,
                )
                writing.finish(result.text, result.finish_reason, result.completion_tokens)
            except Cancelled:
                writing.finish(writing.text, "cancelled")
            except PlumError:
                writing.finish(writing.text, "failed")
                raise
            except BaseException:  # Ctrl-C, or a defect of ours: keep what was said
                writing.finish(writing.text, "cancelled")
                raise
        return self._store.chats.message(reply.id)


class _Writing:
    """A reply on its way into the store."""

    def __init__(self, store: Store, message_id: str, on_text: OnText | None) -> None:
        self.text = ""
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


def history(branch: list[Message], chat: Chat, default_persona: str = "") -> list[WireMessage]:
    """The turns that the model sees: the persona, then the branch.

    A question whose reply came to nothing is left out with it, since templates want the
    roles to alternate.
    """
    persona = chat.persona if chat.persona is not None else default_persona
    messages: list[WireMessage] = []
    if persona.strip():
        messages.append({"role": "system", "content": persona})
    for message in branch:
        if message.role == "assistant" and not message.text.strip():
            if messages and messages[-1]["role"] == "user":
                messages.pop()
            continue
        messages.append({"role": message.role, "content": message.text})
    return messages


def _required(text: str) -> str:
    if not text.strip():
        raise PlumError("There is nothing to send: the message is empty.")
    return text
