from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from plum_desktop.base.errors import PlumError
from plum_desktop.ui.learning.compare_page import ComparePage
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import button
from tests.ui.double import DoublePlum, done

Open = Callable[[], MainWindow]
KEYS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def window(open_window: Open, double: DoublePlum) -> MainWindow:
    double.models.fits_in_memory = lambda path: True  # type: ignore[method-assign]
    double.add_lesson([double.add_chat("Ines", "My sister lives in Bergen.", "Nice.")])
    return open_window()


def compare(window: MainWindow, qtbot: QtBot, question: str) -> ComparePage:
    QTest.keyClick(window, Qt.Key.Key_K, KEYS)
    assert window.page == "compare"
    assert window.compare.question.hasFocus()
    QTest.keyClicks(window.compare.question, question)
    QTest.keyClick(window.compare.question, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: bool(window.compare.cards))
    return window.compare


def test_three_answers_side_by_side(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    double.engine.replies = [
        "Yes, she lives in Bergen.", "Yes, she lives in <b>Bergen</b>.", "No, I cannot know.",
    ]  # fmt: skip
    page = compare(window, qtbot, "Where does my sister live?")
    qtbot.wait_until(lambda: not page.busy)
    assert [card.title for card in page.cards] == [
        "With memory", "With memory, and looking things up", "Without memory",
    ]  # fmt: skip
    assert [card.text for card in page.cards] == [
        "Yes, she lives in Bergen.", "Yes, she lives in <b>Bergen</b>.", "No, I cannot know.",
    ]  # fmt: skip
    assert page.cards[0].note.text() == "Says the same as the others."
    marked = page.cards[1]._answer.text()
    assert "&lt;b&gt;" in marked
    assert "<span" in marked
    assert page.cards[1].note.text() == "2 parts differ."
    ways = ["merged", "hybrid", "off"]
    qtbot.wait_until(lambda: double.serving.memories[-4:] == [*ways, None])  # what serves, again
    assert all(asked[-1]["content"].startswith("Where") for asked in (
        double.engine.asked[0], double.engine.asked[-1]))  # fmt: skip
    assert page.cards[2].note.text() == "Has next to nothing in common with the others."
    assert "<span" not in page.cards[2]._answer.text()
    page.grab()
    assert len(double.store.chats.list()) == 1, "a comparison became a chat"


def test_it_is_stopped_by_key_and_by_button(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    double.engine.go.clear()
    double.engine.words_before_hold = 2
    page = compare(window, qtbot, "Where?")
    qtbot.wait_until(lambda: page.cards[0].text != "")
    assert page.ask_button.text() == "Stop"
    QTest.keyClick(window, Qt.Key.Key_Escape)
    qtbot.wait_until(lambda: not page.busy)
    assert [card.note.text() for card in page.cards] == ["Stopped."] * 3
    QTest.keyClick(page.question, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: page.busy)
    qtbot.mouseClick(page.ask_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: not page.busy)
    double.engine.go.set()
    QTest.keyClick(page.question, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: not page.busy and page.cards[2].text != "")


def test_a_chat_is_answered_between_two_answers(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    double.engine.go.clear()
    page = compare(window, qtbot, "Where?")
    qtbot.wait_until(lambda: len(double.engine.asked) == 1)
    window.new_chat()
    window.conversation.composer.set_text("Still there?")
    window.conversation.composer._on_entered()
    qtbot.wait_until(lambda: window.conversation.busy)
    qtbot.wait_until(lambda: double.store.count_messages() == 2)  # the question, and its reply
    qtbot.wait(300)  # from here to the engine's door
    double.engine.go.set()
    qtbot.wait_until(lambda: not page.busy and not window.conversation.busy)
    asked = [messages[-1]["content"] for messages in double.engine.asked]
    assert sorted(asked) == ["Still there?", "Where?", "Where?", "Where?"]
    assert asked[-1] == "Where?", "the chat had to wait for all of them"


def test_a_failure_is_a_sentence_on_the_page(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    double.engine.replies = [PlumError("The model file is gone; choose another one.")]
    page = compare(window, qtbot, "Where?")
    qtbot.wait_until(page.notice.isVisible)
    assert page.notice.text() == "The model file is gone; choose another one."
    assert not page.busy


def test_with_nothing_learned_it_says_so(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    page = compare(open_window(), qtbot, "Where?")
    qtbot.wait_until(lambda: not page.busy)
    assert [card.title for card in page.cards] == ["Without memory", "Looking things up"]
    assert page.notice.text().startswith("Nothing has been learned yet")
    assert [card.note.text() for card in page.cards] == ["Says the same as the others."] * 2


def test_it_is_reached_from_a_chat_the_card_and_the_page(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    window.open_chat(double.store.chats.list()[0].id)
    qtbot.wait_until(lambda: window.conversation.turns.rowCount() == 2)
    window.open_compare()
    assert window.compare.question.text() == "My sister lives in Bergen."
    qtbot.mouseClick(button(window.compare, "Back"), Qt.MouseButton.LeftButton)
    assert window.page == "learning"
    qtbot.wait_until(window.learning.details.compare_button.isVisible)
    qtbot.mouseClick(window.learning.details.compare_button, Qt.MouseButton.LeftButton)
    assert window.page == "compare"
    window.show_page("chat")
    [adapter] = double.adapters.list()
    window._on_learning_ended(done(adapter, 1))
    qtbot.mouseClick(window.result.compare_button, Qt.MouseButton.LeftButton)
    assert window.page == "compare"
    assert not window.result.isVisible()


def test_closing_the_window_ends_it(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    double.engine.go.clear()
    page = compare(window, qtbot, "Where?")
    qtbot.wait_until(lambda: len(double.engine.asked) == 1)
    window.leave()
    assert page._stopper is not None
    assert page._stopper.cancelled
