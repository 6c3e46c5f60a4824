"""A GGUF file of any size with random weights: for what must not grow with the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_WIDTH, _INNER, _VOCABULARY, _HEADS = 2048, 5632, 32_000, 32
_BLOCK = 34 / 32  # bytes a weight as Q8_0
_ROWS = 512  # written at once


def write(path: Path, gigabytes: float) -> None:
    """Write a llama of about `gigabytes`, in Q8_0, a few rows at a time."""
    import gguf
    import numpy as np

    layer = 4 * _WIDTH * _WIDTH + 3 * _WIDTH * _INNER
    layers = max(1, round((gigabytes * 1e9 / _BLOCK - _VOCABULARY * _WIDTH) / layer))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(_INNER)
    writer.add_block_count(layers)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(_VOCABULARY)
    writer.add_tokenizer_model("no_vocab")
    sizes = list(_tensors(layers))
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, rows, width in sizes:
        shape = gguf.quant_shape_to_byte_shape((rows, width), kind)
        writer.add_tensor_info(name, shape, np.dtype(np.uint8), rows * shape[1], kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(11)
    some = {
        width: gguf.quants.quantize(
            rng.normal(0, width**-0.5, (_ROWS, width)).astype(np.float32), kind
        )
        for width in {width for _, _, width in sizes}
    }
    for _, rows, width in sizes:
        writer.write_tensor_data(np.resize(some[width], (rows, some[width].shape[1])))
    writer.close()


def _tensors(layers: int) -> Iterator[tuple[str, int, int]]:
    """Name, rows and width of every matrix."""
    yield "token_embd.weight", _VOCABULARY, _WIDTH
    for layer in range(layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{layer}.{name}.weight", _WIDTH, _WIDTH
        yield f"blk.{layer}.ffn_gate.weight", _INNER, _WIDTH
        yield f"blk.{layer}.ffn_up.weight", _INNER, _WIDTH
        yield f"blk.{layer}.ffn_down.weight", _WIDTH, _INNER
