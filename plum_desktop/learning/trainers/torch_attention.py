"""Attention of packed rows on a CPU, each row by itself: itself and its prefix are all it sees.

Of a pack's whole matrix of who may look at whom, four fifths are hidden with rows as short as
lessons are; computed and hidden nevertheless, as libraries do it, that took as long as all of the
model's matrix products.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface

from plum_desktop.learning.packing import Span

NAME = "packed_rows"


def register() -> None:
    """Make `NAME` an `attn_implementation`; a model's call then takes `spans`."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, _no_mask)


def _no_mask(**_: Any) -> None:
    """What is hidden follows from the spans."""


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float,
    spans: Sequence[Span] | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """`query` (1, heads, L, d), `key` and `value` (1, fewer heads, L, d): (1, L, heads, d).

    As transformers' attention functions are called; `spans` cover all L places, and without them
    all are one row.
    """
    shared, width = key.shape[1], key.shape[3]
    spans = spans or [Span(query.shape[2], None)]
    lengths = [span.length for span in spans]
    # Split at once: a slice's gradient would be as large as what it was cut from.
    queries = (query[0] * scaling).split(lengths, 1)
    keys, values = key[0].split(lengths, 1), value[0].split(lengths, 1)
    rows = []
    for span, q, k, v in zip(spans, queries, keys, values, strict=True):
        if span.prefix is not None:
            k = torch.cat([keys[span.prefix], k], 1)
            v = torch.cat([values[span.prefix], v], 1)
        # The heads that share a key are more places of one.
        scores = q.reshape(shared, -1, width) @ k.transpose(1, 2)
        if softcap:
            scores = torch.tanh(scores / softcap) * softcap
        scores = scores.view(shared, -1, span.length, k.shape[1])
        scores = scores + _hidden(span.length, k.shape[1], sliding_window, scores.dtype)
        seen = scores.softmax(-1).view(shared, -1, k.shape[1]) @ v
        rows.append(seen.view(-1, span.length, width))
    return torch.cat(rows, 1).transpose(0, 1)[None], None


@functools.lru_cache(maxsize=32)  # as many as a step has
def _hidden(length: int, keys: int, window: int | None, dtype: torch.dtype) -> torch.Tensor:
    """(length, keys): -inf where a place may not look, the last of `keys` being the last place."""
    seen = torch.ones(length, keys, dtype=torch.bool).tril(keys - length)
    if window:
        seen &= seen.triu(keys - length - window + 1)
    return torch.zeros(length, keys, dtype=dtype).masked_fill_(~seen, -torch.inf)
