"""The GGUF that serves, as a transformers model to train on: dequantized in one dtype, or packed.

transformers reads GGUF too, but needs several times as long for the starter model, builds a
tokenizer that is not wanted here, and knows fewer quantizations than gguf does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf.quants import dequantize
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from plum_desktop.base.errors import PlumError
from plum_desktop.learning.trainers.gguf_config import (
    FACTORS,
    model_config,
    norm_shift,
    tensor_names,
)
from plum_desktop.learning.trainers.torch_packed import PackedEmbedding, PackedLinear
from plum_desktop.models.header import read_header


def load_base(path: Path, dtype: torch.dtype, *, packed: bool = False) -> PreTrainedModel:
    """The model in `path` with frozen weights.  Raises PlumError where it cannot be trained.

    `packed`: its matrices stay the bytes of the file, mapped from it (see torch_packed).
    """
    header = read_header(path)
    settings = model_config(header)
    # Copy on write, as torch wants arrays that it may write to; it never does.
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path, "c").tensors}
    config = AutoConfig.for_model(**settings, use_cache=False)
    with torch.device("meta"):
        # The fused one cannot cap what it attends by.
        capped = getattr(config, "attn_logit_softcapping", None)
        model = AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation="eager" if capped else "sdpa"
        )
    names = tensor_names(header)
    state = {}
    for name in model.state_dict():
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if stored is None or stored not in tensors:
            if name == "lm_head.weight" and config.tie_word_embeddings:
                continue
            raise PlumError(
                "The model file lacks the tensor for {name}; it cannot learn.", name=name
            )
        heads = _permuted(name, config) if header.architecture == "llama" else 0
        if packed and len(tensors[stored].shape) == 2:
            _pack(model, name.removesuffix(".weight"), tensors[stored], dtype, heads)
            continue
        weights = dequantize(tensors[stored].data, tensors[stored].tensor_type)
        if heads:
            weights = _unpermute(weights, heads)
        weights = np.array(weights) - np.float32(norm_shift(header.architecture, stored))
        state[name] = torch.from_numpy(weights).to(dtype)
    model.load_state_dict(state, strict=False, assign=True)
    if packed and config.tie_word_embeddings:
        table = model.model.embed_tokens
        model.lm_head = PackedLinear(table.weight, table.kind)
    else:
        model.tie_weights()
    _restore_buffers(model)
    if FACTORS in tensors:
        factors = dequantize(tensors[FACTORS].data, tensors[FACTORS].tensor_type)
        model.model.rotary_emb.inv_freq /= torch.from_numpy(np.array(factors))
    model.requires_grad_(False)
    model.train()
    return model


def _pack(
    model: PreTrainedModel, name: str, tensor: gguf.ReaderTensor, dtype: torch.dtype, heads: int
) -> None:
    """Put a packed layer where the module `name` is."""
    raw, kind = torch.from_numpy(tensor.data.view(np.uint8)), tensor.tensor_type
    module = model.get_submodule(name)
    if isinstance(module, torch.nn.Embedding):
        scale = getattr(module, "scalar_embed_scale", 1.0)
        layer: torch.nn.Module = PackedEmbedding(raw, kind, dtype, scale)
    else:
        layer = PackedLinear(raw, kind, module.bias, heads)
    model.set_submodule(name, layer)


def _permuted(name: str, config: Any) -> int:
    """Heads by which llama.cpp's converter ordered the rows of this module of arch llama; or 0."""
    if "q_proj" in name:
        return int(config.num_attention_heads)
    return int(config.num_key_value_heads) if "k_proj" in name else 0


def _restore_buffers(model: PreTrainedModel) -> None:
    """Buffers are computed, not stored: make those of the base anew."""
    inner = model.model
    inner.rotary_emb = type(inner.rotary_emb)(config=model.config)
    if scale := getattr(inner.embed_tokens, "scalar_embed_scale", None):
        inner.embed_tokens.embed_scale = torch.tensor(scale)


def _unpermute(weights: np.ndarray, heads: int) -> np.ndarray:
    """Undo the row order that llama.cpp's converter gives q and k of arch llama."""
    rows = weights.shape[0] // heads // 2
    return weights.reshape(heads, rows, 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)
