"""Which models can learn, and the sentence for those that cannot.  Any GGUF chat model chats."""

from __future__ import annotations

from collections.abc import Iterable

from plum_desktop.base.sentence import Sentence
from plum_desktop.models.header import GGUFHeader

_LAYER = frozenset({
    "attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight",
    "ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight",
})  # fmt: skip
_OUTSIDE = frozenset({"token_embd.weight", "output.weight", "output_norm.weight"})

# Architecture (general.architecture) -> what a block of it may hold.  These are the ones whose
# names, row order and shapes the tests prove between transformers, MLX and llama.cpp.  Mistral
# and SmolLM2 files say "llama".
_GEMMA = _LAYER | {"post_attention_norm.weight", "post_ffw_norm.weight"}
_BLOCKS = {
    "llama": _LAYER,
    "qwen2": _LAYER | {"attn_q.bias", "attn_k.bias", "attn_v.bias"},
    "qwen3": _LAYER | {"attn_q_norm.weight", "attn_k_norm.weight"},
    "gemma2": _GEMMA,
    "gemma3": _GEMMA | {"attn_q_norm.weight", "attn_k_norm.weight"},
    "phi3": frozenset({
        "attn_norm.weight", "attn_qkv.weight", "attn_output.weight", "ffn_norm.weight",
        "ffn_up.weight", "ffn_down.weight",
    }),
}  # fmt: skip
# Llama 3.1 and later.  Not Phi-3.5's two sets of factors: llama.cpp takes one or the other by the
# context that it was opened with, so what was learned with one would be served with the other.
_BESIDE = {"llama": frozenset({"rope_freqs.weight"})}
LEARNABLE = tuple(_BLOCKS)

_PATTERN = "attention.sliding_window_pattern"  # a number is known, a list of layers is not

# A key that merged files carry: the sha256 of the base they were made from.
MERGED_FROM = "plum.base_sha256"

# Tensor types that gguf turns into floats.  Not NVFP4: its scales lie in tensors of their own.
_READABLE_TYPES = frozenset({
    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
    "Q6_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",
    "IQ1_M", "TQ1_0", "TQ2_0", "MXFP4", "Q1_0",
})  # fmt: skip


def why_not_chat(header: GGUFHeader) -> str | None:
    """None where the file is a language model; else the sentence that says what it is."""
    name = header.path.name
    if header.kind == "adapter":
        return Sentence(
            "{name} is an adapter, not a model; bring it in with `adapters import`.", name=name
        )
    if header.kind != "model" or header.architecture == "clip":
        return Sentence(
            "{name} is a part of a model ({kind}), not a model that can chat.",
            name=name,
            kind=header.kind,
        )
    if header.integer("split.count", 1) > 1:
        return Sentence(
            "{name} is one part of a split model; join its parts into one file first.", name=name
        )
    if not header.architecture or not header.tensors:
        return Sentence("{name} holds no model.", name=name)
    if header.metadata.get("tokenizer.ggml.model", "no_vocab") in ("no_vocab", "none"):
        return Sentence("{name} holds no vocabulary, so it cannot chat.", name=name)
    return None


def why_not(header: GGUFHeader) -> str | None:
    """None where the model can learn; else one sentence that says why it cannot."""
    if reason := why_not_chat(header):
        return reason
    if MERGED_FROM in header.metadata:
        return Sentence(
            "{name} already has memories merged into it; to learn more, use the model that it "
            "was made from.",
            name=header.path.name,
        )
    if reason := _unknown_kind(header.architecture):
        return reason
    if header.of_architecture("expert_count") > 0:
        return Sentence("Models made of several experts can chat but not learn yet.")
    if part := _unknown_part(header):
        return _cannot_apply(header.path.name, part)
    unreadable = {tensor.type_name for tensor in header.tensors.values()} - _READABLE_TYPES
    if unreadable:
        return Sentence(
            "Its weights are stored as {unreadable}, from which Plum cannot learn; choose "
            "another quantization of the model.",
            unreadable=", ".join(sorted(unreadable)),
        )
    return None


def why_not_expected(name: str, architecture: str, parts: Iterable[str] = ()) -> str | None:
    """What `why_not` will say of a model that is not here yet.

    `parts` are those of its tensors that not every model of its architecture has.
    """
    if reason := _unknown_kind(architecture):
        return reason
    part = _unknown_tensor(architecture, parts)
    return _cannot_apply(name, part) if part else None


def _unknown_kind(architecture: str) -> str | None:
    if architecture in LEARNABLE:
        return None
    return Sentence(
        "Models of the kind {architecture!r} can chat but not learn yet; those that can are "
        "{learnable}.",
        architecture=architecture,
        learnable=", ".join(LEARNABLE),
    )


def _cannot_apply(name: str, part: str) -> str:
    return Sentence(
        "{name} has a part that learning does not know yet ({part}), so it can only chat.",
        name=name,
        part=part,
    )


def _unknown_part(header: GGUFHeader) -> str | None:
    """A tensor or setting that changes what the model computes and that no trainer applies."""
    prefix = f"{header.architecture}."
    scaling = header.metadata.get(prefix + "rope.scaling.type", "none")
    if scaling not in ("none", *(("linear",) if header.architecture == "gemma3" else ())):
        return prefix + "rope.scaling.type"
    heads = header.of_architecture("attention.head_count", 1)
    head = header.of_architecture("embedding_length") // max(1, heads)
    head = header.of_architecture("attention.key_length", head)
    if header.of_architecture("rope.dimension_count", head) != head:
        return prefix + "rope.dimension_count"
    if isinstance(header.metadata.get(prefix + _PATTERN), tuple):
        return prefix + _PATTERN
    return _unknown_tensor(header.architecture, header.tensors)


def _unknown_tensor(architecture: str, names: Iterable[str]) -> str | None:
    for name in names:
        prefix, _, rest = name.partition(".")
        outside = _OUTSIDE | _BESIDE.get(architecture, frozenset())
        known = _BLOCKS[architecture] if prefix == "blk" else outside
        if (rest.partition(".")[2] if prefix == "blk" else name) not in known:
            return name
    return None
