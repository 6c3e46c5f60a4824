"""A job so small that it is learned in seconds: a random model, lessons and anchors for it.

`doctor --selftest` gives it to every trainer that is installed.  Nobody's words are in it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plum_desktop.adapters.gguf_bytes import (
    PlacedTensor,
    float_entry,
    preamble,
    text_entry,
    whole_entry,
)
from plum_desktop.adapters.lora import LoraAdapter
from plum_desktop.adapters.names import adaptable_modules, tensor_name
from plum_desktop.base.files import atomic_write
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.rows import Plan, Row, Targets
from plum_desktop.models.header import DEFAULT_ALIGNMENT, GGUFHeader, padded

RECIPE = replace(preset("default"), rank=4, alpha=8.0, learning_rate=5e-3, warmup_steps=1)
STEPS = 12

# No two sides are equal, so that a transposed or permuted matrix cannot pass unseen.
_WIDTH, _INNER, _HEADS, _KV_HEADS, _LAYERS, _VOCABULARY = 64, 96, 4, 2, 2, 160
_LESSONS, _ANCHORS = 6, 2
_TOP = 32
_F32 = 0  # ggml type


def write_model(path: Path) -> Path:
    """Write a random llama with no tokenizer, in fp32."""
    rng = np.random.default_rng(7)
    kv_width = _WIDTH // _HEADS * _KV_HEADS
    sides = {"token_embd": (_VOCABULARY, _WIDTH), "output": (_VOCABULARY, _WIDTH)}
    vectors = ["output_norm"]
    for layer in range(_LAYERS):
        block = f"blk.{layer}."
        vectors += [block + "attn_norm", block + "ffn_norm"]
        sides |= {
            block + "attn_q": (_WIDTH, _WIDTH),
            block + "attn_k": (kv_width, _WIDTH),
            block + "attn_v": (kv_width, _WIDTH),
            block + "attn_output": (_WIDTH, _WIDTH),
            block + "ffn_gate": (_INNER, _WIDTH),
            block + "ffn_up": (_INNER, _WIDTH),
            block + "ffn_down": (_WIDTH, _INNER),
        }
    # As spread out as a trained model's, so that attention is not flat.
    tensors = {name: rng.normal(0, 2 / np.sqrt(side[1]), side) for name, side in sides.items()}
    tensors |= {name: rng.normal(1, 0.2, _WIDTH) for name in vectors}
    entries = [
        text_entry("general.architecture", "llama"),
        text_entry("general.name", "self-test"),
        text_entry("tokenizer.ggml.model", "no_vocab"),
        whole_entry("llama.vocab_size", _VOCABULARY),
        whole_entry("llama.context_length", 128),
        whole_entry("llama.embedding_length", _WIDTH),
        whole_entry("llama.feed_forward_length", _INNER),
        whole_entry("llama.block_count", _LAYERS),
        whole_entry("llama.attention.head_count", _HEADS),
        whole_entry("llama.attention.head_count_kv", _KV_HEADS),
        float_entry("llama.attention.layer_norm_rms_epsilon", 1e-5),
        float_entry("llama.rope.freq_base", 10000.0),
    ]
    listed, end = [], 0
    for name, tensor in tensors.items():
        listed.append(PlacedTensor(name + ".weight", tensor.shape, _F32, end))
        end = padded(end + tensor.size * 4, DEFAULT_ALIGNMENT)
    with atomic_write(path) as stream:
        stream.write(preamble(len(entries), b"".join(entries), listed, DEFAULT_ALIGNMENT))
        for tensor in tensors.values():
            raw = tensor.astype("<f4").tobytes()
            stream.write(raw.ljust(padded(len(raw), DEFAULT_ALIGNMENT), b"\0"))
    return path


def start(header: GGUFHeader) -> LoraAdapter:
    """The random adapter from which every trainer goes on, so that their losses can be compared."""
    rng = np.random.default_rng(3)
    tensors = {}
    for module in adaptable_modules(header):
        out, width = header.tensors[tensor_name(header.architecture, module)].shape
        a = rng.normal(0, 1 / np.sqrt(width), (RECIPE.rank, width)).astype(np.float32)
        tensors[module] = (a, rng.normal(0, 0.05, (out, RECIPE.rank)).astype(np.float32))
    return LoraAdapter(RECIPE.alpha, RECIPE.rank, tensors)


def plan(engine: EngineClient, scratch: Path) -> Plan:
    """The same lessons at every step, beside anchors that `engine`, with the base, speaks of."""
    rng = np.random.default_rng(5)
    shared = rng.integers(0, _VOCABULARY, 12)
    weights = np.array([0.0] * 12 + [0.25] * 7 + [1.0] * 3, np.float32)
    rows = [
        Row(np.concatenate([shared, rng.integers(0, _VOCABULARY, 10)]).astype(np.int32), weights)
        for _ in range(_LESSONS)
    ]
    for ids in rng.integers(0, _VOCABULARY, (_ANCHORS, 24)).astype(np.int32):
        engine.topk([ids.tolist()], _TOP, scratch)
        with np.load(scratch) as top:
            targets = Targets(top["ids"], top["logp"].astype(np.float32))
        rows.append(Row(ids, np.array([0.0] * 8 + [1.0] * 16, np.float32), targets))
    return Plan(rows, [list(range(len(rows)))] * STEPS)


def engine_loss(engine: EngineClient, plan: Plan, scratch: Path) -> float:
    """The weighted cross entropy of the lessons as `engine` reads them, nats a token of weight 1.

    `scratch` then holds the log-probabilities that it comes from.
    """
    lessons = [row for row in plan.rows if row.targets is None]
    engine.logits([row.ids.tolist() for row in lessons], scratch)
    logp: npt.NDArray[np.float32] = np.load(scratch)
    total = weight = 0.0
    at = 0
    for row in lessons:
        said = logp[at : at + len(row.ids)]
        each = said[np.arange(len(row.ids) - 1), row.ids[1:]]
        total -= float(row.weights[1:] @ each)
        weight += float(row.weights[1:].sum())
        at += len(row.ids)
    return total / weight
