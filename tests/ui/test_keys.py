from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from plum_desktop.ui.settings.key_row import KeyRow
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
CTRL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier


@pytest.fixture
def row(window: MainWindow) -> KeyRow:
    window.show_page("settings")
    return window.settings.key_rows["learn"]


def tip(widget: QWidget) -> str:
    """The tool tip as it would show."""
    event = QHelpEvent(QEvent.Type.ToolTip, QPoint(1, 1), widget.mapToGlobal(QPoint(1, 1)))
    QApplication.sendEvent(widget, event)
    return widget.toolTip()


def press(row: KeyRow, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> None:
    row.editor.setFocus()
    QTest.keyClick(row.editor, key, modifiers)


def test_there_is_a_row_for_every_command(window: MainWindow, double: DoublePlum) -> None:
    assert list(window.settings.key_rows) == list(window.commands)
    defaults = [window.commands.default(name) for name in window.commands]
    bound = [keys.toString() for keys in defaults if not keys.isEmpty()]
    assert len(set(bound)) == len(bound)
    assert double.settings.keys == {}


def test_other_keys_do_it_from_now_on(
    row: KeyRow, window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    assert tip(window.status.learn_button) == "Learn from my chats  (Ctrl+L)"
    press(row, Qt.Key.Key_J, CTRL | ALT)
    qtbot.wait_until(lambda: double.settings.keys == {"learn": "Ctrl+Alt+J"})
    qtbot.wait_until(double.folder.settings.exists)
    stored = json.loads(double.folder.settings.read_text())
    assert stored["keys"] == {"learn": "Ctrl+Alt+J"}
    qtbot.wait_until(lambda: window.commands.keys("learn") == QKeySequence("Ctrl+Alt+J"))
    assert tip(window.status.learn_button) == "Learn from my chats  (Ctrl+Alt+J)"
    window.show_page("chat")
    QTest.keyClick(window, Qt.Key.Key_L, CTRL)
    assert not window.sheet.isVisible()
    QTest.keyClick(window, Qt.Key.Key_J, CTRL | ALT)
    assert window.sheet.isVisible()


def test_the_menu_and_the_search_field_tell_the_keys(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    assert window.side.search.placeholderText() == "Search  (Ctrl+K)"
    double.set_setting("keys", {"search": "Ctrl+F", "temporary": ""})
    window.settings.setting_changed.emit("keys")
    assert window.side.search.placeholderText() == "Search  (Ctrl+F)"
    [temporary] = [
        each for each in window.side.more_button.menu().actions() if each.text() == "Temporary chat"
    ]
    assert temporary.shortcut().isEmpty()
    window.settings.key_rows["temporary"].reset_button.click()
    qtbot.wait_until(lambda: double.settings.keys == {"search": "Ctrl+F"})
    qtbot.wait_until(lambda: temporary.shortcut() == QKeySequence("Ctrl+Shift+T"))


def test_keys_that_are_taken_are_refused(
    row: KeyRow, window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    press(row, Qt.Key.Key_N, CTRL)
    qtbot.wait_until(row.trouble.isVisible)
    assert row.trouble.text() == (
        "Ctrl+N is for “New chat”; choose other keys, or change those."
    )  # fmt: skip
    assert row.editor.keySequence() == QKeySequence("Ctrl+L")
    press(row, Qt.Key.Key_J, CTRL)
    qtbot.wait_until(lambda: double.settings.keys == {"learn": "Ctrl+J"})
    qtbot.wait_until(lambda: not row.trouble.isVisible())


@pytest.mark.parametrize("keys", ["A", "Shift+A", "5", "Ctrl+C", "Return", "Space"])
def test_keys_for_writing_stay_with_the_text(keys: str, window: MainWindow) -> None:
    trouble = window.commands.trouble("learn", QKeySequence(keys))
    assert trouble == f"{keys} is needed for writing; add Ctrl or Alt."


@pytest.mark.parametrize("keys", ["F5", "Ctrl+J", "Alt+Left", "Ctrl+Alt+A", ""])
def test_other_keys_are_free(keys: str, window: MainWindow) -> None:
    assert window.commands.trouble("learn", QKeySequence(keys)) is None


def test_a_default_that_went_to_another_command_does_not_come_back(
    row: KeyRow, window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    double.set_setting("keys", {"learn": "F5", "new_chat": "Ctrl+L"})
    window.settings.setting_changed.emit("keys")
    assert row.reset_button.isVisible()
    row.reset_button.click()
    assert "“New chat”" in row.trouble.text()
    assert window.commands.keys("learn") == QKeySequence("F5")


def test_keys_are_there_at_the_next_start(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    double.set_setting("keys", {"quit": "Ctrl+W", "gone": "Ctrl+Y"})  # of a command no longer there
    window = open_window()
    assert window.commands.keys("quit") == QKeySequence("Ctrl+W")
    assert window.commands.chosen("learn", QKeySequence("F5")) == {"quit": "Ctrl+W", "learn": "F5"}


def test_siblings_tell_their_keys(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    """A turn is made long after the keys were bound."""
    chat_id = double.add_chat("Porto", "What to pack?", "A bag.")
    double.set_setting("keys", {"older": "Alt+O"})
    window = open_window()
    window.open_chat(chat_id)
    qtbot.wait_until(lambda: window.conversation.turns.rowCount() == 2)
    qtbot.wait_until(lambda: window.conversation.list.view_of(1) is not None)
    view = window.conversation.list.view_of(1)
    assert view
    assert tip(view.bar.older) == "Older version  (Alt+O)"
