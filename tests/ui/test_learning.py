from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from plum_desktop.base.types import Run
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import button
from tests.ui.double import DoublePlum, ScriptedJob, done, refused

Open = Callable[[], MainWindow]
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def window(open_window: Open, double: DoublePlum, qtbot: QtBot) -> MainWindow:
    for title in ("Porto", "Bread", "Bike"):
        double.add_chat(title, f"Tell me about {title} please.", "Yes.")
    opened = open_window()
    opened.lessons._soon.setInterval(5)
    opened.lessons.look_soon()
    qtbot.wait_until(lambda: opened.lessons.plan is not None)
    return opened


def begin(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> ScriptedJob:
    """Press Learn twice: in the status line, and in the sheet."""
    qtbot.mouseClick(window.status.learn_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(window.sheet.learn_button.isEnabled)
    qtbot.mouseClick(window.sheet.learn_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: window.lessons.job is not None)
    assert double.learning.job
    return double.learning.job


def test_the_status_line_counts_what_waits(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    qtbot.wait_until(lambda: window.status.text.whole() == "3 chats to learn")
    chat = double.store.chats.list()[0]
    window.side.chat_actions.update(chat, learn=False)
    qtbot.wait_until(lambda: window.status.text.whole() == "2 chats to learn")


def test_nothing_to_learn_says_so(open_window: Open, qtbot: QtBot) -> None:
    window = open_window()
    QTest.keyClick(window, Qt.Key.Key_L, CTRL)
    qtbot.wait_until(lambda: window.sheet.title.text() == "Nothing new to learn")
    assert "chat a little first" in window.sheet.cost.text()
    assert not window.sheet.learn_button.isEnabled()


def test_the_sheet_says_what_it_takes_and_learns_what_is_ticked(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    QTest.keyClick(window, Qt.Key.Key_L, CTRL)
    sheet = window.sheet
    qtbot.wait_until(sheet.learn_button.isEnabled)
    assert sheet.title.text() == "Learn from 3 chats"
    assert sheet.cost.text().startswith("Takes about 2 minutes and 140 MB of disk.")
    assert sheet.learn_button.hasFocus()
    qtbot.mouseClick(sheet.review_button, Qt.MouseButton.LeftButton)
    titles = [sheet.model.index(row).data() for row in range(sheet.model.rowCount())]
    assert titles == ["Porto", "Bread", "Bike"]
    sheet.list.setCurrentIndex(sheet.model.index(1))
    QTest.keyClick(sheet.list, Qt.Key.Key_Space)
    qtbot.wait_until(lambda: sheet.title.text() == "Learn from 2 chats")
    spot = sheet.list.visualRect(sheet.model.index(2)).topLeft()
    spot.setX(spot.x() + 18)
    spot.setY(spot.y() + 18)
    QTest.mouseClick(sheet.list.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    qtbot.wait_until(lambda: sheet.title.text() == "Learn from 1 chat")
    sheet.list.grab()
    qtbot.wait_until(sheet.learn_button.isEnabled)
    qtbot.mouseClick(sheet.learn_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: double.learning.started is not None)
    assert [chat.title for chat in double.learning.started.chats] == ["Porto"]
    assert not sheet.isVisible()


def test_no_chat_ticked_is_nothing_to_learn(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    window.open_sheet()
    sheet = window.sheet
    qtbot.wait_until(sheet.learn_button.isEnabled)
    qtbot.mouseClick(sheet.review_button, Qt.MouseButton.LeftButton)
    for row in range(3):
        sheet.list.setCurrentIndex(sheet.model.index(row))
        QTest.keyClick(sheet.list, Qt.Key.Key_Space)
    qtbot.wait_until(lambda: sheet.title.text() == "No chat is chosen")
    assert not sheet.learn_button.isEnabled()


def test_a_model_that_cannot_learn_is_refused_in_the_sheet(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    double.learning.refusal = "This model can chat but not learn; choose another one."
    window.open_sheet()
    qtbot.wait_until(window.sheet.notice.isVisible)
    assert window.sheet.notice.text() == double.learning.refusal
    assert not window.sheet.learn_button.isEnabled()
    qtbot.mouseClick(button(window.sheet, "Models"), Qt.MouseButton.LeftButton)
    assert window.page == "models"
    assert not window.sheet.isVisible()


def test_the_whole_way_by_keyboard(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    QTest.keyClick(window, Qt.Key.Key_L, CTRL)
    qtbot.wait_until(window.sheet.learn_button.hasFocus)
    QTest.keyClick(window.sheet.learn_button, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: window.lessons.job is not None)
    job = double.learning.job
    assert job
    job.end(done(double.add_lesson([double.store.chats.list()[0].id]), 3))
    qtbot.wait_until(window.result.isVisible)
    window.result.keep_button.setFocus()
    QTest.keyClick(window.result.keep_button, Qt.Key.Key_Enter)
    assert not window.result.isVisible()


def test_escape_closes_the_sheet(window: MainWindow, qtbot: QtBot) -> None:
    window.open_sheet()
    qtbot.wait_until(window.sheet.learn_button.isEnabled)
    QTest.keyClick(window.sheet.learn_button, Qt.Key.Key_Escape)
    assert not window.sheet.isVisible()
    assert window.conversation.isAncestorOf(window.focusWidget())


def test_progress_pause_and_go_on(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    job = begin(window, double, qtbot)
    assert window.status.text.whole() == "Learning is about to start…"
    job.tell(0.43)
    qtbot.wait_until(lambda: window.status.text.whole() == "Learning (train)")
    assert window.status.left.text() == "43%, 6 min left"
    assert window.status.bar.value() == 430
    assert not window.status.learn_button.isVisible()
    qtbot.mouseClick(window.status.pause_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: job.paused)
    assert window.status.text.whole() == "Learning is paused"
    assert window.status.pause_button.accessibleName() == "Go on learning"
    qtbot.mouseClick(window.status.pause_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: not job.paused)
    qtbot.mouseClick(window.status.text, Qt.MouseButton.LeftButton)
    assert window.page == "learning"
    assert window.learning.now.left.text() == "43%, 6 min left, loss 1.20"
    assert "<b>learn</b>" in window.learning.now.steps.text()
    # One can chat on.
    window.new_chat()
    window.conversation.composer.set_text("Still there?")
    window.conversation.composer._on_entered()
    qtbot.wait_until(lambda: window.conversation.turns.rowCount() == 2)


def test_stopping_asks_in_place(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    job = begin(window, double, qtbot)
    qtbot.mouseClick(window.status.stop_button, Qt.MouseButton.LeftButton)
    assert not job.stopped
    qtbot.mouseClick(window.status.go_on, Qt.MouseButton.LeftButton)
    assert window.status.stop_button.isVisible()
    qtbot.mouseClick(window.status.stop_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(window.status.stop_anyway, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: not window.lessons.running)
    assert job.stopped
    assert window.status.learn_button.isVisible()
    assert not window.result.isVisible()


def test_the_result_is_kept_or_undone(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    chats = [chat.id for chat in double.store.chats.list()]
    job = begin(window, double, qtbot)
    adapter = double.add_lesson(chats)
    job.end(done(adapter, 3))
    qtbot.wait_until(window.result.isVisible)
    assert window.result.title.text() == "Learned 3 chats"
    said = window.result.rows.texts()
    assert said[:3] == ["Remembers", "41 of 48 questions it was never shown", "before: 2"]
    assert window.status.text.whole() == "Learned 3 chats"
    qtbot.mouseClick(window.result.keep_button, Qt.MouseButton.LeftButton)
    assert not window.result.isVisible()
    assert double.adapters.active() is not None
    qtbot.wait_until(lambda: window.side.chat_actions.remembered(chats[0]))

    job = begin(window, double, qtbot)
    job.end(done(adapter, 3))
    qtbot.wait_until(window.result.isVisible)
    qtbot.mouseClick(window.result.undo_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: double.adapters.active() is None)
    qtbot.wait_until(lambda: not window.side.chat_actions.remembered(chats[0]))
    assert not window.result.isVisible()


def test_on_the_learning_page_the_result_is_a_row(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    chats = [chat.id for chat in double.store.chats.list()]
    double.add_lesson(chats[:1], created=1_700_000_000.0)
    job = begin(window, double, qtbot)
    window.show_page("learning")
    qtbot.wait_until(lambda: window.learning.model.rowCount() == 1)
    job.end(done(double.add_lesson(chats), 3))
    qtbot.wait_until(lambda: window.learning.model.rowCount() == 2)
    assert window.learning.table.currentIndex().row() == 0
    assert not window.result.isVisible()
    assert window.lessons.outcome is None


def test_the_status_line_leaves_the_keyboard_to_the_page(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    job = begin(window, double, qtbot)
    qtbot.mouseClick(window.status.pause_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: job.paused)
    assert window.conversation.isAncestorOf(window.focusWidget())
    qtbot.mouseClick(window.status.stop_button, Qt.MouseButton.LeftButton)
    assert window.status.go_on.hasFocus()
    QTest.keyClick(window.status.go_on, Qt.Key.Key_Return)
    assert window.conversation.isAncestorOf(window.focusWidget())
    window.status.pause_button.setFocus()
    job.end(done(double.add_lesson([double.store.chats.list()[0].id]), 1))
    qtbot.wait_until(lambda: not window.lessons.running)
    assert window.conversation.isAncestorOf(window.focusWidget())


def test_a_refused_result_says_why(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    job = begin(window, double, qtbot)
    job.end(refused(3))
    qtbot.wait_until(window.result.isVisible)
    assert "which is too few" in window.result.reason.text()
    assert not window.result.undo_button.isVisible()
    assert not window.result.export_button.isVisible()
    assert window.result.keep_button.text() == "Close"
    qtbot.mouseClick(button(window.result, "Open Learning"), Qt.MouseButton.LeftButton)
    assert window.page == "learning"


def test_a_job_that_cannot_start_says_why(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    double.learning.start_error = "Plum is already learning; wait for it to end, or stop it first."
    window.open_sheet()
    qtbot.wait_until(window.sheet.learn_button.isEnabled)
    qtbot.mouseClick(window.sheet.learn_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(window.conversation.notice.isVisible)
    assert window.conversation.notice.text() == double.learning.start_error
    assert not window.lessons.running


def interrupted() -> Run:
    return Run("lost", time.time() - 60, "interrupted", "train", "s", "default", ("a", "b"))


@pytest.mark.parametrize("pressed", ["Go on", "Not now", "Drop it"])
def test_an_interrupted_job_is_offered(
    open_window: Open, double: DoublePlum, qtbot: QtBot, pressed: str
) -> None:
    double.learning.to_resume = interrupted()
    window = open_window()
    qtbot.wait_until(window.offer.isVisible)
    assert window.offer.text().startswith("Learning from 2 chats was interrupted")
    assert double.learning.job is None
    qtbot.mouseClick(button(window.offer, pressed), Qt.MouseButton.LeftButton)
    assert not window.offer.isVisible()
    if pressed == "Go on":
        qtbot.wait_until(lambda: window.lessons.job is not None)
        assert window.lessons.job.run_id == "lost"
    elif pressed == "Drop it":
        qtbot.wait_until(lambda: double.learning.discarded == ["lost"])
    else:
        assert not window.lessons.running


def test_quitting_during_a_job_asks(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, answer: Callable[[str], str]
) -> None:
    job = begin(window, double, qtbot)
    window.close()
    assert window.isVisible()
    assert "still learning" in answer("Stay")
    qtbot.wait(20)
    assert window.isVisible()
    assert not job.left
    window.close()
    answer("Quit and go on next time")
    qtbot.wait_until(lambda: not window.isVisible())
    assert job.left
    assert not job.stopped


def test_the_end_of_the_session_asks_nothing(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    job = begin(window, double, qtbot)
    window.leave()
    assert not window.isVisible()
    assert job.left
