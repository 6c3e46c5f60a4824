"""What was taught, fact by fact: looking at it, adding to it, changing it, leaving it out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from plum_desktop.app.forget import ForgetService
from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Chat, Fact
from plum_desktop.learning import own
from plum_desktop.learning.words import Overlap
from plum_desktop.store import Store

_RELATED = 6  # facts that are shown beside an answer, at most
_NEAR = 0.3  # share of a fact's meaningful words that the answer or its question must hold


@dataclass(frozen=True, slots=True)
class ChatMemory:
    """One chat and what was, or will be, taught from it; `chat` None: told outside every chat."""

    chat: Chat | None
    facts: tuple[Fact, ...]

    @property
    def id(self) -> str:
        return self.chat.id if self.chat else own.HOME

    @property
    def title(self) -> str:
        return self.chat.title if self.chat else own.TITLE

    @property
    def recall(self) -> float | None:
        """Mean recall of the facts that were ever asked, 0..1; None: none was."""
        asked = [fact.last_recall for fact in self.facts if fact.last_recall is not None]
        return sum(asked) / len(asked) if asked else None


@dataclass(frozen=True, slots=True)
class Related:
    """A taught fact that is near to an answer; `chat` None: told outside every chat."""

    fact: Fact
    chat: Chat | None


class MemoryService:
    """Facts from the store, in the words that a person reads."""

    def __init__(self, store: Store, forgetting: ForgetService) -> None:
        self._store = store
        self._forgetting = forgetting

    def by_chat(self) -> list[ChatMemory]:
        """What the user told by themselves, then the chats that taught something, newest first."""
        facts: dict[str | None, list[Fact]] = {}
        for fact in self.list():
            facts.setdefault(fact.chat_id, []).append(fact)
        taught = [chat for chat in self._store.chats.list(archived=None) if chat.id in facts]
        newest = sorted(taught, key=lambda chat: chat.created, reverse=True)
        told = [ChatMemory(None, tuple(facts[None]))] if None in facts else []
        return told + [ChatMemory(chat, tuple(facts[chat.id])) for chat in newest]

    def get(self, fact_id: str) -> Fact:
        """The fact of this id, or the only one whose id begins so.  Raises PlumError."""
        return self._store.facts.get(fact_id)

    def words_behind(self, fact: Fact) -> str | None:
        """What was said that a fact rests on; None: on its chat as a whole."""
        if fact.message_id is None:
            return None
        return self._store.chats.message(fact.message_id).text[fact.start : fact.end]

    def add(self, text: str) -> Fact:
        """A fact of the user's own, outside every chat; the next run learns it.

        Raises PlumError for what is no sentence, or is there already.
        """
        fact = own.fact_of(uuid.uuid4().hex[:16], text)
        if any(known.subject == fact.subject for known in self._told()):
            raise PlumError("Plum was told exactly this already.")
        self._store.facts.add([fact])
        return self.get(fact.id)

    def edit(self, fact_id: str, text: str) -> Fact:
        """Teach other words in a fact's place; the fact that is taught from now on.

        What rests on a chat is left out from now on, since it is read off that chat anew each
        time, and a fact of the user's own takes its place.  Raises PlumError.
        """
        fact = self.get(fact_id)
        if " ".join(text.split()) == fact.subject:
            return fact
        new = own.fact_of(fact.id, text)
        if fact.chat_id is None:
            self._store.facts.update(
                fact.id, subject=new.subject, statement=new.statement, state="waiting",
                last_recall=None,
            )  # fmt: skip
            return self.get(fact.id)
        with self._store.transaction():
            added = self.add(text)
            # It goes with the chat whose words it may repeat.
            self._store.facts.update(added.id, origin=fact.chat_id)
            self._store.facts.update(fact.id, state="excluded")
        return self.get(added.id)

    def forget(self, fact_id: str) -> None:
        """Never teach this again.  What was told outside every chat is gone; what rests on a
        chat stays listed as excluded, since its chat still says it.

        What a model has learned of it stays in the model until `forget_everything`.
        """
        fact = self.get(fact_id)
        if fact.chat_id is None:
            self._forgetting.forget_facts([fact.id])
        else:
            self._store.facts.update(fact.id, state="excluded")

    def forget_everything(self) -> None:
        """Delete every adapter and every fact; the base models serve alone.  Chats stay.

        Raises Busy while Plum learns, or PlumError.
        """
        self._forgetting.forget_learned()

    def exclude(self, fact_id: str) -> Fact:
        """Never teach this fact again; a run that starts later leaves it out."""
        fact = self.get(fact_id)
        self._store.facts.update(fact.id, state="excluded")
        return self.get(fact.id)

    def include(self, fact_id: str) -> Fact:
        """Take back `exclude`: the fact waits for the next run."""
        fact = self.get(fact_id)
        if fact.state != "excluded":
            raise PlumError("This fact is not excluded, it is {state}.", state=fact.state)
        self._store.facts.update(fact.id, state="waiting")
        return self.get(fact.id)

    def related(self, question: str, answer: str) -> list[Related]:
        """What was taught that an answer may rest on, the nearest first."""
        found = nearest(question, answer, self.list())
        chats = {chat.id: chat for chat in self._store.chats.list(archived=None)}
        return [Related(fact, chats.get(fact.chat_id or "")) for fact in found]

    def list(self, chat_id: str | None = None) -> list[Fact]:
        """What is true of a chat, or of all of them; things never discussed are left out.

        Raises PlumError for an unknown chat.
        """
        if chat_id is None:
            return self._store.facts.list(label=True)
        chat = self._store.chats.get(chat_id)
        return [fact for fact in self._store.facts.of_chat(chat.id) if fact.label]

    def _told(self) -> Sequence[Fact]:
        return [fact for fact in self._store.facts.of_chat(None) if fact.label]


def nearest(question: str, answer: str, facts: Sequence[Fact], most: int = _RELATED) -> list[Fact]:
    """The learned facts whose words stand in a question and its answer, the most alike first.

    By words alone, so it tells what is near, not what the model's weights have drawn on.
    """
    learned = {fact.id: fact for fact in facts if fact.state in ("learned", "weak")}
    said = f"{question}\n{answer}"
    known = Overlap({fact.id: fact.subject for fact in learned.values()})
    text = Overlap({"said": said})
    found: dict[str, Fact] = {}
    for fact_id in known.nearest(said):
        fact = learned[fact_id]
        if text.share(fact.subject, "said") >= _NEAR:
            found.setdefault(fact.subject.casefold(), fact)
        if len(found) == most:
            break
    return list(found.values())
