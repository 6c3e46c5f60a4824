"""Whether a model fits this machine: estimates of memory for chatting and for learning.

Estimates lean to the high side; a test holds them against a real process.  A graphics card
counts for chatting, where the engine uses it and the whole model fits on it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from plum_desktop.base.files import megabytes
from plum_desktop.base.sentence import Sentence
from plum_desktop.models.header import GGUFHeader

Fit = Literal["fits", "slow", "will not fit"]

# How a trainer holds a model, each slower and smaller than the one before: its weights as floats;
# as the file has them, floats for one product at a time; and what the backward pass wants of a
# layer computed again instead of kept.
Hold = Literal["floats", "packed", "frugal"]
HOLDS: tuple[Hold, ...] = get_args(Hold)

_PROGRAM = 64_000_000  # an engine process before it loads anything
_TRAINER = 800_000_000  # the same with torch, transformers and peft, and what threads set aside
_UNPACKED = 1 << 23  # weights that a packed model has as floats at the same time
_SEQUENCE = 512  # tokens of the longest sequence that a step is packed into
_BATCH = 512  # tokens that llama.cpp reads at once
_CACHE_BYTES = 2  # a number in the KV cache (F16)
_ROOM = 0.9  # of what is free may be taken
_PRESSED = 0.85  # of all memory; beyond it the system swaps without end
DISK_RESERVE = 300_000_000  # bytes that a download leaves free for everything else


@dataclass(frozen=True, slots=True)
class Memory:
    """This machine's memory in bytes; `available` without swapping anything out.

    `cards` is that of the graphics cards which the engine uses.
    """

    total: int
    available: int
    cards: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a model that its memory depends on."""

    file_size: int  # bytes
    parameters: int
    layers: int
    kv_heads: int
    head_size: int  # of a key and a value together
    embedding: int
    inner: int  # of the MLP
    vocabulary: int
    context: int  # tokens it was made for; 0: the file does not say
    sides: int  # both sides of every matrix in the blocks, added up

    @classmethod
    def of(cls, header: GGUFHeader) -> Shape:
        heads = header.of_architecture("attention.head_count", 1)
        embedding = header.of_architecture("embedding_length")
        width = embedding // max(1, heads)
        key = header.of_architecture("attention.key_length", width)
        value = header.of_architecture("attention.value_length", width)
        matrices = (t for t in header.tensors.values() if len(t.shape) == 2 and "blk." in t.name)
        return cls(
            file_size=header.file_size,
            parameters=header.parameters,
            layers=header.block_count,
            kv_heads=header.of_architecture("attention.head_count_kv", heads),
            head_size=key + value,
            embedding=embedding,
            inner=header.of_architecture("feed_forward_length"),
            vocabulary=header.vocabulary,
            context=header.context_length,
            sides=sum(sum(matrix.shape) for matrix in matrices),
        )


def memory() -> Memory:
    import psutil

    now = psutil.virtual_memory()
    return Memory(now.total, now.available)


def chat_bytes(model: Shape, n_ctx: int) -> int:
    """Memory an engine needs to chat with the model at a context of `n_ctx` tokens."""
    context = min(n_ctx, model.context or n_ctx)
    cache = model.layers * context * model.kv_heads * model.head_size * _CACHE_BYTES
    logits = _BATCH * model.vocabulary * 4
    return _PROGRAM + model.file_size + cache + logits


def training_bytes(
    model: Shape,
    hold: Hold = "frugal",
    *,
    rank: int = 16,
    tokens: int = 1024,
    number_bytes: int = 4,
) -> int:
    """Memory a learning run needs: `tokens` in one step, computed in numbers of `number_bytes`.

    Base weights; the LoRA with its gradients, its float32 copy and two optimizer moments; what the
    backward pass keeps of every layer (in `frugal` every layer's input, and all of one at a time,
    with its gradients); logits at half of the places.
    """
    weights = model.parameters * number_bytes
    if hold != "floats":
        weights = model.file_size + _UNPACKED * (number_bytes + 4)
    lora = rank * model.sides * (16 + 2 * number_bytes)
    heads = model.embedding // max(1, model.head_size // 2)
    layer = (model.embedding * 15 + model.inner * 4) * number_bytes + heads * _SEQUENCE * 8
    kept = model.layers * layer
    if hold == "frugal":
        kept = model.layers * model.embedding * number_bytes + 3 * layer
    logits = tokens // 2 * model.vocabulary * (2 * number_bytes + 12)
    return _TRAINER + weights + lora + tokens * kept + logits


def choose_hold(model: Shape, available: int, number_bytes: int) -> tuple[Hold, str]:
    """The fastest hold that `available` bytes have room for, and the sentence that says why."""
    for hold in HOLDS:
        needed = training_bytes(model, hold, number_bytes=number_bytes)
        if needed <= available * _ROOM:
            break
    return hold, Sentence(
        "It needs {needed} of memory, and {available} is free.",
        needed=megabytes(needed),
        available=megabytes(available),
    )


def fit(needed: int, machine: Memory) -> Fit:
    """How `needed` bytes sit in the machine's memory, or on its graphics cards."""
    if (
        needed <= machine.cards * _ROOM
        or needed <= max(machine.available, machine.total // 2) * _ROOM
    ):
        return "fits"
    return "slow" if needed <= machine.total * _PRESSED else "will not fit"


def why_fit(needed: int, machine: Memory) -> tuple[Fit, str]:
    """The verdict of `fit`, and the sentence that gives its reason."""
    verdict = fit(needed, machine)
    if needed <= machine.cards * _ROOM:
        return verdict, Sentence(
            "Needs {need} of memory; the graphics card has {cards}.",
            need=megabytes(needed),
            cards=megabytes(machine.cards),
        )
    figures = {
        "need": megabytes(needed),
        "total": megabytes(machine.total),
        "free": megabytes(machine.available),
    }
    reason = {
        "fits": Sentence("Needs {need} of memory; this computer has {total}.", **figures),
        "slow": Sentence(
            "Needs {need} of memory, and of {total} only {free} is free: close other programs, or "
            "expect it to be slow.",
            **figures,
        ),
        "will not fit": Sentence(
            "Needs {need} of memory, and this computer has {total}.", **figures
        ),
    }[verdict]
    return verdict, reason


def why_no_room(size: int, folder: Path) -> str | None:
    """None where `folder`'s disk has room for `size` more bytes; else the sentence that says so."""
    free = shutil.disk_usage(folder).free
    if size + DISK_RESERVE <= free:
        return None
    return Sentence(
        "Takes {size} of disk space, and only {free} is free; free some space first.",
        size=megabytes(size),
        free=megabytes(free),
    )
