from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from plum_desktop.ui.base.controls import IconButton
from plum_desktop.ui.chat.turn_view import TurnView
from plum_desktop.ui.memory.memory_page import MemoryPage
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import button
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
Answer = Callable[[str], str]


@pytest.fixture
def window(open_window: Open, double: DoublePlum, qtbot: QtBot) -> MainWindow:
    porto = double.add_chat("Porto", "What to pack?", "A bag.")
    double.add_facts(porto, "I travel with one bag.", "I hate wet shoes.")
    bread = double.add_chat("Bread", "How long?", "An hour.")
    double.add_facts(bread, "My dough rests for an hour.", state="weak")
    opened = open_window()
    opened.show_page("memory")
    qtbot.wait_until(lambda: opened.memory.taught.rowCount() == 2)
    return opened


def page(window: MainWindow) -> MemoryPage:
    return window.memory


def shown(window: MainWindow) -> list[str]:
    model = window.memory.fact_model
    return [model.index(row).data() for row in range(model.rowCount())]


def choose(window: MainWindow, qtbot: QtBot, title: str, row: int = 0) -> None:
    model = window.memory.taught
    titles = [model.index(at).data() for at in range(model.rowCount())]
    window.memory.chats.setCurrentIndex(model.index(titles.index(title)))
    window.memory.facts.setCurrentIndex(window.memory.fact_model.index(row))


def test_a_fact_of_ones_own_is_added(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    editor = page(window).editor
    qtbot.mouseClick(page(window).add_button, Qt.MouseButton.LeftButton)
    assert editor.text.hasFocus()
    assert not editor.save_button.isEnabled()
    QTest.keyClicks(editor.text, "Hi")
    QTest.keyClick(editor.text, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: "too short" in editor.note.text())
    editor.text.clear()
    QTest.keyClicks(editor.text, "my sister lives in Bergen.")
    QTest.keyClick(editor.text, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: shown(window) == ["Your sister lives in Bergen."])
    assert not editor.isVisible()
    assert "The next run learns it" in page(window).notice.text()
    assert page(window)._title.text() == "What you told Plum"
    assert not page(window)._open.isVisible()
    [told] = double.store.facts.of_chat(None)
    assert told.state == "waiting"
    page(window).grab()


def test_the_first_fact_is_added_to_an_empty_page(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    window = open_window()
    window.show_page("memory")
    qtbot.mouseClick(window.memory.add_button, Qt.MouseButton.LeftButton)
    QTest.keyClicks(window.memory.editor.text, "My desk stands at the window.")
    qtbot.mouseClick(window.memory.editor.save_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: shown(window) == ["Your desk stands at the window."])


def test_other_words_for_what_a_chat_says(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    choose(window, qtbot, "Bread")
    qtbot.mouseClick(page(window).edit_button, Qt.MouseButton.LeftButton)
    editor = page(window).editor
    assert editor.text.text() == "My dough rests for an hour."
    assert "left out from now on" in editor.note.text()
    editor.text.setText("My dough rests for two hours.")
    QTest.keyClick(editor.text, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: shown(window) == ["Your dough rests for two hours."])
    states = {fact.subject: fact.state for fact in double.store.facts.list()}
    assert states["My dough rests for an hour."] == "excluded"
    assert states["My dough rests for two hours."] == "waiting"


def test_escape_leaves_the_editor(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    choose(window, qtbot, "Bread")
    page(window)._on_edit()
    QTest.keyClick(page(window).editor.text, Qt.Key.Key_Escape)
    assert not page(window).editor.isVisible()
    assert page(window).facts.hasFocus()


def test_forgetting_ones_own_and_a_chats(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    double.memory.add("My desk stands at the window.")
    page(window).refresh()
    qtbot.wait_until(lambda: page(window).taught.rowCount() == 3)
    choose(window, qtbot, "What you told Plum")
    qtbot.mouseClick(page(window).forget_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: page(window).taught.rowCount() == 2)
    assert page(window).focusWidget() is page(window).facts, "the next key would press a button"
    assert double.store.facts.of_chat(None) == []
    choose(window, qtbot, "Bread")
    qtbot.mouseClick(page(window).forget_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(
        lambda: (
            [f.subject for f in double.store.facts.list(state="excluded")]
            == ["My dough rests for an hour."]
        )
    )
    choose(window, qtbot, "Bread")
    qtbot.wait_until(lambda: "(excluded)" in page(window).fact_model.index(0).data(
        Qt.ItemDataRole.AccessibleTextRole))  # fmt: skip
    choose(window, qtbot, "Bread")
    assert not page(window).forget_button.isEnabled()


def test_search_and_state_narrow_the_facts(window: MainWindow, qtbot: QtBot) -> None:
    page(window).search.setText("shoes")
    assert shown(window) == ["I hate wet shoes."]
    page(window).search.setText("porto")
    assert len(shown(window)) == 2
    page(window).search.clear()
    page(window).state.setCurrentIndex(page(window).state.findData("weak"))
    assert shown(window) == ["My dough rests for an hour."]
    page(window).state.setCurrentIndex(page(window).state.findData("waiting"))
    assert shown(window) == []
    assert page(window)._count.text() == "Nothing found."


def test_forgetting_everything_asks(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, answer: Answer
) -> None:
    double.add_lesson([chat.id for chat in double.store.chats.list()])
    qtbot.mouseClick(page(window).everything_button, Qt.MouseButton.LeftButton)
    answer("Cancel")
    assert double.adapters.active() is not None
    qtbot.mouseClick(page(window).everything_button, Qt.MouseButton.LeftButton)
    assert "Your chats stay" in answer("Forget everything")
    qtbot.wait_until(lambda: double.adapters.active() is None and not double.store.facts.list())
    qtbot.wait_until(lambda: page(window).taught.is_empty())
    assert len(double.store.chats.list()) == 2


def test_why_an_answer_says_so(window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.wait_signal(window.why.chat_chosen) as chosen:
        window.why.ask("What about my shoes?", "You hate wet shoes.", QPoint(5000, 5000))
        qtbot.wait_until(window.why.isVisible)
        frame = 2  # which the offscreen platform draws round everything
        area = window.screen().availableGeometry().adjusted(-frame, -frame, frame, frame)
        assert area.contains(window.why.geometry())
        assert window.why.accessibleDescription() == "I hate wet shoes."
        window.why.grab()
        qtbot.mouseClick(button(window.why, "Open"), Qt.MouseButton.LeftButton)
    assert window.page == "chat"
    qtbot.wait_until(lambda: window.conversation.chat_id == chosen.args[0])
    window.why.ask("What is a kite?", "A toy that flies.", QPoint(10, 10))
    qtbot.wait_until(window.why.isVisible)
    assert window.why.accessibleName().startswith("Nothing that was learned is near")
    window.why.hide()


def test_an_answer_in_a_chat_leads_to_memories(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    chat = window.conversation
    window.open_chat(next(each.id for each in double.store.chats.list() if each.title == "Porto"))
    qtbot.wait_until(lambda: chat.list.live_views() == 2)
    mine, theirs = (chat.list.view_of(row) for row in (0, 1))
    assert mine
    assert theirs
    assert not any(each.isVisible() for each in why_buttons(mine))
    (opens,) = why_buttons(theirs)
    assert opens.isVisible()
    qtbot.mouseClick(opens, Qt.MouseButton.LeftButton)
    qtbot.wait_until(window.why.isVisible)
    assert window.why.accessibleDescription() == "I travel with one bag."
    window.why.hide()


def test_a_temporary_answer_leads_to_none(window: MainWindow, qtbot: QtBot) -> None:
    window.new_temporary()
    chat = window.conversation
    chat.composer.sent.emit("What to pack?")
    qtbot.wait_until(lambda: not chat.busy and chat.list.live_views() == 2)
    view = chat.list.view_of(1)
    assert view
    assert not any(each.isVisible() for each in why_buttons(view))


def why_buttons(view: TurnView) -> list[IconButton]:
    return [
        each for each in view.findChildren(IconButton)
        if each.accessibleName() == "Memories near this answer"
    ]  # fmt: skip
