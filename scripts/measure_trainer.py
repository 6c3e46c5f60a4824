"""Peak memory and time of training steps on a GGUF, held in one of the ways of `models.fit`.

    .venv/bin/python scripts/measure_trainer.py MODEL.gguf {floats,packed,frugal} [--tokens 1024]

Random lessons, half of whose tokens are supervised, and half of those pulled to made-up anchors.
Seconds are the processor's, so that other programs do not count.  One way a process, since peak
memory never falls.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import psutil

from plum_desktop.base.peak import peak_bytes
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.rows import Row, Targets
from plum_desktop.learning.trainers.torch_peft import TorchTrainer
from plum_desktop.models.fit import HOLDS, Shape, training_bytes
from plum_desktop.models.header import read_header

_LENGTH = 128  # tokens a row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("hold", choices=HOLDS)
    parser.add_argument("--tokens", type=int, default=1024, help="in one step")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    shape = Shape.of(read_header(asked.model))
    libraries = psutil.Process().memory_info().rss
    trainer = TorchTrainer(asked.model, preset("default"), None, asked.threads, asked.hold)
    loaded = psutil.Process().memory_info().rss
    rng, seconds = np.random.default_rng(0), []
    for _ in range(asked.steps):
        count = asked.tokens // _LENGTH
        rows = [_row(rng, shape.vocabulary, anchor=bool(n % 2)) for n in range(count)]
        started = time.process_time()
        trainer.step(rows, 1e-4)
        seconds.append(time.process_time() - started)
    number = trainer.dtype.itemsize
    sizes = {
        "file": shape.file_size,
        "libraries": libraries,
        "loaded": loaded,
        "peak": peak_bytes(),
        "estimate": training_bytes(shape, asked.hold, tokens=asked.tokens, number_bytes=number),
    }
    megabytes = {name: round(size / 1e6) for name, size in sizes.items()}
    print(json.dumps({**megabytes, "step_seconds": round(statistics.median(seconds), 2)}))


def _row(rng: np.random.Generator, vocabulary: int, *, anchor: bool) -> Row:
    ids = rng.integers(0, vocabulary, _LENGTH).astype(np.int32)
    weights = np.repeat(np.float32([0, 1]), _LENGTH // 2)
    if not anchor:
        return Row(ids, weights)
    known = rng.integers(0, vocabulary, (_LENGTH, 32)).astype(np.int32)
    return Row(ids, weights, Targets(known, np.full((_LENGTH, 32), -6, np.float32)))


if __name__ == "__main__":
    main()
