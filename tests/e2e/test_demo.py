"""The main job, as `make run` does it with no display: some six minutes, with everything real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.remembered import SEED, on_one_core, require_remembered


def test_invented_chats_are_learned_and_the_export_remembers_them(data_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plum_desktop", "demo", "--seed", str(SEED), "--json"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=on_one_core,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    result = lines[-1]
    assert result["event"] == "result", done.stderr
    assert done.returncode == 0, done.stderr
    require_remembered(result)
