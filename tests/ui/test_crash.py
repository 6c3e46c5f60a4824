from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QPlainTextEdit
from pytestqt.qtbot import QtBot

from plum_desktop.base.crash import CrashFile, described
from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import button, run_program
from tests.ui.double import DoublePlum

SECRET = "my doctor's name is Ruth"


def broken(said: str) -> None:
    kept = {"said": said}
    try:
        raise KeyError(said)
    except KeyError as error:
        raise ValueError(f"cannot read {kept}") from error


@pytest.fixture
def error() -> Exception:
    with pytest.raises(ValueError) as caught:
        broken(SECRET)
    return caught.value


def test_a_report_has_kinds_and_places_and_no_words(error: Exception) -> None:
    text = described(error)
    assert "doctor" not in text
    lines = text.splitlines()
    assert lines[0] == "KeyError"
    assert "which led to" in lines
    assert lines[-1].startswith("  tests/ui/test_crash.py:")
    assert lines[-1].endswith(" in broken")
    assert str(Path.home()) not in text


def test_it_is_kept_once_and_found_at_the_next_start(
    data_folder: DataFolder, error: Exception
) -> None:
    first = CrashFile(data_folder.logs)
    assert first.report == ""
    first.keep(error)
    first.keep(error)
    assert first.report == ""  # it is for the next start
    second = CrashFile(data_folder.logs)
    assert second.report.count("ValueError") == 1
    assert "Plum Desktop" in second.report.splitlines()[0]
    second.put_away()
    assert CrashFile(data_folder.logs).report == ""
    assert any("ValueError" in file.read_text() for file in data_folder.logs.glob("crash*"))
    second.delete()
    assert list(data_folder.logs.glob("crash*")) == []


def test_a_report_stays_short(data_folder: DataFolder) -> None:
    crash = CrashFile(data_folder.logs)
    for number in range(200):
        crash.keep(type(f"E{number}" + "x" * 1000, (Exception,), {})())
    report = CrashFile(data_folder.logs).report
    assert len(report) == 64_000
    assert "E199" in report
    assert "E1x" not in report


def test_no_room_for_a_report_is_no_second_crash(tmp_path: Path, error: Exception) -> None:
    crash = CrashFile(tmp_path / "no such folder")
    crash.watch()
    crash.keep(error)
    crash.delete()
    crash.close()


def test_a_hard_crash_is_found_at_the_next_start(data_folder: DataFolder) -> None:
    assert run_program(data_folder, f"secret = {SECRET!r}; ctypes.string_at(0)").returncode != 0
    report = CrashFile(data_folder.logs).report
    assert "Segmentation fault" in report or "access violation" in report
    assert " in act" in report
    assert "doctor" not in report
    assert not data_folder.logs.joinpath("fault.txt").exists()


@pytest.mark.parametrize(
    "code",
    [
        "raise ValueError(secret)",
        "thread = threading.Thread(target=int, args=(secret,)); thread.start(); thread.join()",
    ],
)
def test_what_nobody_caught_is_kept_and_the_window_stays(
    code: str, data_folder: DataFolder
) -> None:
    done = run_program(data_folder, f"secret = {SECRET!r}; {code}")
    assert done.returncode == 0, done.stderr
    report = CrashFile(data_folder.logs).report
    assert "ValueError" in report
    kept = "".join(file.read_text() for file in data_folder.logs.iterdir())
    assert "doctor" not in kept
    assert not data_folder.logs.joinpath("fault.txt").exists()


def test_a_start_that_went_well_leaves_nothing(data_folder: DataFolder) -> None:
    assert run_program(data_folder, "window.leave()").returncode == 0
    assert list(data_folder.logs.glob("crash*")) == []
    assert not data_folder.logs.joinpath("fault.txt").exists()


@pytest.fixture
def after_a_crash(double: DoublePlum, error: Exception, qtbot: QtBot) -> Callable[[], MainWindow]:
    CrashFile(double.folder.logs).keep(error)

    def show() -> MainWindow:
        window = MainWindow(double, CrashFile(double.folder.logs))
        qtbot.add_widget(window, before_close_func=lambda each: each.leave())
        window.show()
        window.start(warm=False)
        return window

    return show


def test_the_notice_shows_copies_and_deletes(
    after_a_crash: Callable[[], MainWindow], double: DoublePlum, qtbot: QtBot
) -> None:
    window = after_a_crash()
    assert window.crash.isVisible()
    assert window.focusWidget() is window.conversation.composer._field  # as without it
    button(window.crash, "Show the report").click()
    dialog = window.crash.findChild(QDialog)
    assert "ValueError" in dialog.findChild(QPlainTextEdit).toPlainText()
    dialog.close()
    button(window.crash, "Copy it").click()
    assert "ValueError" in QGuiApplication.clipboard().text()
    assert window.crash.isVisible()
    button(window.crash, "Delete it").click()
    assert not window.crash.isVisible()
    assert list(double.folder.logs.glob("crash*")) == []


def test_the_notice_comes_until_it_is_put_away(
    after_a_crash: Callable[[], MainWindow], double: DoublePlum
) -> None:
    first = after_a_crash()
    assert first.crash.isVisible()
    again = after_a_crash()
    again.crash._cross.click()
    assert not again.crash.isVisible()
    assert not after_a_crash().crash.isVisible()


def test_without_a_crash_there_is_no_notice(window: MainWindow) -> None:
    assert not window.crash.isVisible()


def test_a_refusal_is_no_crash() -> None:
    assert described(PlumError(SECRET)) == "PlumError"
