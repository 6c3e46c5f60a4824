from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication, QMessageBox, QSystemTrayIcon
from pytestqt.qtbot import QtBot

from plum_desktop.base.paths import DataFolder
from plum_desktop.ui.tray import Tray, progress, said
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import run_program
from tests.ui.double import DoublePlum, done, refused

Open = Callable[[], MainWindow]
Answer = Callable[[str], str]


@pytest.fixture
def tray_there(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A system with a tray, which the offscreen platform is not; returns what was notified."""
    told: list[str] = []
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "supportsMessages", staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "isVisible", lambda _self: True)

    def show(_self: QSystemTrayIcon, _title: str, text: str, _icon: QIcon) -> None:
        told.append(text)

    monkeypatch.setattr(QSystemTrayIcon, "showMessage", show)
    return told


def learning(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    double.add_chat("Porto", "What to pack?", "A bag.")
    window.open_sheet()
    qtbot.wait_until(lambda: window.lessons.plan is not None and bool(window.lessons.plan.chats))
    window.lessons.start(window.lessons.plan)
    qtbot.wait_until(lambda: window.lessons.job is not None)


def lines(tray: Tray) -> list[str]:
    return [each.text() for each in tray.menu.actions() if each.isVisible() and each.text()]


def test_its_menu_opens_begins_and_tells(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    tray = window.tray
    assert lines(tray) == ["Open Plum", "New chat", "Quit"]
    learning(window, double, qtbot)
    double.learning.job.tell(0.43)
    qtbot.wait_until(lambda: window.lessons.progress is not None)
    assert lines(tray)[2:] == ["Learning (train): 43%, 6 min left", "Quit and go on next time"]
    assert "43%" in tray.icon.toolTip()
    window.show_page("learning")
    window.hide()
    tray.menu.actions()[1].trigger()
    assert window.isVisible()
    assert window.page == "chat"
    window.lessons.pause_or_go_on()
    assert progress(window.lessons) == "Learning is paused"


def test_what_learning_came_to_in_one_line(double: DoublePlum) -> None:
    adapter = double.add_lesson([double.add_chat("Porto", "What?", "A bag.")])
    assert said(done(adapter, 12)) == "Learned 12 chats: remembers 41 of 48"
    assert said(refused(3)).startswith("Not switched on: it remembers 11 of 48")


@pytest.mark.parametrize("choice", ["on", "off"])
def test_the_end_is_told_where_the_window_is_not_in_front(
    choice: str, window: MainWindow, double: DoublePlum, qtbot: QtBot, tray_there: list[str]
) -> None:
    double.set_setting("notify", choice)
    adapter = double.add_lesson([double.add_chat("Porto", "What?", "A bag.")])
    window.activateWindow()
    qtbot.wait_until(window.isActiveWindow)
    window.lessons.ended.emit(done(adapter, 1))
    assert tray_there == []
    window.hide()
    window.lessons.ended.emit(done(adapter, 1))
    assert tray_there == (["Learned 1 chat: remembers 41 of 48"] if choice == "on" else [])


def test_closing_offers_the_tray_only_where_there_is_one(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, qapp: QApplication, answer: Answer
) -> None:
    learning(window, double, qtbot)
    window.close()
    qtbot.wait_until(lambda: box(qapp) is not None)
    assert {each.text() for each in box(qapp).buttons()} == {"Stay", "Quit and go on next time"}
    answer("Stay")
    assert window.isVisible()
    assert not double.learning.job.left


def box(qapp: QApplication) -> QMessageBox | None:
    boxes = [each for each in qapp.topLevelWidgets() if isinstance(each, QMessageBox)]
    return next((each for each in boxes if each.isVisible()), None)


def test_learning_goes_on_in_the_tray(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, qapp: QApplication, answer: Answer,
    tray_there: list[str],
) -> None:  # fmt: skip
    learning(window, double, qtbot)
    assert not window.close()
    qtbot.wait_until(lambda: box(qapp) is not None)
    box(qapp).checkBox().setChecked(True)
    answer("Go on in the tray")
    qtbot.wait_until(lambda: not window.isVisible())
    assert not qapp.quitOnLastWindowClosed()
    assert double.settings.leaving == "tray"
    assert window.lessons.running
    assert not double.learning.job.left
    window.tray.icon.activated.emit(QSystemTrayIcon.ActivationReason.Trigger)
    assert window.isVisible()
    assert qapp.quitOnLastWindowClosed()
    assert not window.close()  # no question any more
    assert not window.isVisible()
    assert box(qapp) is None
    window.tray.quit_asked.emit()
    assert double.learning.job.left


def test_quitting_can_be_remembered(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, tray_there: list[str]
) -> None:
    double.set_setting("leaving", "quit")
    learning(window, double, qtbot)
    assert window.close()
    assert double.learning.job.left


def test_the_program_lives_on_in_the_tray_and_can_be_quit_from_there(
    data_folder: DataFolder,
) -> None:
    hides = "window._go_to_tray()"
    lives = "QTimer.singleShot(600, window, lambda: print('lives', flush=True))"
    quits = "QTimer.singleShot(900, window, window.tray.quit_asked.emit)"
    done = run_program(data_folder, f"{hides}; {lives}; {quits}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["lives"]
