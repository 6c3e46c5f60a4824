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
from plum_desktop.learning.trainers.torch_packed import PackedEmbedding, PackedLinear

# GGUF architecture -> transformers model type.
MODEL_TYPES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}


def load_base(path: Path, dtype: torch.dtype, *, packed: bool = False) -> PreTrainedModel:
    """The model in `path` with frozen weights.  Raises PlumError where it cannot be trained.

    `packed`: its matrices stay the bytes of the file, mapped from it (see torch_packed).
    """
    # Copy on write, as torch wants arrays that it may write to; it never does.
    reader = gguf.GGUFReader(path, "c")
    architecture = str(_value(reader, "general.architecture"))
    if architecture not in MODEL_TYPES:
        raise PlumError(
            f"Models of the kind {architecture!r} cannot learn yet; choose one of "
            f"{', '.join(MODEL_TYPES)}."
        )
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    config = AutoConfig.for_model(
        MODEL_TYPES[architecture], **_config(reader, architecture, tensors)
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            config,
            dtype=dtype,
            # On CPUs the plain form is faster at the lengths that lessons have (404 against
            # 313 tokens a second); on GPUs the fused one is.
            attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
        )
    names = gguf.get_tensor_name_map(_arch_of(architecture), config.num_hidden_layers)
    state = {}
    for name in model.state_dict():
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if stored is None or stored not in tensors:
            if name == "lm_head.weight" and config.tie_word_embeddings:
                continue
            raise PlumError(f"The model file lacks the tensor for {name}; it cannot learn.")
        heads = _permuted(name, config) if architecture == "llama" else 0
        if packed and len(tensors[stored].shape) == 2:
            _pack(model, name.removesuffix(".weight"), tensors[stored], dtype, heads)
            continue
        weights = dequantize(tensors[stored].data, tensors[stored].tensor_type)
        if heads:
            weights = _unpermute(weights, heads)
        state[name] = torch.from_numpy(np.array(weights)).to(dtype)
    model.load_state_dict(state, strict=False, assign=True)
    if packed and config.tie_word_embeddings:
        table = model.model.embed_tokens
        model.lm_head = PackedLinear(table.weight, table.kind)
    else:
        model.tie_weights()
    _restore_buffers(model)
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
        layer: torch.nn.Module = PackedEmbedding(raw, kind, dtype)
    else:
        layer = PackedLinear(raw, kind, module.bias, heads)
    model.set_submodule(name, layer)


def _permuted(name: str, config: Any) -> int:
    """Heads by which llama.cpp's converter ordered the rows of this module of arch llama; or 0."""
    if "q_proj" in name:
        return int(config.num_attention_heads)
    return int(config.num_key_value_heads) if "k_proj" in name else 0


def _restore_buffers(model: PreTrainedModel) -> None:
    """Buffers (rotary frequencies) are computed, not stored: make the base's module anew."""
    rotary = model.model.rotary_emb
    model.model.rotary_emb = type(rotary)(config=model.config)


def _unpermute(weights: np.ndarray, heads: int) -> np.ndarray:
    """Undo the row order that llama.cpp's converter gives q and k of arch llama."""
    rows = weights.shape[0] // heads // 2
    return weights.reshape(heads, rows, 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def _config(reader: gguf.GGUFReader, arch: str, tensors: dict[str, Any]) -> dict[str, Any]:
    def read(key: str, default: Any = None) -> Any:
        return _value(reader, f"{arch}.{key}", default)

    width, heads = int(read("embedding_length")), int(read("attention.head_count"))
    return {
        "hidden_size": width,
        "intermediate_size": int(read("feed_forward_length")),
        "num_hidden_layers": int(read("block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(read("attention.head_count_kv", heads)),
        "head_dim": int(read("attention.key_length", width // heads)),
        "rms_norm_eps": float(read("attention.layer_norm_rms_epsilon", 1e-5)),
        "max_position_embeddings": int(read("context_length")),
        "rope_theta": float(read("rope.freq_base", 10000.0)),
        "vocab_size": int(tensors["token_embd.weight"].shape[1]),
        "tie_word_embeddings": "output.weight" not in tensors,
        "use_cache": False,
    }


def _value(reader: gguf.GGUFReader, key: str, default: Any = None) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()


def _arch_of(name: str) -> gguf.MODEL_ARCH:
    return next(arch for arch, text in gguf.MODEL_ARCH_NAMES.items() if text == name)
