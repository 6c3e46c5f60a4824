"""torch with the PEFT folder, llama.cpp with the hot GGUF, the merged file, and MLX: one behaviour.

`pytest tests/adapters/test_agreement.py -k table_is_printed -s` prints the rows of the table in
docs/adapters.md.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from plum_desktop.adapters.names import LAYER_NAMES
from plum_desktop.models.support import LEARNABLE
from tests.adapters.conftest import Compared
from tests.adapters.tiny_bases import KINDS

DOCS = Path(__file__).parents[2] / "docs" / "adapters.md"

MLX = importlib.util.find_spec("mlx_lm") is not None

# Largest difference of any logit from the formula's, where logits spread by about 2.
PEFT_BOUND, GGUF_BOUND = 1e-4, 1e-3
GEMMA_BOUND = 0.03  # llama.cpp looks GELU up in a table of half precision


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


def largest(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.abs(left - right).max())


def bound(name: str) -> float:
    return GEMMA_BOUND if name.startswith("gemma") else GGUF_BOUND


def test_every_architecture_is_proven_here() -> None:
    proven = {kind.architecture for kind in KINDS.values()}
    assert set(LEARNABLE) <= proven
    assert set(LAYER_NAMES) == proven
    assert any(kind.tied for kind in KINDS.values())


@pytest.mark.parametrize("name", KINDS)
def test_every_route_agrees_with_the_formula(compared, name: str) -> None:
    logits = compared[name].logits
    assert largest(logits["torch_base"], logits["llama_base"]) < bound(name)
    assert np.abs(logits["torch_added"] - logits["torch_base"]).mean() > 0.1  # it does something
    assert largest(logits["torch_adapter"], logits["torch_added"]) < PEFT_BOUND
    assert largest(logits["llama_hot"], logits["torch_added"]) < bound(name)
    assert largest(logits["llama_merged"], logits["torch_added"]) < bound(name)


def test_what_peft_scales_is_read_as_peft_computes_it(compared) -> None:
    logits = compared["llama"].logits
    assert largest(logits["torch_foreign"], logits["torch_foreign_added"]) < PEFT_BOUND
    assert largest(logits["torch_foreign"], logits["torch_adapter"]) > 0.1  # it is another one


@pytest.mark.parametrize("name", [n for n, k in KINDS.items() if k.architecture in LEARNABLE])
def test_training_sees_the_model_that_serves(compared, name: str) -> None:
    logits = compared[name].logits
    assert largest(logits["trainer_base"], logits["torch_base"]) < PEFT_BOUND


@pytest.mark.skipif(not MLX, reason="MLX is not installed")
@pytest.mark.parametrize("name", KINDS)
def test_mlx_learns_on_the_model_that_serves(compared, name: str) -> None:
    logits = compared[name].logits
    assert largest(logits["mlx_base"], logits["torch_base"]) < PEFT_BOUND
    assert largest(logits["mlx_adapter"], logits["torch_added"]) < PEFT_BOUND


def test_the_starter_model_agrees(compared) -> None:
    logits = compared["starter"].logits
    assert cosine(logits["trainer_base"], logits["llama_base"]) > 0.999
    change = logits["torch_adapter"] - logits["trainer_base"]
    assert cosine(change, logits["llama_hot"] - logits["llama_base"]) > 0.95
    assert divergence(logits["llama_hot"], logits["llama_merged"]) < 0.01
    # and that is little beside what the adapter changes
    assert divergence(logits["llama_hot"], logits["llama_base"]) > 0.1


def table(compared: Mapping[str, Compared]) -> list[str]:
    """The rows of the table in the docs: a kind of model, and the largest difference by route."""
    rows = []
    for name in KINDS:
        logits = compared[name].logits
        cells = [
            f"{largest(logits[route], logits['torch_added']):.0e}" if route in logits else "–"
            for route in ("torch_adapter", "llama_hot", "llama_merged", "mlx_adapter")
        ]
        cells.append(f"{largest(logits['torch_base'], logits['llama_base']):.0e}")
        change = largest(logits["torch_added"], logits["torch_base"])
        rows.append(f"| {name} | {' | '.join(cells)} | {change:.1f} |")
    return rows


def test_the_docs_have_the_table_of_every_kind() -> None:
    rows = DOCS.read_text(encoding="utf-8").partition("| model | PEFT")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([a-z].*?) \|", rows, re.M) == list(KINDS)


def test_the_table_is_printed(compared) -> None:
    printed = table(compared)
    print("", *printed, sep="\n")
    assert len(printed) == len(KINDS)
    assert not any("nan" in row for row in printed)
