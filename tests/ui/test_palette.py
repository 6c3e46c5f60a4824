from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from plum_desktop.ui.palette import Palette, match
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def opened(window: MainWindow) -> Palette:
    QTest.keyClick(window, Qt.Key.Key_P, CTRL | SHIFT)
    assert window.palette_sheet.isVisible()
    assert window.palette_sheet.field.hasFocus()
    return window.palette_sheet


def rows(palette: Palette) -> list[str]:
    model = palette.model
    return [model.index(row).data() for row in range(model.rowCount())]


@pytest.mark.parametrize(
    ("letters", "text", "places"),
    [
        ("", "New chat", ()),
        ("nc", "New chat", (0, 4)),
        ("NEW C", "New chat", (0, 1, 2, 4)),
        ("chat", "New chat", (4, 5, 6, 7)),
        ("td", "Theme: dark", (0, 7)),
        ("ar", "Go to dark, are you", (12, 13)),  # where a word begins, not where it comes first
        ("ß", "Straße", (4,)),
        ("cn", "New chat", None),
        ("nx", "New chat", None),
    ],
)
def test_letters_in_their_order(letters: str, text: str, places: tuple[int, ...] | None) -> None:
    found = match(letters, text)
    assert (found and found.places) == places


def test_beginnings_come_first() -> None:
    texts = ["Smaller text", "Go to the end", "Temporary chat", "Bête noire, to an end"]
    scores = {text: found.score for text in texts if (found := match("te", text))}
    assert max(scores, key=lambda text: scores[text]) == "Temporary chat"
    assert scores["Smaller text"] > scores["Go to the end"]
    assert match("x" * 30, "y" * 60) is None


def test_it_lists_what_can_be_done_with_its_keys(window: MainWindow, qtbot: QtBot) -> None:
    palette = opened(window)
    shown = rows(palette)
    for name, action in window.commands.actions.items():
        assert (action.text() in shown) == (name not in ("palette", "lock"))  # nothing to lock
    spoken = palette.model.index(0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "New chat, Ctrl+N"


def test_enter_runs_and_the_focus_goes_back(window: MainWindow, qtbot: QtBot) -> None:
    before = window.conversation.composer._field
    assert before
    before.setFocus()
    palette = opened(window)
    QTest.keyClicks(palette.field, "gomem")
    assert rows(palette)[0] == "Go to Memory"
    QTest.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible()
    assert before.hasFocus()
    assert window.page == "chat"
    opened(window)
    assert palette.field.text() == ""
    QTest.keyClicks(palette.field, "gomem")
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert not palette.isVisible()
    assert window.page == "memory"


def test_arrows_go_round_and_what_they_reach_runs(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    palette = opened(window)
    QTest.keyClicks(palette.field, "theme")
    assert rows(palette)[:3] == ["Theme: as the system", "Theme: light", "Theme: dark"]
    QTest.keyClick(palette.field, Qt.Key.Key_Up)
    assert palette.list.currentIndex().row() == palette.model.rowCount() - 1
    for _ in range(3):
        QTest.keyClick(palette.field, Qt.Key.Key_Down)
    assert palette.list.currentIndex().row() == 2
    QTest.keyClick(palette.field, Qt.Key.Key_Enter)
    qtbot.wait_until(lambda: double.settings.theme == "dark")


def test_a_chat_is_found_and_opened(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    chat_id = double.add_chat("Trip to Porto", "What to pack?", "A bag.")
    window = open_window()
    qtbot.wait_until(lambda: window.side.chats.chat_count() == 1)
    palette = opened(window)
    QTest.keyClicks(palette.field, "tripp")
    assert rows(palette) == ["Trip to Porto"]
    area = palette.list.visualRect(palette.model.index(0))
    QTest.mouseClick(
        palette.list.viewport(), Qt.MouseButton.LeftButton, pos=area.center(),
    )  # fmt: skip
    qtbot.wait_until(lambda: window.conversation.chat_id == chat_id)
    assert not palette.isVisible()


def test_nothing_found_is_said(window: MainWindow, qtbot: QtBot) -> None:
    palette = opened(window)
    QTest.keyClicks(palette.field, "qqq")
    assert rows(palette) == []
    assert not palette.list.isVisible()
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    QTest.keyClick(palette.field, Qt.Key.Key_Down)
    assert palette.isVisible()


def test_a_click_elsewhere_puts_it_away(
    window: MainWindow, qtbot: QtBot, qapp: QApplication
) -> None:
    palette = opened(window)
    QTest.mouseClick(window.side.search, Qt.MouseButton.LeftButton, pos=QPoint(60, 10))
    assert window.side.search.hasFocus()
    assert not palette.isVisible()
    assert window.side.search.hasFocus()
