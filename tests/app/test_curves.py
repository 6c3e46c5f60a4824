from __future__ import annotations

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plum_desktop.app import curves
from plum_desktop.base.types import Adapter, Fact, Run


def run(number: int, *, state: str = "done", model: str = "m", **report: object) -> Run:
    counts = {"yes": 8, "yes_asked": 10, "no": 9, "no_asked": 10}
    filled = {"new_after": counts, "drift": {"kl": number / 100}, **report}
    return Run(
        f"run{number}", float(number), state, "switch", model, "default", (f"chat{number}",),  # type: ignore[arg-type]
        report=filled,
    )  # fmt: skip


def fact(number: int, chat_id: str | None, label: bool = True) -> Fact:
    return Fact(f"f{number}", label, "said", "x", "x", "rule", "learned", chat_id)


def test_each_run_is_followed_over_the_later_ones() -> None:
    kept = {"yes": 1, "yes_asked": 4, "no": 0, "no_asked": 0}
    second = run(2, by_run={"run1": kept})
    third = run(3, by_run={"run1": {**kept, "yes": 3}, "run2": kept})
    found = curves.history([third, run(1), second], "m")
    assert found.runs == ("run1", "run2", "run3")
    assert found.drift == (0.01, 0.02, 0.03)
    first = found.line("run1")
    assert first is not None
    assert [(point.run_id, point.yes, point.no) for point in first.points] == [
        ("run1", 0.8, 0.9), ("run2", 0.25, None), ("run3", 0.75, None),
    ]  # fmt: skip
    assert [len(line.points) for line in found.recall] == [3, 2, 1]
    assert found.line(None) is None


def test_only_runs_of_this_model_that_served_are_drawn() -> None:
    bare = Run("bare", 5.0, "done", "switch", "m", "default", ())
    runs = [run(1), run(2, state="refused"), run(3, model="other"), bare]
    assert curves.history(runs, "m").runs == ("run1",)


def test_a_report_without_a_drift_has_a_gap() -> None:
    assert curves.history([run(1, drift={"canaries": 1.0})], "m").drift == (None,)


def test_a_chat_belongs_to_the_last_run_that_taught_it() -> None:
    first = Adapter("a", "run1", None, "m", 1.0, "ready", False, ())
    imported = Adapter("b", None, "a", "m", 2.0, "ready", False, ())
    last = Adapter("c", "run2", "b", "m", 3.0, "ready", True, ())
    chats = {"run1": ("x", "y"), "run2": ("y", "z")}
    by_id = {each.id: each for each in (first, imported, last)}
    found = curves.taught_by(last, by_id.__getitem__, chats.__getitem__)
    assert found == {"x": "run1", "y": "run2", "z": "run2"}
    assert curves.taught_by(None, by_id.__getitem__, chats.__getitem__) == {}


def test_answers_are_counted_by_run_yes_and_no_apart() -> None:
    facts = [fact(1, "x"), fact(2, "x", label=False), fact(3, "y"), fact(4, "gone"), fact(5, "x")]
    right = {"f1": 1, "f2": 0, "f3": 0, "f4": 1}  # f5 was not asked
    assert curves.by_run(facts, right, {"x": "run1", "y": "run2"}) == {
        "run1": {"yes": 1, "yes_asked": 1, "no": 0, "no_asked": 1},
        "run2": {"yes": 0, "yes_asked": 1, "no": 0, "no_asked": 0},
    }


@given(st.lists(st.floats(0, 10), max_size=700), st.integers(1, 200))
def test_a_thinned_curve_keeps_the_course(losses: list[float], most: int) -> None:
    curve = curves.thinned(losses, most)
    assert len(curve) == min(most, len(losses))
    steps = [step for step, _ in curve]
    assert steps == sorted(set(steps))
    if losses:
        assert steps[-1] == len(losses)
        weights = [end - start for start, end in zip([0, *steps], steps, strict=False)]
        whole = sum(w * loss for w, (_, loss) in zip(weights, curve, strict=True)) / len(losses)
        assert whole == pytest.approx(fmean(losses), abs=1e-3)


def test_a_report_of_before_has_no_curve() -> None:
    assert curves.loss_curve({}) == []
    assert curves.loss_curve({"losses": [[1, 2.5], [2, 2.0]]}) == [(1, 2.5), (2, 2.0)]
