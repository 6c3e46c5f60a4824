"""Somebody at the window: a mouse, a keyboard, and a camera.

Every press goes to the window that gets it from the system, so what is covered, disabled or
out of focus is missed here as a person would miss it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QImage, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFileDialog,
    QLineEdit,
    QMenu,
    QWidget,
)
from pytestqt.qtbot import QtBot

from plum_desktop.ui.window import MainWindow

T = TypeVar("T", bound=QWidget)

_PATIENCE = 600_000  # ms, for what never comes: other tests may keep the machine busy
_BREATH = 30  # ms after each press, as nobody is faster, and menus and completers count on that
_COLOURS = 12  # that a picture with words in it has at least, of every third pixel


class Hands:
    """`shots` is the folder for pictures."""

    def __init__(self, window: MainWindow, qtbot: QtBot, shots: Path) -> None:
        self.window = window
        self._qtbot = qtbot
        self._shots = shots
        self._taken = 0
        self._last: QImage | None = None
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
        hit, place = self._under(widget, at)
        QTest.mouseClick(hit, Qt.MouseButton.LeftButton, pos=place)
        self._qtbot.wait(_BREATH)

    def open_menu(self, widget: QWidget, at: QPoint) -> None:
        """Press the right button over `at` in `widget`."""
        hit, place = self._under(widget, at)
        QTest.mousePress(hit, Qt.MouseButton.RightButton, pos=place)
        reason = QContextMenuEvent.Reason.Mouse  # which the system makes of the press
        QApplication.sendEvent(hit, QContextMenuEvent(reason, place, hit.mapToGlobal(place)))
        QTest.mouseRelease(hit, Qt.MouseButton.RightButton, pos=place)
        self.opened(QMenu)

    @staticmethod
    def _under(widget: QWidget, at: QPoint | None) -> tuple[QWidget, QPoint]:
        """What a press over `at` in `widget` meets, and where; it must be part of `widget`."""
        window = widget.window()
        place = widget.mapTo(window, at or widget.rect().center())
        hit = window.childAt(place) or window
        there = widget.isVisible() and (hit is widget or widget.isAncestorOf(hit))
        assert there, f"{hit} is where {widget.accessibleName() or widget} should be"
        return hit, hit.mapFrom(window, place)

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
        self.pick(words, name=name)

    def pick(self, *path: str, name: str = "") -> None:
        """Press the lines with these words in the menu that is open, and in what they open.

        `name` takes a picture of the last menu.
        """
        for words in path:
            menu = self.opened(QMenu)
            if name and words == path[-1]:
                self.look(name, menu)
            [action] = [each for each in menu.actions() if words in each.text()]
            inner = action.menu()
            self.click(menu, menu.actionGeometry(action).center())
            if inner:
                self.wait(inner.isVisible)
        self.wait(lambda: QApplication.activePopupWidget() is None)

    def choose_file(self, path: Path, name: str = "") -> None:
        """Type `path` into the file dialog that has come up; `name` takes a picture."""
        dialog = self.opened(QFileDialog)
        self.click(dialog.findChild(QLineEdit))
        self.press("Ctrl+A")
        self.type(str(path))
        if name:
            self.look(name, dialog)
        self.press("Return")

    def opened(self, kind: type[T]) -> T:
        """The menu or dialog of that kind that has come up last, or comes within seconds."""
        found: list[T] = []

        def look() -> bool:
            tops = QApplication.topLevelWidgets()
            found[:] = [each for each in tops if isinstance(each, kind) and each.isVisible()]
            on_top = QApplication.activePopupWidget()  # of menus in menus
            found.sort(key=lambda each: each is not on_top)
            return bool(found)

        self.wait(look)
        self._qtbot.wait_exposed(found[0])
        return found[0]

    def wait(self, seen: Callable[[], object]) -> None:
        self._qtbot.wait_until(lambda: bool(seen()), timeout=_PATIENCE)

    def look(self, name: str, widget: QWidget | None = None) -> None:
        """Take a picture of the window, or of what stands over it, and look at it."""
        self._qtbot.wait(60)  # what has just changed is laid out by then
        seen = widget or self.window
        picture = seen.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        self._taken += 1
        assert picture.save(str(self._shots / f"{self._taken:02d}-{name}.png"))
        assert picture.size() == seen.size() * seen.devicePixelRatio(), f"{name} is cut"
        colours = len(np.unique(_pixels(picture)[::3, ::3]))
        assert colours >= _COLOURS, f"{name} is blank: {colours} colours"
        assert picture != self._last, f"{name} looks as the picture before"
        self._last = picture


def _pixels(picture: QImage) -> np.ndarray:
    """Height x width, one 32-bit colour each."""
    rows = np.frombuffer(picture.constBits(), np.uint32)
    return rows.reshape(picture.height(), picture.bytesPerLine() // 4)[:, : picture.width()]
