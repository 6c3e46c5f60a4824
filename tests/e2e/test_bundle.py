"""The program as somebody has it who has no Python: a bundle, built here from this checkout.

Its own children chat, learn for a few steps, killed on their way, merge, export and serve, and its
window opens on an X server and without one; see `packaging/smoke.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "dist" / ("Plum Desktop.app" if sys.platform == "darwin" else "plum-desktop")


def _packaging(script: str, *arguments: str | Path, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "packaging" / script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout


def test_the_bundle_is_built_and_everything_works_in_it(display: dict[str, str] | None) -> None:
    _packaging("build.py", "--folder")
    _packaging("smoke.py", BUNDLE, **(display or {}))
