"""The main job, as `make run` does it with no display: some six minutes, with everything real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.remembered import SEED, require_remembered


def _on_one_core() -> None:
    """Beside another worker's tests: threads that wait for one another, and share their core with
    somebody else, take longer than one thread."""
    if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def test_invented_chats_are_learned_and_the_export_remembers_them(data_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plum_desktop", "demo", "--seed", str(SEED), "--json"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_on_one_core,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    result = lines[-1]
    assert result["event"] == "result", done.stderr
    assert done.returncode == 0, done.stderr
    require_remembered(result)
