from __future__ import annotations

import time

import pytest

from plum_desktop.app import machine
from plum_desktop.app.product import Plum
from plum_desktop.base.files import FileLock
from plum_desktop.base.types import Run, RunState

SAID = "My sister Ines moved to Bergen in spring and keeps seven parrots there."


@pytest.fixture(autouse=True)
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "on_power", lambda: True)
    monkeypatch.setattr(machine, "hottest", lambda: 45.0)
    monkeypatch.setattr(machine, "load", lambda: 0.1)
    monkeypatch.setattr(machine, "idle_seconds", lambda: 3600.0)


@pytest.fixture
def due(plum: Plum) -> Plum:
    plum.set_setting("schedule", "on")
    plum.set_setting("schedule_chats", 1)
    chat = plum.store.chats.create("Ines")
    plum.store.chats.add_message(chat.id, "user", SAID)
    plum.store.chats.add_message(chat.id, "assistant", "Lovely.", finish_reason="stop")
    return plum


def test_with_everything_given_it_would_start(due: Plum) -> None:
    decision = due.schedule.look(due.learning.plan())
    assert (decision.start, decision.reason) == (True, "Would start now.")
    due.set_setting("schedule_chats", 2)
    assert due.schedule.look(due.learning.plan()).reason == "Waits: 1 of 2 new chats."
    due.set_setting("schedule", "off")
    assert not due.schedule.look(due.learning.plan()).start


def test_our_own_window_stands_in_where_the_system_does_not_tell(
    due: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "idle_seconds", lambda: None)
    plan = due.learning.plan()
    assert "cannot be told" in due.schedule.look(plan).reason
    assert not due.schedule.look(plan, own_idle=60.0).start
    decision = due.schedule.look(plan, own_idle=601.0)
    assert decision.start
    assert "whether other programs are in use cannot be told" in decision.reason


def test_another_process_that_learns_is_seen(due: Plum) -> None:
    plan = due.learning.plan()
    with FileLock(due.folder.learning_lock):
        assert due.schedule.look(plan).reason == "Plum is learning already."
        assert due.schedule.look(plan, scheduled=True).start


@pytest.mark.parametrize("state", ["refused", "stopped"])
def test_what_came_to_nothing_is_not_tried_again_until_there_is_more(
    due: Plum, state: RunState
) -> None:
    [chat] = due.store.chats.list()
    due.store.runs.create(
        Run("run", time.time() + 1, state, "gate", due.models.file().sha256, "default", (chat.id,))
    )
    plan = due.learning.plan()
    assert [each.id for each in plan.chats] == [chat.id]
    assert "came to nothing" in due.schedule.look(plan).reason
    due.store.chats.add_message(chat.id, "user", "They talk.", created=time.time() + 2)
    assert due.schedule.look(due.learning.plan()).start


def test_an_interrupted_run_waits_for_a_word(due: Plum) -> None:
    due.store.runs.create(
        Run("run", time.time(), "running", "train", due.models.file().sha256, "default", ())
    )
    assert "a run was interrupted" in due.schedule.look(due.learning.plan()).reason
