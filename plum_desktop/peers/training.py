"""One step of training at a time: ours, and the plain way with transformers' Trainer and peft.

All fit the same rows of the same plan, on the same weights, with a LoRA of the same shape.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from plum_desktop.learning.recipe import preset
from plum_desktop.learning.rows import Plan, Row
from plum_desktop.learning.train import rate

_SIDE = 2048  # of a square matrix


class Training(Protocol):
    """A model under training and its plan."""

    def step(self, number: int) -> dict[str, Any]:
        """Fit one batch at the run's own rate: how many pairs and tokens, and the seconds."""

    def save(self, folder: Path) -> None:
        """Write the adapter as peft does."""


def load(kind: str, model: str, rows: str, threads: int, start: str | None) -> Training:
    """`kind`: ours, plain (fp32) or bf16 (autocast)."""
    import torch

    torch.set_num_threads(threads)
    plan = Plan.load(Path(rows))
    if kind == "ours":
        return _Ours(Path(model), plan, threads, Path(start) if start else None)
    return _Plain(Path(model), plan, autocast=kind == "bf16")


def matmul_rate(threads: int) -> float:
    """FLOP a second of a large product, the best of a few, of fp32 and of bf16."""
    import torch

    from plum_desktop.learning.trainers.torch_peft import product_seconds

    torch.set_num_threads(threads)
    kinds = torch.float32, torch.bfloat16
    return 2 * _SIDE**3 / min(product_seconds(kind, _SIDE, _SIDE, _SIDE) for kind in kinds)


def _measured(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    return {
        "pairs": sum(row.targets is None for row in rows),
        "tokens": sum(len(row.ids) for row in rows),
        "seconds": seconds,
    }


class _Ours:
    """The trainer of the product."""

    def __init__(self, model: Path, plan: Plan, threads: int, start: Path | None) -> None:
        from plum_desktop.learning.trainers.torch_peft import TorchTrainer

        self._plan = plan
        self._recipe = preset("default")
        self._trainer = TorchTrainer(model, self._recipe, start, threads)

    def step(self, number: int) -> dict[str, Any]:
        rows = self._plan.batch(number)
        began = time.perf_counter()
        self._trainer.step(rows, rate(self._recipe, number, len(self._plan.steps)))
        return _measured(rows, time.perf_counter() - began)

    def save(self, folder: Path) -> None:
        self._trainer.save_adapter(folder)


class _Plain:
    """transformers' Trainer and peft: a padded batch, every position's logits, AdamW.

    It knows no teacher's targets, so it fits an anchor's own tokens instead: as much work.
    """

    def __init__(self, model: Path, plan: Plan, *, autocast: bool) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import Trainer, TrainingArguments

        from plum_desktop.learning.trainers.torch_gguf import load_base

        self._recipe = recipe = preset("default")
        self._plan = plan
        base = load_base(model, torch.float32)
        config = LoraConfig(
            r=recipe.rank, lora_alpha=recipe.alpha, target_modules="all-linear",
            task_type="CAUSAL_LM",
        )  # fmt: skip
        arguments = TrainingArguments(
            output_dir=str(model.parent), bf16=autocast, use_cpu=True, report_to=[],
            learning_rate=recipe.learning_rate, save_strategy="no",
        )  # fmt: skip
        self._trainer: Any = Trainer(model=get_peft_model(base, config), args=arguments)
        self._trainer.create_optimizer()
        self._trainer.current_gradient_accumulation_steps = 1  # else set by its own loop alone

    def step(self, number: int) -> dict[str, Any]:
        rows = [replace(row, targets=None) for row in self._plan.batch(number)]
        counted = self._plan.batch(number)
        for group in self._trainer.optimizer.param_groups:
            group["lr"] = rate(self._recipe, number, len(self._plan.steps))
        began = time.perf_counter()
        self._trainer.training_step(self._trainer.model, _padded(rows))
        self._trainer.accelerator.clip_grad_norm_(self._trainer.model.parameters(), 1.0)
        self._trainer.optimizer.step()
        self._trainer.model.zero_grad()
        return _measured(counted, time.perf_counter() - began)

    def save(self, folder: Path) -> None:
        self._trainer.model.save_pretrained(str(folder))


def _padded(rows: Sequence[Row]) -> dict[str, Any]:
    """A batch as a collator makes it: `input_ids`, `attention_mask` and `labels`, (B, L)."""
    import torch

    longest = max(len(row.ids) for row in rows)
    shape = (len(rows), longest)
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    labels = np.full(shape, -100, np.int64)
    for place, row in enumerate(rows):
        length = len(row.ids)
        ids[place, :length], mask[place, :length] = row.ids, 1
        labels[place, :length] = np.where(row.weights > 0, row.ids, -100)
    return {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask),
        "labels": torch.from_numpy(labels),
    }
