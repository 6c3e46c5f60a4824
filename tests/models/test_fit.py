"""Memory estimates hold against a real process, and the verdicts follow from them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from plum_desktop.models.fit import (
    Memory,
    Shape,
    chat_bytes,
    fit,
    memory,
    training_bytes,
    why_fit,
    why_no_room,
)
from plum_desktop.models.header import read_header

GB = 10**9

_CHAT = """
import sys, psutil, llama_cpp
model = llama_cpp.Llama(sys.argv[1], n_ctx=int(sys.argv[2]), n_threads=1, verbose=False)
model.eval(list(range(100, 228)))
print(psutil.Process().memory_info().rss)
"""


@pytest.mark.parametrize("n_ctx", [1024, 8192])
def test_chatting_takes_what_was_said(starter: Path, n_ctx: int) -> None:
    command = [sys.executable, "-c", _CHAT, str(starter), str(n_ctx)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    used, said = int(done.stdout), chat_bytes(Shape.of(read_header(starter)), n_ctx)
    assert 0.9 * used < said < 1.8 * used


def test_a_context_beyond_the_models_own_costs_no_more(starter: Path) -> None:
    shape = Shape.of(read_header(starter))
    assert chat_bytes(shape, 100_000) == chat_bytes(shape, 8192)


def test_learning_grows_with_rank_and_tokens(starter: Path) -> None:
    shape = Shape.of(read_header(starter))
    plain = training_bytes(shape)
    assert 1 * GB < plain < 3 * GB
    assert training_bytes(shape, rank=64) > plain
    assert training_bytes(shape, tokens=4096) > plain
    assert training_bytes(shape, weight_bytes=4) == plain + 2 * shape.parameters


@pytest.mark.parametrize(
    ("needed", "available", "verdict"),
    [
        (4 * GB, 12 * GB, "fits"),
        (7 * GB, 1 * GB, "fits"),  # what others hold can make room for half
        (11 * GB, 13 * GB, "fits"),
        (11 * GB, 9 * GB, "slow"),
        (15 * GB, 16 * GB, "will not fit"),
    ],
)
def test_verdicts_on_sixteen_gigabytes(needed: int, available: int, verdict: str) -> None:
    assert fit(needed, Memory(16 * GB, available)) == verdict


def test_this_machine_has_memory() -> None:
    now = memory()
    assert 0 < now.available <= now.total


def test_the_reason_names_the_numbers() -> None:
    assert why_fit(4 * GB, Memory(16 * GB, 12 * GB)) == (
        "fits", "Needs 4.0 GB of memory; this computer has 16.0 GB.",
    )  # fmt: skip
    verdict, reason = why_fit(11 * GB, Memory(16 * GB, 9 * GB))
    assert verdict == "slow"
    assert "of 16.0 GB only 9.0 GB is free" in reason
    assert why_fit(15 * GB, Memory(16 * GB, 16 * GB))[0] == "will not fit"


def test_the_disk_counts_too(tmp_path: Path) -> None:
    assert why_no_room(1, tmp_path) is None
    assert "disk space" in (why_no_room(10**18, tmp_path) or "")
