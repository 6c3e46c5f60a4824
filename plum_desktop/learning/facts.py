"""Facts as job folders keep them, and which of them the gate holds back."""

from __future__ import annotations

import dataclasses
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plum_desktop.base.types import Fact, FactState

# From this many facts of a label on, a conversation can spare some that training never sees.
_SPARES_FROM = 8


def to_dict(fact: Fact) -> dict[str, Any]:
    return dataclasses.asdict(fact)


def from_dict(values: Mapping[str, Any]) -> Fact:
    return Fact(**values)


def changed(fact: Fact, state: FactState, recall: float | None) -> Fact:
    """The fact after a run; `recall` None: it was not asked."""
    return dataclasses.replace(fact, state=state, last_recall=recall)


def held_back(facts: Iterable[Fact], seed: int) -> set[str]:
    """Ids of the facts that only the gate asks: one of each label where there are enough.

    Those by rule alone, since a conversation has few subjects.
    """
    groups: dict[tuple[str | None, bool], list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[fact.chat_id, fact.label].append(fact)
    chosen = set()
    for group in groups.values():
        ruled = [fact.id for fact in group if fact.source == "rule" and fact.kind != "topic"]
        if len(group) >= _SPARES_FROM and ruled:
            chosen.add(random.Random(f"{seed} held back {ruled[0]}").choice(ruled))
    return chosen


def for_gate(facts: Sequence[Fact], seed: int, most: int) -> list[Fact]:
    """What the gate asks: held-back facts first, then others; as many no as yes, every chat."""
    rng = random.Random(f"{seed} gate")
    spare = held_back(facts, seed)
    by_label: dict[bool, list[Fact]] = {True: [], False: []}
    for label, found in by_label.items():
        by_chat: dict[str | None, list[Fact]] = defaultdict(list)
        for fact in facts:
            if fact.label is label:
                by_chat[fact.chat_id].append(fact)
        # Of many chats some are asked, and not always the oldest.
        groups = list(by_chat.values())
        rng.shuffle(groups)
        for group in groups:
            rng.shuffle(group)
            group.sort(key=lambda fact: fact.id not in spare)
        while len(found) < most // 2 and any(groups):
            for group in groups:
                if group and len(found) < most // 2:
                    found.append(group.pop(0))
    even = min(map(len, by_label.values()))
    return by_label[True][:even] + by_label[False][:even]
