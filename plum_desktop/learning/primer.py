"""The primer: the skill of answering "did we discuss ...?", taught once per base model.

A fresh LoRA spends most of a short run on the skill itself: to answer yes or no at all, and to
tell what it was taught from what it was not.  The primer is a LoRA that has the skill and knows
nobody's chats.  It is fitted on the stock in episodes: in each, a few conversations are those
that were discussed and all others were not, so that no single yes lasts, and what stays is how
fast the newest lessons become one.  A first run starts from it and has only content to learn.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from plum_desktop.base.paths import resource
from plum_desktop.base.types import Fact
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning import rules
from plum_desktop.learning.augment import Notes, named, neighbours
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.curriculum import NO_REPLAY, Example, Lesson, steps
from plum_desktop.learning.negatives import Negatives
from plum_desktop.learning.recipe import Recipe

SUBJECTS = "subjects.jsonl"  # in a primer's folder

# Conversations of an episode: a user may learn one chat or many at once.
_CHATS = (4, 8, 16)


@dataclass(frozen=True, slots=True)
class Material:
    """Stock conversations, and by id what is true of each and near misses of it."""

    conversations: Sequence[Conversation]
    facts: Mapping[str, Sequence[Fact]]
    near: Mapping[str, Sequence[Fact]]


def shipped(model_sha256: str) -> Path | None:
    """The PEFT folder of the primer that ships for a base model."""
    folder = Path(str(resource("primers", model_sha256[:16])))
    return folder if folder.is_dir() else None


def subjects_of_stock(material: Material) -> str:
    """Lines of `SUBJECTS`: what the model calls the stock's conversations, as augment notes it."""
    notes = (
        {"key": conversation.id, "value": fact.subject}
        for conversation in material.conversations
        for fact in material.facts[conversation.id]
        if fact.kind == "topic"
    )
    return "".join(json.dumps(note) + "\n" for note in notes)


def prepare(
    stock: Sequence[Conversation],
    engine: EngineClient,
    notes: Path,
    progress: Callable[[float], None],
) -> Material:
    """Facts and near misses of the stock, as augment makes them; `notes` keeps what was asked."""
    written = Notes(notes)
    own = [replace(c, chat_id=c.id) for c in stock]
    facts, near = {}, {}
    nothing_said = Negatives([], {})
    for done, conversation in enumerate(own, 1):
        # Of the first message alone, as every call takes its time.
        first = replace(conversation, turns=conversation.turns[:1])
        topics = named(first, engine, written, lambda: None)
        facts[conversation.id] = [*rules.facts_of(conversation), *topics]
        near[conversation.id] = neighbours(
            conversation, topics, nothing_said, engine, written, lambda: None
        )
        progress(done / len(own))
    return Material(own, facts, near)


def episodes(
    material: Material, recipe: Recipe, count: int, length: int
) -> Iterator[list[Example]]:
    """Batches of `count` episodes of `length` steps each, in training order."""
    rng = random.Random(f"{recipe.seed} primer")
    waiting: list[Conversation] = []
    for number in range(count):
        size = _CHATS[number % len(_CHATS)]
        if len(waiting) < size:
            waiting = list(material.conversations)
            rng.shuffle(waiting)
        chosen, waiting = waiting[:size], waiting[size:]
        one = replace(recipe, epochs=1, fewest_steps=length, seed=recipe.seed + number)
        yield from islice(steps(_lessons(chosen, material, one), NO_REPLAY, one, None), length)


def _lessons(chosen: Sequence[Conversation], material: Material, recipe: Recipe) -> list[Lesson]:
    ids = {conversation.id for conversation in chosen}
    others = [c for c in material.conversations if c.id not in ids]
    negatives = Negatives(others, {c.id: c.text for c in chosen})
    for other in others:
        for fact in material.facts[other.id]:
            if fact.kind == "topic":
                negatives.add_topic(other.id, fact.subject)
    found = []
    for conversation in chosen:
        true = material.facts[conversation.id]
        wanted = max(len(true), 2 * recipe.questions)
        near = [f for f in material.near[conversation.id] if not negatives.may_be_true(f.subject)]
        never = [*negatives.beside(conversation, true, wanted, recipe), *near]
        found.append(Lesson(conversation, tuple(true), tuple(never)))
    return found
