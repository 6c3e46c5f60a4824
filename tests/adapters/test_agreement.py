"""torch with the PEFT folder, llama.cpp with the hot GGUF, and the merged file: one behaviour."""

from __future__ import annotations

import numpy as np
import pytest

from plum_desktop.adapters.names import LAYER_NAMES
from plum_desktop.models.support import LEARNABLE

ARCHITECTURES = ("llama", "qwen2", "qwen3")


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def divergence(of: np.ndarray, against: np.ndarray) -> float:
    """Mean KL in nats a position."""
    p, q = log_softmax(of), log_softmax(against)
    return float((np.exp(p) * (p - q)).sum(axis=-1).mean())


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    left, right = left.ravel().astype(np.float64), right.ravel().astype(np.float64)
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def test_every_learnable_architecture_is_proven_here() -> None:
    assert set(ARCHITECTURES) == set(LEARNABLE) == set(LAYER_NAMES)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_tiny_model_agrees_almost_exactly(compared, name: str) -> None:
    logits = compared[name].logits
    assert cosine(logits["torch_base"], logits["llama_base"]) > 0.9999
    change = logits["torch_adapter"] - logits["torch_base"]
    assert np.abs(change).mean() > 0.1  # the adapter does something
    assert cosine(change, logits["llama_hot"] - logits["llama_base"]) > 0.999
    assert cosine(change, logits["llama_merged"] - logits["llama_base"]) > 0.999
    assert divergence(logits["llama_hot"], logits["llama_merged"]) < 1e-4


def test_the_starter_model_agrees(compared) -> None:
    logits = compared["starter"].logits
    assert cosine(logits["torch_base"], logits["llama_base"]) > 0.999
    change = logits["torch_adapter"] - logits["torch_base"]
    assert cosine(change, logits["llama_hot"] - logits["llama_base"]) > 0.95
    assert divergence(logits["llama_hot"], logits["llama_merged"]) < 0.01
    # and that is little beside what the adapter changes
    assert divergence(logits["llama_hot"], logits["llama_base"]) > 0.1
