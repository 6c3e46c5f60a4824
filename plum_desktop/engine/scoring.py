"""Log-probabilities of given token ids, written to files.  Worker side only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.base.files import atomic_write
from plum_desktop.engine.native import Context

Rows = Sequence[Sequence[int]]
Floats = npt.NDArray[np.float32]


def write_logits(
    context: Context,
    rows: Rows,
    out: Path,
    first: Sequence[int],
    on_row: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> int:
    """Write the log-softmax after positions `first[i]`.. of each row to `out`, a .npy file.

    Shape (sum of positions, n_vocab), float32; returns the number of positions.
    """
    _check(context, rows, first)
    total = sum(len(row) - at for row, at in zip(rows, first, strict=True))
    header = {"descr": "<f4", "fortran_order": False, "shape": (total, context.model.n_vocab)}
    with atomic_write(out) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for block in _log_softmax(context, rows, first, on_row, should_stop):
            stream.write(block.tobytes())
    return total


def write_topk(
    context: Context,
    rows: Rows,
    k: int,
    out: Path,
    first: Sequence[int],
    on_row: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> int:
    """Write the `k` likeliest tokens after each position to `out`, a .npz file.

    `ids` int32 (n, k) and `logp` float16 (n, k), likeliest first, rows one after the other;
    `offsets` int64 (rows + 1) says where each begins.  Returns n.
    """
    _check(context, rows, first)
    k = min(k, context.model.n_vocab)
    ids, logp = [np.empty((0, k), np.int32)], [np.empty((0, k), np.float16)]
    for block in _log_softmax(context, rows, first, on_row, should_stop):
        best = np.argpartition(block, -k, axis=1)[:, -k:]
        values = np.take_along_axis(block, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        ids.append(np.take_along_axis(best, order, axis=1).astype(np.int32))
        logp.append(np.take_along_axis(values, order, axis=1).astype(np.float16))
    lengths = [len(row) - at for row, at in zip(rows, first, strict=True)]
    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    with atomic_write(out) as stream:
        np.savez(stream, ids=np.concatenate(ids), logp=np.concatenate(logp), offsets=offsets)
    return int(offsets[-1])


def _check(context: Context, rows: Rows, first: Sequence[int]) -> None:
    if len(rows) != len(first):
        raise PlumError("Each row needs its first position.")
    for row, at in zip(rows, first, strict=True):
        if not 0 <= at < len(row):
            raise PlumError("A row of {row} tokens has no position {at}.", row=len(row), at=at)
        if len(row) > context.n_ctx:
            raise PlumError(
                "A row of {row} tokens does not fit the context of {n_ctx}.",
                row=len(row),
                n_ctx=context.n_ctx,
            )
        if not all(0 <= token < context.model.n_vocab for token in row):
            raise PlumError("A row has a token that is not in the model's vocabulary.")


def _log_softmax(
    context: Context,
    rows: Rows,
    first: Sequence[int],
    on_row: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> Iterator[Floats]:
    for done, (row, at) in enumerate(zip(rows, first, strict=True), 1):
        if should_stop():
            raise Cancelled
        for logits in context.scores(row, at, should_stop):
            shifted: Floats = logits - logits.max(axis=1, keepdims=True)
            yield shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        on_row(done)
