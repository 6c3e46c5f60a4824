"""Trainers: one protocol, a module a library.  They see token ids and weights, never text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from plum_desktop.learning.rows import Row


@dataclass(frozen=True, slots=True)
class StepResult:
    """`loss`: weighted cross entropy, nats a token of weight 1; `drift`: KL to the base, nats."""

    loss: float
    drift: float
    tokens: int


class Trainer(Protocol):
    """A frozen base model with a LoRA that is being fitted."""

    def step(self, rows: Sequence[Row], learning_rate: float) -> StepResult:
        """Fit one batch."""

    def save_checkpoint(self, path: Path, step: int) -> None:
        """Write adapter and optimizer state, whole or not at all; `step` steps are done."""

    def load_checkpoint(self, path: Path) -> int:
        """Go on from a checkpoint; returns how many steps it has done."""

    def save_adapter(self, folder: Path) -> None:
        """Write the adapter as PEFT reads it."""
