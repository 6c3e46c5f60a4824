"""What was taught, fact by fact: looking at it, and leaving single facts out of the next run."""

from __future__ import annotations

from dataclasses import dataclass

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Chat, Fact
from plum_desktop.store import Store


@dataclass(frozen=True, slots=True)
class ChatMemory:
    """One chat and what was, or will be, taught from it."""

    chat: Chat
    facts: tuple[Fact, ...]

    @property
    def recall(self) -> float | None:
        """Mean recall of the facts that were ever asked, 0..1; None: none was."""
        asked = [fact.last_recall for fact in self.facts if fact.last_recall is not None]
        return sum(asked) / len(asked) if asked else None


class MemoryService:
    """Facts from the store, in the words that a person reads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def by_chat(self) -> list[ChatMemory]:
        """The chats from which something was taught, newest first."""
        facts: dict[str | None, list[Fact]] = {}
        for fact in self.list():
            facts.setdefault(fact.chat_id, []).append(fact)
        taught = [chat for chat in self._store.chats.list(archived=None) if chat.id in facts]
        newest = sorted(taught, key=lambda chat: chat.created, reverse=True)
        return [ChatMemory(chat, tuple(facts[chat.id])) for chat in newest]

    def get(self, fact_id: str) -> Fact:
        """The fact of this id, or the only one whose id begins so.  Raises PlumError."""
        return self._store.facts.get(fact_id)

    def words_behind(self, fact: Fact) -> str | None:
        """What was said that a fact rests on; None: on its chat as a whole."""
        if fact.message_id is None:
            return None
        return self._store.chats.message(fact.message_id).text[fact.start : fact.end]

    def exclude(self, fact_id: str) -> Fact:
        """Never teach this fact again; a run that starts later leaves it out."""
        fact = self.get(fact_id)
        self._store.facts.update(fact.id, state="excluded")
        return self.get(fact.id)

    def include(self, fact_id: str) -> Fact:
        """Take back `exclude`: the fact waits for the next run."""
        fact = self.get(fact_id)
        if fact.state != "excluded":
            raise PlumError(f"This fact is not excluded, it is {fact.state}.")
        self._store.facts.update(fact.id, state="waiting")
        return self.get(fact.id)

    def list(self, chat_id: str | None = None) -> list[Fact]:
        """What is true of a chat, or of all of them; things never discussed are left out.

        Raises PlumError for an unknown chat.
        """
        if chat_id is None:
            return self._store.facts.list(label=True)
        chat = self._store.chats.get(chat_id)
        return [fact for fact in self._store.facts.of_chat(chat.id) if fact.label]
