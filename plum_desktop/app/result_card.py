"""A finished run in plain words: what is remembered, what still is, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CardRow:
    """One line of the card; `before` None: nothing to compare with."""

    label: str
    value: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class ResultCard:
    """`reason` says why the gate refused; None: it did not."""

    title: str
    seconds: float
    rows: list[CardRow]
    reason: str | None


def card_of(report: Mapping[str, Any], chats: int) -> ResultCard:
    """The card for a run's stored report (`learning.gate.Report.to_dict` and times)."""
    new_before, new_after = report["new_before"], report["new_after"]
    old_before, old_after = report["old_before"], report["old_after"]
    rows = [
        CardRow(
            "Remembers",
            f"{new_after['yes']} of {new_after['yes_asked']} questions it was never shown",
            str(new_before["yes"]),
        )
    ]
    if old_after["yes_asked"]:
        rows.append(
            CardRow(
                "Still remembers",
                f"{old_after['yes']} of {old_after['yes_asked']} from earlier chats",
                str(old_before["yes"]),
            )
        )
    rows.append(
        CardRow(
            "Says no rightly",
            f"{new_after['no']} of {new_after['no_asked']}",
            str(new_before["no"]),
        )
    )
    rows.append(_unchanged(report))
    plural = "chat" if chats == 1 else "chats"
    reason = _reason(report)
    title = f"Learned {chats} {plural}" if not reason else f"{chats} {plural} not switched on"
    return ResultCard(title, float(report.get("seconds", 0.0)), rows, reason)


def import_card(report: Mapping[str, Any]) -> ResultCard | None:
    """The card of an adapter that was brought in; None for a report without its name."""
    imported = report.get("imported")
    if imported is None:
        return None
    form = imported["form"].upper()
    made = CardRow("Made as", f"{form}, rank {imported['rank']}, {imported['modules']} parts")
    title = f"Brought in from {imported['name']}"
    return ResultCard(title, float(report["seconds"]), [made, _unchanged(report)], _reason(report))


def _unchanged(report: Mapping[str, Any]) -> CardRow:
    share = report["drift"]["canaries"]
    return CardRow("Otherwise unchanged", f"{share:.0%} of general answers still right")


def _reason(report: Mapping[str, Any]) -> str | None:
    reasons = report["reasons"]
    return "Not switched on: " + "; ".join(reasons) + "." if reasons else None
