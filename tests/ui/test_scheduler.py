from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from plum_desktop.app import machine
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import button
from tests.ui.double import DoublePlum, done

Open = Callable[[], MainWindow]


class Surroundings:
    """What the machine says in a test."""

    power: bool | None = True
    idle: float | None = 3600.0


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> Surroundings:
    made = Surroundings()
    monkeypatch.setattr(machine, "on_power", lambda: made.power)
    monkeypatch.setattr(machine, "idle_seconds", lambda: made.idle)
    monkeypatch.setattr(machine, "hottest", lambda: 45.0)
    monkeypatch.setattr(machine, "load", lambda: 0.1)
    return made


@pytest.fixture
def window(open_window: Open, double: DoublePlum, around: Surroundings, qtbot: QtBot) -> MainWindow:
    double.add_chat("Porto", "Tell me about Porto please.", "Yes.")
    double.set_setting("schedule_chats", 1)
    opened = open_window()
    opened.lessons._soon.setInterval(5)
    opened.lessons.look_soon()
    qtbot.wait_until(lambda: opened.lessons.plan is not None)
    return opened


def look(window: MainWindow, qtbot: QtBot) -> str:
    with qtbot.wait_signal(window.scheduler.decided) as told:
        window.scheduler.look()
    return str(told.args[0].reason)


def switch_on(window: MainWindow, qtbot: QtBot) -> None:
    window.show_page("learning")
    qtbot.wait_until(lambda: not window.scheduler._looking)
    with qtbot.wait_signal(window.scheduler.decided):
        window.learning.schedule.switch.click()


def test_it_is_off_until_switched_on(
    window: MainWindow, double: DoublePlum, around: Surroundings, qtbot: QtBot
) -> None:
    assert look(window, qtbot) == "Plum learns only when you ask it to."
    assert not window.lessons.running
    around.power = False
    switch_on(window, qtbot)
    card = window.learning.schedule
    assert double.settings.schedule == "on"
    assert card.words.text().startswith("Learns when nobody has used this computer for 10 min")
    assert card.decision.text() == "Waits: it runs on its battery."
    assert not window.lessons.running
    qtbot.mouseClick(button(card, "Change the conditions"), Qt.MouseButton.LeftButton)
    assert window.page == "settings"


def test_it_starts_rests_and_goes_on(
    window: MainWindow, double: DoublePlum, around: Surroundings, qtbot: QtBot
) -> None:
    switch_on(window, qtbot)
    qtbot.wait_until(lambda: window.lessons.job is not None)
    job = double.learning.job
    assert job
    assert window.scheduler.mine
    assert look(window, qtbot) == "Learns by itself."
    around.power = False
    assert look(window, qtbot) == "Rests: it runs on its battery."
    qtbot.wait_until(lambda: job.paused)
    assert window.lessons.paused
    look(window, qtbot)
    assert job.paused
    around.power = True
    look(window, qtbot)
    qtbot.wait_until(lambda: not job.paused)
    job.end(done(double.add_lesson([double.store.chats.list()[0].id]), 1))
    qtbot.wait_until(lambda: not window.lessons.running)
    assert not window.scheduler.mine


def test_a_run_that_the_user_takes_up_is_the_users(
    window: MainWindow, double: DoublePlum, around: Surroundings, qtbot: QtBot
) -> None:
    switch_on(window, qtbot)
    qtbot.wait_until(lambda: window.lessons.job is not None)
    around.idle = 2.0
    assert look(window, qtbot).startswith("Rests: somebody used this computer just now")
    job = double.learning.job
    assert job
    qtbot.wait_until(lambda: job.paused)
    qtbot.mouseClick(window.learning.now.pause_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: not job.paused)
    assert look(window, qtbot) == "Plum is learning already."
    assert not job.paused
    assert not window.scheduler.mine


def test_a_run_of_the_users_is_left_alone(
    window: MainWindow, double: DoublePlum, around: Surroundings, qtbot: QtBot
) -> None:
    around.power = False
    switch_on(window, qtbot)
    assert window.lessons.plan
    window.lessons.start(window.lessons.plan)
    qtbot.wait_until(lambda: window.lessons.job is not None)
    assert look(window, qtbot) == "Plum is learning already."
    assert not window.lessons.paused


def test_typing_in_our_window_counts_where_nothing_else_does(
    window: MainWindow, double: DoublePlum, around: Surroundings, qtbot: QtBot
) -> None:
    around.idle = None
    double.set_setting("schedule_power", "off")
    window.scheduler._used -= 5000
    handle = window.windowHandle()
    assert handle is not None
    QTest.keyClick(handle, Qt.Key.Key_Shift)
    switch_on(window, qtbot)
    assert "somebody used this computer just now" in look(window, qtbot)
    window.scheduler._used -= 5000
    look(window, qtbot)
    qtbot.wait_until(lambda: window.lessons.job is not None)
