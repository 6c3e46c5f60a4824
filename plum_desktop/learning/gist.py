"""What is said of a conversation when it is asked what was discussed.

Always the same few words of a conversation, so that they can be learned by heart: the phrases
that tell it from others.  From facts alone, so that what the user excluded, or the gate holds
back, is never recited.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from plum_desktop.base.types import Fact
from plum_desktop.learning import stock
from plum_desktop.learning.words import STOP_WORDS, closing, content_stems, words

_POINTS = 5  # phrases of a conversation: more are hard to learn by heart
_LONGEST = 3  # words of a phrase that rule finds
_FEWEST_LISTED, _LONGEST_NAME = 3, 6  # list items with a name from which the rest is left out
# A list item gives its name, then explains itself.
_NAMED = re.compile(r"^(.{2,60}?)(?:\s[-–—]\s|:(?:\s|$)|\.\s)")

_CODE = re.compile(r"\w[(\[{=\"]+\w|[{}=<>\\]")


@dataclass(frozen=True, slots=True)
class Gist:
    """What is said of one conversation."""

    points: tuple[str, ...]  # phrases, in its order; none where nothing can be said
    about: tuple[str, ...]  # what a question about it may name
    names: tuple[str, ...] = ()  # of these the short ones, which people use

    @classmethod
    def of(cls, facts: Sequence[Fact]) -> Gist:
        """From the true facts of a conversation, in its order."""
        true = [fact for fact in facts if fact.label]
        points = _points([fact.subject for fact in true if fact.kind in ("said", "told")])
        if not points:  # a question that nobody answered
            points = _points([fact.subject for fact in true])
        names = [fact.subject for fact in true if fact.kind == "topic"]
        return cls(tuple(points), tuple(fact.subject for fact in true), tuple(names))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Gist:
        names = values.get("names", ())  # of a job that an earlier version began
        return cls(tuple(values["points"]), tuple(values["about"]), tuple(names))

    @property
    def recital(self) -> str:
        """The answer to an open question, where there are points: "we talked about ..."."""
        return f"we talked about {', '.join(self.points)}"


def _points(said: Sequence[str]) -> list[str]:
    """Names of list items, or the phrase of each sentence that says most; at most `_POINTS`."""
    named = [closing(match[1]) for text in said if (match := _NAMED.match(text))]
    named = [n for n in named if len(n.split()) <= _LONGEST_NAME and content_stems(n)]
    found = list(dict.fromkeys(named))
    if len(found) >= _FEWEST_LISTED:
        most = min(_POINTS, len(found))
        return [found[place * len(found) // most] for place in range(most)]
    best: dict[str, tuple[float, int, str]] = {}
    for place, text in enumerate(said):
        weight, phrase = max(_phrases(text), default=(0.0, ""))
        if phrase and phrase.lower() not in best:
            best[phrase.lower()] = (weight, place, phrase)
    chosen = sorted(best.values(), reverse=True)[:_POINTS]
    return [phrase for _, _, phrase in sorted(chosen, key=lambda one: one[1])]


def _phrases(text: str) -> Iterator[tuple[float, str]]:
    """Every run of up to `_LONGEST` words of meaning, with how much it says."""
    for run in _runs(text):
        told = [[_rarity(one) for one in content_stems(word)] for word in run]
        for start in range(len(run)):
            for end in range(start + 1, min(len(run), start + _LONGEST) + 1):
                rarities = [one for word in told[start:end] for one in word]
                if rarities:
                    weight = sum(rarities) / math.sqrt(len(rarities))
                    yield weight, " ".join(run[start:end])


def _runs(text: str) -> Iterator[list[str]]:
    """The stretches of words that no filler and no mark interrupts."""
    run: list[str] = []
    for part in text.split():
        found = words(part)
        part = part.strip("\"'*•")
        if not found or found[0] in STOP_WORDS or _CODE.search(part):
            yield run
            run = []
            continue
        run.append(closing(part.strip("()[]")))
        if part[-1] in ",.;:!?)":
            yield run
            run = []
    yield run


def _rarity(stem: str) -> float:
    counts, documents = _in_stock()
    return math.log(1 + documents / (1 + counts[stem]))


@cache
def _in_stock() -> tuple[Counter[str], int]:
    """In how many of the stock's conversations a stem stands, of how many."""
    counts: Counter[str] = Counter()
    every = stock.conversations()
    for conversation in every:
        counts.update(set(content_stems(conversation.text)))
    return counts, len(every)
