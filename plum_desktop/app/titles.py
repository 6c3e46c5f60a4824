"""What a chat is called: its first words, or what the model makes of its first exchange."""

from __future__ import annotations

import re

from plum_desktop.base.types import WireMessage

UNTITLED = "New chat"
ANSWER_TOKENS = 24  # the most that a title may take to be written

_LENGTH = 48  # characters
_MOST_WORDS = 6
_TAKEN = 600  # characters of each side of the exchange that the model reads
_ASK = (
    "Write a title for this conversation, at most six words, no quotes, nothing else.\n\n"
    "Question: {question}\n\nAnswer: {answer}\n\nTitle:"
)
_LABEL = re.compile(r"^\s*(the\s+)?(title|conversation)\s*[:\-–—]\s*", re.I)


def first_words(text: str) -> str:
    """The first words of a chat's first message."""
    words = re.sub(r"\s+", " ", text).strip()
    if len(words) <= _LENGTH:
        return words
    cut = words[:_LENGTH].rsplit(" ", 1)[0]
    return cut.rstrip(".,;:!?-") + "…"


def question(asked: str, answered: str) -> list[WireMessage]:
    """What a model is asked for a title; short, whatever was said."""
    text = _ASK.format(question=asked[:_TAKEN], answer=answered[:_TAKEN])
    return [{"role": "user", "content": text}]


def title_in(reply: str, asked: str, answered: str) -> str | None:
    """The title in a model's reply; None for one that is no title of this exchange.

    A small model may answer instead, or name something else: what is too long, or shares no
    word with what was said, is not taken.
    """
    line = next((each for each in reply.splitlines() if each.strip()), "")
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
