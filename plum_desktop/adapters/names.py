"""Where a transformers module lies in a GGUF file: its tensor's name and the order of its rows.

llama.cpp keeps the rows of q and k of the architecture `llama` in another order than
transformers (interleaved rotary halves, convert_hf_to_gguf.py `LlamaModel.permute`); every
other architecture here keeps them as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from plum_desktop.base.errors import PlumError
from plum_desktop.models.header import GGUFHeader

if TYPE_CHECKING:
    from plum_desktop.adapters.lora import LoraAdapter, Matrix

_SEPARATE: Mapping[str, str] = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}

# q, k and v are one matrix there, and gate and up another; both file formats stack them alike.
_FUSED: Mapping[str, str] = {
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}

# architecture -> module within a layer -> tensor within a block.  Mistral's files say "llama".
# An adapter can be brought in for all of these; which of them can learn is in `models.support`.
LAYER_NAMES: Mapping[str, Mapping[str, str]] = {
    "llama": _SEPARATE,
    "qwen2": _SEPARATE,
    "qwen3": _SEPARATE,
    "gemma2": _SEPARATE,
    "gemma3": _SEPARATE,
    "phi3": _FUSED,
}

_PERMUTED = ("llama",)
_MODULE = re.compile(r"model\.layers\.(\d+)\.(.+)")
_TENSOR = re.compile(r"blk\.(\d+)\.(.+)\.weight")


def tensor_name(architecture: str, module: str) -> str:
    """`model.layers.0.self_attn.q_proj` -> `blk.0.attn_q.weight`; raises PlumError if unknown."""
    match = _MODULE.fullmatch(module)
    name = _layer_names(architecture).get(match[2]) if match else None
    if match is None or name is None:
        raise PlumError(
            "The adapter changes {module}, which Plum cannot place in a {architecture} model.",
            module=module,
            architecture=architecture,
        )
    return f"blk.{int(match[1])}.{name}.weight"


def module_name(architecture: str, tensor: str) -> str:
    """`blk.0.attn_q.weight` -> `model.layers.0.self_attn.q_proj`; raises PlumError if unknown."""
    match = _TENSOR.fullmatch(tensor)
    if match:
        for module, name in _layer_names(architecture).items():
            if name == match[2]:
                return f"model.layers.{int(match[1])}.{module}"
    raise PlumError(
        "The adapter changes {tensor}, which Plum cannot place in a {architecture} model.",
        tensor=tensor,
        architecture=architecture,
    )


def kind_of(module: str) -> str:
    """The last word of a module path, as `q_proj`: what a report groups by."""
    return module.rsplit(".", 1)[-1]


def adaptable_modules(header: GGUFHeader) -> list[str]:
    """Every linear module of the model that a LoRA may change, in the file's order."""
    known = set(_layer_names(header.architecture).values())
    return [
        module_name(header.architecture, tensor)
        for tensor in header.tensors
        if (match := _TENSOR.fullmatch(tensor)) and match[2] in known
    ]


def to_gguf_rows(header: GGUFHeader, module: str, b: Matrix) -> Matrix:
    """B (out, rank) with its rows in the order that the GGUF tensor of `module` has.

    Its shape must be the tensor's (`require_shape`).
    """
    heads = _permuted_heads(header, module)
    if not heads:
        return b
    return b.reshape(heads, 2, -1, b.shape[1]).swapaxes(1, 2).reshape(b.shape)


def from_gguf_rows(header: GGUFHeader, module: str, b: Matrix) -> Matrix:
    """The inverse of `to_gguf_rows`."""
    heads = _permuted_heads(header, module)
    if not heads:
        return b
    return b.reshape(heads, -1, 2, b.shape[1]).swapaxes(1, 2).reshape(b.shape)


def placed(adapter: LoraAdapter, header: GGUFHeader) -> dict[str, tuple[Matrix, Matrix]]:
    """Tensor name -> (A, B) as the GGUF file lays them out, in the base file's order.

    Raises PlumError where the adapter does not belong to this base: another architecture,
    a layer the base lacks, or another shape.
    """
    found: dict[str, tuple[Matrix, Matrix]] = {}
    for module, (a, b) in adapter.tensors.items():
        require_shape(header, module, a, b)
        tensor = tensor_name(header.architecture, module)
        found[tensor] = (a, to_gguf_rows(header, module, b))
    return {tensor: found[tensor] for tensor in header.tensors if tensor in found}


def require_shape(header: GGUFHeader, module: str, a: Matrix, b: Matrix) -> None:
    """Raise PlumError unless B @ A has the shape that `module` has in the base."""
    info = header.tensors.get(tensor_name(header.architecture, module))
    if info is None or info.shape != (b.shape[0], a.shape[1]):
        there = "has no such part" if info is None else f"has {_by(info.shape)} there"
        raise PlumError(
            "This adapter belongs to another model: its {module} is {shape}, and {name} {there}.",
            module=module,
            shape=_by((b.shape[0], a.shape[1])),
            name=header.path.name,
            there=there,
        )


def _layer_names(architecture: str) -> Mapping[str, str]:
    if architecture not in LAYER_NAMES:
        raise PlumError(
            "Adapters for {architecture} models are not supported yet; those for {known} are.",
            architecture=architecture or "unknown",
            known=", ".join(LAYER_NAMES),
        )
    return LAYER_NAMES[architecture]


def _permuted_heads(header: GGUFHeader, module: str) -> int:
    """Heads whose rows are reordered; 0 where the order stays."""
    if header.architecture not in _PERMUTED or kind_of(module) not in ("q_proj", "k_proj"):
        return 0
    heads = header.of_architecture("attention.head_count")
    if kind_of(module) == "k_proj":
        heads = header.of_architecture("attention.head_count_kv", heads)
    rows = header.tensors[tensor_name(header.architecture, module)].shape[0]
    if heads < 1 or rows % (2 * heads):
        raise PlumError(
            "{name} does not say how many attention heads it has, so an adapter cannot be "
            "fitted to it.",
            name=header.path.name,
        )
    return heads


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
