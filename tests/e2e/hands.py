"""Somebody at the window: a mouse, a keyboard, and a camera.

Every press goes to the window that gets it from the system, so what is covered, disabled or
out of focus is missed here as a person would miss it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QMenu, QWidget
from pytestqt.qtbot import QtBot

from plum_desktop.ui.window import MainWindow

T = TypeVar("T", bound=QWidget)

_BREATH = 30  # ms after each press, as nobody is faster, and menus and completers count on that


class Hands:
    """`shots` is the folder for pictures; None: take none."""

    def __init__(self, window: MainWindow, qtbot: QtBot, shots: Path | None) -> None:
        self.window = window
        self._qtbot = qtbot
        self._shots = shots
        self._taken = 0
        if shots:
            shots.mkdir(parents=True, exist_ok=True)

    def type(self, text: str) -> None:
        """Into whatever has the focus."""
        for letter in text:
            QTest.keyClick(self._listener(), letter)
        self._qtbot.wait(_BREATH)

    def press(self, keys: str) -> None:
        """Keys as a shortcut is written: Ctrl+N, Esc, Return."""
        keystroke = QKeySequence(keys)[0]
        QTest.keyClick(self._listener(), keystroke.key(), keystroke.keyboardModifiers())
        self._qtbot.wait(_BREATH)

    def _listener(self) -> QWidget:
        """Who hears the keyboard."""

        def active() -> QWidget | None:
            window = QApplication.activeWindow()
            return window if window and window.isVisible() else None

        if active() is None:
            # A window manager would hand the focus on when a menu or a dialog has closed.
            (QApplication.activeModalWidget() or self.window).activateWindow()
            self.wait(active)
        return QApplication.focusWidget() or active()

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        """Press the left button over the middle of `widget`, or over `at` in it."""
        window = widget.window()
        place = widget.mapTo(window, at or widget.rect().center())
        hit = window.childAt(place) or window
        there = widget.isVisible() and (hit is widget or widget.isAncestorOf(hit))
        assert there, f"{hit} is where {widget.accessibleName() or widget} should be"
        QTest.mouseClick(hit, Qt.MouseButton.LeftButton, pos=hit.mapFrom(window, place))
        self._qtbot.wait(_BREATH)

    def click_button(self, parent: QWidget, name: str) -> None:
        """Press the visible button of that name; of several, the lowest."""
        found = [
            each
            for each in parent.findChildren(QAbstractButton)
            if each.isVisible() and name in (each.text().replace("&", ""), each.accessibleName())
        ]
        assert found, f"no button {name!r} is to be seen"
        self.click(max(found, key=lambda each: each.mapToGlobal(QPoint()).y()))

    def choose(self, button: QWidget, words: str, name: str = "") -> None:
        """Open the menu of `button` and press the line with `words`; `name` takes a picture."""
        self.click(button)
        menu = self.opened(QMenu)
        if name:
            self.look(name, menu)
        [action] = [each for each in menu.actions() if words in each.text()]
        self.click(menu, menu.actionGeometry(action).center())
        self.wait(lambda: not menu.isVisible())

    def opened(self, kind: type[T]) -> T:
        """The menu or dialog of that kind that has come up, or comes within seconds."""
        found: list[T] = []

        def look() -> bool:
            tops = QApplication.topLevelWidgets()
            found[:] = [each for each in tops if isinstance(each, kind) and each.isVisible()]
            return bool(found)

        self.wait(look)
        self._qtbot.wait_exposed(found[0])
        return found[0]

    def wait(self, seen: Callable[[], object], seconds: float = 10) -> None:
        self._qtbot.wait_until(lambda: bool(seen()), timeout=round(seconds * 1000))

    def look(self, name: str, widget: QWidget | None = None) -> None:
        """Take a picture of the window, or of what stands over it."""
        if self._shots:
            self._qtbot.wait(60)  # what has just changed is laid out by then
            self._taken += 1
            picture = (widget or self.window).grab()
            assert picture.save(str(self._shots / f"{self._taken:02d}-{name}.png"))
