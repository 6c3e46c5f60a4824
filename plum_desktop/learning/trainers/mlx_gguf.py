"""The GGUF that serves, as an mlx-lm model to train on: in one dtype, or with packed matrices."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import gguf
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

from plum_desktop.adapters.names import from_gguf_rows
from plum_desktop.base.errors import PlumError
from plum_desktop.learning.trainers.mlx_packed import GROUP, Raw, bits_for, pack, unpacked
from plum_desktop.models.header import GGUFHeader, TensorInfo, read_header

# GGUF architecture -> module of mlx_lm.models, which has the names of transformers' model types.
MODEL_TYPES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}


def load_base(path: Path, dtype: mx.Dtype, *, packed: bool = False) -> nn.Module:
    """The model in `path` with frozen weights.  Raises PlumError where it cannot be trained.

    `packed`: its matrices take the room that they take in the file (see mlx_packed).
    """
    header = read_header(path)
    if header.architecture not in MODEL_TYPES:
        raise PlumError(
            f"Models of the kind {header.architecture!r} cannot learn with MLX yet; choose one of "
            f"{', '.join(MODEL_TYPES)}."
        )
    family = importlib.import_module(f"mlx_lm.models.{MODEL_TYPES[header.architecture]}")
    # Nothing of it is computed: MLX makes an array when it is asked for, and all are replaced.
    model = family.Model(family.ModelArgs.from_dict(_config(header)))
    names = gguf.get_tensor_name_map(_arch_of(header.architecture), header.block_count)
    for name, layer in tree_flatten(model.leaf_modules(), is_leaf=nn.Module.is_module):
        for part in ("weight", "bias"):
            if part in layer:
                stored = names.get_name(f"{name}.{part}", try_suffixes=(".weight", ".bias"))
                raw, info = _read(header, name, stored)
                _fill(model, name, part, raw, info, dtype, packed)
    model.freeze()
    mx.eval(model.parameters())
    return model


def _fill(
    model: nn.Module,
    name: str,
    part: str,
    raw: Raw,
    info: TensorInfo,
    dtype: mx.Dtype,
    packed: bool,
) -> None:
    """Give the module `name` its `part`; a module of another kind is put there if it is packed."""
    layer: Any = dict(model.named_modules())[name]
    bits = bits_for(info.type, info.shape[-1]) if packed and len(info.shape) == 2 else None
    if bits is None:
        layer[part] = unpacked(raw, info.type, dtype).reshape(info.shape)
        mx.eval(layer[part])
        return
    quantized = layer.to_quantized(group_size=GROUP, bits=bits)
    quantized.weight, quantized.scales, quantized.biases = pack(raw, info.type, dtype)
    mx.eval(quantized.weight, quantized.scales, quantized.biases)
    model.update_modules(tree_unflatten([(name, quantized)]))


def _read(header: GGUFHeader, name: str, stored: str | None) -> tuple[Raw, TensorInfo]:
    """The bytes of a tensor, a row a row, in the order that transformers has for `name`."""
    info = header.tensors.get(stored or "")
    if info is None:
        raise PlumError(f"The model file lacks the tensor for {name}; it cannot learn.")
    rows = info.shape[0] if len(info.shape) > 1 else 1
    shape = (rows, info.nbytes // rows)
    raw: Any = np.memmap(header.path, np.uint8, "r", info.offset, shape)
    ordered: Any = from_gguf_rows(header, name, raw)  # whole rows move, whatever they hold
    return ordered, info


def _config(header: GGUFHeader) -> dict[str, Any]:
    """The model's numbers, under transformers' names."""
    read, arch = header.of_architecture, header.architecture
    width, heads = read("embedding_length"), read("attention.head_count")
    return {
        "model_type": MODEL_TYPES[arch],
        "hidden_size": width,
        "intermediate_size": read("feed_forward_length"),
        "num_hidden_layers": header.block_count,
        "num_attention_heads": heads,
        "num_key_value_heads": read("attention.head_count_kv", heads),
        "head_dim": read("attention.key_length", width // heads),
        "rms_norm_eps": header.metadata.get(f"{arch}.attention.layer_norm_rms_epsilon", 1e-5),
        "max_position_embeddings": header.context_length,
        "rope_theta": header.metadata.get(f"{arch}.rope.freq_base", 10000.0),
        "vocab_size": header.tensors["token_embd.weight"].shape[0],
        "tie_word_embeddings": "output.weight" not in header.tensors,
    }


def _arch_of(name: str) -> gguf.MODEL_ARCH:
    return next(arch for arch, text in gguf.MODEL_ARCH_NAMES.items() if text == name)
