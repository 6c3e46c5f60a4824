"""Merging an adapter into its base model's GGUF file, without losing what was learned.

Dequantized 4-bit weights lie exactly on their grid, so a small change written back at the
same type rounds away (measured: 1 to 12% of it survives).  Therefore every tensor that the
adapter touches is written at the smallest of Q8_0, F16 and F32 that keeps its change, as
measured on what was written; the others are copied byte for byte.  Always from the pristine
base: a merge upon a merge would add up rounding.
"""

from __future__ import annotations

import contextlib
import glob
import math
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BufferedWriter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from plum_desktop.adapters import ggml
from plum_desktop.adapters.gguf_bytes import PlacedTensor, preamble, text_entry
from plum_desktop.adapters.gguf_format import dequantize
from plum_desktop.adapters.lora import BASE_SHA256, LoraAdapter
from plum_desktop.adapters.names import kind_of, module_name, placed
from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import atomic_write, require_free
from plum_desktop.models.header import (
    GGML_TYPES,
    GGUFHeader,
    TensorInfo,
    padded,
    read_header,
)
from plum_desktop.models.support import MERGED_FROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plum_desktop.adapters.lora import Matrix

    Block = tuple[Matrix, Matrix]  # weights and their change, float32 (rows, width)
    # Sums over a block: effect x change, change squared, (effect - change) squared, weights squared
    Part = tuple[float, float, float, float]
    Stored = tuple[Any, Part]  # the bytes of a block, (rows, bytes a row)

KEPT_SHARE = 0.99  # of every tensor's change must be in the written file

# Weights that a thread works on at once.  Of fewer, threads spend their time on taking turns in
# Python; more do not stay in a core's cache.
_BLOCK = 1 << 18
_COPY = 1 << 22
_FLUSHED = 1 << 26  # bytes that go to the disk at once
_SAMPLE_ROWS = 16
_THREADS = min(4, os.cpu_count() or 1)
_AHEAD = 4 * _THREADS  # blocks that may wait to be written: memory stays bounded
_F32, _F16, _Q8_0 = 0, 1, 8  # ggml types
TYPES = {"Q8_0": _Q8_0, "F16": _F16, "F32": _F32}  # that a change is written as, smallest first
_UNQUANTIZED = {_F32: (_F32,), _F16: (_F16, _F32), 30: (_F16, _F32)}  # 30: BF16


@dataclass(frozen=True, slots=True)
class TensorMerge:
    """What became of one touched tensor."""

    name: str
    base_type: str
    type: str
    kept: float  # sum(E * D) / sum(D * D): D the change wanted, E the change written
    noise: float  # norm of (E - D) / norm of D
    delta: float  # norm of D / norm of the base weights


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge wrote.  `copied` counts the tensors taken over byte for byte."""

    tensors: tuple[TensorMerge, ...]
    copied: int
    size: int

    @property
    def least_kept(self) -> float:
        return min((tensor.kept for tensor in self.tensors), default=1.0)


# Numbers too large for F16 become infinite; the measure sees it and the next type is tried.
@np.errstate(over="ignore", invalid="ignore")
def merge(
    base: Path,
    adapter: LoraAdapter,
    out: Path,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    check: Callable[[], None] = lambda: None,
    at_least: str | None = None,
) -> MergeReport:
    """Write `base` with `adapter` merged in to `out`; the file is whole or absent.

    What changes is written as the smallest of `TYPES` that keeps the change, from `at_least` on
    where one is named.
    `check` is called often and may raise to stop.  Memory stays bounded.  One merge to `out`
    at a time.  Raises PlumError where the adapter does not belong to the base, DiskFull,
    DamagedFile.
    """
    header = read_header(base)
    if MERGED_FROM in header.metadata:
        raise PlumError(
            "{name} already has memories merged into it; merge into the model that it was made "
            "from.",
            name=base.name,
        )
    if out.exists() and out.samefile(base):
        raise PlumError(
            "A merge would overwrite its base {name}; choose another file name.", name=base.name
        )
    changes = _changes(base, adapter, header, at_least)
    _remove_leftovers(out)
    require_free(out.parent, _estimated_size(header, changes), "Merging what was learned")
    entries = _entries(header) + text_entry(MERGED_FROM, adapter.metadata.get(BASE_SHA256, ""))
    written: list[PlacedTensor] = []
    reports: list[TensorMerge] = []
    with (
        base.open("rb") as source, atomic_write(out) as stream,
        ThreadPoolExecutor(_THREADS) as pool, _Flushing(stream) as flushing,
    ):  # fmt: skip
        unplaced = [PlacedTensor(t.name, t.shape, t.type, 0) for t in header.tensors.values()]
        start = len(preamble(header.metadata_count + 1, entries, unplaced, header.alignment))
        stream.seek(start)
        done = 0
        for info in header.tensors.values():
            check()
            offset = stream.tell() - start
            change = changes.get(info.name)
            if change is None:
                kind = info.type
                _copy(source, stream, info, check)
            else:
                kind, report = _write_changed(stream, change, pool, check)
                reports.append(report)
            stream.write(b"\0" * (padded(stream.tell(), header.alignment) - stream.tell()))
            written.append(PlacedTensor(info.name, info.shape, kind, offset))
            flushing.go_on()
            done += info.nbytes
            progress(done / (header.file_size - header.data_offset), "Merging what was learned")
        size = stream.tell()
        stream.seek(0)
        stream.write(preamble(header.metadata_count + 1, entries, written, header.alignment))
    return MergeReport(tuple(reports), len(written) - len(reports), size)


@np.errstate(over="ignore", invalid="ignore")
def delta_norms(adapter: LoraAdapter, base: Path) -> dict[str, float]:
    """How far the adapter moves the weights: norm of the change / norm of the weights.

    One number for each kind of module (`q_proj` …), the mean over its layers.
    """
    header = read_header(base)
    ratios: dict[str, list[float]] = defaultdict(list)
    for name, (a, b) in placed(adapter, header).items():
        change = _Change(base, header.tensors[name], a, b, adapter.scale)
        kind = kind_of(module_name(header.architecture, name))
        weights = sum(_squares(weights) for weights, _ in map(change.some, change.slices()))
        ratios[kind].append(_ratio(change.norm(), math.sqrt(weights)))
    return {kind: sum(found) / len(found) for kind, found in ratios.items()}


class _Change:
    """A base tensor and the change that the adapter makes to it, block of rows by block."""

    def __init__(
        self,
        base: Path,
        info: TensorInfo,
        a: Matrix,
        b: Matrix,
        scale: float,
        at_least: str | None = None,
    ) -> None:
        self.info = info
        first = [*TYPES].index(at_least) if at_least else 0
        self._types = [*TYPES.values()][first:]
        self._a, self._b, self._scale = a, b, np.float32(scale)
        self.rows, self.width = info.shape
        self._raw = np.memmap(
            base, np.uint8, "r", info.offset, (self.rows, info.nbytes // self.rows)
        )

    def norm(self) -> float:
        """Frobenius norm of the change, without ever forming it."""
        a, b = self._a.astype(np.float64), self._b.astype(np.float64)
        return abs(float(self._scale)) * math.sqrt(max(0.0, float(np.sum((b.T @ b) * (a @ a.T)))))

    def slices(self) -> Iterator[slice]:
        """All rows, in order, so many at once as are worked on at once."""
        step = max(1, _BLOCK // self.width)
        return (slice(first, first + step) for first in range(0, self.rows, step))

    def sample(self) -> NDArray[np.int64]:
        """A few rows from all over the tensor."""
        return np.linspace(0, self.rows - 1, min(self.rows, _SAMPLE_ROWS)).astype(np.int64)

    @np.errstate(over="ignore", invalid="ignore")  # for each thread anew
    def some(self, rows: Any) -> Block:
        return dequantize(self._raw[rows], self.info.type), self._scale * self._b[rows] @ self._a

    @property
    def types(self) -> tuple[int, ...]:
        """What it may be written as, smallest first; never with less precision than it has."""
        able = (_F16, _F32) if self.width % 32 else tuple(TYPES.values())
        able = _UNQUANTIZED.get(self.info.type, able)
        return tuple(kind for kind in able if kind in self._types)


class _Flushing:
    """Brings what is written to the disk while the rest is made; at the end little is left to."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._thread = ThreadPoolExecutor(1)
        self._under_way: Future[None] | None = None
        self._flushed = 0

    def go_on(self) -> None:
        """Begin anew if enough was written since.  Raises OSError of what failed meanwhile."""
        if self._under_way and not self._under_way.done():
            return
        self._finish()
        on_disk = isinstance(self._stream, BufferedWriter)  # in a sealed folder it is in memory
        if on_disk and self._stream.tell() - self._flushed > _FLUSHED:
            self._flushed = self._stream.tell()
            self._under_way = self._thread.submit(os.fsync, self._stream.fileno())

    def _finish(self) -> None:
        if self._under_way:
            self._under_way.result()

    def __enter__(self) -> _Flushing:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        self._thread.shutdown()
        if failed is None:  # the system tells of a failure once: not again to who flushes next
            self._finish()


class _Measure:
    """Sums over blocks from which the share kept, the noise and the norms come."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._kept, self._wanted, self._error, self._weights = map(sum, zip(*parts, strict=True))

    @property
    def kept(self) -> float:
        return self._kept / self._wanted if self._wanted else 1.0

    @property
    def sufficient(self) -> bool:
        # Far above 1 it is the rounding that happens to point the same way.
        return KEPT_SHARE <= self.kept <= 2 - KEPT_SHARE

    @property
    def noise(self) -> float:
        return math.sqrt(self._error / self._wanted) if self._wanted else 0.0

    @property
    def delta(self) -> float:
        return _ratio(math.sqrt(self._wanted), math.sqrt(self._weights))


def _changes(
    base: Path, adapter: LoraAdapter, header: GGUFHeader, at_least: str | None
) -> dict[str, _Change]:
    """The tensors that really change: a fresh B is all zeros, and such a tensor is copied."""
    changes = {}
    for name, (a, b) in placed(adapter, header).items():
        change = _Change(base, header.tensors[name], a, b, adapter.scale, at_least)
        if change.norm() > 0:
            changes[name] = change
    return changes


def _write_changed(
    stream: IO[bytes], change: _Change, pool: ThreadPoolExecutor, check: Callable[[], None]
) -> tuple[int, TensorMerge]:
    """Write a tensor at the smallest type that keeps its change; the last one is taken anyway."""
    start = stream.tell()
    for kind in change.types:
        stream.seek(start)  # a larger type overwrites all of a smaller one
        parts = []
        for raw, part in _in_order(pool, partial(_stored, change, kind), change.slices()):
            check()
            stream.write(raw)
            parts.append(part)
        measure = _Measure(parts)
        if measure.sufficient:
            break
    info = change.info
    if not math.isfinite(measure.kept):
        raise DamagedFile(
            "{name} would hold numbers that are not finite: the model or the adapter is damaged.",
            name=info.name,
        )
    return kind, TensorMerge(
        info.name, info.type_name, GGML_TYPES[kind][0], measure.kept, measure.noise, measure.delta
    )


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[slice], Stored], slices: Iterable[slice]
) -> Iterator[Stored]:
    """What `work` makes of each slice, in order; the next are worked on while one is written."""
    ahead: deque[Future[Stored]] = deque()
    try:
        for some in slices:
            ahead.append(pool.submit(work, some))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for each in ahead:
            each.cancel()


@np.errstate(over="ignore", invalid="ignore")
def _stored(change: _Change, kind: int, rows: Any) -> Stored:
    """The bytes of `rows` with their change, as type `kind`, and what a reader will find there."""
    weights, delta = change.some(rows)
    changed = weights + delta
    stored = _quantized(changed, kind)
    # Of F32 these numbers are what is stored.
    effect = np.subtract(dequantize(stored, kind), weights, out=None if kind == _F32 else changed)
    kept = _dot(effect, delta)
    effect -= delta
    return stored, (kept, _squares(delta), _squares(effect), _squares(weights))


def _quantized(weights: Matrix, kind: int) -> Any:
    """The bytes of float32 rows as type `kind`, (rows, bytes a row)."""
    if kind == _F32:
        return weights.view(np.uint8)
    raw = ggml.quantize(weights, kind)
    if raw is None:
        import gguf

        raw = gguf.quants.quantize(weights, gguf.GGMLQuantizationType(kind)).view(np.uint8)
    return raw


def _copy(
    source: IO[bytes], stream: IO[bytes], info: TensorInfo, check: Callable[[], None]
) -> None:
    source.seek(info.offset)
    left = info.nbytes
    while left:
        check()
        chunk = source.read(min(left, _COPY))
        if not chunk:
            raise PlumError("The model file became shorter during the merge; try again.")
        stream.write(chunk)
        left -= len(chunk)


def _remove_leftovers(out: Path) -> None:
    """Delete the temporary files of merges to `out` that were killed: each is a model's size."""
    for leftover in out.parent.glob(f".{glob.escape(out.name)}.*"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def _estimated_size(header: GGUFHeader, changes: dict[str, _Change]) -> int:
    """Bytes of the merged file, each changed tensor's type guessed from a few of its rows."""
    size = header.file_size
    for change in changes.values():
        for kind in change.types:
            if _Measure([_stored(change, kind, change.sample())[1]]).sufficient:
                break
        _, block, block_bytes = GGML_TYPES[kind]
        size += change.info.elements // block * block_bytes - change.info.nbytes
    return size


def _entries(header: GGUFHeader) -> bytes:
    """The base's key-value pairs as they stand in the file."""
    start, end = header.metadata_span
    with header.path.open("rb") as stream:
        stream.seek(start)
        return stream.read(end - start)


def _dot(left: Matrix, right: Matrix) -> float:
    return float(np.dot(left.ravel(), right.ravel()))


def _squares(matrix: Matrix) -> float:
    return _dot(matrix, matrix)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.inf
