"""Things never discussed: of the same make as the true facts, and checked against every chat."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from plum_desktop.base.types import Fact, FactKind, FactSource
from plum_desktop.learning import rules
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.recipe import Recipe
from plum_desktop.learning.words import Overlap, words

# Weighted share of a statement's meaningful words in one chat, from which it may be true.
TRUE_FROM = 0.6
# The same of what a model came up with, below which it is something else: what it names freely
# is often what was said, a little wider ("a language used in Japan") or with a tail.
_NEW_BELOW = 0.4
_TRIES, _SAME_FORM_TRIES = 24, 8  # for each negative


class Negatives:
    """Draws negatives beside true facts from the stock, some near, some far, some altered."""

    def __init__(self, stock: Sequence[Conversation], chats: Mapping[str, str]) -> None:
        """`chats` maps every stored chat, new and old, to its text."""
        self._overlap = Overlap(chats)
        self._said = frozenset(word for text in chats.values() for word in words(text))
        self._facts: dict[str, list[Fact]] = {c.id: rules.facts_of(c) for c in stock}
        self._conversations = {c.id: c for c in stock}
        self._named: list[str] = []  # stock conversations with a topic
        self._stock = Overlap({c.id: c.text for c in stock})
        self._details = rules.details_of(
            [turn.text for c in stock for turn in c.turns if turn.role == "user"]
        )

    def may_be_true(self, subject: str) -> bool:
        """Whether some stored chat holds so much of `subject` that it may have been said."""
        return self._overlap.highest(subject) >= TRUE_FROM

    def is_new(self, text: str) -> bool:
        """Whether no stored chat holds much of `text`."""
        return self._overlap.highest(text) < _NEW_BELOW

    def beside(
        self, conversation: Conversation, positives: Sequence[Fact], count: int, recipe: Recipe
    ) -> list[Fact]:
        """`count` things never discussed, in the proportions of kinds that `positives` have."""
        rng = random.Random(f"{recipe.seed} negatives {conversation.id}")
        near = self._stock.nearest(conversation.text)[:6]
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
                subject, kind = self._altered(like, rng), "topic"
            else:
                pool = near if roll < recipe.altered_share + recipe.near_share else every
                if kind == "topic":
                    pool = self._named or every
                subject = self._unheard_of(like, rng.choice(pool), rng)
            if not subject or subject in found:
                continue
            found[subject] = self.fact(
                conversation, f"{conversation.id}-n{number}", kind, subject, "rule"
            )
            like = None
        return list(found.values())

    @staticmethod
    def fact(
        conversation: Conversation, fact_id: str, kind: FactKind, subject: str, source: FactSource
    ) -> Fact:
        """The negative fact that `subject` makes, kept beside `conversation`."""
        return Fact(
            id=fact_id,
            label=False,
            kind=kind,
            subject=subject,
            statement=f"Never discussed: {subject}",
            source=source,
            chat_id=conversation.chat_id,
        )

    def near(self, conversation: Conversation) -> list[Conversation]:
        """Stock conversations, the most alike first."""
        return [self._conversations[key] for key in self._stock.nearest(conversation.text)]

    def add_topic(self, conversation_id: str, subject: str) -> None:
        """Let the short name of a stock conversation stand in for topics of the user's."""
        facts = self._facts.get(conversation_id)
        if facts is not None and not any(fact.kind == "topic" for fact in facts):
            source = self._conversations[conversation_id]
            facts.append(self.fact(source, f"{conversation_id}-t", "topic", subject, "model"))
            self._named.append(conversation_id)

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
