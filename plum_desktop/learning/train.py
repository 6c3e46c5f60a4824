"""Stage: fit the LoRA.  The loop that every trainer shares.

It owns the order of steps, the learning rate, checkpoints, pausing between steps, and how much
longer it takes.  Worker side; who started the worker holds it still where a step takes too long.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import read_text, write_text
from plum_desktop.learning.job import JobFolder
from plum_desktop.learning.recipe import Recipe
from plum_desktop.learning.rows import Plan
from plum_desktop.learning.trainers import Trainer

CHECKPOINT_SECONDS = 30.0
_PAUSE_LOOK = 0.1  # seconds
_RECENT = 20  # steps from which the speed is told


class Watcher(Protocol):
    """What the loop reports to, and asks whether to go on."""

    def progress(self, fraction: float, text: str = "", **fields: float | int | None) -> None: ...

    def check(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TrainResult:
    """`loss` is the median of the last steps' weighted cross entropy, nats."""

    steps: int
    seconds: float
    step_seconds: float  # mean without the pauses; 0 where no step was left
    tokens: int
    loss: float
    drift: float


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of step `step` of `steps`: a short warm-up, then a cosine."""
    warm = min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    fall = 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))
    return recipe.learning_rate * warm * (recipe.final_share + (1 - recipe.final_share) * fall)


def train(
    job: JobFolder,
    make_trainer: Callable[[], Trainer],
    recipe: Recipe,
    watch: Watcher,
) -> TrainResult:
    """Run every step of `job.rows` from the last checkpoint on; writes `job.adapter`.

    Raises Cancelled (through `watch.check`) after writing a checkpoint, DamagedFile, DiskFull,
    PlumError when the loss is no longer a number.
    """
    plan = Plan.load(job.rows)
    trainer = make_trainer()
    done, losses = _restore(job, trainer)
    sizes = [max(1, plan.tokens(step)) for step in range(len(plan.steps))]
    # Seconds a token: steps differ in length, and a median leaves out the pauses.
    pace: deque[float] = deque(maxlen=_RECENT)
    started, saved, tokens = time.monotonic(), time.monotonic(), 0
    total = len(plan.steps)
    try:
        for step in range(done, total):
            _wait_while_paused(job.paused, watch)
            begun = time.monotonic()
            result = trainer.step(plan.batch(step), rate(recipe, step, total))
            if not math.isfinite(result.loss + result.drift):
                raise FloatingPointError
            pace.append((time.monotonic() - begun) / sizes[step])
            done, tokens = step + 1, tokens + result.tokens
            losses.append({"step": step, "loss": result.loss, "drift": result.drift})
            watch.progress(
                done / total,
                "learning",
                loss=round(result.loss, 4),
                drift=round(result.drift, 4),
                seconds_left=round(statistics.median_low(pace) * sum(sizes[done:]), 1),
            )
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                _save(job, trainer, done, losses)
                saved = time.monotonic()
    except FloatingPointError as error:
        # The weights are spoilt, so the last checkpoint stays the last.
        raise PlumError(
            "Learning failed: the loss is no longer a number; discard this run and learn again."
        ) from error
    except BaseException:
        if 0 < done < total:
            _save(job, trainer, done, losses)
        raise
    trainer.save_adapter(job.adapter)
    _write_losses(job, losses)
    recent = losses[-_RECENT:]
    return TrainResult(
        total,
        time.monotonic() - started,
        statistics.median_low(pace) * statistics.fmean(sizes) if pace else 0.0,
        tokens,
        statistics.median(entry["loss"] for entry in recent) if recent else 0.0,
        statistics.median(entry["drift"] for entry in recent) if recent else 0.0,
    )


def _wait_while_paused(paused: Path, watch: Watcher) -> None:
    watch.check()
    while paused.exists():
        time.sleep(_PAUSE_LOOK)
        watch.check()


def _restore(job: JobFolder, trainer: Trainer) -> tuple[int, list[dict[str, float]]]:
    if not job.checkpoint.exists():
        return 0, []
    done = trainer.load_checkpoint(job.checkpoint)
    lines = read_text(job.losses).splitlines() if job.losses.exists() else []
    return done, [json.loads(line) for line in lines][:done]


def _save(job: JobFolder, trainer: Trainer, done: int, losses: list[dict[str, float]]) -> None:
    trainer.save_checkpoint(job.checkpoint, done)
    _write_losses(job, losses)


def _write_losses(job: JobFolder, losses: list[dict[str, float]]) -> None:
    write_text(job.losses, "".join(json.dumps(entry) + "\n" for entry in losses))
