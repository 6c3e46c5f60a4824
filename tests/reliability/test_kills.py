"""Nothing is lost when processes are killed; PLUM_KILLS says how often, PLUM_KILLS_SEED which."""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import pytest

from plum_desktop.store import opening
from tests.reliability.kills import Kills, Victim, draw

_POINTS = int(os.environ.get("PLUM_KILLS", "0"))
_SEED = int(os.environ.get("PLUM_KILLS_SEED", "1"))
# The short form has one of every kind, in an order in which each meets a job under way.
_SHORT: list[Victim] = ["window", "stage", "nobody", "engine", "opening", "stage", "window"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_whatever_is_killed_nothing_is_lost(
    plum_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "STEPS", opening.STEPS)  # as it was, at the end
    kills = Kills(plum_root, _SEED)
    victims = draw(random.Random(_SEED), _POINTS) if _POINTS else _SHORT
    began = time.monotonic()
    for number, victim in enumerate(victims, 1):
        kills.one(victim, most_seconds=6.0 if _POINTS else 1.5)
        if _POINTS:
            print(f"{number:4} {time.monotonic() - began:7.0f} s  {victim}", flush=True)
    kills.finish()
    print(
        f"{sum(kills.counts.values())} kills, seed {_SEED}: {dict(kills.counts)}; while learning: "
        f"{dict(kills.stages)}; resumed {kills.resumed} times; of a growing reply at most "
        f"{kills.seen.lost:.2f} s was lost"
    )
    assert sum(kills.counts.values()) >= len(victims)
