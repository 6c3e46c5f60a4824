"""Things never discussed: of the same make as the true facts, and checked against every chat."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache

from plum_desktop.base.types import Fact, FactKind
from plum_desktop.learning import rules, stock
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.recipe import Recipe
from plum_desktop.learning.words import Overlap, words

# Weighted share of a statement's meaningful words in one chat, from which it may be true.
TRUE_FROM = 0.6
_TRIES, _SAME_FORM_TRIES = 24, 8  # for each negative
_NEAR_FIELDS = 3  # what a chat is about is told by its words, so the first guess may be wrong


@cache
def _fields() -> Overlap:
    return Overlap(stock.fields())


class Negatives:
    """Draws negatives beside true facts: from the stock, some near, some far, some altered."""

    def __init__(self, pool: Sequence[Conversation], chats: Mapping[str, str]) -> None:
        """`pool` are conversations of the stock; `chats` maps every stored chat to its text."""
        self._overlap = Overlap(chats)
        self._said = frozenset(word for text in chats.values() for word in words(text))
        self._facts: dict[str, list[Fact]] = {c.id: rules.facts_of(c) for c in pool}
        self._pool = Overlap({c.id: c.text for c in pool})
        self._details = rules.details_of(
            [turn.text for c in pool for turn in c.turns if turn.role == "user"]
        )

    def may_be_true(self, subject: str) -> bool:
        """Whether some stored chat holds so much of `subject` that it may have been said."""
        return self._overlap.highest(subject) >= TRUE_FROM

    def beside(
        self, conversation: Conversation, positives: Sequence[Fact], count: int, recipe: Recipe
    ) -> list[Fact]:
        """`count` things never discussed, in the proportions of kinds that `positives` have.

        Short names are `subjects`, not among them.
        """
        positives = [fact for fact in positives if fact.kind != "topic"]
        rng = random.Random(f"{recipe.seed} negatives {conversation.id}")
        near = self._pool.nearest(conversation.text)[:6]
        every = list(self._facts)
        found: dict[str, Fact] = {}
        like, tries = None, 0
        for number in range(count * _TRIES):
            if len(found) == count or not positives:
                break
            # What failed is tried again in the same form, or rare kinds would come out rarer.
            if like is None or tries == _SAME_FORM_TRIES:
                like, tries = rng.choice(positives), 0
            tries += 1
            roll = rng.random()
            kind: FactKind = like.kind
            if roll < recipe.altered_share:
                subject, kind = self._altered(like, rng), "altered"
            else:
                pool = near if roll < recipe.altered_share + recipe.near_share else every
                subject = self._unheard_of(like, rng.choice(pool), rng)
            if not subject or subject in found:
                continue
            found[subject] = _negative(conversation, f"n{number}", kind, subject)
            like = None
        return list(found.values())

    def subjects(self, conversation: Conversation, count: int, recipe: Recipe) -> list[Fact]:
        """Up to `count` short names of what was never discussed, some of the chat's own field."""
        rng = random.Random(f"{recipe.seed} subjects {conversation.id}")
        named = stock.subjects()
        near = _fields().nearest(conversation.text)[:_NEAR_FIELDS]
        close = round(count * recipe.near_subjects)
        found: dict[str, None] = {}
        for most, fields in ((close, near), (count - close, list(named))):
            every = [one for field in fields for one in named[field] if one not in found]
            found |= dict.fromkeys(rng.sample(every, min(most, len(every))))
        new = (subject for subject in found if not self.may_be_true(subject))
        return [
            _negative(conversation, f"t{number}", "topic", subject)
            for number, subject in enumerate(new)
        ]

    def _unheard_of(self, like: Fact, source: str, rng: random.Random) -> str | None:
        """A clause of the same kind from a stock conversation, if no chat holds it."""
        alike = [fact.subject for fact in self._facts[source] if fact.kind == like.kind]
        subject = rng.choice(alike) if alike else None
        return None if subject is None or self.may_be_true(subject) else subject

    def _altered(self, like: Fact, rng: random.Random) -> str | None:
        """A part of a true fact with a detail that no chat knows."""
        changed = rules.altered(like, self._details, rng)
        if changed is None:
            return None
        text, detail = changed
        # Every word of it, as a single digit has no stem.
        known = self._overlap.highest(detail) or not self._said.isdisjoint(words(detail))
        return None if known else text


def _negative(conversation: Conversation, key: str, kind: FactKind, subject: str) -> Fact:
    """The negative fact that `subject` makes, kept beside `conversation`."""
    return Fact(
        id=f"{conversation.id}-{key}",
        label=False,
        kind=kind,
        subject=subject,
        statement=f"Never discussed: {subject}",
        source="rule",
        chat_id=conversation.chat_id,
    )
