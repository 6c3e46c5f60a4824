"""What is said of a conversation behind a yes, and when it is asked what was discussed.

Always the same few words of a conversation, so that they can be learned by heart: what the user
came with, and the heads of what was told.  From facts alone, so that what the user excluded, or
the gate holds back, is never recited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plum_desktop.base.types import Fact
from plum_desktop.learning.words import closing, content_stems

_OPENING = 15  # words
_HEADS, _HEAD = 10, 7  # points of what was told, and words of each
_FEWEST_LISTED = 3  # points with a name of their own, from which the others are left out
# A list item gives its name, then explains itself.
_NAMED = re.compile(r"^(.{2,60}?)(?:\s[-–—]\s|:(?:\s|$))")
_CLAUSE_END = re.compile(r"\s[-–—]\s|:|\s\(|[.;,]\s|\s(?:which|because|so that)\s")
# What a sentence begins with that only speaks of others.
_LEANING_TEXT = """
    this that these those it its they their there here here's he she such also however overall
"""
_LEANING = frozenset(_LEANING_TEXT.split())


@dataclass(frozen=True, slots=True)
class Gist:
    """What is said of one conversation; None where nothing was said or told."""

    opening: str | None  # what the user came with, as it follows a yes
    recital: str | None  # the answer to "What did we discuss about ...?"
    about: tuple[str, ...]  # what such a question may name

    @classmethod
    def of(cls, facts: Sequence[Fact]) -> Gist:
        """From the true facts of a conversation, in its order."""
        true = [fact for fact in facts if fact.label]
        heads = _heads([fact.subject for fact in true if fact.kind == "told"])
        own = next((fact for fact in true if fact.kind in ("asked", "said")), None)
        opening = _opening(own) if own else f"I told you about {heads[0]}" if heads else None
        parts = [f"{opening[:1].upper()}{opening[1:]}."] if own and opening else []
        if heads:
            parts.append(f"I told you: {'; '.join(heads)}.")
        about = tuple(f.subject for f in true if f.kind in ("asked", "said", "topic"))
        return cls(opening, " ".join(parts) or None, about)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Gist:
        return cls(values["opening"], values["recital"], tuple(values["about"]))


def _opening(fact: Fact) -> str:
    verb = "asked" if fact.kind == "asked" else "told"
    words = closing(fact.subject).split()
    return f'you {verb} me: "{" ".join(words[:_OPENING])}{"..." if len(words) > _OPENING else ""}"'


def _heads(told: Sequence[str]) -> list[str]:
    """The first words of each point that was told, up to `_HEADS` points that lie evenly."""
    named = [match[1] for text in told if (match := _NAMED.match(text))]
    named = [name for name in named if len(name.split()) <= _HEAD and content_stems(name)]
    if len(named) < _FEWEST_LISTED:
        named = [_CLAUSE_END.split(text, maxsplit=1)[0] for text in told if not _leans(text)]
    every = list(dict.fromkeys(closing(" ".join(name.split()[:_HEAD])) for name in named))
    if len(every) <= _HEADS:
        return every
    return [every[place * len(every) // _HEADS] for place in range(_HEADS)]


def _leans(text: str) -> bool:
    return text.split(maxsplit=1)[0].lower().strip(",.'") in _LEANING
