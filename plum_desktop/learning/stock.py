"""Conversations that ship with the program and were never anybody's.

They are the source of things never discussed, and ordinary text that anchors the model to what
it was.  The held-out texts (drift, canaries) are in a folder of their own and are never taught.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from plum_desktop.base.paths import resource
from plum_desktop.base.types import WireMessage
from plum_desktop.learning.conversation import Conversation, Turn

_WRITTEN = ("general.jsonl", "personal.jsonl")


def conversations() -> list[Conversation]:
    """Everything, for training to draw on."""
    return [one for name in _WRITTEN for one in _conversations(name)]


def practised() -> list[Conversation]:
    """What primers are taught on: half of those of which it is known what people ask."""
    chosen = set(list(asked())[::2])
    return [one for one in conversations() if one.id in chosen]


def never_discussed() -> list[Conversation]:
    """What a run's negatives are drawn from: no primer was told that it was never discussed."""
    practice = {one.id for one in practised()}
    return [one for one in conversations() if one.id not in practice]


@dataclass(frozen=True, slots=True)
class Asked:
    """What people might ask about a conversation weeks later, in words mostly not its own."""

    yes: tuple[str, ...]
    no: tuple[str, ...]  # near misses


def asked() -> dict[str, Asked]:
    """By the id of a stock conversation; most of them, not all."""
    rows = _read("stock", "asked.jsonl")
    return {row["id"]: Asked(tuple(row["yes"]), tuple(row["no"])) for row in rows}


@cache
def subjects() -> dict[str, tuple[str, ...]]:
    """Short names of what people talk about, by field; each fits behind "talk about"."""
    return {row["field"]: tuple(row["subjects"]) for row in _read("stock", "subjects.jsonl")}


def fields() -> dict[str, str]:
    """All that is written of each field of `subjects`, which is what it may be known by."""
    found = {field: ["; ".join(names)] for field, names in subjects().items()}
    for row in (row for name in _WRITTEN for row in _read("stock", name)):
        if row["field"] in found:
            found[row["field"]] += [message["content"] for message in row["messages"]]
    return {field: " ".join(texts) for field, texts in found.items()}


def questions() -> list[str]:
    """Short questions of general skill that anchor the model; none is a canary."""
    return [row["question"] for row in _read("stock", "questions.jsonl")]


def drift_texts() -> list[list[WireMessage]]:
    """Conversations, as wire messages, on which drift is measured."""
    return [row["messages"] for row in _read("neutral", "drift.jsonl")]


def canaries() -> list[dict[str, Any]]:
    """Questions of general skill that can be marked: `question`, `kind`, `right`, `choices`."""
    return _read("neutral", "canaries.jsonl")


def _conversations(name: str) -> list[Conversation]:
    found = []
    for row in _read("stock", name):
        turns = tuple(Turn(m["role"], m["content"]) for m in row["messages"])
        # By content, since what was once found out about a conversation is kept.
        digest = hashlib.sha256(turns[0].text.encode()).hexdigest()
        found.append(Conversation(id=f"s{digest[:10]}", turns=turns))
    return found


def _read(*parts: str) -> list[Any]:
    text = resource(*parts).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]
