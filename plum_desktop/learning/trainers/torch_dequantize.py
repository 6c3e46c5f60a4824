"""GGUF's quantized bytes as floats, in torch: what ggml's own code does, where ggml cannot be used.

ggml and torch bring an OpenMP each, and the two clash in one process.  The numbers are those of
gguf's `dequantize`, bit for bit, on whatever device the bytes are.  Layouts: ggml-common.h.
"""

from __future__ import annotations

from collections.abc import Callable

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from torch import Tensor

# Numbers that are worked on at once: on a processor what passes between steps stays in its cache,
# on a GPU it is the number of kernels started that costs.
_AT_ONCE, _AT_ONCE_ON_GPU = 1 << 19, 1 << 24


def width(kind: Kind, row_bytes: int) -> int:
    """Numbers in a row of so many bytes."""
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    return row_bytes // block_bytes * block


def dequantize(raw: Tensor, kind: Kind, dtype: torch.dtype) -> Tensor:
    """uint8 rows (n, bytes) of ggml type `kind` as numbers (n, width), computed in float32.

    Types without a kernel here go through gguf on the processor: right, and several times slower.
    """
    if kind in _PLAIN:
        return raw.contiguous().view(_PLAIN[kind]).to(dtype)
    rows, wide = raw.shape[0], width(kind, raw.shape[1])
    out = torch.empty((rows, wide), dtype=dtype, device=raw.device)
    step = max(1, (_AT_ONCE if raw.device.type == "cpu" else _AT_ONCE_ON_GPU) // wide)
    for first in range(0, rows, step):
        part = raw[first : first + step]
        out[first : first + step] = _floats(part, kind).view(-1, wide)
    return out


def _floats(raw: Tensor, kind: Kind) -> Tensor:
    if kind not in _KERNELS:
        numbers = gguf.quants.dequantize(np.ascontiguousarray(raw.cpu().numpy()), kind)
        return torch.from_numpy(numbers).to(raw.device)
    return _KERNELS[kind](raw.reshape(-1, gguf.GGML_QUANT_SIZES[kind][1]))


def _q4_0(blocks: Tensor) -> Tensor:
    d, q = _half(blocks[:, :2]), _nibbles(blocks[:, 2:])
    return q.float().sub_(8).mul_(d)


def _q4_1(blocks: Tensor) -> Tensor:
    d, m, q = _half(blocks[:, :2]), _half(blocks[:, 2:4]), _nibbles(blocks[:, 4:])
    return q.float().mul_(d).add_(m)


def _q5_0(blocks: Tensor) -> Tensor:
    d, high = _half(blocks[:, :2]), _bits(blocks[:, 2:6])
    return (_nibbles(blocks[:, 6:]) | high << 4).float().sub_(16).mul_(d)


def _q5_1(blocks: Tensor) -> Tensor:
    d, m, high = _half(blocks[:, :2]), _half(blocks[:, 2:4]), _bits(blocks[:, 4:8])
    return (_nibbles(blocks[:, 8:]) | high << 4).float().mul_(d).add_(m)


def _q8_0(blocks: Tensor) -> Tensor:
    return blocks[:, 2:].view(torch.int8).float().mul_(_half(blocks[:, :2]))


def _q2_k(blocks: Tensor) -> Tensor:
    scales, d, dmin = blocks[:, :16], _half(blocks[:, 80:82]), _half(blocks[:, 82:84])
    q = _fields(blocks[:, 16:80].view(-1, 2, 32), 2).view(-1, 16, 16).float()
    scale, least = (scales & 15).float().mul_(d), (scales >> 4).float().mul_(dmin)
    return q.mul_(scale[..., None]).sub_(least[..., None])


def _q3_k(blocks: Tensor) -> Tensor:
    high = _fields(blocks[:, None, 104:108], 2).flatten(1)
    scale = (_nibbles(blocks[:, 96:104]) | high << 4).float().sub_(32)
    scale = scale.mul_(_half(blocks[:, 108:110]))
    q = _fields(blocks[:, 32:96].view(-1, 2, 32), 2).view(-1, 16, 16)
    # A set bit in the mask stands for no offset, a clear one for 4 less.
    q |= _fields(blocks[:, None, :32], 1).view(-1, 16, 16) << 2
    return q.float().sub_(4).mul_(scale[..., None])


def _q4_k(blocks: Tensor) -> Tensor:
    scale, least = _scales(blocks)
    q = _fields(blocks[:, 16:].view(-1, 4, 32), 4).view(-1, 8, 32)
    return q.float().mul_(scale).sub_(least)


def _q5_k(blocks: Tensor) -> Tensor:
    scale, least = _scales(blocks)
    q = _fields(blocks[:, 48:].view(-1, 4, 32), 4).view(-1, 8, 32)
    q |= _fields(blocks[:, None, 16:48], 1).view(-1, 8, 32) << 4
    return q.float().mul_(scale).sub_(least)


def _q6_k(blocks: Tensor) -> Tensor:
    q = _fields(blocks[:, :128].view(-1, 2, 64), 4).view(-1, 16, 16)
    q |= _fields(blocks[:, 128:192].view(-1, 2, 32), 2).view(-1, 16, 16) << 4
    scale = blocks[:, 192:208].view(torch.int8).float().mul_(_half(blocks[:, 208:210]))
    return q.float().sub_(32).mul_(scale[..., None])


def _iq4_nl(blocks: Tensor) -> Tensor:
    d, q = _half(blocks[:, :2]), _nibbles(blocks[:, 2:])
    return _uneven(q).mul_(d)


def _iq4_xs(blocks: Tensor) -> Tensor:
    low = torch.stack((blocks[:, 4:8] & 15, blocks[:, 4:8] >> 4), -1).flatten(1)
    high = torch.stack([blocks[:, 2:4] >> shift & 3 for shift in range(0, 8, 2)], 2).flatten(1)
    scale = (low | high << 4).float().sub_(32).mul_(_half(blocks[:, :2]))
    q = _fields(blocks[:, 8:].view(-1, 8, 16), 4).view(-1, 8, 32)
    return _uneven(q).mul_(scale[..., None])


def _half(raw: Tensor) -> Tensor:
    """(n, 2) bytes as (n, 1) float32."""
    return raw.contiguous().view(torch.float16).float()


def _fields(packed: Tensor, bits: int) -> Tensor:
    """Bytes (n, g, k) as their 8 / bits fields (n, g, fields, k), lowest first."""
    # Shifts by a number take a fortieth of the time of shifts by a tensor of numbers.
    mask = (1 << bits) - 1
    return torch.stack([packed >> shift & mask for shift in range(0, 8, bits)], 2)


def _nibbles(packed: Tensor) -> Tensor:
    """Bytes (n, k): all low halves, then all high ones, (n, 2k)."""
    return torch.cat((packed & 15, packed >> 4), 1)


def _bits(packed: Tensor) -> Tensor:
    """Bytes (n, k) as single bits (n, 8k), lowest first."""
    return torch.stack([packed >> shift & 1 for shift in range(8)], 2).flatten(1)


def _scales(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and minimum (n, 8, 1) of the eight parts of Q4_K's and Q5_K's blocks."""
    d, least, both = blocks[:, 4:16].view(-1, 3, 4).unbind(1)
    scale = torch.cat((d & 63, both & 15 | d >> 2 & 48), 1).float().mul_(_half(blocks[:, :2]))
    minimum = torch.cat((least & 63, both >> 4 | least >> 2 & 48), 1).float()
    minimum = minimum.mul_(_half(blocks[:, 2:4]))
    return scale[..., None], minimum[..., None]


def _uneven(q: Tensor) -> Tensor:
    """What the four bits of IQ4 stand for."""
    values = torch.tensor(gguf.quants.IQ4_NL.kvalues, dtype=torch.float32, device=q.device)
    return values.index_select(0, q.flatten().int()).view(q.shape)


_PLAIN = {Kind.F32: torch.float32, Kind.F16: torch.float16, Kind.BF16: torch.bfloat16}
_KERNELS: dict[Kind, Callable[[Tensor], Tensor]] = {
    Kind.Q4_0: _q4_0, Kind.Q4_1: _q4_1, Kind.Q5_0: _q5_0, Kind.Q5_1: _q5_1, Kind.Q8_0: _q8_0,
    Kind.Q2_K: _q2_k, Kind.Q3_K: _q3_k, Kind.Q4_K: _q4_k, Kind.Q5_K: _q5_k, Kind.Q6_K: _q6_k,
    Kind.IQ4_NL: _iq4_nl, Kind.IQ4_XS: _iq4_xs,
}  # fmt: skip
