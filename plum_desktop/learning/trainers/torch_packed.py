"""Frozen layers whose weights stay the bytes that the GGUF holds.

Floats are made of them for one product at a time, anew in the backward pass, so that neither a
copy of the model nor of a layer is kept.  `weight` is uint8 (out, bytes a row), as a rule mapped
from the file; peft wraps these layers like any other.
"""

from __future__ import annotations

from typing import Any

import torch
from gguf import GGMLQuantizationType as Kind
from torch import Tensor, nn
from torch.nn import functional

from plum_desktop.learning.trainers.torch_dequantize import dequantize, width

_AT_ONCE = 1 << 23  # weights that are floats at the same time


class PackedLinear(nn.Linear):  # type: ignore[misc]
    """x (..., in) to (..., out).  `heads`: undo llama.cpp's row order of so many heads."""

    def __init__(
        self, weight: Tensor, kind: Kind, bias: nn.Parameter | None = None, heads: int = 0
    ) -> None:
        assert not (heads and bias is not None), "no model has both"
        nn.Module.__init__(self)  # nn.Linear's own would make a weight of floats
        self.in_features, self.out_features = width(kind, weight.shape[1]), weight.shape[0]
        self.kind, self.heads = kind, heads
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = _Product.apply(x, self.weight, self.bias, self.kind)
        if self.heads:  # moving the few results is cheaper than moving the rows
            out = out.unflatten(-1, (self.heads, -1, 2)).transpose(-1, -2).flatten(-3)
        return out


class PackedEmbedding(nn.Embedding):  # type: ignore[misc]
    """Ids (...) to vectors (..., width) of `dtype`, `scale` times what is stored."""

    def __init__(self, weight: Tensor, kind: Kind, dtype: torch.dtype, scale: float = 1.0) -> None:
        nn.Module.__init__(self)
        self.num_embeddings, self.embedding_dim = weight.shape[0], width(kind, weight.shape[1])
        self.padding_idx = None
        self.kind, self.dtype, self.scale = kind, dtype, scale
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        rows = dequantize(self.weight[ids.flatten()], self.kind, self.dtype)
        return rows.view(*ids.shape, -1) * self.scale


class _Product(torch.autograd.Function):  # type: ignore[misc]
    """x (..., in) times the transposed weights, and the bias; only x has a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, kind: Kind) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.kind = kind
        parts, first = [], 0
        for rows in _split(weight, kind):
            some = None if bias is None else bias[first : first + len(rows)]
            parts.append(functional.linear(x, dequantize(rows, kind, x.dtype), some))
            first += len(rows)
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (weight,) = ctx.saved_tensors
        total, first = torch.zeros(1, device=gradient.device), 0  # float32: bf16 would round it
        for rows in _split(weight, ctx.kind):
            columns = gradient[..., first : first + len(rows)]
            total = total + columns @ dequantize(rows, ctx.kind, gradient.dtype)
            first += len(rows)
        return total.to(gradient.dtype), None, None, None


def _split(weight: Tensor, kind: Kind) -> tuple[Tensor, ...]:
    parts: tuple[Tensor, ...] = weight.split(max(1, _AT_ONCE // width(kind, weight.shape[1])))
    return parts
