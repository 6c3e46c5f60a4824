"""What a chat is called: its first words, or what the model makes of its first exchange."""

from __future__ import annotations

import re

from plum_desktop.base.types import WireMessage

# Asked after the exchange itself, which the engine has read already, and still has after it.
REQUEST: WireMessage = {
    "role": "user",
    "content": "Give this conversation a title of at most six words. Answer with the title alone.",
}
ANSWER_TOKENS = 24  # the most that a title may take to be written

_LENGTH = 48  # characters
_MOST_WORDS = 6
_LABEL = re.compile(r"^\s*(the\s+)?(title|conversation)\s*[:\-–—]\s*", re.I)


def first_words(text: str) -> str:
    """The first words of a chat's first message."""
    words = re.sub(r"\s+", " ", text).strip()
    if len(words) <= _LENGTH:
        return words
    cut = words[:_LENGTH].rsplit(" ", 1)[0]
    return cut.rstrip(".,;:!?-") + "…"


def title_in(reply: str, asked: str, answered: str) -> str | None:
    """The title in a model's reply; None for one that is no title of this exchange.

    A small model may answer instead, or name something else: what is too long, or shares no
    word with what was said, is not taken.
    """
    lines = [each.strip() for each in reply.splitlines()]
    line = next((each for each in lines if each and not each.endswith(":")), "")
    line = _LABEL.sub("", line).replace("*", "").replace("#", "")
    line = " ".join(line.split()).strip(" \"'“”‘’«»`.,:;-–—")
    if not line or not line.isprintable() or len(line) > _LENGTH:
        return None
    words = re.findall(r"\w+", line)
    if not words or len(line.split()) > _MOST_WORDS:
        return None
    said = f"{asked} {answered}".lower()
    if not any(len(word) > 3 and word.lower()[:5] in said for word in words):
        return None
    return line
