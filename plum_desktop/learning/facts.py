"""Facts as job folders keep them, and which of them the gate holds back."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plum_desktop.base.types import Fact, FactState

# Of so many facts of a label a conversation can spare one, which training never sees.
_SPARES_ONE_OF = 6
# Where fewer than so many of a label were spared, the gate asks what was taught as well.
_FEWEST_ASKED = 12
_SCARCE = ("topic", "altered")  # kinds of which a conversation has few
# Messages of a chat that are learned together.
PART = 4


def to_dict(fact: Fact) -> dict[str, Any]:
    return dataclasses.asdict(fact)


def from_dict(values: Mapping[str, Any]) -> Fact:
    return Fact(**values)


def changed(fact: Fact, state: FactState, recall: float | None) -> Fact:
    """The fact after a run; `recall` None: it was not asked."""
    return dataclasses.replace(fact, state=state, last_recall=recall)


def parts(facts: Sequence[Fact]) -> list[list[Fact]]:
    """The facts of a long chat in pieces that are learned one by one, in order.

    By message, so that a piece is the same when some of its facts are left out later.
    """
    places: dict[str | None, int] = {}
    found: dict[int, list[Fact]] = defaultdict(list)
    for fact in facts:
        place = places.setdefault(fact.message_id, len(places))
        found[place // PART].append(fact)
    return [found[number] for number in sorted(found)]


def held_back(facts: Iterable[Fact], seed: int) -> set[str]:
    """Ids of the facts that only the gate asks: of each chat and label one in six.

    None of the kinds of which it has few.
    """
    groups: dict[tuple[str | None, bool], list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[fact.chat_id, fact.label].append(fact)
    chosen: set[str] = set()
    for group in groups.values():
        ruled = [fact.id for fact in group if fact.source == "rule" and fact.kind not in _SCARCE]
        count = min(len(ruled), len(group) // _SPARES_ONE_OF)
        if count:
            chosen.update(random.Random(f"{seed} held back {ruled[0]}").sample(ruled, count))
    return chosen


def for_gate(facts: Sequence[Fact], seed: int, most: int) -> list[Fact]:
    """What the gate asks: what was held back; as many no as yes, of every chat in turn.

    A judge from outside asks nothing that was taught word for word, so neither does this, but
    for chats too short to hold anything back.
    """
    rng = random.Random(f"{seed} gate")
    spare = held_back(facts, seed)
    asked: dict[bool, list[Fact]] = {}
    for label in (True, False):
        own = [fact for fact in facts if fact.label is label]
        spared = _in_turn([fact for fact in own if fact.id in spare], rng)
        others = _in_turn([fact for fact in own if fact.id not in spare], rng)
        asked[label] = spared + others[: max(0, _FEWEST_ASKED - len(spared))]
    even = min(most // 2, *map(len, asked.values()))
    return asked[True][:even] + asked[False][:even]


def _in_turn(facts: Sequence[Fact], rng: random.Random) -> list[Fact]:
    """One fact of every chat, then a second of each, and so on; chats in random order."""
    by_chat: dict[str | None, list[Fact]] = defaultdict(list)
    for fact in facts:
        by_chat[fact.chat_id].append(fact)
    groups = list(by_chat.values())
    rng.shuffle(groups)
    for group in groups:
        rng.shuffle(group)
    rounds = itertools.zip_longest(*groups)
    return [fact for one in rounds for fact in one if fact is not None]
