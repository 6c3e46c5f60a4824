"""A real window on a real store; the engine and the learning job are in the test's hands."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from plum_desktop.base.paths import DataFolder
from plum_desktop.ui.base.collector import MainThreadCollector
from plum_desktop.ui.base.theme import apply_text_size, apply_theme, current_theme, text_size
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum

_PATIENCE = 60_000  # milliseconds: the machine may be busy with other tests


@pytest.fixture
def qtbot(qtbot: QtBot) -> QtBot:
    """Waits for long: what never comes fails all the same."""
    patient = functools.partial(qtbot.wait_until, timeout=_PATIENCE)
    qtbot.wait_until = patient  # type: ignore[method-assign]
    return qtbot


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    return ["plum-desktop"]


@pytest.fixture(scope="session", autouse=True)
def dressed(qapp: QApplication) -> None:
    MainThreadCollector(qapp)
    QApplication.setStyle("Fusion")
    apply_theme(qapp, "light")


@pytest.fixture(autouse=True)
def light(dressed: None, qapp: QApplication) -> None:
    """Every test begins in English, in the light theme, with text in its usual size.

    Whatever ran before in this process; dressing again costs, so only where needed.
    """
    QLocale.setDefault(QLocale(QLocale.Language.English))
    if text_size() != 100:
        apply_text_size(qapp, 100)
    if current_theme().name != "light":
        apply_theme(qapp, "light")


@pytest.fixture
def double(data_folder: DataFolder) -> Iterator[DoublePlum]:
    product = DoublePlum(data_folder)
    yield product
    product.engine.go.set()
    product.close()


@pytest.fixture
def open_window(qtbot: QtBot, double: DoublePlum) -> Iterator[Callable[[], MainWindow]]:
    """Opens the window on what the test has put into the store, and closes it at the end."""
    opened: list[MainWindow] = []

    def show() -> MainWindow:
        window = MainWindow(double)
        opened.append(window)
        window.resize(1100, 760)
        window.show()
        window.start(warm=False)
        qtbot.wait_until(lambda: window.conversation.model_name is not None)
        return window

    yield show
    for window in opened:
        double.engine.go.set()
        window.leave()
        window.deleteLater()
    opened.clear()
    qtbot.wait(0)
    left = [thread.name for thread in threading.enumerate() if thread.name == "learning"]
    assert not left


@pytest.fixture
def window(open_window: Callable[[], MainWindow]) -> MainWindow:
    return open_window()


def button(parent: QWidget, text: str) -> QPushButton:
    """The visible button that says `text`."""
    found = [
        each for each in parent.findChildren(QPushButton)
        if each.text() == text and each.isVisible()
    ]  # fmt: skip
    assert len(found) == 1, f"{len(found)} buttons say {text!r}"
    return found[0]


@pytest.fixture
def answer(qtbot: QtBot, qapp: QApplication) -> Callable[[str], str]:
    """Presses a button of the message box that is open and returns what the box said."""

    def press(text: str) -> str:
        def boxes() -> list[QMessageBox]:
            return [
                each for each in qapp.topLevelWidgets()
                if isinstance(each, QMessageBox) and each.isVisible()
            ]  # fmt: skip

        qtbot.wait_until(lambda: len(boxes()) == 1)
        box = boxes()[0]
        said = f"{box.text()} {box.informativeText()}"
        chosen = next(each for each in box.buttons() if each.text().replace("&", "") == text)
        chosen.click()
        return said

    return press


def run_program(folder: DataFolder, code: str) -> subprocess.CompletedProcess[str]:
    """Run the real program; `code`, one line, has its `window` once that is open."""
    program = (
        "import sys, pathlib, ctypes, threading\n"
        "from PySide6.QtCore import QTimer\n"
        "from plum_desktop.base.paths import open_data_folder\n"
        "from plum_desktop.ui import application\n"
        "def act(window):\n"
        f"    {code}\n"
        "class Window(application.MainWindow):\n"
        "    def start(self):\n"
        "        super().start(warm=False)\n"
        "        QTimer.singleShot(50, self, lambda: act(self))\n"
        "        QTimer.singleShot(1500, self, self.leave)\n"
        "application.MainWindow = Window\n"
        "sys.exit(application.run(open_data_folder(pathlib.Path(sys.argv[1]))))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(folder.root)], text=True, capture_output=True,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, cwd=Path(__file__).parents[2],
        timeout=60,
    )  # fmt: skip
