"""Whether a model fits this machine: estimates of memory for chatting and for learning.

Estimates lean to the high side; a test holds them against a real process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from plum_desktop.models.header import GGUFHeader

Fit = Literal["fits", "slow", "will not fit"]

_PROGRAM = 64_000_000  # an engine process before it loads anything
_TRAINER = 700_000_000  # the same with torch, transformers and peft
_BATCH = 512  # tokens that llama.cpp reads at once
_CACHE_BYTES = 2  # a number in the KV cache (F16)
_ROOM = 0.9  # of what is free may be taken before it counts as slow
_PRESSED = 0.85  # of all memory; beyond it the system swaps without end


@dataclass(frozen=True, slots=True)
class Memory:
    """This machine's memory in bytes; `available` without swapping anything out."""

    total: int
    available: int


def memory() -> Memory:
    import psutil

    now = psutil.virtual_memory()
    return Memory(now.total, now.available)


def chat_bytes(header: GGUFHeader, n_ctx: int) -> int:
    """Memory an engine needs to chat with the model at a context of `n_ctx` tokens."""
    heads = header.of_architecture("attention.head_count", 1)
    kv_heads = header.of_architecture("attention.head_count_kv", heads)
    width = header.of_architecture("embedding_length") // max(1, heads)
    key = header.of_architecture("attention.key_length", width)
    value = header.of_architecture("attention.value_length", width)
    context = min(n_ctx, header.context_length or n_ctx)
    cache = header.block_count * context * kv_heads * (key + value) * _CACHE_BYTES
    logits = _BATCH * header.vocabulary * 4
    return _PROGRAM + header.file_size + cache + logits


def training_bytes(
    header: GGUFHeader, *, rank: int = 16, tokens: int = 1024, weight_bytes: int = 2
) -> int:
    """Memory a learning run needs: `tokens` in one step, the base at `weight_bytes` a number.

    Base weights, the LoRA with its gradients and two optimizer moments in float32, and the
    activations that the backward pass keeps (about 16 vectors a layer and token, half as wide
    again for the MLP's own).
    """
    linear = [t.shape for t in header.tensors.values() if len(t.shape) == 2 and "blk." in t.name]
    lora = sum(rank * sum(shape) for shape in linear) * 16
    inner = header.of_architecture("embedding_length") * 10
    inner += header.of_architecture("feed_forward_length") * 4
    activations = tokens * header.block_count * inner * 4
    logits = tokens // 2 * header.vocabulary * 4 * 2
    return _TRAINER + header.parameters * weight_bytes + lora + activations + logits


def fit(needed: int, machine: Memory) -> Fit:
    """How `needed` bytes sit in the machine's memory."""
    if needed <= max(machine.available, machine.total // 2) * _ROOM:
        return "fits"
    return "slow" if needed <= machine.total * _PRESSED else "will not fit"
