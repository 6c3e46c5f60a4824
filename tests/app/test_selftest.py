"""The self-test: good where all is well, and each thing that can be wrong is found."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.lora import LoraAdapter
from plum_desktop.adapters.merge import merge
from plum_desktop.adapters.peft_format import read_peft
from plum_desktop.app import selftest
from plum_desktop.base.errors import PlumError
from plum_desktop.learning.job import JobSpec
from plum_desktop.learning.recipe import preset
from plum_desktop.models.header import read_header


@pytest.mark.skipif(importlib.util.find_spec("mlx_lm") is None, reason="MLX is not installed")
def test_both_trainers_pass_and_agree() -> None:
    found = selftest.run()
    assert [(each.name, each.state) for each in found] == [
        ("Self-test, torch", "ok"), ("Self-test, mlx", "ok"), ("Self-test", "ok"),
    ]  # fmt: skip
    assert found[-1].what.startswith("The trainers agree")


def test_a_trainer_that_is_missing_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "cannot_learn", lambda trainer: f"{trainer} is not here.")
    assert {(each.state, each.what) for each in selftest.run()} == {
        ("warn", "torch is not here."), ("warn", "mlx is not here."),
    }  # fmt: skip


class Learned:
    """In place of the worker: losses as told, and the start's adapter, merged `merged` times."""

    def __init__(self, losses: list[float], merged: float = 1.0) -> None:
        self.losses, self.merged = losses, merged

    def __call__(self, job, model: Path, start: Path, plan, trainer) -> list[float]:
        adapter = read_peft(start)
        job.adapter.mkdir()
        job.write_spec(_spec(model))
        write_gguf(adapter, read_header(model), job.adapter_gguf)
        other = LoraAdapter(adapter.alpha * self.merged, adapter.rank, adapter.tensors)
        merge(model, other, job.merged)
        return self.losses


def _spec(model: Path) -> JobSpec:
    return JobSpec("x", str(model), "", "torch", preset("default"), (), None, None, None)


@pytest.fixture(scope="module")
def began() -> float:
    """The loss that the engine reads at the start."""
    told: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selftest, "_learn", Learned([1.0]))
        patch.setattr(selftest, "_TRAINERS", ("torch",))
        patch.setattr(selftest, "_judge", lambda *parts: told.append(parts[-1]))
        selftest.run()
    return told[0]


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ((1.2, 0.5), "computes another model"),
        ((1.0, 0.9), "does not learn"),
        ((1.0, float("nan")), "does not learn"),
        ((1.0, 0.5), "reads another adapter"),  # it reads the start's loss
    ],
)
def test_what_is_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, began: float, shares: tuple[float, float], words: str
) -> None:
    monkeypatch.setattr(selftest, "_TRAINERS", ("torch",))
    monkeypatch.setattr(selftest, "_learn", Learned([share * began for share in shares]))
    (found,) = selftest.run()
    assert found.state == "fail"
    assert words in found.what


def test_a_merged_model_that_is_another_is_found(
    monkeypatch: pytest.MonkeyPatch, began: float
) -> None:
    monkeypatch.setattr(selftest, "_LEARNED", 1.1)
    monkeypatch.setattr(selftest, "_TRAINERS", ("torch",))
    monkeypatch.setattr(selftest, "_learn", Learned([began, began], merged=2.0))
    assert "merged model is another" in selftest.run()[0].what
    monkeypatch.setattr(selftest, "_learn", Learned([began, began]))
    assert selftest.run()[0].state == "ok"


def test_trainers_that_part_are_found() -> None:
    assert selftest._compare([7.0, 5.0], [7.0, 4.9]).state == "ok"
    assert selftest._compare([7.0, 5.0], [7.0, 4.0]).state == "fail"
    assert selftest._compare([7.0, 5.0], [7.0, float("nan")]).state == "fail"


def test_a_worker_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[float]:
        raise PlumError("The learning worker stopped.")

    monkeypatch.setattr(selftest, "_learn", fail)
    assert [(each.state, each.what) for each in selftest.run()] == [
        ("fail", "The learning worker stopped."),
    ] * 2
