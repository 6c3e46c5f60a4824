"""What a bench reports, and how two sides are measured in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Side = Callable[[], float]  # does the work once, and tells what it measured
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bound:
    """What is wanted of a number; None: nothing on that side."""

    at_most: float | None = None
    at_least: float | None = None

    def holds(self, value: float) -> bool:
        return (self.at_most is None or value <= self.at_most) and (
            self.at_least is None or value >= self.at_least
        )

    def __str__(self) -> str:
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return f"at least {self.at_least:g}" if self.at_least is not None else ""


FREE = Bound()


@dataclass(frozen=True, slots=True)
class Line:
    """One thing measured: ours, the peer's in the same unit, and what was wanted of them.

    `ratio` is ours to the peer's: the median of the ratios of runs that stood next to each
    other, or None where there is no peer.
    """

    what: str
    unit: str
    ours: float
    peer: float | None = None
    ratio: float | None = None
    runs: int = 1
    wanted: Bound = FREE  # of `ours`
    wanted_ratio: Bound = FREE
    chats: int | None = None  # of how many it was measured; None: it is no matter of growth

    @property
    def name(self) -> str:
        return self.what if self.chats is None else f"{self.what}, {self.chats:,} chats"

    @property
    def holds(self) -> bool:
        """Whether this run kept every bound."""
        return self.wanted.holds(self.ours) and (
            self.ratio is None or self.wanted_ratio.holds(self.ratio)
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            **({} if self.chats is None else {"chats": self.chats}),
            "unit": self.unit,
            "ours": _rounded(self.ours),
            "peer": _rounded(self.peer),
            "ratio": _rounded(self.ratio),
            "runs": self.runs,
            "wanted": str(self.wanted),
            "wanted_ratio": str(self.wanted_ratio),
            "holds": self.holds,
        }


def in_turns(
    what: str,
    unit: str,
    ours: Side,
    peer: Side,
    runs: int,
    *,
    wanted: Bound = FREE,
    wanted_ratio: Bound = FREE,
) -> Line:
    """Measure both sides `runs` times, in turns; which of them begins changes each time."""
    pairs = []
    for number in range(runs):
        if number % 2:
            there = peer()
            pairs.append((ours(), there))
        else:
            here = ours()
            pairs.append((here, peer()))
    return of_pairs(what, unit, pairs, wanted=wanted, wanted_ratio=wanted_ratio)


def of_pairs(
    what: str,
    unit: str,
    pairs: Sequence[tuple[float, float]],
    *,
    wanted: Bound = FREE,
    wanted_ratio: Bound = FREE,
) -> Line:
    """A line of runs that were measured in pairs: (ours, the peer's)."""
    return Line(
        what,
        unit,
        statistics.median(ours for ours, _ in pairs),
        statistics.median(peer for _, peer in pairs),
        statistics.median(ours / peer for ours, peer in pairs),
        len(pairs),
        wanted,
        wanted_ratio,
    )


def alone(what: str, unit: str, ours: Side, runs: int, *, wanted: Bound = FREE) -> Line:
    """The median of `runs` runs of something that has no peer."""
    values = [ours() for _ in range(runs)]
    return Line(what, unit, statistics.median(values), runs=runs, wanted=wanted)


def milliseconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0..1) of `values` do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
