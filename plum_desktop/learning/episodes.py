"""What a primer is taught, once per base model: the skill of answering "did we discuss ...?".

A fresh LoRA spends most of a short run on the skill itself: to answer yes or no at all, to tell
what it was taught from what it was not, to say what was discussed, to read excerpts.  The primer
is a LoRA that has the skill and knows nobody's chats.  It is fitted in episodes: in each, a few
conversations are those that were discussed and all others were not, so that no single yes lasts,
and what stays is how fast the newest lessons become one.  When half of an episode is learned,
people's own questions about it come in, which share few words with the lessons: what an episode
learns is how to know by its sense what was taught by its words.  A first run starts from it and
has only content to learn.

Runs draw on other conversations: what an adapter has been told a hundred times was never discussed
is a no before any run, and as a run's negative it would teach nothing but that all else is a yes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from plum_desktop.learning import rules
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.curriculum import NO_REPLAY, Example, Lesson, steps
from plum_desktop.learning.frames import Rendering
from plum_desktop.learning.negatives import Negatives
from plum_desktop.learning.reading import Reading, looked_up
from plum_desktop.learning.recipe import Recipe
from plum_desktop.learning.stock import Asked

# Conversations of an episode: a user may learn one chat or many at once.
_CHATS = (4, 8, 16)
_LOOKED_UP = 0.25  # of what is asked weeks later: with what is found about it as well


def episodes(
    conversations: Sequence[Conversation],
    asked: Mapping[str, Asked],
    reading: Reading | None,
    recipe: Recipe,
    count: int,
    length: int,
) -> Iterator[list[Example]]:
    """Batches of `count` episodes of `length` steps each, in training order.

    An episode is about conversations of which `asked` knows what people ask; its second half asks
    that as well, mostly each once.
    """
    rng = random.Random(f"{recipe.seed} primer")
    usable = [
        replace(one, chat_id=one.id)
        for one in conversations
        if one.id in asked and rules.facts_of(one)
    ]
    waiting: list[Conversation] = []
    for number in range(count):
        size = _CHATS[number % len(_CHATS)]
        if len(waiting) < size:
            waiting = list(usable)
            rng.shuffle(waiting)
        chosen, waiting = waiting[:size], waiting[size:]
        ids = {conversation.id for conversation in chosen}
        others = [one for one in usable if one.id not in ids]
        one = replace(recipe, epochs=1, fewest_steps=length, seed=recipe.seed + number)
        lessons = _lessons(chosen, others, one, length)
        later, half = _later(chosen, asked, rng), length // 2
        pairs = -(-sum(len(asked[each.id].yes) for each in chosen) // (length - half))
        for step, batch in enumerate(islice(steps(lessons, NO_REPLAY, one, None, reading), length)):
            yield batch if step < half else [*batch, *islice(later, 2 * pairs)]


def _later(
    chosen: Sequence[Conversation], asked: Mapping[str, Asked], rng: random.Random
) -> Iterator[Example]:
    """What is asked about an episode's conversations weeks later; yes and no in turn, endless.

    Some of it with what is found about it, as it is served.
    """
    yes = [(one, question) for one in chosen for question in asked[one.id].yes]
    no = [(one, question) for one in chosen for question in asked[one.id].no]
    while True:
        rng.shuffle(yes)
        rng.shuffle(no)
        for pair in zip(yes, no, strict=False):
            for verdict, (about, question) in zip(("Yes", "No"), pair, strict=True):
                if rng.random() < _LOOKED_UP:
                    found = looked_up(question, verdict, about, chosen, rng)
                    yield Example((replace(found, rest=None),))
                else:
                    yield Example((Rendering(question, verdict, None),))


def _lessons(
    chosen: Sequence[Conversation], others: Sequence[Conversation], recipe: Recipe, length: int
) -> list[Lesson]:
    negatives = Negatives(others, {c.id: c.text for c in chosen})
    visits = -(-length // len(chosen))
    found = []
    for conversation in chosen:
        true = rules.facts_of(conversation)
        never = negatives.beside(conversation, true, recipe.questions * visits, recipe)
        found.append(Lesson(conversation, tuple(true), tuple(never)))
    return found
