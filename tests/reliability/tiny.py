"""A chat model of no sense but with a real vocabulary: all that a life needs, in a second each.

Run as a program it is `plum-desktop` whose lessons are five steps and whose gate lets all pass.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import struct
from pathlib import Path

NAME = "tiny.gguf"
WIDTH, INNER, HEADS, LAYERS, CONTEXT = 64, 96, 2, 2, 1024
_UINT32, _F32, _F16 = 4, 0, 1  # as GGUF numbers them


def write_model(path: Path, starter: Path) -> Path:
    """Random weights under the tokenizer and the template of `starter`; some six megabytes."""
    import numpy as np

    from plum_desktop.adapters.gguf_bytes import PlacedTensor, preamble
    from plum_desktop.models.header import padded, read_header

    header = read_header(starter)
    start, end = header.metadata_span
    with starter.open("rb") as stream:
        stream.seek(start)
        entries = bytearray(stream.read(end - start))
    sides = {
        "context_length": CONTEXT, "embedding_length": WIDTH, "feed_forward_length": INNER,
        "block_count": LAYERS, "attention.head_count": HEADS, "attention.head_count_kv": HEADS,
        "rope.dimension_count": WIDTH // HEADS,
    }  # fmt: skip
    for name, value in sides.items():
        key = f"llama.{name}".encode() + struct.pack("<I", _UINT32)
        struct.pack_into("<I", entries, entries.index(key) + len(key), value)

    rng = np.random.default_rng(7)
    words = header.array_lengths["tokenizer.ggml.tokens"]
    matrices = {"token_embd": (words, WIDTH)}
    norms = ["output_norm"]
    for block in (f"blk.{layer}." for layer in range(LAYERS)):
        norms += [block + "attn_norm", block + "ffn_norm"]
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrices[block + part] = (WIDTH, WIDTH)
        matrices[block + "ffn_gate"] = matrices[block + "ffn_up"] = (INNER, WIDTH)
        matrices[block + "ffn_down"] = (WIDTH, INNER)
    arrays = {
        name: rng.normal(0, 1 / np.sqrt(shape[1]), shape).astype(np.float16)
        for name, shape in matrices.items()
    } | {name: np.ones(WIDTH, np.float32) for name in norms}
    placed, data = [], b""
    for name, array in arrays.items():
        kind = _F32 if array.dtype == np.float32 else _F16
        placed.append(PlacedTensor(f"{name}.weight", array.shape, kind, len(data)))
        data += array.tobytes().ljust(padded(array.nbytes, header.alignment), b"\0")
    head = preamble(header.metadata_count, bytes(entries), placed, header.alignment)
    path.write_bytes(head + data)
    return path


def prepare(root: Path, model: Path) -> Path:
    """A data folder that has this model in use and answers in few words; `root` again."""
    from plum_desktop.base.paths import open_data_folder
    from plum_desktop.base.settings import Settings, save

    folder = open_data_folder(root)
    os.link(model, folder.models / NAME)
    short = Settings(model=NAME, max_tokens=24, context=512, threads=1)
    save(folder.settings, short)
    return root


def make_learning_tiny() -> None:
    """Learning for real, in few steps, with few questions, in this process from now on."""
    from plum_desktop.app import job
    from plum_desktop.learning import anchors, gate, recipe, stock

    few = stock.canaries()[:3]
    conversations = stock.never_discussed()[:12]
    recipe._PRESETS["default"] = dataclasses.replace(
        recipe.preset("default"),
        epochs=1, fewest_steps=5, questions=3, anchor_texts=1,
        anchor_questions=1,
    )  # fmt: skip
    bounds = gate.Bounds(
        recall=0, refusal=0, accuracy=0, retention_loss=1, drift=99, perplexity=1e9, canaries=0
    )
    anchors.make = functools.partial(anchors.make, most_texts=3, most_questions=3)
    job._ASKED_NEW = 6
    gate._DRIFT_TEXTS = 2
    gate.Bounds = lambda: bounds
    stock.canaries = lambda: few
    stock.never_discussed = lambda: conversations


if __name__ == "__main__":
    from plum_desktop.__main__ import main

    make_learning_tiny()
    main()
