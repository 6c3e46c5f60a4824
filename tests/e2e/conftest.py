"""An X server of its own for the window, where this machine has one."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QLibraryInfo, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from plum_desktop.app import compare
from plum_desktop.app.product import Plum
from plum_desktop.ui.application import make_application
from plum_desktop.ui.base.theme import apply_theme
from plum_desktop.ui.window import MainWindow
from tests.e2e.hands import Hands

pytest.register_assert_rewrite("tests.e2e.chatting", "tests.e2e.teaching")

_LONGEST = 48  # tokens of a reply
_PR_SET_PDEATHSIG = 1


@pytest.fixture(scope="module")
def display() -> Iterator[dict[str, str] | None]:
    """The environment of children that draw on Xvfb; None: draw in this process.

    That is so where Qt has a display already, and where there is no Xvfb, or not what Qt's
    xcb plug-in needs beside it.
    """
    program = shutil.which("Xvfb") if sys.platform.startswith("linux") else None
    if os.environ["QT_QPA_PLATFORM"] != "offscreen" or program is None or not _xcb_loads():
        yield None
        return
    read, write = os.pipe()
    server = subprocess.Popen(
        [program, "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
        pass_fds=[write], stderr=subprocess.DEVNULL, preexec_fn=_end_with_its_parent,
    )  # fmt: skip
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        assert number, "Xvfb does not start"
        yield {**os.environ, "QT_QPA_PLATFORM": "xcb", "DISPLAY": f":{number}"}
    finally:
        server.terminate()
        server.wait()


def _end_with_its_parent() -> None:
    """Should these tests be killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _xcb_loads() -> bool:
    plugins = QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath)
    try:
        ctypes.CDLL(f"{plugins}/platforms/libqxcb.so")
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    """The application as the program makes it, and dialogs that the keyboard can reach."""
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    there = QApplication.instance()
    return there if isinstance(there, QApplication) else make_application(["plum-desktop"])


@pytest.fixture
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As short as replies are here, side by side as well."""
    monkeypatch.setattr(compare, "_MOST_TOKENS", _LONGEST)


@pytest.fixture
def hands(qtbot: QtBot, qapp: QApplication, plum: Plum, tmp_path: Path) -> Iterator[Hands]:
    """Somebody before the real window on the real product, as `application.run` opens it.

    Pictures go into PLUM_SHOTS, else beside the data folder.
    """
    plum.set_setting("theme", "light")
    plum.set_setting("temperature", 0.0)
    plum.set_setting("max_tokens", _LONGEST)
    plum.set_setting("context", 1024)
    apply_theme(qapp, plum.settings.theme)
    window = MainWindow(plum)
    window.resize(1180, 760)
    window.show()
    window.start()
    window.activateWindow()  # as a window manager does, and Xvfb has none
    qtbot.wait_until(window.isActiveWindow)
    yield Hands(window, qtbot, Path(os.environ.get("PLUM_SHOTS") or tmp_path / "pictures"))
    window.leave()
    window.deleteLater()
    qtbot.wait(0)
