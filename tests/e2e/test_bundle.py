"""The main job as somebody does it who has no Python: in the bundle, built here from this checkout.

The bundle's own children chat, learn what was invented, are asked, merge and export; what they
export is asked again by llama.cpp alone.  `make test-bundle` runs it: twenty minutes, of them
three of building, and some more where llama.cpp is compiled for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.remembered import SEED, require_remembered

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "dist" / ("Plum Desktop.app" if sys.platform == "darwin" else "plum-desktop")


def _packaging(script: str, *arguments: str | Path, **options: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "packaging" / script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, **options},
    )
    assert done.returncode == 0, done.stdout


def test_invented_chats_are_learned_in_the_bundle_and_the_export_remembers_them(
    tmp_path: Path, display: dict[str, str] | None
) -> None:
    _packaging("build.py", "--folder")
    # Killed on its way, and what it began is gone on with.
    _packaging("smoke.py", BUNDLE, **(display or {}))
    out, scratch = tmp_path / "result.json", tmp_path / "scratch"
    scratch.mkdir()
    _packaging("smoke.py", BUNDLE, "--demo", str(SEED), out, "--scratch", scratch,
               **(display or {}))  # fmt: skip
    require_remembered(json.loads(out.read_text(encoding="utf-8")))
