"""Learning tried out on this machine: each installed trainer on the same tiny job.

The way is a real run's: a stage worker trains and merges, the engine serves the adapter hot and
merged, and each must read the loss that the trainer told.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.peft_format import write_peft
from plum_desktop.app.backend import Trainer, cannot_learn
from plum_desktop.app.doctor import Finding
from plum_desktop.base.child import Child
from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import worker_command
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning import selftest
from plum_desktop.learning.job import JobFolder, JobSpec
from plum_desktop.learning.rows import Plan
from plum_desktop.models.header import read_header

_TRAINERS: tuple[Trainer, ...] = ("torch", "mlx")
_APART = 0.05  # of a loss: what half precision may make of it
_LEARNED = 0.7  # of the first loss may be left at the end
_LAST_STEP = 0.7  # of the last loss, which was told before the last step, is left at the least
_MERGED = 1e-3  # nats a token between the merged model and the hot adapter


def run() -> list[Finding]:
    """What came of it, a trainer a finding, and whether they agree where there are two."""
    with tempfile.TemporaryDirectory(prefix="plum-selftest-") as folder:
        return list(_run(Path(folder)))


def _run(folder: Path) -> Iterator[Finding]:
    model = selftest.write_model(folder / "model.gguf")
    header = read_header(model)
    adapter = selftest.start(header)
    start = write_peft(adapter, folder / "start")
    curves: dict[Trainer, list[float]] = {}
    engine = EngineClient()
    try:
        engine.load(model, n_ctx=128, threads=1)
        plan = selftest.plan(engine, folder / "anchors.npz")
        engine.set_adapter(write_gguf(adapter, header, folder / "start.gguf"))
        began = selftest.engine_loss(engine, plan, folder / "start.npy")
        for trainer in _TRAINERS:
            if why := cannot_learn(trainer):
                yield Finding(f"Self-test, {trainer}", "warn", why)
                continue
            job = JobFolder(folder / trainer)
            job.root.mkdir()
            try:
                curves[trainer] = _learn(job, model, start, plan, trainer)
                yield _judge(job, engine, plan, trainer, curves[trainer], began)
            except PlumError as error:
                yield Finding(f"Self-test, {trainer}", "fail", str(error))
    finally:
        engine.close()
    if len(curves) > 1:
        yield _compare(*curves.values())


def _learn(job: JobFolder, model: Path, start: Path, plan: Plan, trainer: Trainer) -> list[float]:
    """Train and merge in a worker of its own; returns the loss before each step."""
    job.write_spec(
        JobSpec(
            run_id="selftest",
            model=str(model),
            model_sha256="",
            backend=trainer,
            recipe=selftest.RECIPE,
            chats=(),
            parent_adapter=str(start),
            primer=None,
            persona=None,
        )
    )
    plan.save(job.rows)
    child = Child(worker_command("stage"), name=f"learning worker ({trainer})")
    try:
        child.begin("train", job=str(job.root), threads=1).wait()
        child.begin("merge", model=str(model), folder=str(job.adapter), out=str(job.merged)).wait()
    finally:
        child.stop()
    return [json.loads(line)["loss"] for line in job.losses.read_text().splitlines()]


def _judge(
    job: JobFolder, engine: EngineClient, plan: Plan, trainer: Trainer, losses: list[float],
    began: float,
) -> Finding:  # fmt: skip
    """Hold what the trainer told against what the engine reads; `began` is that of the start."""
    subject, hot, merged = f"Self-test, {trainer}", job.root / "hot.npy", job.root / "merged.npy"
    engine.load(Path(job.read_spec().model), n_ctx=128, threads=1)
    engine.set_adapter(job.adapter_gguf)
    end = selftest.engine_loss(engine, plan, hot)
    engine.load(job.merged, n_ctx=128, threads=1)
    selftest.engine_loss(engine, plan, merged)
    first, last = losses[0], losses[-1]
    apart = _divergence(np.load(hot), np.load(merged))
    curve = f"{len(losses)} steps took the loss from {first:.2f} to {last:.2f}"
    if not abs(first - began) < _APART * began:
        return Finding(
            subject, "fail",
            f"It computes another model: a loss of {first:.2f} where the engine reads {began:.2f}.",
        )  # fmt: skip
    if not last < _LEARNED * first:
        return Finding(subject, "fail", f"It does not learn: {curve}.")
    if not last * _LAST_STEP < end < last * (1 + _APART):
        return Finding(
            subject, "fail", f"The engine reads another adapter: {curve}, and it reads {end:.2f}."
        )
    if not apart < _MERGED:
        return Finding(
            subject, "fail", f"The merged model is another one, by {apart:.4f} nats a token."
        )
    return Finding(
        subject, "ok", f"{curve}; the engine reads {end:.2f}, and the merged model is the same."
    )


def _compare(one: list[float], other: list[float]) -> Finding:
    ours, theirs = np.array(one), np.array(other)
    apart = float(np.max(np.abs(ours - theirs) / np.maximum(ours, theirs)))
    text = f"their losses differ by {apart:.2%} at most."
    if apart < _APART:
        return Finding("Self-test", "ok", f"The trainers agree: {text}")
    return Finding("Self-test", "fail", f"The trainers do not agree: {text}")


def _divergence(of: np.ndarray, against: np.ndarray) -> float:
    """Mean KL of log-probabilities, nats a position."""
    return float((np.exp(of) * (of - against)).sum(axis=-1).mean())
