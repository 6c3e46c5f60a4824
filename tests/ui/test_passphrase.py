"""The passphrase in the window: set, locked, unlocked, removed; and locking when idle."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from plum_desktop.app import turning
from plum_desktop.base import passphrase, sealing
from plum_desktop.base.paths import DataFolder
from plum_desktop.store import Store
from plum_desktop.ui.base.passphrase import PassphraseDialog
from plum_desktop.ui.idle_lock import IdleLock
from plum_desktop.ui.window import MainWindow

# One real program: it asks, its window closes, everything is decrypted, another one opens.
LIFE = """
import pathlib, sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from plum_desktop.app import turning
from plum_desktop.base import passphrase
from plum_desktop.base.paths import open_data_folder
from plum_desktop.ui import application
from plum_desktop.ui.base.passphrase import PassphraseDialog
passphrase._KIBIBYTES = 64
folder = open_data_folder(pathlib.Path(sys.argv[1]))
windows = []
def say(*what):
    print(*what, flush=True)
def type_into(*words, refused=False):
    found = [each for each in QApplication.topLevelWidgets()
             if isinstance(each, PassphraseDialog) and each.isVisible()
             and bool(each.trouble.text()) == refused]
    if not found:
        QTimer.singleShot(20, lambda: type_into(*words, refused=refused))
        return
    say("unlocked:", turning.is_unlocked(folder))
    for line, word in zip(found[0].fields, words):
        line.setText(word)
    found[0].deed.click()
    if not refused and found[0].trouble.text():
        say(found[0].trouble.text())
def act(window):
    windows.append(window)
    row = window.settings.passphrase
    titles = [chat.title for chat in window.plum.store.chats.list()]
    say(len(windows), titles, turning.is_on(folder))
    if len(windows) == 1:
        QTimer.singleShot(0, lambda: type_into("correct horse"))
        row.remove_button.click()
    else:
        window.leave()
class Window(application.MainWindow):
    def start(self):
        super().start(warm=False)
        QTimer.singleShot(50, self, lambda: act(self))
application.MainWindow = Window
made = application.make_application
def make(arguments):
    app = made(arguments)
    QTimer.singleShot(0, lambda: type_into("wrong horse"))
    QTimer.singleShot(0, lambda: type_into("correct horse", refused=True))
    return app
application.make_application = make
sys.exit(application.run(folder))
"""


def test_the_window_asks_and_decrypts(
    data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passphrase, "_KIBIBYTES", 64)
    store = Store(data_folder.database, data_folder.backups)
    store.chats.create("Quokkas")
    store.close()
    turning.turn_on(data_folder, "correct horse")
    turning.lock(data_folder)
    ended = subprocess.run(
        [sys.executable, "-c", LIFE, str(data_folder.root)], text=True, capture_output=True,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, cwd=Path(__file__).parents[2],
        timeout=240,
    )  # fmt: skip
    assert ended.stdout.splitlines() == [
        "unlocked: False",
        "This is not the passphrase; try again.",
        "unlocked: False",
        "1 ['Quokkas'] True",
        "unlocked: True",
        "2 ['Quokkas'] False",
    ], ended.stderr
    assert ended.returncode == 0


def test_a_passphrase_is_asked_for_twice_and_the_window_closes_for_it(
    open_window: Callable[[], MainWindow], dialog: Callable[[], PassphraseDialog]
) -> None:
    window = open_window()
    window.show_page("settings")
    window.settings.passphrase.set_button.click()
    box = dialog()
    for again, trouble in (("corect hors", "differ"), ("short", "at least 8 characters")):
        first = "correct horse" if "differ" in trouble else again
        for line, words in zip(box.fields, (first, again), strict=True):
            QTest.keyClicks(line, words)
        box.deed.click()
        assert trouble in box.trouble.text()
    for line in box.fields:
        QTest.keyClicks(line, "correct horse")
    box.deed.click()
    assert window.wish == ("set", "correct horse")
    assert not window.isVisible()


@pytest.fixture
def dialog(qtbot: QtBot) -> Callable[[], PassphraseDialog]:
    def find() -> PassphraseDialog:
        found: list[PassphraseDialog] = []

        def there() -> bool:
            found[:] = [
                each for each in QApplication.topLevelWidgets()
                if isinstance(each, PassphraseDialog) and each.isVisible()
            ]  # fmt: skip
            return bool(found)

        qtbot.wait_until(there)
        return found[0]

    return find


def test_a_passphrase_is_changed_in_the_settings(
    open_window: Callable[[], MainWindow], data_folder: DataFolder, qtbot: QtBot,
    dialog: Callable[[], PassphraseDialog], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(passphrase, "_KIBIBYTES", 64)
    window = open_window()
    row = window.settings.passphrase
    window.show_page("settings")
    assert row.set_button.isVisible()
    assert not row.lock_button.isVisible()
    assert not window.commands.actions["lock"].isEnabled()
    passphrase.write(data_folder.root, passphrase.new_seal(), "correct horse")
    row.refresh()
    assert not row.set_button.isVisible()
    row.change_button.click()
    box = dialog()
    assert all(line.accessibleName() for line in box.fields)
    for line, words in zip(
        box.fields, ("wrong one", "battery staple", "battery staple"), strict=True
    ):
        QTest.keyClicks(line, words)
    QTest.keyClick(box.fields[-1], Qt.Key.Key_Return)
    assert box.trouble.text() == "This is not the passphrase; try again."
    for line, words in zip(
        box.fields, ("correct horse", "battery staple", "battery staple"), strict=True
    ):
        QTest.keyClicks(line, words)
    QTest.keyClick(box.fields[-1], Qt.Key.Key_Return)
    assert passphrase.read(data_folder.root, "battery staple")
    (data_folder.root / "sealed.json").unlink()


def test_the_key_is_put_into_the_keychain_and_taken_out(
    open_window: Callable[[], MainWindow], data_folder: DataFolder, qtbot: QtBot,
    keychain_file: Path,
) -> None:  # fmt: skip
    window = open_window()
    row = window.settings.passphrase
    window.show_page("settings")
    assert not row.keychain_switch.isVisible()
    passphrase.write(data_folder.root, passphrase.new_seal(), "correct horse")
    row.refresh()
    try:
        row.keychain_switch.click()  # of a folder that is locked: it stays off, and a sentence
        qtbot.wait_until(row.keychain_switch.isEnabled)
        assert not row.keychain_switch.isChecked()
        assert "locked" in window.settings.notice.text()
        sealing.open_folder(data_folder.root, passphrase.new_seal())
        row.keychain_switch.click()
        qtbot.wait_until(row.keychain_switch.isEnabled)
        assert row.keychain_switch.isChecked()
        assert "plum" in keychain_file.read_text()
        row.keychain_switch.click()
        qtbot.wait_until(row.keychain_switch.isEnabled)
        assert not row.keychain_switch.isChecked()
    finally:
        (data_folder.root / "sealed.json").unlink()
        sealing.close_folder(data_folder.root)


def test_it_locks_once_nobody_has_used_it_for_long(qtbot: QtBot) -> None:
    after = 0.0
    lock, field = IdleLock(lambda: after), QWidget()
    qtbot.add_widget(field)
    told: list[float] = []
    lock.idle.connect(lambda: told.append(time.monotonic()))
    lock.look()
    # Nothing is filtered, and nothing wakes up, while there is nothing to lock.
    assert not lock._listening
    assert not lock._timer.isActive()
    after = 60.0
    lock.look()
    assert lock._timer.isActive()
    lock._last -= 61
    QTest.keyClick(field, Qt.Key.Key_A)  # somebody is there
    lock.look()
    assert not told
    lock._last -= 61
    lock.look()
    assert len(told) == 1
    after = 0.0
    lock.look()
    assert not lock._listening
    assert not lock._timer.isActive()


def test_without_a_passphrase_nothing_locks(window: MainWindow) -> None:
    window.plum.set_setting("lock_minutes", 1)
    assert window._lock_after() == 0
    assert not turning.is_on(window.plum.folder)
