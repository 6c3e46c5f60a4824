"""The judge: how well a model remembers, by asking it questions and marking its answers.

The same questions, rules and figures as the project's outside judge, so that both agree
answer for answer on the same server.  A closed answer counts by the first yes or no among its
first twelve words; an open one scores the share of its key facts that it contains.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from plum_desktop.base.errors import PlumError, unreadable
from plum_desktop.learning.verdict import Verdict, verdict

Kind = Literal["yes", "no", "open"]
Ask = Callable[[str, int], str]  # a question and the most tokens of its answer

KINDS: tuple[Kind, ...] = ("yes", "no", "open")
CLOSED_TOKENS, OPEN_TOKENS = 48, 200
# A conversation's questions of one kind come in this order.
_SLICES: dict[Kind, tuple[str, ...]] = {
    "yes": ("main topic", "detail"),
    "no": ("near miss", "far"),
    "open": ("open",),
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question and its right answer: yes, no, or the facts that an open one should name."""

    conversation_id: str
    kind: Kind
    text: str
    key_facts: tuple[str, ...] = ()
    slice: str = ""

    @property
    def max_tokens(self) -> int:
        return OPEN_TOKENS if self.kind == "open" else CLOSED_TOKENS


@dataclass(frozen=True, slots=True)
class Mark:
    """One answer and what it is worth, 0 to 1.  `verdict` is None for an open question."""

    question: Question
    answer: str
    verdict: Verdict | None
    score: float

    def to_dict(self) -> dict[str, Any]:
        """The row of an answers file."""
        row: dict[str, Any] = {
            "conversation_id": self.question.conversation_id,
            "kind": self.question.kind,
            "question": self.question.text,
        }
        if self.question.kind == "open":
            row["key_facts"] = list(self.question.key_facts)
        row |= {"slice": self.question.slice, "answer": self.answer}
        if self.verdict:
            row["verdict"] = self.verdict
        return row | {"score": self.score}


def read_questions(
    path: Path, *, kinds: Collection[str] = KINDS, limit: int | None = None
) -> list[Question]:
    """Questions of `path` (JSON lines) in order; `limit` keeps the first N conversations.

    Raises PlumError for a file that is not such a list, naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError:
        raise PlumError(
            "{path} is not a text file of JSON, one question a line.", path=path
        ) from None
    questions = [
        _question(line, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not questions:
        raise PlumError("{path} holds no question.", path=path)
    if limit:
        kept = set(conversations(questions)[:limit])
        questions = [question for question in questions if question.conversation_id in kept]
    return [question for question in _sliced(questions) if question.kind in kinds]


def _question(line: str, place: str) -> Question:
    try:
        row = json.loads(line)
        kind, facts = row["kind"], row.get("key_facts", [])
        texts = (row["conversation_id"], row["question"], *facts)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PlumError(
            "{place}: a question is a JSON object with conversation_id, kind and question.",
            place=place,
        ) from None
    if kind not in KINDS or not all(isinstance(text, str) and text for text in texts):
        raise PlumError(
            "{place}: kind is one of {kinds}, and the rest is text.",
            place=place,
            kinds=", ".join(KINDS),
        )
    if kind == "open" and not facts:
        raise PlumError("{place}: an open question needs its key_facts.", place=place)
    return Question(row["conversation_id"], cast(Kind, kind), row["question"], tuple(facts))


def _sliced(questions: Iterable[Question]) -> list[Question]:
    """Name each question's slice by its place among its conversation's of that kind."""
    seen: dict[tuple[str, Kind], int] = {}
    sliced = []
    for question in questions:
        key = (question.conversation_id, question.kind)
        names = _SLICES[question.kind]
        place = seen.get(key, 0)
        seen[key] = place + 1
        sliced.append(replace(question, slice=names[min(place, len(names) - 1)]))
    return sliced


def conversations(questions: Iterable[Question]) -> list[str]:
    """The conversations asked about, in the file's order."""
    return list(dict.fromkeys(question.conversation_id for question in questions))


def mark(question: Question, answer: str) -> Mark:
    if question.kind == "open":
        text = answer.lower()
        found = sum(fact.lower() in text for fact in question.key_facts)
        return Mark(question, answer, None, found / len(question.key_facts))
    said = verdict(answer)
    return Mark(question, answer, said, float(said == question.kind))


def judge(
    questions: Sequence[Question], ask: Ask, on_mark: Callable[[Mark], None] | None = None
) -> tuple[list[Mark], dict[str, Any]]:
    """Ask every question in turn; the marks, and the report with how long it took."""
    began = time.monotonic()
    marks = []
    for question in questions:
        marks.append(mark(question, ask(question.text, question.max_tokens)))
        if on_mark:
            on_mark(marks[-1])
    return marks, report(marks, time.monotonic() - began)


def report(marks: Sequence[Mark], seconds: float) -> dict[str, Any]:
    """The judge's table.  A figure is None where no question of its kind was asked."""
    order = conversations(each.question for each in marks)
    quarter = max(1, len(order) // 4)
    oldest, newest = set(order[:quarter]), set(order[-quarter:])
    closed = [each for each in marks if each.question.kind != "open"]

    def of_kind(kind: str) -> float | None:
        return _mean(each.score for each in marks if each.question.kind == kind)

    def of_slice(name: str) -> float | None:
        return _mean(each.score for each in marks if each.question.slice == name)

    def of_chats(ids: Collection[str]) -> float | None:
        return _mean(each.score for each in closed if each.question.conversation_id in ids)

    return {
        "questions": len(marks),
        "seconds": round(seconds, 1),
        "accuracy": _mean(each.score for each in closed),
        "accuracy_95": list(interval(sum(each.score for each in closed), len(closed))),
        "yes_accuracy": of_kind("yes"),
        "no_accuracy": of_kind("no"),
        **{f"slice {name}": of_slice(name) for name in (*_SLICES["yes"], *_SLICES["no"])},
        "oldest quarter": of_chats(oldest),
        "newest quarter": of_chats(newest),
        "unclear": sum(each.verdict == "unclear" for each in closed),
        "open_recall": of_kind("open"),
    }


def _mean(scores: Iterable[float]) -> float | None:
    got = list(scores)
    return round(sum(got) / len(got), 4) if got else None


def interval(hits: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share, four digits; (0, 0) of nothing."""
    if not count:
        return (0.0, 0.0)
    share, weight = hits / count, z * z / count
    middle = share + weight / 2
    half = z * math.sqrt((share * (1 - share) + weight / 4) / count)
    low, high = (middle - half) / (1 + weight), (middle + half) / (1 + weight)
    return (round(low, 4), round(high, 4))
