"""An X server of its own for the window, where this machine has one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from plum_desktop.app.product import Plum
from plum_desktop.ui.application import make_application
from plum_desktop.ui.theme import apply_theme
from plum_desktop.ui.window import MainWindow
from tests.e2e.hands import Hands

_CAN_DRAW = "from PySide6.QtGui import QGuiApplication; QGuiApplication([])"


@pytest.fixture(scope="session")
def display() -> Iterator[dict[str, str] | None]:
    """The environment of a child that draws on Xvfb; None: draw in this process.

    That is so where Qt has a display already, and where there is no Xvfb, or not what Qt's
    xcb plug-in needs beside it.
    """
    program = shutil.which("Xvfb")
    if os.environ["QT_QPA_PLATFORM"] != "offscreen" or program is None:
        yield None
        return
    read, write = os.pipe()
    server = subprocess.Popen(
        [program, "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()  # empty when the server could not start
        environment = {**os.environ, "QT_QPA_PLATFORM": "xcb", "DISPLAY": f":{number}"}
        probe = subprocess.run(
            [sys.executable, "-c", _CAN_DRAW], env=environment, capture_output=True, check=False
        )
        yield environment if number and probe.returncode == 0 else None
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    """The application as the program makes it, and dialogs that the keyboard can reach."""
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    there = QApplication.instance()
    return there if isinstance(there, QApplication) else make_application(["plum-desktop"])


@pytest.fixture
def hands(qtbot: QtBot, qapp: QApplication, plum: Plum) -> Iterator[Hands]:
    """Somebody before the real window on the real product, as `application.run` opens it."""
    plum.set_setting("theme", "light")
    plum.set_setting("temperature", 0.0)
    plum.set_setting("max_tokens", 48)
    plum.set_setting("context", 1024)
    apply_theme(qapp, plum.settings.theme)
    window = MainWindow(plum)
    window.resize(1180, 760)
    window.show()
    window.start()
    window.activateWindow()  # as a window manager does, and Xvfb has none
    qtbot.wait_until(window.isActiveWindow)
    shots = os.environ.get("PLUM_SHOTS")
    yield Hands(window, qtbot, Path(shots) if shots else None)
    window.leave()
    window.deleteLater()
    qtbot.wait(0)
