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
    choose_hold,
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


_LEARN = """
import sys
from pathlib import Path
import numpy as np
from plum_desktop.base.peak import peak_bytes
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.rows import Row
from plum_desktop.learning.trainers import torch_peft
rng = np.random.default_rng(0)
rows = [
    Row(rng.integers(0, 40000, 128).astype(np.int32), np.repeat(np.float32([0, 1]), 64))
    for _ in range(4)
]
for hold in ("frugal", "floats"):  # the smaller one first, as peaks never fall
    trainer = torch_peft.TorchTrainer(Path(sys.argv[1]), preset("default"), None, 2, hold)
    trainer.step(rows, 1e-3)
    number = trainer.dtype.itemsize
    del trainer
    print(hold, number, peak_bytes())
"""


def test_learning_takes_what_was_said(starter: Path) -> None:
    command = [sys.executable, "-c", _LEARN, str(starter)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shape, peaks = Shape.of(read_header(starter)), []
    for line in done.stdout.splitlines():
        hold, number, used = line.split()
        said = training_bytes(shape, hold, tokens=512, number_bytes=int(number))
        assert 0.9 * int(used) < said < 2 * int(used), hold
        peaks.append(int(used))
    assert peaks[0] < 0.8 * peaks[1]


def test_learning_grows_with_rank_tokens_and_hold(starter: Path) -> None:
    shape = Shape.of(read_header(starter))
    plain = training_bytes(shape)
    assert 1 * GB < plain < 2 * GB
    assert training_bytes(shape, rank=64) > plain
    assert training_bytes(shape, tokens=4096) > plain
    frugal, packed, floats = (
        training_bytes(shape, hold) for hold in ("frugal", "packed", "floats")
    )
    assert plain == frugal < packed < floats


EIGHT = Shape(  # Llama 3.1 8B in Q4_K_M
    file_size=4_920_000_000, parameters=8_030_000_000, layers=32, kv_heads=8, head_size=256,
    embedding=4096, inner=14336, vocabulary=128_256, context=131_072, sides=32 * 81_920,
)  # fmt: skip


def test_the_fastest_hold_that_there_is_room_for(starter: Path) -> None:
    small = Shape.of(read_header(starter))
    assert choose_hold(small, 8 * GB, 2)[0] == "floats"
    assert choose_hold(small, 2 * GB, 2)[0] == "frugal"
    assert choose_hold(EIGHT, 100 * GB, 2)[0] == "floats"
    assert choose_hold(EIGHT, 24 * GB, 2)[0] == "packed"
    assert choose_hold(EIGHT, 12 * GB, 2)[0] == "frugal"
    hold, reason = choose_hold(EIGHT, 4 * GB, 2)
    assert hold == "frugal"
    assert reason.endswith(" of memory, and 4.0 GB is free.")


def test_eight_billion_weights_learn_on_sixteen_gigabytes() -> None:
    needed = training_bytes(EIGHT)
    assert fit(needed, Memory(16 * GB, 10 * GB)) != "will not fit"
    # Of weights alone: what the file has, half as much again for all that is not activations.
    assert training_bytes(EIGHT, tokens=0) < 1.5 * EIGHT.file_size
    assert fit(training_bytes(EIGHT, "floats"), Memory(16 * GB, 10 * GB)) == "will not fit"


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
    assert why_fit(15 * GB, Memory(16 * GB, 16 * GB, cards=24 * GB)) == (
        "fits", "Needs 15.0 GB of memory; the graphics card has 24.0 GB.",
    )  # fmt: skip
    small = Memory(16 * GB, 9 * GB, cards=8 * GB)  # too small a card changes nothing
    assert why_fit(11 * GB, small) == (verdict, reason)


def test_the_disk_counts_too(tmp_path: Path) -> None:
    assert why_no_room(1, tmp_path) is None
    assert "disk space" in (why_no_room(10**18, tmp_path) or "")
