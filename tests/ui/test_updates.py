"""A newer version in the window: told when asked, and unasked only where that was switched on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from plum_desktop import __version__
from plum_desktop.app import releases
from plum_desktop.app.updates import UpdateService
from plum_desktop.base.paths import DataFolder
from plum_desktop.ui import update_notice
from plum_desktop.ui.window import MainWindow
from tests.feed import SITE, Feed, release, serve
from tests.ui.conftest import button
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]


@pytest.fixture
def feed(double: DoublePlum, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    monkeypatch.setattr(update_notice, "FIRST_MS", 50)
    with serve(Feed(release("9.1.0"))) as running:
        double.updates = UpdateService(double.folder, double._preferences, running.url)
        yield running


def check(window: MainWindow) -> None:
    window.commands.actions["update"].trigger()


def offered(window: MainWindow, qtbot: QtBot) -> QPushButton:
    """The button that leads to the newer version, once that is told."""
    qtbot.wait_until(told(window, f"Plum Desktop 9.1.0 is out; this is {__version__}."))
    qtbot.wait_until(lambda: all(each.isVisible() for each in window.updates.buttons()))
    return button(window.updates, "Open its page")


def told(window: MainWindow, words: str) -> Callable[[], bool]:
    return lambda: window.updates.isVisible() and words in window.updates.text()


def test_it_is_asked_for_in_the_menu_and_told_with_its_page(
    feed: Feed, open_window: Open, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    window = open_window()
    [action] = [
        each
        for each in window.side.more_button.menu().actions()
        if each.text() == "Check for updates…"
    ]
    action.trigger()
    assert window.updates.text() == "Looking for a newer version…"
    opens = offered(window, qtbot)
    assert opened == []
    window.show_page("models")
    assert opens.toolTip() == f"{SITE}v9.1.0"
    opens.setFocus()
    opens.click()
    assert opened == [QUrl(f"{SITE}v9.1.0")]
    window.updates._cross.click()
    assert not window.updates.isVisible()
    assert len(feed.asked) == 1


def test_the_newest_version_and_failures_are_told_too(
    feed: Feed, open_window: Open, qtbot: QtBot
) -> None:
    window = open_window()
    check(window)
    offered(window, qtbot).setFocus()
    feed.said = release(__version__)
    check(window)
    assert window.conversation.isAncestorOf(window.focusWidget())  # its button has gone
    qtbot.wait_until(told(window, f"You have the newest version, {__version__}."))
    assert window.updates.buttons() == []
    feed.said = release("9.1.0", html_url="https://example.org/")
    check(window)
    qtbot.wait_until(told(window, "with a page that is not Plum's"))
    assert window.updates.property("tone") == "danger"
    assert window.updates.buttons() == []


def test_asking_twice_asks_once(feed: Feed, open_window: Open, qtbot: QtBot) -> None:
    window = open_window()
    check(window)
    check(window)
    qtbot.wait_until(told(window, "9.1.0 is out"))
    assert len(feed.asked) == 1


def test_closing_does_not_wait_for_a_silent_server(
    feed: Feed, open_window: Open, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "_TIMEOUT", 60.0)
    monkeypatch.setattr(releases, "_PATIENCE", 60.0)
    feed.silent = True
    window = open_window()
    check(window)
    qtbot.wait_until(lambda: bool(feed.asked))
    began = time.monotonic()
    window.leave()
    assert time.monotonic() - began < 30


def test_unasked_nobody_is_asked(feed: Feed, open_window: Open, qtbot: QtBot) -> None:
    window = open_window()
    assert not window.updates._timer.isActive()
    qtbot.wait(300)
    assert feed.asked == []
    assert not window.updates.isVisible()


def test_switched_on_it_tells_a_little_after_the_start(
    feed: Feed, double: DoublePlum, open_window: Open, qtbot: QtBot
) -> None:
    double.set_setting("updates", "on")
    window = open_window()
    qtbot.wait_until(told(window, "9.1.0 is out"))
    again = open_window()
    qtbot.wait(300)
    assert not again.updates.isVisible()
    assert len(feed.asked) == 1, "once a week"


@pytest.mark.parametrize("trouble", [{"status": 500}, {"said": release(__version__)}, {"cut": 9}])
def test_by_itself_it_is_silent_otherwise(
    feed: Feed, double: DoublePlum, open_window: Open, qtbot: QtBot, trouble: dict[str, object]
) -> None:
    for name, value in trouble.items():
        setattr(feed, name, value)
    double.set_setting("updates", "on")
    window = open_window()
    qtbot.wait_until(lambda: bool(feed.asked))
    qtbot.wait(200)
    assert not window.updates.isVisible()


def test_the_switch_works_at_once(
    feed: Feed, double: DoublePlum, open_window: Open, qtbot: QtBot, data_folder: DataFolder
) -> None:
    window = open_window()
    window.show_page("settings")
    row = window.settings.rows["updates"]
    row.changed.emit("on")
    qtbot.wait_until(told(window, "9.1.0 is out"))
    assert double.settings.updates == "on"
    row.changed.emit("off")
    qtbot.wait_until(lambda: not window.updates._timer.isActive())
    data_folder.cache.joinpath("updates.json").unlink()
    window.updates._look_if_due()  # as a timer that was too quick
    qtbot.wait(200)
    assert len(feed.asked) == 1
