"""A GGUF matrix as MLX keeps quantized ones: the same grid, so the base stays the one that serves.

Both write a weight as `scale * whole number + bias` in groups of 32, so a tensor of such a type
goes over as it is, but for its scales being rounded to the type that is computed in.  What other
types hold is put on an 8-bit grid of its own, which is finer than theirs.
mx.load also reads some of these types, but Q4_K with every second group wrong (mlx 0.32.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mlx.core as mx
import numpy as np
from gguf.quants import Q4_K
from numpy.typing import NDArray

from plum_desktop.adapters.gguf_format import dequantize
from plum_desktop.models.header import GGML_TYPES

GROUP = 32
OTHER_BITS = 8
_AT_ONCE = 1 << 22  # weights

Floats = NDArray[np.float32]
Raw = NDArray[np.uint8]


def bits_for(kind: int, width: int) -> int | None:
    """Bits a weight of a matrix of ggml type `kind`, whose rows are `width` long; None: floats."""
    if width % GROUP:
        return None
    return _GRIDS[kind][0] if kind in _GRIDS else OTHER_BITS


def unpacked(raw: Raw, kind: int, dtype: mx.Dtype) -> mx.array:
    """The stored rows `raw` (out, bytes a row) of ggml type `kind` as numbers (out, in)."""
    parts = [mx.array(dequantize(rows, kind)).astype(dtype) for rows in _slices(raw, kind)]
    mx.eval(parts)
    return mx.concatenate(parts)


def pack(raw: Raw, kind: int, dtype: mx.Dtype) -> tuple[mx.array, mx.array, mx.array]:
    """(weight, scales, biases) for mx.dequantize, with GROUP and `bits_for`, of the same rows."""
    one = _packed if kind in _GRIDS else _requantized
    parts = [one(rows, kind, dtype) for rows in _slices(raw, kind)]
    mx.eval(parts)
    weight, scales, biases = (mx.concatenate(list(column)) for column in zip(*parts, strict=True))
    return weight, scales, biases


def _slices(raw: Raw, kind: int) -> Iterator[Raw]:
    """Some rows at a time, since the numbers in between take several times the room."""
    _, elements, size = GGML_TYPES[kind]
    rows = max(1, _AT_ONCE // (raw.shape[1] // size * elements))
    return (raw[at : at + rows] for at in range(0, len(raw), rows))


def _packed(raw: Raw, kind: int, dtype: mx.Dtype) -> tuple[mx.array, mx.array, mx.array]:
    bits, read = _GRIDS[kind]
    found = read(raw.reshape(-1, GGML_TYPES[kind][2]))
    scales, biases = (part.reshape(len(raw), -1) for part in found)
    steps = np.where(scales == 0, 1, scales)  # a group of one value has no steps
    groups = dequantize(raw, kind).reshape(len(raw), -1, GROUP)
    whole = np.rint((groups - biases[..., None]) / steps[..., None])
    numbers = np.clip(whole, 0, 2**bits - 1).astype(np.uint8)
    stream = np.unpackbits(numbers[..., None], axis=-1, count=bits, bitorder="little")
    words = np.packbits(stream.reshape(len(raw), -1), axis=-1, bitorder="little").view("<u4")
    return mx.array(words), mx.array(scales).astype(dtype), mx.array(biases).astype(dtype)


def _requantized(raw: Raw, kind: int, dtype: mx.Dtype) -> tuple[mx.array, mx.array, mx.array]:
    weights = mx.array(dequantize(raw, kind))
    weight, scales, biases = mx.quantize(weights, group_size=GROUP, bits=OTHER_BITS)
    return weight, scales.astype(dtype), biases.astype(dtype)


def _half(blocks: Raw, at: int) -> Floats:
    """The fp16 number that each block holds at byte `at`."""
    return blocks[:, at : at + 2].copy().view("<f2").astype(np.float32)


def _around(middle: int) -> Callable[[Raw], tuple[Floats, Floats]]:
    """Blocks of one scale, whose numbers count from `middle`."""
    return lambda blocks: (_half(blocks, 0), -middle * _half(blocks, 0))


def _from_least(blocks: Raw) -> tuple[Floats, Floats]:
    """Blocks of one scale and the least weight."""
    return _half(blocks, 0), _half(blocks, 2)


def _super_blocks(blocks: Raw) -> tuple[Floats, Floats]:
    """Blocks of eight groups, whose scales and least weights are quantized themselves."""
    scales, least = Q4_K.get_scale_min(blocks[:, 4:16])
    return _half(blocks, 0) * scales, -_half(blocks, 2) * least


# ggml type -> bits, and how the scales and biases are read from blocks (n, bytes a block)
_GRIDS: dict[int, tuple[int, Callable[[Raw], tuple[Floats, Floats]]]] = {
    2: (4, _around(8)),  # Q4_0
    3: (4, _from_least),  # Q4_1
    6: (5, _around(16)),  # Q5_0
    7: (5, _from_least),  # Q5_1
    8: (8, _around(128)),  # Q8_0
    12: (4, _super_blocks),  # Q4_K
    13: (5, _super_blocks),  # Q5_K
}
