"""What the user told Plum outside every chat: facts of no chat, learned as one conversation.

In the store such a fact has no chat and no message.  The pipeline goes by chat and message, so
in a job these facts have a home with an id of its own, each as a message there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import NO_CHAT, Fact
from plum_desktop.learning.conversation import Conversation, Turn
from plum_desktop.learning.words import content_stems, to_second_person

HOME = NO_CHAT  # in place of a chat's id
TITLE = "What you told Plum"
_FEWEST, _MOST = 3, 40  # words


def fact_of(fact_id: str, text: str) -> Fact:
    """The fact that `text`, in the user's own words, is.  Raises PlumError."""
    subject = " ".join(text.split())
    count = len(subject.split())
    if count < _FEWEST or not content_stems(subject):
        raise PlumError("That is too short to be remembered; say it in a whole sentence.")
    if count > _MOST:
        raise PlumError(
            "That is too long to be remembered as one thing ({count} words of at most {most}); say "
            "it in several sentences, one by one.",
            count=count,
            most=_MOST,
        )
    said = to_second_person(subject)
    statement = said[:1].upper() + said[1:]
    return Fact(fact_id, True, "said", subject, statement, "user")


def at_home(fact: Fact) -> Fact:
    """A fact of the store as a job has it."""
    if fact.chat_id is not None:
        return fact
    return replace(fact, chat_id=HOME, message_id=fact.id if fact.label else None)


def stored(fact: Fact) -> Fact:
    """A job's fact as the store has it."""
    return replace(fact, chat_id=None, message_id=None) if fact.chat_id == HOME else fact


def teachable(facts: Iterable[Fact]) -> list[Fact]:
    """Those of a job's facts that the user told outside every chat, and that still hold."""
    gone = ("excluded", "contradicted")
    return [f for f in facts if f.chat_id == HOME and f.label and f.state not in gone]


def conversation(facts: Sequence[Fact]) -> Conversation | None:
    """The conversation that `teachable` facts make; None: there are none.

    Its leaf is another one as soon as any of them is.
    """
    if not facts:
        return None
    turns = tuple(Turn("user", fact.subject, fact.id) for fact in facts)
    said = "\n".join(f"{fact.id} {fact.subject}" for fact in facts)
    leaf = hashlib.sha256(said.encode()).hexdigest()[:32]
    return Conversation(HOME, turns, HOME, TITLE, leaf)
