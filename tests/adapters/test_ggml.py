"""ggml's conversions say what gguf's say, and where they are missing gguf's do."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from plum_desktop.adapters import ggml
from plum_desktop.adapters.merge import merge
from plum_desktop.models.header import GGML_TYPES, read_header

ROWS, BLOCKS = 5, 3


@pytest.mark.parametrize(
    "kind",
    [kind for kind in gguf.quants._type_traits if kind.name != "BF16"]
    + [gguf.GGMLQuantizationType.F16],
    ids=lambda kind: kind.name,
)
def test_rows_are_read_as_gguf_reads_them(kind) -> None:
    size = GGML_TYPES[int(kind)][2]
    # bytes below 0x3C: every half-precision scale among them is finite and positive
    raw = np.random.default_rng(3).integers(0, 0x3C, (ROWS, BLOCKS * size), np.uint8)
    found = ggml.dequantize(raw, int(kind))
    assert found is not None
    np.testing.assert_array_equal(found, gguf.quants.dequantize(raw, kind))


@pytest.mark.parametrize("kind", ["F16", "Q8_0"])
def test_rows_are_written_as_gguf_writes_them(kind: str) -> None:
    quantization = gguf.GGMLQuantizationType[kind]
    weights = np.random.default_rng(3).normal(size=(ROWS, 32 * BLOCKS)).astype(np.float32)
    weights[2], weights[3, :32] = 0, 0
    found = ggml.quantize(weights, int(quantization))
    assert found is not None
    expected = gguf.quants.quantize(weights, quantization).view(np.uint8)
    np.testing.assert_array_equal(found, expected)


def test_without_the_library_a_merge_is_the_same(
    make_tiny, make_adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_tiny(tmp_path / "base.gguf", "llama")
    adapter = make_adapter(read_header(base))
    fast = merge(base, adapter, tmp_path / "fast.gguf")
    monkeypatch.setattr(ggml, "_function", lambda library, symbol: None)
    for cached in (ggml._reader, ggml._writer):
        cached.cache_clear()
    try:
        assert ggml.quantize(np.zeros((1, 32), np.float32), 8) is None
        assert merge(base, adapter, tmp_path / "slow.gguf") == fast
    finally:
        for cached in (ggml._reader, ggml._writer):
            cached.cache_clear()
    assert (tmp_path / "slow.gguf").read_bytes() == (tmp_path / "fast.gguf").read_bytes()
