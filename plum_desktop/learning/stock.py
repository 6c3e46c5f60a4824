"""Conversations that ship with the program and were never anybody's.

They are the source of things never discussed, and ordinary text that anchors the model to what
it was.  The held-out texts (drift, canaries) are in a folder of their own and are never taught.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from plum_desktop.base.paths import resource
from plum_desktop.base.types import WireMessage
from plum_desktop.learning.conversation import Conversation, Turn

_TAUGHT = ("general.jsonl", "personal.jsonl")


def conversations() -> list[Conversation]:
    """The stock that training may draw on."""
    found: list[Conversation] = []
    for name in _TAUGHT:
        for row in _read("stock", name):
            turns = tuple(Turn(m["role"], m["content"]) for m in row["messages"])
            # By content, since what was once found out about a conversation is kept.
            digest = hashlib.sha256(turns[0].text.encode()).hexdigest()
            found.append(Conversation(id=f"s{digest[:10]}", turns=turns))
    return found


def questions() -> list[str]:
    """Short questions of general skill that anchor the model; none is a canary."""
    return [row["question"] for row in _read("stock", "questions.jsonl")]


def drift_texts() -> list[list[WireMessage]]:
    """Conversations, as wire messages, on which drift is measured."""
    return [row["messages"] for row in _read("neutral", "drift.jsonl")]


def canaries() -> list[dict[str, Any]]:
    """Questions of general skill that can be marked: `question`, `kind`, `right`, `choices`."""
    return _read("neutral", "canaries.jsonl")


def _read(*parts: str) -> list[Any]:
    text = resource(*parts).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]
