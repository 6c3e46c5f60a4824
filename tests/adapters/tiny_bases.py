"""Tiny random models of every kind that an adapter can be made for, as GGUF and for torch.

What llama.cpp's converter does to each kind is done here by hand, so that a mistake of ours is
not in both halves of a comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np

WIDTH, INNER, HEADS, KV_HEADS, HEAD, VOCABULARY = 64, 96, 4, 2, 16, 160
WINDOW = 16  # of the layers that see only so far, shorter than what is read


@dataclass(frozen=True)
class Kind:
    """`metadata` is under the architecture's prefix; `config` goes to transformers."""

    architecture: str  # as the GGUF file calls it
    model_type: str  # as transformers does
    layers: int = 2
    tied: bool = False  # the embeddings are the output layer too
    head: int = HEAD
    norms: tuple[str, ...] = ("attn_norm", "ffn_norm")
    head_norms: bool = False
    biases: bool = False
    fused: bool = False
    norm_shift: float = 0.0  # what the file's norms are above transformers'
    factors: tuple[float, ...] = ()  # what the file divides the rotary frequencies by
    metadata: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


_GEMMA = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
_FULL = {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0}
_LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 128,
}  # fmt: skip
_LOCAL = {"rope_type": "default", "rope_theta": 10_000.0}


def _llama3_factors() -> tuple[float, ...]:
    """As convert_hf_to_gguf.py computes them: nothing for short waves, all of it for long ones."""
    length, factor = _LLAMA3["original_max_position_embeddings"], _LLAMA3["factor"]
    waves = 2 * np.pi * _LLAMA3["rope_theta"] ** (np.arange(0, HEAD, 2) / HEAD)
    smooth = np.clip((length / waves - 1.0) / (4.0 - 1.0), 0, 1)
    return tuple(1 / ((1 - smooth) / factor + smooth))


KINDS: Mapping[str, Kind] = {
    "llama": Kind("llama", "llama"),
    "llama, tied": Kind("llama", "llama", tied=True),
    "llama 3": Kind(
        "llama", "llama", factors=_llama3_factors(), config={"rope_parameters": _LLAMA3}
    ),
    "mistral": Kind("llama", "mistral", config={"sliding_window": None}),
    "qwen2": Kind("qwen2", "qwen2", biases=True),
    "qwen2, tied": Kind("qwen2", "qwen2", tied=True, biases=True),
    "qwen3": Kind("qwen3", "qwen3", head=24, head_norms=True),
    "qwen3, tied": Kind("qwen3", "qwen3", tied=True, head=24, head_norms=True),
    "gemma2": Kind(
        "gemma2", "gemma2", tied=True, head=24, norms=_GEMMA, norm_shift=1.0,
        metadata={
            "attention.sliding_window": WINDOW, "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
        },
        config={"sliding_window": WINDOW, "query_pre_attn_scalar": 24},
    ),
    # Every sixth layer sees everything.
    "gemma3": Kind(
        "gemma3", "gemma3_text", layers=6, tied=True, head=24, norms=_GEMMA, head_norms=True,
        norm_shift=1.0,
        metadata={
            "attention.sliding_window": WINDOW, "rope.freq_base": 1_000_000.0,
            "rope.scaling.type": "linear", "rope.scaling.factor": 8.0,
        },
        config={
            "sliding_window": WINDOW, "query_pre_attn_scalar": 24,
            "rope_parameters": {"full_attention": _FULL, "sliding_attention": _LOCAL},
        },
    ),
    "phi3": Kind("phi3", "phi3", fused=True, config={"pad_token_id": 0, "sliding_window": None}),
}  # fmt: skip


def write_base(kind: Kind, path: Path) -> Path:
    """The model of `kind` as GGUF, all in F32, with no vocabulary."""
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, kind.architecture)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(kind.layers)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(kind.head)
    writer.add_value_length(kind.head)
    writer.add_rope_dimension_count(kind.head)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("no_vocab")
    add: Mapping[type, Callable[[str, Any], None]] = {
        float: writer.add_float32, int: writer.add_uint32, str: writer.add_string,
    }  # fmt: skip
    for key, value in {"rope.freq_base": 10_000.0, **kind.metadata}.items():
        add[type(value)](f"{kind.architecture}.{key}", value)
    if kind.factors:
        writer.add_tensor("rope_freqs.weight", np.array(kind.factors, np.float32))
    for name, shape in _shapes(kind).items():
        mean, spread = (1.0, 0.2) if name.endswith("norm.weight") else (0.0, 0.2)
        if len(shape) == 2:
            spread = 2 / np.sqrt(shape[1])
        writer.add_tensor(name, rng.normal(mean, spread, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shapes(kind: Kind) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (VOCABULARY, WIDTH)}
    if not kind.tied:
        shapes["output.weight"] = (VOCABULARY, WIDTH)
    shapes["output_norm.weight"] = (WIDTH,)
    query, key = HEADS * kind.head, KV_HEADS * kind.head
    for layer in range(kind.layers):
        block = f"blk.{layer}."
        for norm in kind.norms:
            shapes[f"{block}{norm}.weight"] = (WIDTH,)
        if kind.fused:
            shapes[block + "attn_qkv.weight"] = (query + 2 * key, WIDTH)
            shapes[block + "ffn_up.weight"] = (2 * INNER, WIDTH)
        else:
            for part, rows in (("q", query), ("k", key), ("v", key)):
                shapes[f"{block}attn_{part}.weight"] = (rows, WIDTH)
                if kind.biases:
                    shapes[f"{block}attn_{part}.bias"] = (rows,)
                if kind.head_norms and part != "v":
                    shapes[f"{block}attn_{part}_norm.weight"] = (kind.head,)
            shapes[block + "ffn_gate.weight"] = (INNER, WIDTH)
            shapes[block + "ffn_up.weight"] = (INNER, WIDTH)
        shapes[block + "attn_output.weight"] = (WIDTH, query)
        shapes[block + "ffn_down.weight"] = (WIDTH, INNER)
    return shapes


def load_base(kind: Kind, path: Path) -> Any:
    """The same model in torch, as transformers computes it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = {
        "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": kind.layers,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": kind.head,
        "vocab_size": VOCABULARY, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
        "rope_parameters": _LOCAL, "tie_word_embeddings": kind.tied, "use_cache": False,
        "original_max_position_embeddings": 128,
    }  # fmt: skip
    config = AutoConfig.for_model(kind.model_type, **settings | dict(kind.config))
    model = AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, attn_implementation="eager"
    )
    architecture = next(
        arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == kind.architecture
    )
    names = gguf.get_tensor_name_map(architecture, kind.layers)
    stored = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}
    stored.pop("rope_freqs.weight", None)  # transformers computes them from the settings
    state = {}
    for name in model.state_dict():
        if name == "lm_head.weight" and kind.tied:
            continue
        weights = stored.pop(names.get_name(name, try_suffixes=(".weight", ".bias")))
        if kind.architecture == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = HEADS if "q_proj" in name else KV_HEADS
            weights = weights.reshape(heads, -1, 2, WIDTH).swapaxes(1, 2).reshape(weights.shape)
        if name.endswith("norm.weight"):
            weights = weights - np.float32(kind.norm_shift)
        state[name] = torch.from_numpy(weights)
    assert not stored, stored.keys()
    model.load_state_dict(state, strict=not kind.tied)
    model.tie_weights()
    return model.eval()
