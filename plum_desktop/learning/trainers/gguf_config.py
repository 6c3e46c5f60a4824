"""What a model file says of its model, under the names that transformers and mlx-lm share.

Where a family computes something that the file does not say, llama.cpp's choice is taken, since
llama.cpp is what serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gguf

from plum_desktop.base.errors import PlumError
from plum_desktop.models.header import GGUFHeader

# GGUF architecture -> transformers' model type, which is also mlx-lm's module.
MODEL_TYPES: Mapping[str, str] = {
    "llama": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3": "gemma3_text",
    "phi3": "phi3",
}
_GEMMA = ("gemma2", "gemma3")
# Every so many layers one sees everything, and the others a window.
_PATTERN: Mapping[str, int] = {"gemma2": 2, "gemma3": 6}
# Layers of the ones that divide by another width than their heads'.
_WIDE_HEADS: Mapping[str, int] = {"gemma2": 46, "gemma3": 62}
FACTORS = "rope_freqs.weight"  # what the rotary frequencies of Llama 3.1 and later are divided by


def model_config(header: GGUFHeader) -> dict[str, Any]:
    """The model's numbers.  Raises PlumError where it is of a kind that no trainer knows."""
    arch, read = header.architecture, header.of_architecture
    if arch not in MODEL_TYPES:
        raise PlumError(
            "Models of the kind {arch!r} cannot learn yet; choose one of {model_types}.",
            arch=arch,
            model_types=", ".join(MODEL_TYPES),
        )
    width, heads = read("embedding_length"), read("attention.head_count")
    config = {
        "model_type": MODEL_TYPES[arch],
        "hidden_size": width,
        "intermediate_size": read("feed_forward_length"),
        "num_hidden_layers": header.block_count,
        "num_attention_heads": heads,
        "num_key_value_heads": read("attention.head_count_kv", heads),
        "head_dim": read("attention.key_length", width // heads),
        "rms_norm_eps": _number(header, "attention.layer_norm_rms_epsilon", 1e-5),
        "max_position_embeddings": header.context_length,
        "rope_theta": _number(header, "rope.freq_base", 10000.0),
        "vocab_size": header.tensors["token_embd.weight"].shape[0],
        "tie_word_embeddings": "output.weight" not in header.tensors,
        "pad_token_id": None,  # nothing here writes text
        "eos_token_id": None,
        "bos_token_id": None,
    }
    return config | (_gemma(header, config) if arch in _GEMMA else {})


def norm_shift(architecture: str, tensor: str) -> float:
    """How far the file's numbers of this tensor lie above those that transformers keeps."""
    return 1.0 if architecture in _GEMMA and tensor.endswith("norm.weight") else 0.0


def tensor_names(header: GGUFHeader) -> gguf.TensorNameMap:
    """transformers' names to the file's."""
    kind = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == header.architecture)
    return gguf.get_tensor_name_map(kind, header.block_count)


def _gemma(header: GGUFHeader, config: Mapping[str, Any]) -> dict[str, Any]:
    arch = header.architecture
    window = header.of_architecture("attention.sliding_window", 4096 if arch == "gemma2" else 0)
    pattern = header.of_architecture("attention.sliding_window_pattern", _PATTERN[arch])
    if not window:
        pattern = 1
    layers = range(1, header.block_count + 1)
    wide = header.block_count == _WIDE_HEADS[arch]
    per_head = config["hidden_size"] // config["num_attention_heads"]
    found: dict[str, Any] = {
        "query_pre_attn_scalar": per_head if wide else config["head_dim"],
        "sliding_window": window or None,
        "layer_types": [
            "sliding_attention" if layer % pattern else "full_attention" for layer in layers
        ],
        "final_logit_softcapping": _number(header, "final_logit_softcapping", None),
    }
    if arch == "gemma2":
        return found | {
            "final_logit_softcapping": _number(header, "final_logit_softcapping", 30.0),
            "attn_logit_softcapping": _number(header, "attn_logit_softcapping", 50.0),
        }
    found |= {
        "sliding_window_pattern": pattern,
        "rope_local_base_freq": _number(header, "rope.freq_base_swa", 10000.0),
    }
    if header.metadata.get(f"{arch}.rope.scaling.type", "none") == "linear":
        factor = _number(header, "rope.scaling.factor", 1.0)
        found["rope_scaling"] = {"rope_type": "linear", "factor": factor}
    return found


def _number(header: GGUFHeader, key: str, default: float | None) -> float | None:
    return header.metadata.get(f"{header.architecture}.{key}", default)
