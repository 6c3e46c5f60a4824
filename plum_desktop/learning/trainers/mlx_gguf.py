"""The GGUF that serves, as an mlx-lm model to train on: in one dtype, or with packed matrices."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

from plum_desktop.adapters.names import from_gguf_rows
from plum_desktop.base.errors import PlumError
from plum_desktop.learning.trainers.gguf_config import (
    FACTORS,
    model_config,
    norm_shift,
    tensor_names,
)
from plum_desktop.learning.trainers.mlx_packed import GROUP, Raw, bits_for, pack, unpacked
from plum_desktop.models.header import GGUFHeader, TensorInfo, read_header


def load_base(path: Path, dtype: mx.Dtype, *, packed: bool = False) -> nn.Module:
    """The model in `path` with frozen weights.  Raises PlumError where it cannot be trained.

    `packed`: its matrices take the room that they take in the file (see mlx_packed).
    """
    header = read_header(path)
    config = model_config(header)
    family = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    # Nothing of it is computed: MLX makes an array when it is asked for, and all are replaced.
    model = family.Model(family.ModelArgs.from_dict(config))
    if config["tie_word_embeddings"] and "lm_head" in model:
        model.sanitize({})  # Gemma 3's is told so by the weights alone
    names = tensor_names(header)
    for name, layer in tree_flatten(model.leaf_modules(), is_leaf=nn.Module.is_module):
        for part in ("weight", "bias"):
            if part in layer:
                stored = names.get_name(f"{name}.{part}", try_suffixes=(".weight", ".bias"))
                raw, info = _read(header, name, stored)
                _fill(model, name, part, raw, info, dtype, packed)
                if shift := norm_shift(header.architecture, info.name):
                    layer[part] = (_floats(raw, info) - shift).astype(dtype)
    if FACTORS in header.tensors:
        _divide_frequencies(model, _floats(*_read(header, FACTORS, FACTORS)))
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
        raise PlumError("The model file lacks the tensor for {name}; it cannot learn.", name=name)
    rows = info.shape[0] if len(info.shape) > 1 else 1
    shape = (rows, info.nbytes // rows)
    raw: Any = np.memmap(header.path, np.uint8, "r", info.offset, shape)
    ordered: Any = from_gguf_rows(header, name, raw)  # whole rows move, whatever they hold
    return ordered, info


def _floats(raw: Raw, info: TensorInfo) -> mx.array:
    return unpacked(raw, info.type, mx.float32).reshape(info.shape)


class _FactoredRotary(nn.Module):  # type: ignore[misc]
    """`rope` with each of its frequencies divided by a factor of the file's."""

    def __init__(self, rope: nn.RoPE, factors: mx.array) -> None:
        super().__init__()
        self.dims = rope.dims
        # Not a parameter: MLX would train or cast what has no underscore.
        self._waves = rope.base ** (mx.arange(0, rope.dims, 2) / rope.dims) * factors

    def __call__(self, heads: mx.array, offset: Any = 0) -> mx.array:
        turned: mx.array = mx.fast.rope(
            heads, self.dims, traditional=False, base=None, scale=1.0, offset=offset,
            freqs=self._waves,
        )  # fmt: skip
        return turned


def _divide_frequencies(model: nn.Module, factors: mx.array) -> None:
    ropes = [(name, rope) for name, rope in model.named_modules() if name.endswith(".rope")]
    changed = [(name, _FactoredRotary(rope, factors)) for name, rope in ropes]
    model.update_modules(tree_unflatten(changed))
