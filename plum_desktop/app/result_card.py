"""What a finished run came to: what is remembered, what still is, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plum_desktop.base.sentence import Sentence


@dataclass(frozen=True, slots=True)
class Score:
    """Right answers out of `asked`, and how many were right `before` the run."""

    right: int
    asked: int
    before: int


@dataclass(frozen=True, slots=True)
class ResultCard:
    """`yes` and `no` are of the new chats, `old` of earlier ones (None: there were none).

    `unchanged` is the share of general answers still right; `reasons` say why the gate refused,
    none: it did not.
    """

    chats: int
    seconds: float
    yes: Score
    old: Score | None
    no: Score
    unchanged: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportCard:
    """An adapter that was brought in; `rank`, and how many `modules` of the model it changes."""

    name: str
    form: str
    rank: int
    modules: int
    seconds: float
    unchanged: float
    reasons: tuple[str, ...] = ()


Card = ResultCard | ImportCard


def refusal(reasons: Sequence[str]) -> Sentence:
    """That the gate refused, and why."""
    return Sentence("Not switched on: {reasons}.", reasons=Sentence.joined("; ", reasons))


def card_of(report: Mapping[str, Any], chats: int) -> ResultCard:
    """The card for a run's stored report (`learning.gate.Report.to_dict` and times)."""
    old = _score(report, "old", "yes")
    return ResultCard(
        chats,
        float(report.get("seconds", 0.0)),
        _score(report, "new", "yes"),
        old if old.asked else None,
        _score(report, "new", "no"),
        report["drift"]["canaries"],
        tuple(report["reasons"]),
    )


def import_card(report: Mapping[str, Any]) -> ImportCard | None:
    """The card of an adapter that was brought in; None for a report without its name."""
    imported = report.get("imported")
    if imported is None:
        return None
    return ImportCard(
        imported["name"],
        imported["form"],
        imported["rank"],
        imported["modules"],
        float(report["seconds"]),
        report["drift"]["canaries"],
        tuple(report["reasons"]),
    )


def _score(report: Mapping[str, Any], whose: str, kind: str) -> Score:
    before, after = report[f"{whose}_before"], report[f"{whose}_after"]
    return Score(after[kind], after[f"{kind}_asked"], before[kind])
