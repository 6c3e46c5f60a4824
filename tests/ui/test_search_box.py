"""Search in the side bar: what is typed, what the chips add, and what is shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from plum_desktop.base.types import SearchFilter
from plum_desktop.ui.sidebar.search_box import Chip, SearchBox
from plum_desktop.ui.sidebar.search_results import from_match, shortened
from plum_desktop.ui.sidebar.side_bar import SideBar
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum

DAY = 86_400


def press(chip: Chip, text: str) -> None:
    """Choose an entry of a chip's menu."""
    next(action for action in chip.menu().actions() if action.text() == text).trigger()


def titles(side: SideBar) -> list[str]:
    return [side.hits.index(row).data() for row in range(side.hits.rowCount())]


@pytest.fixture
def side(open_window: Callable[[], MainWindow], double: DoublePlum, qtbot: QtBot) -> SideBar:
    now = time.time()
    double.add_chat("New", "Some tea.", "Yes.", created=now - DAY, folder="Work/Clients")
    double.add_chat("Old", "Some tea.", "Yes.", created=now - 20 * DAY, persona="You teach.")
    double.add_chat("Older", "Some tea.", "Yes.", created=now - 50 * DAY, folder="Work")
    double.add_chat("Away", "Some tea.", "Yes.", created=now - 2 * DAY, archived=True)
    side = open_window().side
    qtbot.wait_until(lambda: side.chats.chat_count() == 3)
    return side


def test_the_chips_come_with_the_search_and_go_with_it(side: SideBar, qtbot: QtBot) -> None:
    box = side.search_box
    assert not box.when.isVisible()
    QTest.keyClicks(side.search, "tea")
    assert box.when.isVisible()
    assert box.persona.isVisible()
    qtbot.wait_until(lambda: titles(side) == ["Older", "Old", "New"])
    press(box.when, "Last 30 days")
    qtbot.wait_until(lambda: titles(side) == ["Old", "New"])
    press(box.archived, "Archived too")
    qtbot.wait_until(lambda: set(titles(side)) == {"Old", "New", "Away"})
    press(box.folder, "Work")
    qtbot.wait_until(lambda: titles(side) == ["New"])
    assert box.folder.accessibleName() == "Folder: Work"
    assert box.folder.property("chosen")
    press(box.folder, "Any folder")
    press(box.persona, "You teach.")
    qtbot.wait_until(lambda: titles(side) == ["Old"])
    press(box.when, "Last 7 days")
    qtbot.wait_until(lambda: "another time or in another place" in side._empty.text())
    side.search.setFocus()
    QTest.keyClick(side.search, Qt.Key.Key_Escape)
    assert not box.when.isVisible()
    assert box.within() == SearchFilter()
    qtbot.wait_until(side.list.isVisible)


def test_filters_can_be_typed(side: SideBar, qtbot: QtBot) -> None:
    QTest.keyClicks(side.search, "in:clients")
    qtbot.wait_until(lambda: titles(side) == ["New"])
    side.search.clear()
    QTest.keyClicks(side.search, "tea is:archived")
    qtbot.wait_until(lambda: titles(side) == ["Away"])
    side.search.clear()
    QTest.keyClicks(side.search, "tea after:nonsense")
    qtbot.wait_until(lambda: "Nothing found for “tea after:nonsense”" in side._empty.text())


def test_the_archive_is_searched_by_who_looks_at_it(side: SideBar, qtbot: QtBot) -> None:
    side._archive_action.trigger()
    QTest.keyClicks(side.search, "tea")
    qtbot.wait_until(lambda: "Away" in titles(side))


def test_a_chip_opens_and_is_chosen_by_keys(side: SideBar, qtbot: QtBot) -> None:
    QTest.keyClicks(side.search, "tea")
    chip = side.search_box.when
    chip.setFocus()
    qtbot.wait_until(chip.hasFocus)
    opened: list[bool] = []

    def choose() -> None:
        opened.append(chip.menu().isVisible())
        QTest.keyClick(chip.menu(), Qt.Key.Key_Down)
        QTest.keyClick(chip.menu(), Qt.Key.Key_Down)
        QTest.keyClick(chip.menu(), Qt.Key.Key_Return)

    chip.menu().aboutToShow.connect(lambda: QTimer.singleShot(20, choose))
    QTest.keyClick(chip, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: opened == [True])
    assert chip.value == "week"
    qtbot.wait_until(lambda: titles(side) == ["New"])


def test_a_choice_that_is_gone_is_given_up(qtbot: QtBot) -> None:
    box = SearchBox()
    qtbot.add_widget(box)
    box.set_places(["Home", "R & D"], [])
    press(box.folder, "R && D")
    assert box.within().folder == "R & D"
    box.set_places(["Home", "Later", "R & D"], ["p"])
    assert box.within().folder == "R & D"
    box.set_places(["Home"], [])
    assert box.within().folder is None
    assert box.persona.isHidden()


def test_days_begin_at_midnight(qtbot: QtBot) -> None:
    box = SearchBox()
    qtbot.add_widget(box)
    now = datetime(2026, 3, 10, 15, 30).astimezone()
    assert box.within(now).after is None
    for name, day in (
        ("Last 7 days", (2026, 3, 4)), ("Last 30 days", (2026, 2, 9)), ("This year", (2026, 1, 1)),
    ):  # fmt: skip
        press(box.when, name)
        after = box.within(now).after
        assert after is not None
        assert abs(after - datetime(*day).astimezone().timestamp()) <= 3600  # summer time


@pytest.mark.parametrize(
    ("snippet", "shown"),
    [
        ("My \ue000dog\ue001 barks", "My \ue000dog\ue001 barks"),
        ("No  match\nhere " * 3, "No match here No match here No match here"),
        (
            "…so pack light and take the big \ue000umbrella\ue001 along",
            "…take the big \ue000umbrella\ue001 along",
        ),
        ("字" * 40 + "\ue000猫\ue001", "…\ue000猫\ue001"),
    ],
)
def test_the_match_is_where_it_can_be_seen(snippet: str, shown: str) -> None:
    assert from_match(snippet) == shown


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        (9, "a \ue000parrot\ue001…"), (5, "a \ue000par\ue001…"), (2, "a…"),
        (18, "a \ue000parrot\ue001 climbs ro…"), (99, "a \ue000parrot\ue001 climbs ropes"),
    ],
)  # fmt: skip
def test_what_does_not_fit_ends_in_an_ellipsis_and_no_mark_stays_open(
    kept: int, shown: str
) -> None:
    assert shortened("a \ue000parrot\ue001 climbs ropes", kept) == shown
