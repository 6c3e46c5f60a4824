"""What the user takes back: of two things they said of the same matter, the newer one counts.

By rule and narrowly, since to forget what still holds is worse than to keep what does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

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


def taken_back(stored: Sequence[Fact], new: Sequence[Conversation]) -> list[Fact]:
    """Facts of `stored` that something the user says in `new` corrects.

    Each as it is to be taught now: false, of kind "former", beside the chat that corrects it.
    """
    said = [fact for fact in stored if fact.label and fact.kind == "said" and fact.chat_id]
    found: dict[str, Fact] = {}
    for conversation in new:
        for sentence in _sentences(conversation):
            for fact in said:
                if fact.chat_id != conversation.chat_id and _corrects(sentence, fact.subject):
                    found[fact.id] = replace(
                        fact,
                        id=f"{conversation.id}-f{fact.id}",
                        label=False,
                        kind="former",
                        statement=f"No longer so: {fact.subject}",
                        state="waiting",
                        chat_id=conversation.chat_id,
                        message_id=None,
                        start=None,
                        end=None,
                        last_recall=None,
                        origin=fact.chat_id,
                    )
    return list(found.values())


def _sentences(conversation: Conversation) -> Iterator[str]:
    for fact in rules.facts_of(conversation):
        if fact.kind == "said":
            yield fact.subject


def _corrects(newer: str, older: str) -> bool:
    now, then = set(content_stems(newer)), set(content_stems(older))
    named = {stem(word) for match in _DETAIL.findall(older) for word in words(match)}
    matter = then - named
    if not matter or not named or (named <= now and not _details(newer) - named):
        return False
    if len(matter & now) < _SAME_MATTER * len(matter):
        return False
    renewed = {stem(word.lower()) for word in _NEW.findall(newer)}
    return bool(_CUE.search(newer)) or not renewed.isdisjoint(matter)


def _details(text: str) -> set[str]:
    return {stem(word) for match in _DETAIL.findall(text) for word in words(match)}
