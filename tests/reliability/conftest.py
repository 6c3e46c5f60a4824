"""A data folder with the tiny model, and `plum-desktop` on it, with tiny lessons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reliability import tiny

ROOT = Path(__file__).parents[2]
GUARD = ROOT / "tests" / "guard"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def tiny_model_file(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> Path:
    return tiny.write_model(tmp_path_factory.mktemp("model") / tiny.NAME, starter)


@pytest.fixture
def plum_root(data_root: Path, tiny_model_file: Path) -> Path:
    """A data folder as a person has it who brought the tiny model and uses it."""
    return tiny.prepare(data_root, tiny_model_file)


@pytest.fixture
def readable_umask() -> Iterator[None]:
    """As most systems set it: what nobody thinks of can be read by everybody."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def guarded(tmp_path: Path) -> tuple[dict[str, str], Path]:
    """The environment of a process that is watched (see tests/guard), and what is written down.

    Its home and temporary folders are its own, so that nothing it leaves there is missed.
    """
    record = tmp_path / "record.jsonl"
    places = {name: tmp_path / name.lower() for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for place in places.values():
        place.mkdir()
    environment = {
        **os.environ, **{name: str(place) for name, place in places.items()},
        "PYTHONPATH": os.pathsep.join([str(GUARD), str(ROOT)]),
        "PLUM_TEST_RECORD": str(record),
    }  # fmt: skip
    return environment, record


@pytest.fixture
def run(guarded: tuple[dict[str, str], Path]) -> Run:
    """`plum-desktop`, watched; what it prints is kept, and it must end well."""

    def run(*arguments: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, tiny.__file__, *arguments],
            env=guarded[0], input=said, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments[0]}: {done.returncode}\n{done.stderr}"
        return done

    return run


def lines_of(record: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in record.read_text().splitlines()]
