"""What the charts of learning draw: recall of each run's chats over later runs, drift, the loss.

Pure: from runs and their reports to points.  A report keeps `losses`, the thinned curve, and
`by_run`, what the gate found of earlier runs' chats, by the run that taught them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from plum_desktop.base.types import Adapter, Fact, Run
from plum_desktop.learning.gate import Bounds

MOST_POINTS = 50  # of a loss curve: a point is the mean of several steps, which are of two kinds
DRIFT_BOUND = Bounds().drift  # nats a token, beyond which the gate refuses

Counts = dict[str, int]  # yes, yes_asked, no, no_asked


@dataclass(frozen=True, slots=True)
class RecallPoint:
    """How one run's chats were recalled after run `run_id`; shares 0..1, None: not asked."""

    run_id: str
    yes: float | None
    no: float | None


@dataclass(frozen=True, slots=True)
class RecallLine:
    """The chats that run `run_id` taught, right after it and after each later run that asked."""

    run_id: str
    created: float
    chats: int
    points: tuple[RecallPoint, ...]


@dataclass(frozen=True, slots=True)
class History:
    """Runs of one model that were switched on, oldest first: their ids, times and lines."""

    runs: tuple[str, ...] = ()
    created: tuple[float, ...] = ()
    drift: tuple[float | None, ...] = ()  # KL in nats a token, one a run; None: not measured
    recall: tuple[RecallLine, ...] = ()

    def line(self, run_id: str | None) -> RecallLine | None:
        """What became of one run's chats."""
        return next((line for line in self.recall if line.run_id == run_id), None)


def history(runs: Sequence[Run], model_sha256: str) -> History:
    """What the runs' reports hold; refused runs never served, so they are left out."""
    told = sorted(
        (run for run in runs if run.model_sha256 == model_sha256 and _is_told(run)),
        key=lambda run: run.created,
    )
    lines = []
    for place, run in enumerate(told):
        points = [_point(run.id, run.report["new_after"])]
        for later in told[place + 1 :]:
            found = later.report.get("by_run", {}).get(run.id)
            if found is not None:
                points.append(_point(later.id, found))
        lines.append(RecallLine(run.id, run.created, len(run.chats), tuple(points)))
    return History(
        tuple(run.id for run in told),
        tuple(run.created for run in told),
        tuple(run.report["drift"].get("kl") for run in told),
        tuple(lines),
    )


def _is_told(run: Run) -> bool:
    return run.state == "done" and {"new_after", "drift"} <= run.report.keys()


def _point(run_id: str, counts: Mapping[str, Any]) -> RecallPoint:
    def share(key: str) -> float | None:
        asked = counts.get(f"{key}_asked", 0)
        return counts[key] / asked if asked else None

    return RecallPoint(run_id, share("yes"), share("no"))


def taught_by(
    active: Adapter | None,
    adapter: Callable[[str], Adapter],
    chats_of_run: Callable[[str], Sequence[str]],
) -> dict[str, str]:
    """Chat id -> the run that last taught it, among `active` and its ancestors."""
    found: dict[str, str] = {}
    while active is not None:
        if active.run_id is not None:
            for chat_id in chats_of_run(active.run_id):
                found.setdefault(chat_id, active.run_id)
        active = adapter(active.parent_id) if active.parent_id else None
    return found


def by_run(
    facts: Sequence[Fact], right: Mapping[str, int], run_of_chat: Mapping[str, str]
) -> dict[str, Counts]:
    """Right answers about older facts, by the run that taught their chat.

    `right` maps a fact's id to 1 or 0; facts that were not asked, or of no known run, count
    nowhere.
    """
    found: dict[str, Counts] = {}
    for fact in facts:
        run_id = run_of_chat.get(fact.chat_id or "")
        if run_id is None or fact.id not in right:
            continue
        counts = found.setdefault(run_id, {"yes": 0, "yes_asked": 0, "no": 0, "no_asked": 0})
        kind = "yes" if fact.label else "no"
        counts[kind] += right[fact.id]
        counts[f"{kind}_asked"] += 1
    return found


def thinned(losses: Sequence[float], most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """(step, loss) of at most `most` places, each the mean of the steps up to it; steps from 1."""
    count = min(most, len(losses))
    ends = [place * len(losses) // count for place in range(count + 1)] if count else []
    return [(end, round(fmean(losses[start:end]), 4)) for start, end in itertools.pairwise(ends)]


def loss_curve(report: Mapping[str, Any]) -> list[tuple[int, float]]:
    """The curve that a run's report keeps; empty for one of before that was kept."""
    return [(int(step), float(loss)) for step, loss in report.get("losses", ())]
