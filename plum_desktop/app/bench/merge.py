"""Merging an adapter beside copying the file: how long, and how much memory."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from plum_desktop.app.bench.material import Model, child, make_job, write_adapter
from plum_desktop.app.bench.measure import Bound, Line, Say, in_turns
from plum_desktop.base.files import require_free

_CHUNK = 1 << 22
_MEGABYTE = 1e6


def bench(root: Path, model: Model, gigabytes: float, runs: int, say: Say) -> Iterator[Line]:
    """On `model`, or with `gigabytes` on a file of random weights of that size, made here."""
    folder = root / "merge"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if gigabytes:
        say("Making a model")
        require_free(folder, int(4e9 * gigabytes), "This bench")
        made = folder / "big.gguf"
        with child("peer") as peer:
            peer.call("big_model", path=str(made), gigabytes=gigabytes)
        model = Model(made, "", model.threads)
    try:
        yield from _measured(folder, model, runs, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def merge(model: Model, adapter: Path, out: Path) -> tuple[float, int]:
    """Merge once, into `out`: the seconds that it took, and the bytes at its peak."""
    out.unlink(missing_ok=True)
    # A process of its own each time, as in a run, and for its peak.
    with child("stage") as stage:
        began = time.perf_counter()
        result = stage.call("merge", model=str(model.path), folder=str(adapter), out=str(out))
        return time.perf_counter() - began, result["peak_bytes"]


def _measured(folder: Path, model: Model, runs: int, say: Say) -> Iterator[Line]:
    job = make_job(folder / "job", model, [])
    write_adapter(model.path, job.adapter)
    copied = folder / "copied.gguf"
    peaks = []
    done = 0

    def ours() -> float:
        nonlocal done
        say(f"Merging: {done} of {runs}")
        seconds, peak = merge(model, job.adapter, job.merged)
        peaks.append(peak)
        done += 1
        return seconds

    def copy() -> float:
        copied.unlink(missing_ok=True)
        began = time.perf_counter()
        with model.path.open("rb") as source, copied.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
            target.flush()
            os.fsync(target.fileno())
        return time.perf_counter() - began

    yield in_turns("merge, copy the file", "s", ours, copy, runs, wanted_ratio=Bound(at_most=3))
    size = model.path.stat().st_size
    yield Line(
        "peak memory beyond the base's size", "MB", (max(peaks) - size) / _MEGABYTE,
        runs=len(peaks), wanted=Bound(at_most=300),
    )  # fmt: skip
    yield Line(
        "the merged file, the base", "MB", job.merged.stat().st_size / _MEGABYTE,
        size / _MEGABYTE, job.merged.stat().st_size / size,
    )  # fmt: skip
