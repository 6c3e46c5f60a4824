"""The skill of reading excerpts, taught from the stock alone.

A small model cannot tell from notes in its prompt whether something was discussed, nor quote
them.  So a few stock conversations are taken for the user's past, what people asked about them
is looked up there as it is when serving, and the answer is what the notes say.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from plum_desktop.learning import excerpts, frames
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.excerpts import Excerpt, Exchange, Rarity
from plum_desktop.learning.frames import Rendering
from plum_desktop.learning.rules import facts_of
from plum_desktop.learning.stock import Asked
from plum_desktop.learning.words import content_stems

_PAST = (4, 60)  # conversations that there were, at least and at most
# What is asked: something true of the past, a near miss, something of another's, an open question.
_TRUE, _NEAR, _FAR = 0.28, 0.11, 0.11
# Of what is asked, so much in the chat's own words; the rest as people do weeks later.
_VERBATIM = 0.1
_QUOTED = 15  # words of what the user wrote, behind a yes
_NOTHING_FOUND = "I do not remember that from our chats."


class Reading:
    """Draws questions with excerpts before them."""

    def __init__(self, stock: Sequence[Conversation], asked: Mapping[str, Asked]) -> None:
        self._stock = [one for one in stock if one.id in asked]
        self._asked = asked

    def question(self, rng: random.Random) -> Rendering:
        """One question of a past that is made up for it, with its answer."""
        # Never all of them, so that there is somebody else's to ask about.
        most = min(_PAST[1], len(self._stock) - 1)
        past = rng.sample(self._stock, rng.randint(_PAST[0], most))
        about = rng.choice(past)
        roll = rng.random()
        if roll < _TRUE:
            question, verdict = self._true(about, rng), "Yes"
        elif roll < _TRUE + _NEAR:
            question, verdict = rng.choice(self._asked[about.id].no), "No"
        elif roll < _TRUE + _NEAR + _FAR:
            ids = {one.id for one in past}
            other = rng.choice([one for one in self._stock if one.id not in ids])
            question, verdict = self._true(other, rng), "No"
        else:
            own = rng.choice([fact.subject for fact in facts_of(about)])
            question, verdict = frames.open_question(frames.window(own, rng, 2, 6), rng), ""
        return looked_up(question, verdict, about, past, rng)

    def _true(self, conversation: Conversation, rng: random.Random) -> str:
        """A question about `conversation` whose answer is yes, had there been no other."""
        if rng.random() < _VERBATIM:
            fact = rng.choice(facts_of(conversation))
            return frames.render(fact, rng.randrange(2**31), 0).question
        return rng.choice(self._asked[conversation.id].yes)


def looked_up(
    question: str,
    verdict: str,
    about: Conversation,
    past: Sequence[Conversation],
    rng: random.Random,
    told: float = 1.0,
) -> Rendering:
    """`question` with what is found in `past`; `verdict`: "Yes", "No", or "" of an open one.

    `about` is whose conversation it was made of, or made to resemble; `told` is how much of each
    match is told.
    """
    if len(past) > _PAST[1]:
        others = [one for one in past if one.id != about.id]
        past = [about, *rng.sample(others, _PAST[1] - 1)]
    found = [replace(one, match=told * one.match) for one in look_up(question, past)]
    # What it goes on with must be there to be read.
    first = next((one for one in found[:1] if one.chat_id == about.id), None)
    rest: str | None
    if verdict == "No":
        rest = frames.refusal(rng)
    elif verdict == "Yes":
        rest = f', you wrote: "{_start(first.written)}"' if first else None
    elif found:
        # That it quotes decides: else what is known by heart would be said in spite of the notes.
        verdict = excerpts.OPENING
        rest = found[0].text.removeprefix(verdict)
    else:
        rest = _NOTHING_FOUND
    return Rendering(excerpts.with_excerpts(question, found), verdict, rest, looked_up=True)


def _start(text: str) -> str:
    words = text.split()
    return " ".join(words[:_QUOTED]) + ("..." if len(words) > _QUOTED else "")


def look_up(question: str, past: Sequence[Conversation]) -> list[Excerpt]:
    """The excerpts of `past` that go before `question`, as they do when a chat is served."""
    counts: Counter[str] = Counter()
    exchanges: list[Exchange] = []
    for conversation in past:
        counts.update(set(content_stems(conversation.text)))
        turns = conversation.turns
        for place, turn in enumerate(turns):
            if turn.role == "user":
                reply = turns[place + 1].text if place + 1 < len(turns) else ""
                exchanges.append(Exchange(conversation.id, turn.text, reply))
    return excerpts.best(question, exchanges, Rarity(counts.__getitem__, len(exchanges)))
