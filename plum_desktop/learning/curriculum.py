"""Which questions are asked in which step: the order of the lessons, as text.

Renderings are made anew for every epoch, so that no wording is learned in a fact's place.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle

from plum_desktop.base.types import Fact, FactKind
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.facts import parts
from plum_desktop.learning.frames import (
    NOTHING,
    Rendering,
    open_question,
    render,
    render_open,
    render_spliced,
    window,
)
from plum_desktop.learning.gist import Gist
from plum_desktop.learning.reading import Reading, looked_up
from plum_desktop.learning.recipe import Recipe

# System prompts of the kind that people set, so that memory does not hang on the default one.
_PERSONAS = (
    "You are a helpful assistant.",
    "You are Plum, a friendly assistant who answers briefly.",
    "You are a patient teacher. Explain things in simple words.",
    "Answer in a warm and plain tone.",
)


_SHORT = ("topic", "asked")  # kinds of facts that say what a chat is about
_NAMED = 0.5  # of the open questions: by a short name, as people ask, where the chat has one
_OWN_OPEN = 0.375  # of what is taught and looked up: asked openly, which is answered by quoting
_OWN_TRUE = 0.6  # of the rest
# A lesson says what the chat says, and matches it whole.  What people ask weeks later matches by
# so much, mostly; else all that does not match whole would become a no.
_OWN_MATCH = (0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Example:
    """One or two exchanges, all of them supervised; `system` None: the template's default."""

    exchanges: tuple[Rendering, ...]
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """A conversation, or a part of a long one, with what is true of it and what never was."""

    conversation: Conversation
    positives: tuple[Fact, ...]
    negatives: tuple[Fact, ...]
    part: int = 0


@dataclass(frozen=True, slots=True)
class Replay:
    """What older chats taught: some of the facts, and what is recited of each chat."""

    facts: Sequence[Fact] = ()
    gists: Sequence[Gist] = ()


NO_REPLAY = Replay()


def steps(
    lessons: Sequence[Lesson],
    replay: Replay,
    recipe: Recipe,
    persona: str | None,
    reading: Reading | None = None,
) -> Iterator[list[Example]]:
    """Batches of examples in training order; `persona` is the system prompt that serves.

    `reading` gives the questions with excerpts that are among them; None: there are none.
    """
    new, older = _told(Gist.of(lesson.positives) for lesson in lessons), _told(replay.gists)
    openly = _asked_openly(new, older, _short_names(lessons), recipe, persona)
    every = recipe.visits_between_open(recipe.visits(len(lessons)), len(new) + len(older))
    for number, visit in enumerate(_taught(lessons, replay.facts, recipe, persona), 1):
        yield [*visit, *_read(reading, lessons, recipe, persona, number)]
        if every and number % every == 0:
            yield next(openly)


def _taught(
    lessons: Sequence[Lesson], older: Sequence[Fact], recipe: Recipe, persona: str | None
) -> Iterator[list[Example]]:
    passes = recipe.passes(len(lessons))
    rng = random.Random(f"{recipe.seed} order")
    size = recipe.batch_conversations
    if recipe.order == "sequential":
        for lesson in lessons:
            for epoch in range(passes):
                yield _step([lesson], (), epoch, recipe, persona)
        return
    for epoch in range(passes):
        order = list(lessons)
        rng.shuffle(order)
        for start in range(0, len(order), size):
            again = _replayed(older, recipe, rng)
            yield _step(order[start : start + size], again, epoch, recipe, persona)


def _read(
    reading: Reading | None,
    lessons: Sequence[Lesson],
    recipe: Recipe,
    persona: str | None,
    number: int,
) -> list[Example]:
    """`recipe.readings` questions with excerpts, on average."""
    if reading is None:
        return []
    rng = random.Random(f"{recipe.seed} {number} reading")
    found = []
    for _ in range(int(recipe.readings + rng.random())):
        own = rng.random() < recipe.own_readings
        one = _own_reading(lessons, recipe, rng) if own else reading.question(rng)
        found.append(Example((_cut(one, recipe, rng),), persona))
    return found


def _own_reading(lessons: Sequence[Lesson], recipe: Recipe, rng: random.Random) -> Rendering:
    """A question about what is taught, looked up in it.

    Else what the weights remember, and what they only half remember, would be trusted against the
    notes, as nothing of the stock is remembered.
    """
    lesson = rng.choice([one for one in lessons if one.positives])
    openly = rng.random() < _OWN_OPEN
    true = openly or not lesson.negatives or rng.random() < _OWN_TRUE
    fact = rng.choice(lesson.positives if true else lesson.negatives)
    asked = render(fact, rng.randrange(2**31), recipe.seed)
    question, verdict = asked.question, asked.verdict
    if openly:
        question, verdict = open_question(window(fact.subject, rng, 2, 6), rng), ""
    past = list({one.conversation.id: one.conversation for one in lessons}.values())
    told = rng.uniform(*_OWN_MATCH) if true else 1.0
    found = looked_up(question, verdict, lesson.conversation, past, rng, told)
    # What is quoted may be what the user does not want taught.
    return replace(found, rest=None) if found.verdict else found


def _cut(last: Rendering, recipe: Recipe, rng: random.Random) -> Rendering:
    """A row that ends with its verdict costs half, and the verdict is what is hard to learn."""
    if last.verdict and rng.random() >= recipe.answered_share:
        return replace(last, rest=None)
    return last


def _replayed(replay: Sequence[Fact], recipe: Recipe, rng: random.Random) -> list[Fact]:
    """`recipe.replay_questions` stored facts, half of them no, as far as there are both."""
    count = recipe.replay_questions
    yes, no = ([fact for fact in replay if fact.label is label] for label in (True, False))
    true = rng.sample(yes, min(len(yes), max(count // 2, count - len(no))))
    return true + _beside(true, no, min(len(no), count - len(true)), recipe, rng)


def _step(
    lessons: Sequence[Lesson],
    again: Sequence[Fact],
    epoch: int,
    recipe: Recipe,
    persona: str | None,
) -> list[Example]:
    taught = " ".join(f"{lesson.conversation.id} {lesson.part}" for lesson in lessons)
    rng = random.Random(f"{recipe.seed} {epoch} {taught}")
    renderings: list[Rendering] = []
    for lesson in lessons:
        true = lesson.positives
        renderings += [_rendered(fact, true, recipe, rng) for fact in _drawn(lesson, recipe, rng)]
    for fact in again:
        renderings.append(render(fact, epoch, recipe.seed))
    rng.shuffle(renderings)
    return list(_shaped(renderings, recipe, persona, rng))


def _drawn(lesson: Lesson, recipe: Recipe, rng: random.Random) -> list[Fact]:
    """`recipe.questions` facts of each label."""
    true = lesson.positives
    if not true:
        return []
    rounds = math.ceil(recipe.questions / len(true))
    yes = rng.sample(true * rounds, recipe.questions)  # none twice while there are others
    by_kind = [[fact for fact in true if fact.kind == kind] for kind in _SHORT]
    if short := [some for some in by_kind if some]:
        yes = [
            rng.choice(rng.choice(short)) if rng.random() < recipe.topic_share else fact
            for fact in yes
        ]
    return yes + _beside(yes, lesson.negatives, len(yes), recipe, rng)


def _beside(
    yes: Sequence[Fact], never: Sequence[Fact], count: int, recipe: Recipe, rng: random.Random
) -> list[Fact]:
    """`count` of `never`, in turn of the kinds of `yes`; none twice while there are others.

    Else the form of a question would tell its answer: short names to be a no, or clauses a yes.
    """
    no: list[Fact] = []
    left: list[Fact] = []
    for number in range(count if never else 0):
        left = left or rng.sample(never, len(never))
        otherwise = yes[number % len(yes)].kind if yes else "told"
        kind = "altered" if rng.random() < recipe.altered_share else otherwise
        no.append(max(left, key=partial(_alike, kind, otherwise)))
        left.remove(no[-1])
    return no


def _alike(kind: FactKind, otherwise: FactKind, fact: Fact) -> tuple[bool, ...]:
    """How well `fact` stands beside one of `kind`, which is asked in the form `otherwise`."""
    return fact.kind == kind, fact.kind == otherwise, fact.kind != "topic"


def _rendered(fact: Fact, true: Sequence[Fact], recipe: Recipe, rng: random.Random) -> Rendering:
    """A wording of `fact`; some are spliced with a part of what is `true` of its conversation."""
    other = rng.choice(true)
    # What is no longer so was said all the same: a part of it is neither true nor new.
    whole = other is fact or fact.kind == "former"
    if not whole and rng.random() < recipe.spliced_share:
        return render_spliced(fact, other, rng)
    return render(fact, rng.randrange(2**31), recipe.seed)


def _asked_openly(
    new: Sequence[Gist],
    older: Sequence[Gist],
    never: Sequence[str],
    recipe: Recipe,
    persona: str | None,
) -> Iterator[list[Example]]:
    """Open questions about every chat in turn, of this run and before it; endless.

    In steps of their own: beside yes and no they would pull less, or else the verdicts would.
    """
    rng = random.Random(f"{recipe.seed} open")
    turns = cycle([_in_turn(pool, rng) for pool in (new, older) if pool])
    while True:
        renderings = [_asked_about(next(next(turns)), rng) for _ in range(recipe.open_questions)]
        if never:  # else every name would be known
            names = rng.sample(never, min(recipe.open_never, len(never)))
            renderings += [render_open(name, NOTHING, rng) for name in names]
        rng.shuffle(renderings)
        yield list(_shaped(renderings, recipe, persona, rng))


def _told(gists: Iterable[Gist]) -> list[Gist]:
    return [gist for gist in gists if gist.points]


def _short_names(lessons: Sequence[Lesson]) -> list[str]:
    """Of what was never discussed."""
    return [f.subject for one in lessons for f in one.negatives if f.kind == "topic"]


def _in_turn(gists: Sequence[Gist], rng: random.Random) -> Iterator[Gist]:
    while True:
        yield from rng.sample(gists, len(gists))


def _asked_about(gist: Gist, rng: random.Random) -> Rendering:
    """An open question about a conversation, answered by heart."""
    named = gist.names and rng.random() < _NAMED
    topic = rng.choice(gist.names) if named else window(rng.choice(gist.about), rng)
    return render_open(topic, gist.recital, rng)


def _shaped(
    renderings: Sequence[Rendering], recipe: Recipe, persona: str | None, rng: random.Random
) -> Iterator[Example]:
    """The prompt shapes that are served: with and without persona, first turn and later turn."""
    waiting = list(renderings)
    while waiting:
        exchanges = [waiting.pop()]
        if waiting and rng.random() < recipe.later_turn_share:
            exchanges.append(waiting.pop())
        exchanges[-1] = _cut(exchanges[-1], recipe, rng)
        system = persona
        if rng.random() < recipe.persona_share:
            system = rng.choice(_PERSONAS)
        yield Example(tuple(exchanges), system)


def lessons(
    conversations: Sequence[Conversation], facts: Mapping[str, Sequence[Fact]]
) -> list[Lesson]:
    """Pair conversations, in order, with their facts (by chat id); those without are left out."""
    found = []
    for conversation in conversations:
        own = facts.get(conversation.chat_id or "", ())
        true = parts([fact for fact in own if fact.label])
        never = [fact for fact in own if not fact.label]
        found += [
            Lesson(conversation, tuple(some), tuple(never[number :: len(true)]), number)
            for number, some in enumerate(true)
        ]
    return found
