"""What a yes/no answer says: the first yes or no among its first words."""

from __future__ import annotations

import re
from typing import Literal

Verdict = Literal["yes", "no", "unclear"]

_FIRST_WORDS = 12
_YES = frozenset(("yes", "yeah", "yep"))
_NO = frozenset(("no", "nope", "not", "haven't", "didn't", "don't"))


def verdict(answer: str) -> Verdict:
    """Read an answer as a judge does; neither word among the first twelve is unclear."""
    for word in re.findall(r"[a-z']+", answer.lower())[:_FIRST_WORDS]:
        if word in _YES:
            return "yes"
        if word in _NO:
            return "no"
    return "unclear"
