"""Learning runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Run
from plum_desktop.store import Store

MakeRun = Callable[..., Run]


def test_a_run_comes_back_as_it_went_in(store: Store, a_run: MakeRun) -> None:
    run = a_run("r1", chats=("a", "b"), report={"recall": 0.9, "rows": [1, None]}, error="x")
    assert store.runs.create(run) == run
    assert store.runs.get("r1") == run
    assert store.runs.get("r1").chats == ("a", "b")


def test_a_run_goes_on_and_ends(store: Store, a_run: MakeRun) -> None:
    run = store.runs.create(a_run("r1"))
    store.runs.update("r1", stage="train", state="paused")
    store.runs.update("r1", state="failed", finished=9.0, error="No space.", report={"a": {"b": 1}})
    assert store.runs.get("r1") == dataclasses.replace(
        run, stage="train", state="failed", finished=9.0, error="No space.", report={"a": {"b": 1}}
    )


def test_runs_are_listed_newest_first(store: Store, a_run: MakeRun) -> None:
    for run_id, created in (("r1", 1.0), ("r3", 3.0), ("r2", 2.0), ("r3b", 3.0)):
        store.runs.create(a_run(run_id, created=created))
    assert [run.id for run in store.runs.list()] == ["r3b", "r3", "r2", "r1"]


@pytest.mark.parametrize("state", ["running", "paused", "interrupted"])
def test_the_newest_unfinished_run_is_offered(store: Store, a_run: MakeRun, state: str) -> None:
    assert store.runs.unfinished() is None
    store.runs.create(a_run("r1", created=1.0, state="interrupted"))
    store.runs.create(a_run("r2", created=2.0, state=state))
    store.runs.create(a_run("r3", created=3.0, state="done"))
    unfinished = store.runs.unfinished()
    assert unfinished is not None
    assert unfinished.id == "r2"


@pytest.mark.parametrize("state", ["done", "refused", "failed", "stopped"])
def test_an_ended_run_is_not(store: Store, a_run: MakeRun, state: str) -> None:
    store.runs.create(a_run("r1", state=state))
    assert store.runs.unfinished() is None


def test_an_unknown_run_or_field_is_refused(store: Store, a_run: MakeRun) -> None:
    with pytest.raises(PlumError, match="There is no run 'none'"):
        store.runs.update("none", state="done")
    store.runs.create(a_run("r1"))
    with pytest.raises(TypeError, match="recipe"):
        store.runs.update("r1", recipe="paper")  # type: ignore[call-arg]
