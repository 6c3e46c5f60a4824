"""Which trainer is taken where, and what is said where one is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest

from plum_desktop.app import backend
from plum_desktop.app.product import Plum
from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Run
from plum_desktop.learning.job import JobFolder, JobSpec
from plum_desktop.learning.recipe import preset

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """`machine("darwin", "arm64", "torch")`: that machine, with these libraries missing."""

    real = importlib.util.find_spec

    def be(system: str, processor: str, *missing: str) -> None:
        monkeypatch.setattr(backend.sys, "platform", system)
        monkeypatch.setattr(backend.platform, "machine", lambda: processor)
        monkeypatch.setattr(
            backend.importlib.util,
            "find_spec",
            lambda name: None if name in missing else real(name),
        )

    return be


def test_auto_takes_mlx_on_apple_silicon_alone(machine: Machine) -> None:
    machine("darwin", "arm64")
    assert backend.trainer_for("auto") == "mlx"
    assert backend.trainer_for("torch") == "torch"
    machine("linux", "x86_64")
    assert backend.trainer_for("auto") == "torch"
    assert backend.trainer_for("mlx") == "mlx"  # who asks for it gets it, if it is installed
    assert backend.cannot_learn("mlx") is None


def test_auto_falls_back_to_torch_where_mlx_is_missing(machine: Machine) -> None:
    machine("darwin", "arm64", "mlx_lm")
    assert backend.trainer_for("auto") == "torch"
    assert backend.cannot_learn("torch") is None


@pytest.mark.parametrize(
    ("system", "processor", "missing", "trainer", "words"),
    [
        ("darwin", "arm64", "mlx", "mlx", "needs mlx, which is not installed; run `pip install"),
        ("linux", "x86_64", "mlx", "mlx", "for Macs with Apple silicon .* --backend torch"),
        ("linux", "x86_64", "peft", "torch", "needs peft, which is not installed; run `pip"),
        ("darwin", "x86_64", "", "mlx", "Intel Macs can chat but not learn"),
        ("darwin", "x86_64", "", "torch", "Intel Macs can chat but not learn"),
    ],
)
def test_what_is_missing_is_said(
    machine: Machine, system: str, processor: str, missing: str, trainer: str, words: str
) -> None:
    machine(system, processor, missing)
    with pytest.raises(PlumError, match=words):
        raise PlumError(backend.cannot_learn(trainer))


def test_a_bundle_says_whether_mlx_is_in_it(machine: Machine, monkeypatch) -> None:
    monkeypatch.setattr(backend.sys, "frozen", True, raising=False)
    machine("darwin", "arm64", "torch", "mlx")  # torch is, whatever its loader says
    assert (backend.trainer_for("auto"), backend.cannot_learn("torch")) == ("torch", None)
    machine("darwin", "arm64")
    assert backend.trainer_for("auto") == "mlx"


def test_a_plan_for_a_trainer_that_is_not_here_is_refused(plum: Plum, machine: Machine) -> None:
    machine("linux", "x86_64", "mlx")
    refusal = plum.learning.plan(backend="mlx").refusal
    assert refusal is not None
    assert "choose the trainer torch" in refusal
    assert plum.learning.plan(backend="mlx").backend == "mlx"


def test_a_run_goes_on_only_with_the_trainer_it_began_with(plum: Plum, machine: Machine) -> None:
    file = plum.models.file()
    job = JobFolder(plum.folder.job("r1"))
    job.write_spec(
        JobSpec("r1", str(file.path), file.sha256, "mlx", preset("default"), (), None, None, None)
    )
    plum.store.runs.create(Run("r1", 0.0, "interrupted", "train", file.sha256, "default", ()))
    machine("darwin", "arm64", "mlx")
    with pytest.raises(PlumError, match=r"needs mlx.*can go on then"):
        plum.learning.resume("r1", lambda _: None, lambda _: None)
    assert not plum.learning.running()
