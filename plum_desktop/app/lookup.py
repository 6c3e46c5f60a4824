"""Looking things up: the best excerpts of stored chats, put before a question about the past."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plum_desktop.base.types import Message, WireMessage
from plum_desktop.learning import excerpts
from plum_desktop.learning.excerpts import Excerpt, Exchange, Rarity
from plum_desktop.learning.past import only_recalls
from plum_desktop.store import Store

_MOST_TOKENS = 400  # of the excerpts of one question
_MESSAGES, _CHATS = 40, 8  # that are looked into


class Lookup:
    """Finds what was said before.  Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def into(
        self,
        messages: Sequence[WireMessage],
        count_tokens: Callable[[str], int],
        beside: str | None = None,
        question: str | None = None,
    ) -> list[WireMessage]:
        """`messages` with excerpts before the last one, if that is a user's that may want them.

        `beside` is the chat it is said in, which the model sees anyway; `question` what the
        user asks there, if that is not all of the message: a file says nothing of the past.
        """
        *before, last = messages
        asked = last["content"] if question is None else question
        if last["role"] != "user" or not asked.strip():
            return list(messages)
        found = self.excerpts(asked, beside)
        if not excerpts.wanted(asked, found):
            return list(messages)
        while found and count_tokens(excerpts.with_excerpts("", found)) > _MOST_TOKENS:
            found = found[:-1]
        text = excerpts.with_excerpts(last["content"], found)
        return [*before, {"role": "user", "content": text}]

    def excerpts(self, question: str, beside: str | None = None) -> list[Excerpt]:
        """The parts of stored chats that match `question` best, at most one of a chat."""
        stems = excerpts.asked_stems(question)
        rarity = Rarity(self._store.count_words, self._store.count_messages())
        hits = self._store.related(stems, _MESSAGES)
        exchanges: list[Exchange] = []
        looked_into = 0
        for chat_id in dict.fromkeys(hit.chat_id for hit in hits):
            chat = self._store.chats.get(chat_id)
            # What must not be remembered is not looked up either.
            if chat_id == beside or not (chat.learn and chat.memory):
                continue
            hit = {one.message_id for one in hits if one.chat_id == chat_id}
            around = _around(self._store.chats.branch(chat_id), hit)
            exchanges += around
            looked_into += bool(around)
            if looked_into == _CHATS:
                break
        return excerpts.best(question, exchanges, rarity)


def _around(branch: Sequence[Message], hits: set[str]) -> list[Exchange]:
    """The exchanges of the shown branch that hold one of `hits`, and that do more than ask back."""
    found = []
    for place, message in enumerate(branch):
        if message.role != "user":
            continue
        reply = branch[place + 1] if place + 1 < len(branch) else None
        ids = {message.id} | ({reply.id} if reply else set())
        if ids & hits and not only_recalls(message.text):
            text = reply.text if reply and not reply.broken_off else ""
            found.append(Exchange(message.chat_id, message.text, text))
    return found
