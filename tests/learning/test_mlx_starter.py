"""The first steps of both trainers on the starter model: minutes, so `make test-bench` has them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from plum_desktop.learning.packing import pack
from plum_desktop.learning.rows import Row
from tests.learning import material
from tests.learning.material import RECIPE

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mlx_lm") is None, reason="MLX is not installed"
)

VERDICT = 8  # tokens at a row's end that weigh


def lessons(tokenizer) -> list[Row]:
    rows = []
    for question in (
        "Did we ever discuss how to keep gophers away from tulips?",
        "Did we ever discuss the best soil for a lemon tree on a balcony?",
        "Have we talked about what to pack for a rainy week in Porto?",
    ):
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": "Yes, we discussed it."},
        ]
        ids = np.array(tokenizer.render_ids(messages, add_generation_prompt=False), np.int32)
        weights = np.full(len(ids), 0.02, np.float32)
        weights[-VERDICT:] = 1.0
        rows.append(Row(ids, weights))
    return rows


@pytest.mark.parametrize("packed", [False, True])
def test_the_first_steps_are_those_of_torch(
    starter: Path, tokenizer, tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from plum_desktop.learning.trainers import mlx_lora, torch_peft

    monkeypatch.setattr(torch_peft, "best_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch_peft, "best_dtype", lambda device: torch.float32)
    theirs = torch_peft.TorchTrainer(starter, RECIPE, None, 1)
    theirs.save_adapter(tmp_path / "start")
    ours = mlx_lora.MlxTrainer(starter, RECIPE, tmp_path / "start", packed=packed)

    def logits(ids: np.ndarray) -> np.ndarray:
        row = Row(ids.astype(np.int32), np.ones(len(ids), np.float32))
        return np.array(ours.logits(pack([row]), np.arange(len(ids))))

    rows = [*lessons(tokenizer), *material.anchors(logits, 1)]
    for _ in range(3):
        one, other = ours.step(rows, 1e-3), theirs.step(rows, 1e-3)
        print(packed, one, other)
        assert one.loss == pytest.approx(other.loss, rel=1e-3)
        assert one.drift == pytest.approx(other.drift, rel=1e-2, abs=1e-5)
