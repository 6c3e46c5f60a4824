"""Every grid that goes over as it is, and what becomes of the others."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from plum_desktop.adapters.gguf_format import dequantize
from plum_desktop.models.header import GGML_TYPES

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mlx_lm") is None, reason="MLX is not installed"
)

ROWS, WIDTH = 6, 512
SCALES = {
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "Q3_K": (108,),
    "Q4_1": (0, 2),
    "Q5_1": (0, 2),
}


def blocks(name: str) -> tuple[int, np.ndarray]:
    """Random rows of a type: any bytes are a block, once its fp16 numbers are sane."""
    kind, (_, elements, size) = next((k, t) for k, t in GGML_TYPES.items() if t[0] == name)
    rng = np.random.default_rng(kind)
    raw = rng.integers(0, 256, (ROWS * WIDTH // elements, size), np.uint8)
    for at in SCALES.get(name, (0,)):
        numbers = rng.normal(0, 0.01, len(raw)).astype("<f2")
        raw[:, at : at + 2] = numbers.view(np.uint8).reshape(-1, 2)
    raw[0, :2] = 0  # a block without a scale
    return kind, raw.reshape(ROWS, -1)


def restored(kind: int, raw: np.ndarray, dtype) -> np.ndarray:
    import mlx.core as mx

    from plum_desktop.learning.trainers.mlx_packed import GROUP, bits_for, pack

    weights = mx.dequantize(*pack(raw, kind, dtype), group_size=GROUP, bits=bits_for(kind, WIDTH))
    return np.array(weights.astype(mx.float32))


@pytest.mark.parametrize("name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K"])
def test_the_weights_are_those_of_the_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    from plum_desktop.learning.trainers import mlx_packed

    kind, raw = blocks(name)
    weights = dequantize(raw, kind)
    size = np.abs(weights).max()
    np.testing.assert_allclose(restored(kind, raw, mx.float32), weights, atol=1e-6 * size)
    # bf16 rounds the scales of the grid, not each weight
    error = restored(kind, raw, mx.bfloat16) - weights
    assert np.linalg.norm(error) < 0.006 * np.linalg.norm(weights)
    monkeypatch.setattr(mlx_packed, "_AT_ONCE", 2 * WIDTH)  # a few rows at a time
    np.testing.assert_allclose(restored(kind, raw, mx.float32), weights, atol=1e-6 * size)


@pytest.mark.parametrize("name", ["Q6_K", "Q3_K", "F16"])
def test_other_types_get_a_finer_grid(name: str) -> None:
    import mlx.core as mx

    kind, raw = blocks(name)
    if name == "F16":
        numbers = np.random.default_rng(0).normal(0, 1, (ROWS, WIDTH)).astype("<f2")
        raw = numbers.view(np.uint8)
    weights = dequantize(raw, kind)
    error = restored(kind, raw, mx.bfloat16) - weights
    assert np.linalg.norm(error) < 0.01 * np.linalg.norm(weights)


def test_rows_that_do_not_divide_stay_numbers() -> None:
    from plum_desktop.learning.trainers.mlx_packed import bits_for

    assert bits_for(0, 72) is None
    assert (bits_for(2, 96), bits_for(0, 96)) == (4, 8)


def test_numbers_come_over_in_every_type(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    from plum_desktop.learning.trainers import mlx_packed

    monkeypatch.setattr(mlx_packed, "_AT_ONCE", 4 * WIDTH)
    kind, raw = blocks("Q4_K")
    found = mlx_packed.unpacked(raw, kind, mx.float32)
    np.testing.assert_array_equal(np.array(found), dequantize(raw, kind))
