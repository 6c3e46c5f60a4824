"""English sentences that remember what they were made of, so that the window can translate them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Sentence(str):
    """`template.format(**values)`, and both of them beside it.

    Templates are literals, which `scripts/collect_texts.py` hands to translators; what comes
    from the user, a file or the system stands among the values.
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: object) -> Sentence:
        """Without values, `template` is the text as it stands, braces and all."""
        if isinstance(template, Sentence) and not values:
            return template
        made = super().__new__(cls, template.format(**values) if values else template)
        made.template, made.values = template, values
        return made

    def __str__(self) -> str:
        return self  # else str(), and so str(error), would lose what it is made of

    @classmethod
    def joined(cls, separator: str, parts: Sequence[str]) -> Sentence:
        """`separator.join(parts)`, each part a sentence still."""
        values = {f"part{at}": part for at, part in enumerate(parts)}
        return cls(separator.join(f"{{{name}}}" for name in values), **values)
