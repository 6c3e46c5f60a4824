from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from plum_desktop.base.errors import Cancelled
from plum_desktop.learning import gate, stock
from plum_desktop.learning.frames import render_held_out
from plum_desktop.learning.gate import Bounds, Drift, Recall, judge
from plum_desktop.learning.words import content_stems

BOUNDS = Bounds(
    recall=0.6, refusal=0.6, accuracy=0.7, retention_loss=0.1, drift=0.08, perplexity=0.03,
    canaries=0.85,
)  # fmt: skip
GOOD = Recall(yes=8, yes_asked=10, no=8, no_asked=10)
NONE = Recall()
STILL = Drift(kl=0.01, perplexity=0.0, same_top=1.0, canaries=1.0)


def report(new: Recall = GOOD, old: tuple[Recall, Recall] = (NONE, NONE), drift: Drift = STILL):
    return judge((NONE, new), old, drift, BOUNDS)


def test_what_keeps_every_bound_passes() -> None:
    passed = report(old=(GOOD, GOOD))
    assert passed.passed
    assert passed.reasons == ()
    edge = Drift(kl=0.08, perplexity=0.03, same_top=0.0, canaries=0.85)
    assert report(Recall(6, 10, 8, 10), (GOOD, Recall(7, 10, 72, 100)), edge).passed


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ({"new": Recall(5, 10, 10, 10)}, "remembers 5 of 10"),
        ({"new": Recall(10, 10, 5, 10)}, "says no to 5 of 10"),
        ({"new": Recall(6, 10, 7, 10)}, "hardly tells"),
        ({"old": (Recall(9, 10, 9, 10), Recall(7, 10, 8, 10))}, "forgot older chats"),
        ({"drift": replace(STILL, kl=0.081)}, "changed too much"),
        ({"drift": replace(STILL, perplexity=0.031)}, "changed too much"),
        ({"drift": replace(STILL, canaries=0.84)}, "general questions"),
        ({"drift": replace(STILL, kl=float("nan"))}, "changed too much"),
        ({"drift": replace(STILL, perplexity=float("nan"))}, "changed too much"),
        ({"drift": replace(STILL, perplexity=float("inf"))}, "changed too much"),
    ],
)
def test_each_bound_refuses_by_itself(broken: dict, word: str) -> None:
    refused = report(**broken)
    assert not refused.passed
    assert len(refused.reasons) == 1
    assert word in refused.reasons[0]


def test_all_that_is_wrong_is_said() -> None:
    bad = Recall(1, 10, 1, 10)
    assert len(report(bad, (GOOD, bad), Drift(1.0, 1.0, 0.0, 0.0)).reasons) == 5


def test_without_older_chats_nothing_is_forgotten() -> None:
    assert report(old=(NONE, NONE)).passed
    assert report(old=(Recall(5, 10, 5, 10), Recall(9, 10, 9, 10))).passed  # better than before


def test_asking_nothing_does_not_pass() -> None:
    assert not report(NONE).passed


def test_yes_and_no_weigh_alike() -> None:
    assert Recall(yes=10, yes_asked=10, no=0, no_asked=2).accuracy == 0.5
    assert Recall(yes=3, yes_asked=4, no=1, no_asked=2).accuracy == pytest.approx(0.625)
    assert NONE.accuracy == 0.0


def test_a_report_is_kept_whole() -> None:
    after = Recall(1, 2, 1, 2, {"f": 1})
    kept = judge((NONE, after), (NONE, NONE), STILL, BOUNDS).to_dict()
    assert kept["new_after"]["by_fact"] == {"f": 1}
    assert kept["drift"]["kl"] == 0.01
    assert list(kept["reasons"])


EAST = {"kind": "choice", "choices": ["east", "West"], "right": ["west"]}
MONTH = {"kind": "word", "right": ["february"]}
TWELVE = {"kind": "number", "right": ["12"]}


@pytest.mark.parametrize(
    ("answer", "canary", "right"),
    [
        ("The answer is 12.", TWELVE, True),
        ("Twelve, of course", TWELVE, True),
        ("It is 2, or 12", TWELVE, False),
        ("-12", TWELVE, False),
        ("None that I know", TWELVE, False),
        ("I'd say the West, not the east.", EAST, True),
        ("East, not west", EAST, False),
        ("Western", EAST, False),
        ("  **February** is next.", MONTH, True),
        ("The month that comes after January is February.", MONTH, True),
        ("Januaryfebruary", MONTH, False),
        ("", MONTH, False),
    ],
)
def test_what_a_canary_marks(answer: str, canary: dict, right: bool) -> None:
    assert gate.is_right(answer, canary) is right


def test_every_canary_can_be_marked() -> None:
    for canary in stock.canaries():
        assert canary["kind"] in ("number", "choice", "word")
        assert canary["right"]
        if canary["kind"] == "choice":
            assert set(canary["right"]) < {choice.lower() for choice in canary["choices"]}
        for right in canary["right"]:
            assert gate.is_right(f"It is {right}.", canary)
        assert not gate.is_right("I cannot say.", canary)
    assert len({canary["question"] for canary in stock.canaries()}) == len(stock.canaries())


def test_nothing_of_the_gates_texts_is_ever_taught() -> None:
    taught = " ".join(c.text for c in stock.conversations()).lower()
    for text in stock.drift_texts():
        for turn in text:
            assert turn["content"].lower() not in taught
    asked = {question.lower() for question in stock.questions()}
    for canary in stock.canaries():
        assert canary["question"].lower() not in taught
        assert canary["question"].lower() not in asked


def test_no_anchor_asks_a_canary_in_other_words() -> None:
    def meant(question: str) -> set[str]:
        return set(content_stems(question.partition(" Answer ")[0]))

    anchored = {question: meant(question) for question in stock.questions()}
    same = [
        (canary["question"], question)
        for canary in stock.canaries()
        for question, stems in anchored.items()
        if len(stems & meant(canary["question"])) >= 2
        and (stems <= meant(canary["question"]) or stems >= meant(canary["question"]))
        and not any(stem.isdigit() for stem in stems)
    ]
    assert same == []


class Scripted:
    """An engine that answers with what a function says, letter by letter."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.asked: list[list[dict]] = []
        self.written = ""  # of the last answer
        self.adapter: Path | None = None

    def chat(self, messages, *, max_tokens: int, temperature: float, on_text, cancellation):
        assert temperature == 0.0
        self.asked.append(messages)
        self.written = ""
        for letter in self.answer(messages[-1]["content"]):
            if cancellation and cancellation.cancelled:
                raise Cancelled
            self.written += letter
            if on_text:
                on_text(letter)
        return SimpleNamespace(text=self.written)

    def set_adapter(self, path: Path | None) -> None:
        self.adapter = path


def test_facts_are_asked_in_held_out_words_as_they_are_served(fact) -> None:
    facts = [fact(f"goat {n} limps", id=f"y{n}") for n in range(3)]
    facts += [fact(f"cow {n} sings", id=f"n{n}", label=False) for n in range(4)]
    engine = Scripted(lambda text: "Yes, sure." if "goat" in text or "cow 0" in text else "No.")
    told: list[float] = []
    found = gate.ask(engine, facts, 3, "You are Pim.", lambda: None, told.append)
    assert (found.yes, found.yes_asked, found.no, found.no_asked) == (3, 3, 3, 4)
    assert found.by_fact == {"y0": 1, "y1": 1, "y2": 1, "n0": 0, "n1": 1, "n2": 1, "n3": 1}
    assert told[-1] == 1.0
    assert engine.asked == [
        [
            {"role": "system", "content": "You are Pim."},
            {"role": "user", "content": render_held_out(one, 3).question},
        ]
        for one in facts
    ]
    unclear = gate.ask(Scripted(lambda text: "Perhaps."), facts, 3, None, lambda: None)
    assert (unclear.yes, unclear.no) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "written", "yes"),
    [
        ("Yes, you did, and no.", "Yes,", 1),
        ("Nothing of it. Yes.", "Nothing of it. Yes.", 1),
        ("I am glad, and no one", "I am glad, and no ", 0),
        ("Perhaps.", "Perhaps.", 0),
        ("yes", "yes", 1),
    ],
)
def test_no_more_is_written_than_the_verdict_takes(
    fact, answer: str, written: str, yes: int
) -> None:
    engine = Scripted(lambda text: answer)
    assert gate.ask(engine, [fact("goat")], 0, None, lambda: None).yes == yes
    assert engine.written == written


def test_asking_can_be_stopped(fact) -> None:
    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        gate.ask(Scripted(str), [fact("goat")], 0, None, check)


class Measured(Scripted):
    """Five tokens; the base is even over them, the adapter prefers token 0."""

    BASE = np.log(np.full(5, 0.2))
    MOVED = np.log(np.array([0.6, 0.1, 0.1, 0.1, 0.1]))

    def render(self, messages, *, add_generation_prompt: bool = True) -> list[int]:
        return [1, 2, 3, 0] if add_generation_prompt else [1, 2, 3, 0, 1, 0, 4, 2]

    def logits(self, rows, out: Path, *, from_position) -> int:
        told = [row[start:] for row, start in zip(rows, from_position, strict=True)]
        count = sum(map(len, told))
        np.save(out, np.tile(self.MOVED if self.adapter else self.BASE, (count, 1)))
        return count


def test_drift_is_measured_between_base_and_adapter(tmp_path, monkeypatch) -> None:
    texts = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]] * 3
    monkeypatch.setattr(stock, "drift_texts", lambda: texts)
    engine = Measured(lambda text: "")
    engine.answer = lambda text: "4" if engine.adapter and "7 plus" in text else "12, yes"
    adapter = tmp_path / "adapter.gguf"
    told: list[float] = []
    drift = gate.measure_drift(engine, adapter, tmp_path, lambda: None, told.append)
    # By hand: sum p (log p - log q), and the answer's tokens 1 0 4 2 under both.
    kl = 0.2 * np.log(0.2 / 0.6) + 0.8 * np.log(0.2 / 0.1)
    rise = (3 * np.log(0.2 / 0.1) + np.log(0.2 / 0.6)) / 4
    assert drift.kl == pytest.approx(kl)
    assert drift.perplexity == pytest.approx(np.exp(rise) - 1)
    assert drift.same_top == 1.0
    known = [one for one in stock.canaries() if {"12", "yes"} & set(one["right"])]
    assert sum("7 plus" in one["question"] for one in known) == 1
    assert drift.canaries == pytest.approx((len(known) - 1) / len(known))
    assert told == sorted(told)
    assert list(tmp_path.iterdir()) == []


def test_a_canary_is_known_in_both_wordings_and_lost_in_both(tmp_path, monkeypatch) -> None:
    adapter = tmp_path / "adapter.gguf"
    rows = [
        {"question": name, "kind": "word", "right": ["right"]}
        for name in ("kept", "guessed", "wavering", "lost")
    ]
    monkeypatch.setattr(stock, "canaries", lambda: rows)
    engine = Measured(str)

    def answer(text: str) -> str:
        again = text.startswith("Please")
        if engine.adapter is None:
            return "wrong" if "guessed" in text and again else "right"
        wrong = "guessed" in text or "lost" in text or ("wavering" in text and not again)
        return "wrong" if wrong else "right"

    engine.answer = answer
    share = gate.canaries_kept(engine, adapter, lambda: None, lambda share: None)
    assert share == pytest.approx(2 / 3)  # of kept, wavering and lost: what was guessed is not


def test_an_adapter_that_does_nothing_drifts_nowhere(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Measured, "MOVED", Measured.BASE)
    drift = gate.measure_drift(
        Measured(lambda text: "12"), tmp_path / "adapter.gguf", tmp_path, lambda: None
    )
    assert drift == Drift(0.0, 0.0, 1.0, 1.0)


def test_a_merged_file_is_held_against_the_hot_adapter(tmp_path) -> None:
    class Both(Measured):
        def load(self, path: Path) -> None:
            self.adapter = path if path.name == "merged.gguf" and self.merged_well else None

    engine = Both(str)
    paths = [tmp_path / name for name in ("base.gguf", "adapter.gguf", "merged.gguf")]
    engine.merged_well = True
    assert gate.divergence(engine, *paths, tmp_path) == pytest.approx(0.0)
    engine.merged_well = False  # the file serves the base
    gap = gate.divergence(engine, *paths, tmp_path)
    assert gap == pytest.approx(0.6 * np.log(3) + 0.4 * np.log(0.5))
    assert list(tmp_path.iterdir()) == []
