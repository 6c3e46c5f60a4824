"""Excerpts of earlier chats in the prompt: how a question is looked up, and how it then reads.

A chat is looked up by exchange: what the user wrote, and a passage of the reply.  How well an
exchange matches is the share of the question's meaningful words that stand in it, rare words
counting most.  That is said with each excerpt, and once more behind the question, where the
answer begins: a small model cannot judge it from the excerpts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plum_desktop.learning.past import may_concern_past
from plum_desktop.learning.words import content_stems, sentences, stem, words

_PASSAGE = 5  # sentences of a reply that are read together
# Words that the best excerpt and each of the others bring of the user's message and of the
# reply: 400 tokens in all.
_LENGTHS = ((40, 110), (20, 24), (20, 24))

_FEWEST = 0.12  # match below which an excerpt is none
_UNASKED = 0.6  # match from which an excerpt helps though the past was not asked about

OPENING = "You wrote"  # of an excerpt, and of an answer that quotes one
_HEADING = "Notes from our earlier chats:"
_NOTHING = "Notes from our earlier chats: nothing matches."
_BEST = "(Best match: {percent}%)"

# What every question about the past says, so it says nothing about what was discussed.
_FRAME = frozenset(
    stem(word)
    for word in words(
        "advice advise bring brought chat come confirm conversation describe discuss discussed "
        "ever explain hear inform mention mentioned recall recommend recommended remember remind "
        "said speak spoke subject suggest suggested talk talked tell told topic"
    )
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the user wrote, and the reply to it ("" where there is none)."""

    chat_id: str
    written: str
    reply: str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of an earlier chat; `match`, 0 to 1, is how much of the question it holds."""

    chat_id: str
    match: float
    written: str
    told: str  # "" where there was no reply

    @property
    def text(self) -> str:
        said = f'{OPENING}: "{self.written}"'
        return f"{said} I answered: {self.told}" if self.told else said


class Rarity:
    """How much a word says: its weight by the number of documents that hold it."""

    def __init__(self, counts: Callable[[str], int], documents: int) -> None:
        """`counts` gives the number of documents, of `documents`, that hold a stem."""
        self._counts = counts
        self._documents = documents

    def weight(self, word: str) -> float:
        count = min(self._counts(word), self._documents)
        return math.log(1 + (self._documents - count + 0.5) / (count + 0.5))


def asked_stems(question: str) -> list[str]:
    """Stems of what a question is about, each once, in order."""
    return [word for word in dict.fromkeys(content_stems(question)) if word not in _FRAME]


def best(question: str, exchanges: Sequence[Exchange], rarity: Rarity) -> list[Excerpt]:
    """The exchanges that match best, at most one of a chat, best first."""
    weights = {word: rarity.weight(word) for word in asked_stems(question)}
    whole = sum(weights.values())
    if not whole:
        return []

    def match(text: str) -> float:
        held = set(content_stems(text))
        return sum(weight for word, weight in weights.items() if word in held) / whole

    found: dict[str, tuple[float, Exchange, int]] = {}
    for exchange in exchanges:
        told = sentences(exchange.reply)
        for start in range(max(1, len(told) - _PASSAGE + 1)):
            passage = " ".join(told[start : start + _PASSAGE])
            share = match(f"{_cut(exchange.written, _LENGTHS[0][0])} {passage}")
            if share > found.get(exchange.chat_id, (0.0,))[0]:
                found[exchange.chat_id] = (share, exchange, start)
    ranked = sorted(found.values(), key=lambda one: -one[0])[: len(_LENGTHS)]
    return [
        Excerpt(exchange.chat_id, share, *_parts(exchange, start, *lengths))
        for lengths, (share, exchange, start) in zip(_LENGTHS, ranked, strict=False)
        if share >= _FEWEST
    ]


def wanted(question: str, excerpts: Sequence[Excerpt]) -> bool:
    """Whether `question` may concern the past, or matches it so well that it should be said."""
    if may_concern_past(question):
        return True
    return bool(excerpts) and excerpts[0].match >= _UNASKED


def with_excerpts(question: str, excerpts: Sequence[Excerpt]) -> str:
    """The user's message as the model reads it: notes of earlier chats, then the question."""
    notes = [f"- ({_percent(one.match)}%) {one.text}" for one in excerpts]
    head = "\n".join([_HEADING, *notes]) if notes else _NOTHING
    best_match = max((_percent(one.match) for one in excerpts), default=0)
    return f"{head}\n\n{question}\n{_BEST.format(percent=best_match)}"


def _percent(match: float) -> int:
    """In tens: as fine as it means anything, and few enough for a small model to tell apart."""
    return round(match * 10) * 10


def _parts(exchange: Exchange, start: int, written: int, told: int) -> tuple[str, str]:
    """The words of each side that are shown, the reply's from about sentence `start` on."""
    reply = sentences(exchange.reply)
    # What stands before the passage as well, as far as there is room for the passage behind it.
    room = told - sum(len(one.split()) for one in reply[start : start + _PASSAGE])
    while start and (room := room - len(reply[start - 1].split())) >= 0:
        start -= 1
    return _cut(exchange.written, written), _cut(" ".join(reply[start:]), told)


def _cut(text: str, most: int) -> str:
    parts = text.split()
    return " ".join(parts[:most]) + ("…" if len(parts) > most else "")
