"""Everything can be reached and is named: for those who hear the window, or have no mouse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QMainWindow,
    QPlainTextEdit,
    QProgressBar,
    QTextEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot

from plum_desktop.ui.chat.prose import Prose
from plum_desktop.ui.chat.turn_view import TurnView
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
PAGES = ("chat", "memory", "learning", "compare", "models", "settings")
CONTROLS = (
    QAbstractButton, QLineEdit, QTextEdit, QPlainTextEdit, QAbstractItemView, QComboBox,
    QAbstractSpinBox, QKeySequenceEdit,
)  # fmt: skip
COMPOSED = (QComboBox, QAbstractSpinBox, QLineEdit, QKeySequenceEdit)


@pytest.fixture
def full(open_window: Open, double: DoublePlum, qtbot: QtBot) -> MainWindow:
    chat_id = double.add_chat("Code", "How?", "See [a](https://b.c)\n\n```py\nx = 1\n```")
    double.add_facts(chat_id, "You asked how.", "You asked why.")
    double.add_lesson([chat_id])
    window = open_window()
    window.open_chat(chat_id)
    qtbot.wait_until(lambda: window.conversation.turns.rowCount() == 2)
    qtbot.wait_until(lambda: window.side.chats.chat_count() == 1)
    window.activateWindow()
    qtbot.wait_until(window.isActiveWindow)
    return window


def shown(window: MainWindow, page: str, qtbot: QtBot) -> None:
    window.show_page(page)
    if page == "memory":
        qtbot.wait_until(lambda: window.memory.fact_model.rowCount() == 2)
    qtbot.wait(150)


def controls(window: QWidget) -> list[QWidget]:
    """Everything in sight that a person can use, without the insides of what is composed."""
    return [
        each for each in window.findChildren(QWidget)
        if isinstance(each, CONTROLS) and each.isVisible() and each.isEnabled()
        and not isinstance(each, QHeaderView)
        and not isinstance(each.parent(), COMPOSED)
        and not each.objectName().startswith("qt_")
    ]  # fmt: skip


def said(widget: QWidget) -> str:
    return f"{widget.metaObject().className()} {widget.accessibleName()!r}"


@pytest.mark.parametrize("page", PAGES)
def test_every_control_is_named_and_can_have_the_focus(
    page: str, full: MainWindow, qtbot: QtBot
) -> None:
    shown(full, page, qtbot)
    found = controls(full)
    assert len(found) > 10
    for each in found:
        spoken = QAccessible.queryAccessibleInterface(each)
        name = spoken.text(QAccessible.Text.Name)
        assert name.strip(), said(each)
        code = each.focusPolicy() == Qt.FocusPolicy.ClickFocus  # text that is only read
        assert code or each.focusPolicy() & Qt.FocusPolicy.TabFocus, said(each)
    bars = [each for each in full.findChildren(QProgressBar) if each.isVisible()]
    assert all(each.accessibleName() for each in bars)


def on_a_link(widget: QWidget) -> bool:
    if isinstance(widget, Prose):
        return widget.textCursor().hasSelection()
    return isinstance(widget, QLabel) and widget.hasSelectedText()


def round_trip(full: MainWindow, key: Qt.Key) -> list[QWidget]:
    """Whom the tab key visits until it is back where it began."""
    start = QApplication.focusWidget()
    assert start
    visited = [start]
    for _ in range(400):
        QTest.keyClick(QApplication.focusWidget(), key)
        now = QApplication.focusWidget()
        assert now is not None, f"the focus was lost after {said(visited[-1])}"
        if now is visited[-1] and on_a_link(now):
            continue
        assert now is not visited[-1], f"{said(now)} keeps the tab key"
        if now is start:
            return visited
        assert now not in visited, f"{said(visited[-1])} leads back to {said(now)}"
        visited.append(now)
    raise AssertionError("the tab key never comes back")


@pytest.mark.parametrize("page", PAGES)
def test_the_tab_key_goes_round(page: str, full: MainWindow, qtbot: QtBot) -> None:
    shown(full, page, qtbot)
    start = full.side.search
    start.setFocus()
    visited = round_trip(full, Qt.Key.Key_Tab)
    reachable = {
        each for each in controls(full)
        if each.focusPolicy() & Qt.FocusPolicy.TabFocus and each.window() is full
    }  # fmt: skip

    def reached(control: QWidget) -> bool:
        return any(each is control or control.isAncestorOf(each) for each in visited)

    missed = [said(each) for each in reachable if not reached(each)]
    assert missed == []
    start.setFocus()
    back = round_trip(full, Qt.Key.Key_Backtab)
    only_forward = [each for each in visited if each not in back]
    # A turn shows its actions once it has the focus, so from below they are not there yet.
    assert all(isinstance(each.parent().parent(), TurnView) for each in only_forward)


def test_a_sheet_and_the_palette_are_no_traps(full: MainWindow, qtbot: QtBot) -> None:
    full.open_sheet()
    qtbot.wait_until(lambda: full.sheet.isVisible())
    qtbot.wait(200)
    assert all(each.accessibleName() for each in controls(full.sheet))
    QTest.keyClick(full, Qt.Key.Key_Escape)
    assert not full.sheet.isVisible()
    full.commands.actions["palette"].trigger()
    field = full.palette_sheet.field
    QTest.keyClick(field, Qt.Key.Key_Tab)
    assert not field.hasFocus()
    assert not full.palette_sheet.isVisible()
    assert isinstance(full, QMainWindow)
