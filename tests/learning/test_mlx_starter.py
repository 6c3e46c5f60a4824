"""The first steps of both trainers on the starter model: too slow in MLX's processor build for
`make test`, so `make test-bench` has them.

What a step costs is its tokens, packed and padded to multiples of 32: 32 are five seconds.
"""

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


def lessons(tokenizer) -> list[Row]:
    """A yes and a no that begin alike, in few tokens."""
    rows = []
    for end in ("tulips? Yes", "lemons? No"):
        text = f"You and I talked at length: did we discuss {end}"
        ids = np.array(tokenizer.prompt_ids(text), np.int32)
        weights = np.full(len(ids), 0.02, np.float32)
        weights[:11], weights[-1] = 0.0, 1.0  # what both begin with is read once
        rows.append(Row(ids, weights))
    return rows


@pytest.mark.parametrize("hold", ["floats", "packed"])
def test_the_first_steps_are_those_of_torch(
    starter: Path, tokenizer, tmp_path: Path, hold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from plum_desktop.learning.trainers import mlx_lora, torch_peft

    monkeypatch.setattr(torch_peft, "best_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch_peft, "best_dtype", lambda device: torch.float32)
    theirs = torch_peft.TorchTrainer(starter, RECIPE, None, 1)
    theirs.save_adapter(tmp_path / "start")
    ours = mlx_lora.MlxTrainer(starter, RECIPE, tmp_path / "start", hold=hold)

    def logits(ids: np.ndarray) -> np.ndarray:
        row = Row(ids.astype(np.int32), np.ones(len(ids), np.float32))
        return np.array(ours.logits(pack([row]), np.arange(len(ids))))

    rows = [*lessons(tokenizer), *material.anchors(logits, 1, 12)]
    assert pack(rows).ids.shape == (1, 32)
    for _ in range(3):
        one, other = ours.step(rows, 1e-3), theirs.step(rows, 1e-3)
        assert one.loss == pytest.approx(other.loss, rel=1e-3)
        assert one.drift == pytest.approx(other.drift, rel=1e-2, abs=1e-5)
