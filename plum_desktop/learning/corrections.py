"""What the user takes back: of two things they said of the same matter, the newer one counts.

By rule and narrowly, since to forget what still holds is worse than to keep what does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace

from plum_desktop.base.types import Fact
from plum_desktop.learning import rules
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.words import content_stems, stem, words

# Words of a sentence that says that something is otherwise than it was.
_CUE = re.compile(
    r"\b(actually|no longer|any ?more|instead of|changed|moved|switched|renamed|quit|correction|"
    r"was wrong|were wrong|i meant|turned out|used to)\b",
    re.I,
)
_NEW = re.compile(r"\bnew (\w+)", re.I)  # "my new dentist", where there was one
_DETAIL = re.compile(r"(?<!^)\b(?:[A-Z][\w'-]*|\d[\d.,:]*)")
# Share of what the older sentence says beside its names and numbers that the newer one repeats.
_SAME_MATTER = 0.5


@dataclass(frozen=True, slots=True)
class _Newer:
    """A sentence of the user's that may take something back; most say nothing of the kind."""

    chat_id: str | None
    stems: frozenset[str]
    details: frozenset[str]
    cue: bool
    renewed: frozenset[str]

    def corrects(self, matter: Set[str], named: Set[str]) -> bool:
        """Whether it corrects a sentence about `matter` with the names and numbers `named`."""
        if named <= self.stems and not self.details - named:
            return False
        if len(matter & self.stems) < _SAME_MATTER * len(matter):
            return False
        return self.cue or not self.renewed.isdisjoint(matter)


def taken_back(stored: Sequence[Fact], new: Sequence[Conversation]) -> list[Fact]:
    """Facts of `stored` that something the user says in `new` corrects.

    Each as it is to be taught now: false, of kind "former", beside the chat that corrects it.
    """
    found: dict[str, Fact] = {}
    if not (newer := list(_newer(new))):
        return []
    for fact in stored:
        if not (fact.label and fact.kind == "said" and fact.chat_id):
            continue
        if not (named := _details(fact.subject)):
            continue
        matter = set(content_stems(fact.subject)) - named
        for one in newer if matter else ():
            if one.chat_id != fact.chat_id and one.corrects(matter, named):
                found[fact.id] = replace(
                    fact,
                    id=f"{one.chat_id}-f{fact.id}",
                    label=False,
                    kind="former",
                    statement=f"No longer so: {fact.subject}",
                    state="waiting",
                    chat_id=one.chat_id,
                    message_id=None,
                    start=None,
                    end=None,
                    last_recall=None,
                    origin=fact.chat_id,
                )
    return list(found.values())


def _newer(new: Sequence[Conversation]) -> Iterator[_Newer]:
    """What the user says in `new` that has a sign of taking something back, read once."""
    for conversation in new:
        for fact in rules.facts_of(conversation):
            cue = bool(_CUE.search(fact.subject))
            renewed = frozenset(stem(word.lower()) for word in _NEW.findall(fact.subject))
            if fact.kind == "said" and (cue or renewed):
                stems = frozenset(content_stems(fact.subject))
                details = frozenset(_details(fact.subject))
                yield _Newer(conversation.chat_id, stems, details, cue, renewed)


def _details(text: str) -> set[str]:
    return {stem(word) for match in _DETAIL.findall(text) for word in words(match)}
