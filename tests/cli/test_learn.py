"""What the command adds to a job: asking, saying, interrupting.  The job has its own tests."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from plum_desktop.app.job import Outcome, Progress
from plum_desktop.app.learn import LearnService
from plum_desktop.app.result_card import ResultCard, Score
from plum_desktop.base.types import Run

TALK = [
    ("What keeps squirrels off a bird feeder?", "A smooth metal baffle below it works best."),
    ("How do I descale a kettle?", "Boil equal parts of water and vinegar, then rinse it twice."),
    ("Which yarn is good for socks?", "Take a merino blend with some nylon in it."),
]


@pytest.fixture
def chats(run, tmp_path: Path) -> None:
    rows = [
        {
            "id": f"talk-{number}",
            "title": f"Talk {number}",
            "created": 1_700_000_000 + number,
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": f"{answer} " * 4},
            ],
        }
        for number, (question, answer) in enumerate(TALK)
    ]
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("chats", "import", str(path)).status == 0


def test_dry_run_says_what_and_changes_nothing(run, chats: None) -> None:
    plan = run("learn", "--dry-run", "--json").row
    assert [chat["id"] for chat in plan["chats"]] == ["talk-0", "talk-1", "talk-2"]
    assert plan["seconds"] > 0
    assert plan["refusal"] is None
    two = run("learn", "--dry-run", "--limit", "2")
    assert two.status == 0
    assert "new      Talk 0\n" in two.out
    assert "2 chats, about" in two.out
    (one,) = run("learn", "--dry-run", "--chat", "talk-1", "--json").row["chats"]
    assert one["id"] == "talk-1"
    assert "unfinished" not in run("doctor", "Chats").out


def test_refusals(run, data_folder) -> None:
    assert "nothing new to learn" in run("learn", "--yes").err
    assert "none to resume" in run("learn", "--resume").err
    assert "no chat 'nothing'" in run("learn", "--chat", "nothing", "--yes").err
    run("chats", "list")
    assert run("learn", "--yes").status == 1


def test_it_asks_before_it_starts(run, chats: None) -> None:
    ran = run("learn")
    assert ran.status == 1
    assert "add --yes" in ran.err


class FinishedJob:
    """A job that has told its progress and ended, as `LearnService.start` would give it."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def wait(self) -> Outcome:
        return self._outcome


def ended(state, reason: str | None = None) -> Outcome:
    made = Run("run-1", 0.0, "done", "switch", "0", "default", ())
    card = ResultCard(3, 521.0, Score(41, 48, 2), None, Score(45, 48, 40), 0.99)
    return Outcome(made, None, card, state, reason or "Plum remembers now.")


@pytest.mark.parametrize(
    ("outcome", "status", "err"),
    [
        (ended("done"), 0, ""),
        (ended("refused", "Not switched on."), 1, "plum-desktop: Not switched on.\n"),
        (ended("failed", "The disk is full."), 1, "plum-desktop: The disk is full.\n"),
        (ended("stopped"), 130, "\n"),
    ],
)
def test_how_each_ending_is_told(
    run, chats: None, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, status: int, err: str
) -> None:
    def start(self, plan, on_progress, on_end) -> FinishedJob:
        for number in range(101):
            stage = "train" if number > 20 else "augment"
            on_progress(Progress("run-1", stage, number / 100, 60.0, "Learning", 1.5, "running"))
        return FinishedJob(outcome)

    monkeypatch.setattr(LearnService, "start", start)
    ran = run("learn", "--yes")
    assert (ran.status, ran.err) == (status, err)
    assert "Learned 3 chats  (9 min)\n  Remembers            41 of 48 questions" in ran.out
    lines = [line for line in ran.out.splitlines() if "% " in line]
    assert 10 < len(lines) < 30
    assert lines[0].startswith("augment    0%  Learning, 1 min left")
    rows = run("learn", "--yes", "--json").rows
    assert [row["event"] for row in rows] == ["plan", *["progress"] * 101, "outcome"]
    assert rows[-1]["state"] == outcome.state


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupted_job_is_130_and_can_go_on(run, chats: None, program) -> None:
    import psutil

    with program("learn", "--limit", "1", "--yes", "--json") as learning:
        assert learning.stdout is not None
        events = (json.loads(line)["event"] for line in learning.stdout)
        assert next(events) == "plan"
        assert next(events) == "progress"
        deadline = time.monotonic() + 30
        while not (children := psutil.Process(learning.pid).children(recursive=True)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(learning.pid, signal.SIGINT)
        _, err = learning.communicate(timeout=60)
    assert learning.returncode == 130
    assert "learn --resume" in err
    assert "Traceback" not in err
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert "unfinished" in run("doctor", "Chats").out


def test_only_when_it_is_due(run, chats: None, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def start(self, plan, on_progress, on_end) -> FinishedJob:
        started.append(len(plan.chats))
        return FinishedJob(ended("done"))

    monkeypatch.setattr(LearnService, "start", start)
    for name, value in (("idle_seconds", 3600.0), ("on_power", True), ("hottest", 40.0),
                        ("load", 0.0)):  # fmt: skip
        monkeypatch.setattr(f"plum_desktop.app.machine.{name}", lambda value=value: value)
    ran = run("learn", "--when-due")
    assert (ran.status, ran.out) == (0, "Plum learns only when you ask it to.\n")
    run("settings", "set", "schedule", "on")
    assert run("learn", "--when-due").out == "Waits: 3 of 5 new chats.\n"
    assert run("learn", "--when-due", "--json").row == {
        "event": "schedule", "start": False, "reason": "Waits: 3 of 5 new chats.",
    }  # fmt: skip
    assert not started
    run("settings", "set", "schedule_chats", "3")
    ran = run("learn", "--when-due")
    assert ran.status == 0
    assert ran.out.startswith("Would start now.\n")
    assert "Learned 3 chats" in ran.out
    assert started == [3]
    assert run("learn", "--when-due", "--resume").status == 2
    assert "cannot be above 24" in run("settings", "set", "schedule_from", "25").err
