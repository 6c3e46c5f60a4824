"""What trainers are tested with: a recipe, lessons and anchors for the tiny models, and whoever
watches a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from plum_desktop.base.errors import Cancelled
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.rows import Row, Targets

VOCABULARY = 160  # of the tiny models
RECIPE = replace(
    preset("default"), rank=4, alpha=8.0, learning_rate=5e-3, warmup_steps=2, anchor_weight=2.0,
    weight_decay=0.0, gradient_clip=1.0,
)  # fmt: skip


def lessons(seed: int = 0, count: int = 4) -> list[Row]:
    rng = np.random.default_rng(seed)
    start = rng.integers(0, VOCABULARY, 12)
    rows = []
    for _ in range(count):
        ids = np.concatenate([start, rng.integers(0, VOCABULARY, 10)]).astype(np.int32)
        weights = np.array([0.0] * 12 + [0.25] * 7 + [1.0] * 3, np.float32)
        rows.append(Row(ids, weights))
    return rows


def anchors(
    logits: Callable[[np.ndarray], np.ndarray], count: int = 4, length: int = 24
) -> list[Row]:
    """Random text with what a model says of it: `logits` takes ids (n,) and gives (n, vocabulary).

    Its 32 likeliest next tokens, as the engine writes them down.
    """
    rng = np.random.default_rng(9)
    rows = []
    for _ in range(count):
        ids = rng.integers(0, VOCABULARY, length)
        found = logits(ids).astype(np.float64)
        logp = found - np.log(np.exp(found).sum(1, keepdims=True))
        top = np.argsort(-logp, axis=1)[:, :32]
        likely = np.take_along_axis(logp, top, 1).astype(np.float32)
        weights = (np.arange(length) >= length // 3).astype(np.float32)
        rows.append(Row(ids.astype(np.int32), weights, Targets(top.astype(np.int32), likely)))
    return rows


class Watch:
    """Stands where a stage's request does, and cancels once `stop_at` steps are told."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.steps, self.stop_at = 0, stop_at

    def progress(self, fraction: float, text: str = "", **fields: float | int | None) -> None:
        self.steps += text == "learning"

    def check(self) -> None:
        if self.steps == self.stop_at:
            raise Cancelled
