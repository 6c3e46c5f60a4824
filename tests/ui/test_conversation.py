from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from plum_desktop.base.errors import DiskFull, PlumError
from plum_desktop.base.types import Chat, Message
from plum_desktop.ui.chat.code_block import Code
from plum_desktop.ui.chat.conversation import Conversation
from plum_desktop.ui.chat.prose import Prose
from plum_desktop.ui.chat.turn_view import TurnView
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import button
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def field(window: MainWindow) -> QWidget:
    found = window.conversation.composer._field
    assert found
    return found


def say(window: MainWindow, text: str) -> None:
    """Type a message and press Enter."""
    QTest.keyClicks(field(window), text)
    QTest.keyClick(field(window), Qt.Key.Key_Return)


def shown(chat: Conversation) -> list[tuple[str, str, str]]:
    return [(turn.role, turn.text, turn.state) for turn in chat.turns.turns()]


def settled(chat: Conversation) -> bool:
    last = chat.turns.last()
    return not chat.busy and last is not None and bool(last.id) and last.state != "writing"


def opened(window: MainWindow, chat_id: str, qtbot: QtBot) -> Conversation:
    window.open_chat(chat_id)
    chat = window.conversation
    qtbot.wait_until(lambda: chat.chat_id == chat_id and chat.turns.rowCount() > 0)
    qtbot.wait(20)
    return chat


def view(chat: Conversation, row: int) -> TurnView:
    found = chat.list.view_of(row)
    assert found
    return found


def test_the_first_message_makes_a_chat_and_is_answered(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    chat = window.conversation
    assert double.store.chats.list() == []
    assert field(window).hasFocus()
    say(window, "What should I pack for Porto?")
    qtbot.wait_until(lambda: settled(chat))
    assert shown(chat) == [
        ("user", "What should I pack for Porto?", "said"),
        ("assistant", double.engine.default, "said"),
    ]
    [stored] = double.store.chats.list()
    assert stored.title == "What should I pack for Porto?"
    assert [m.text for m in double.store.chats.branch(stored.id)] == [t[1] for t in shown(chat)]
    qtbot.wait_until(lambda: window.side.chats.chat_count() == 1)
    assert chat.header.title.whole() == stored.title
    assert chat.composer.text() == ""
    assert window.side.chats.chat_at(window.side.list.currentIndex()).id == stored.id
    assert double.serving.memories == [None]


def test_the_reply_is_seen_while_it_grows_and_escape_stops_it(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    chat = window.conversation
    double.engine.replies = ["one two three four"]
    double.engine.words_before_hold = 2
    double.engine.go.clear()
    say(window, "Count for me please")
    qtbot.wait_until(lambda: shown(chat)[-1] == ("assistant", "one two", "writing"))
    prose = view(chat, 1).findChildren(Prose)[0]
    qtbot.wait_until(lambda: prose.toPlainText() == "one two")
    assert view(chat, 0).turn.text == "Count for me please"
    assert button_named(chat, "Stop").isEnabled()
    QTest.keyClick(field(window), Qt.Key.Key_Escape)
    qtbot.wait_until(lambda: settled(chat))
    assert shown(chat)[-1] == ("assistant", "one two", "stopped")
    assert "Stopped." in texts(view(chat, 1))
    [stored] = double.store.chats.list()
    assert double.store.chats.branch(stored.id)[-1].finish_reason == "cancelled"


def button_named(parent: QWidget, name: str) -> QWidget:
    found = [
        each for each in parent.findChildren(QWidget)
        if each.accessibleName() == name and each.isVisible()
    ]  # fmt: skip
    assert len(found) == 1, f"{len(found)} are called {name!r}"
    return found[0]


def texts(parent: QWidget) -> list[str]:
    return [each.text() for each in parent.findChildren(QWidget) if hasattr(each, "text")]


def test_shift_enter_starts_a_line_and_the_composer_grows(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    before = window.conversation.composer.height()
    for line in "abcdef":
        QTest.keyClicks(field(window), line)
        QTest.keyClick(field(window), Qt.Key.Key_Return, SHIFT)
    assert window.conversation.composer.text() == "a\nb\nc\nd\ne\nf\n"
    qtbot.wait_until(lambda: window.conversation.composer.height() > before + 60)
    assert double.engine.asked == []
    for _ in range(30):
        QTest.keyClick(field(window), Qt.Key.Key_Return, SHIFT)
    qtbot.wait(10)
    assert field(window).height() < 220


def test_nothing_is_sent_but_blanks(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    say(window, "   ")
    assert not button_named(window.conversation.composer, "Send").isEnabled()
    assert window.conversation.turns.rowCount() == 0


def test_again_answers_anew_and_one_can_walk_between(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "What should I pack?", "A bag.")
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    double.engine.replies = ["Two bags."]
    qtbot.mouseClick(button_named(view(chat, 1), "Answer again"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: settled(chat) and shown(chat)[-1][1] == "Two bags.")
    qtbot.wait_until(lambda: chat.turns.last().place == (2, 2))
    assert "2/2" in texts(view(chat, 1))
    assert "What should I pack?" in double.engine.asked[0][-1]["content"]
    assert chat.composer.isAncestorOf(window.focusWidget())

    qtbot.mouseClick(button_named(view(chat, 1), "Older version"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: shown(chat)[-1][1] == "A bag.")
    qtbot.wait_until(lambda: chat.turns.last().place == (1, 2))
    assert double.store.chats.branch(chat_id)[-1].text == "A bag."
    QTest.keyClick(field(window), Qt.Key.Key_BracketRight, CTRL)
    qtbot.wait_until(lambda: shown(chat)[-1][1] == "Two bags.")
    QTest.keyClick(field(window), Qt.Key.Key_BracketLeft, CTRL)
    qtbot.wait_until(lambda: shown(chat)[-1][1] == "A bag.")


def test_editing_the_last_message_makes_a_branch(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "First thing", "Yes.", "Second thing", "No.")
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    QTest.keyClick(field(window), Qt.Key.Key_Up, CTRL)
    assert chat.composer.editing
    assert chat.composer.text() == "Second thing"
    QTest.keyClick(field(window), Qt.Key.Key_Escape)
    assert not chat.composer.editing
    assert chat.composer.text() == ""

    QTest.keyClick(field(window), Qt.Key.Key_Up, CTRL)
    double.engine.replies = ["Third."]
    say(window, " again")
    qtbot.wait_until(lambda: settled(chat) and shown(chat)[-1][1] == "Third.")
    assert [text for _, text, _ in shown(chat)] == [
        "First thing", "Yes.", "Second thing again", "Third.",
    ]  # fmt: skip
    qtbot.wait_until(lambda: chat.turns.turn(2).place == (2, 2))
    assert len(double.store.chats.tree(chat_id)) == 6


def test_a_failure_stands_in_its_place_with_one_button(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    chat = window.conversation
    double.engine.replies = [PlumError("There is not enough memory for this model."), "Better."]
    say(window, "What should I pack?")
    qtbot.wait_until(lambda: settled(chat))
    assert shown(chat)[-1] == ("assistant", "", "failed")
    assert "There is not enough memory for this model." in texts(view(chat, 1))
    assert not chat.notice.isVisible()
    qtbot.mouseClick(button(view(chat, 1), "Try again"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: settled(chat) and shown(chat)[-1][1] == "Better.")
    assert [text for _, text, _ in shown(chat)] == ["What should I pack?", "Better."]


def test_what_could_not_be_stored_comes_back_to_the_composer(
    open_window: Open, double: DoublePlum, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_id = double.add_chat("Porto", "First thing", "Yes.")
    window = open_window()
    chat = opened(window, chat_id, qtbot)

    def full(*_: object, **__: object) -> None:
        raise DiskFull("The disk is full; free some space and try again.")

    monkeypatch.setattr(double.chats, "send", full)
    say(window, "Second thing")
    qtbot.wait_until(lambda: chat.notice.isVisible())
    assert chat.notice.text() == "The disk is full; free some space and try again."
    assert chat.composer.text() == "Second thing"
    assert [text for _, text, _ in shown(chat)] == ["First thing", "Yes."]


def test_a_new_chat_that_cannot_be_stored_gives_the_words_back(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise DiskFull("The disk is full; free some space and try again.")

    monkeypatch.setattr(double.store.chats, "create", full)
    say(window, "First thing")
    chat = window.conversation
    qtbot.wait_until(lambda: chat.notice.isVisible())
    assert chat.composer.text() == "First thing"
    assert chat.turns.rowCount() == 0
    assert not chat.busy


def test_the_memory_switch_is_honest(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    chat_id = double.add_chat("Porto", "What should I pack?", "A bag.")
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    switch = chat.header.memory
    assert (switch.text(), chat.composer.property("memory")) == ("Memory on", "on")
    qtbot.mouseClick(switch, Qt.MouseButton.LeftButton)
    assert (switch.text(), chat.composer.property("memory")) == ("Memory off", "off")
    qtbot.wait_until(lambda: not double.store.chats.get(chat_id).memory)
    say(window, "And shoes?")
    qtbot.wait_until(lambda: settled(chat) and chat.turns.rowCount() == 4)
    assert double.serving.memories[-1] == "off"
    switch.setFocus()
    QTest.keyClick(switch, Qt.Key.Key_Space)
    qtbot.wait_until(lambda: double.store.chats.get(chat_id).memory)


def test_memory_off_before_the_first_message_goes_with_the_new_chat(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    qtbot.mouseClick(window.conversation.header.memory, Qt.MouseButton.LeftButton)
    say(window, "Hello there")
    qtbot.wait_until(lambda: settled(window.conversation))
    assert [chat.memory for chat in double.store.chats.list()] == [False]
    assert double.serving.memories == ["off"]


def test_a_temporary_chat_leaves_nothing_behind(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    chat = window.conversation
    QTest.keyClick(field(window), Qt.Key.Key_T, CTRL | SHIFT)
    assert chat.composer.property("memory") == "temporary"
    say(window, "A secret thing")
    qtbot.wait_until(lambda: settled(chat) and shown(chat)[-1][1] == double.engine.default)
    double.engine.replies = ["Second reply."]
    say(window, "And another")
    qtbot.wait_until(lambda: settled(chat) and shown(chat)[-1][1] == "Second reply.")
    assert [m["content"] for m in double.engine.asked[-1]] == [
        "A secret thing", double.engine.default, "And another",
    ]  # fmt: skip
    double.engine.replies = ["Third reply."]
    qtbot.mouseClick(button_named(view(chat, 3), "Answer again"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: settled(chat) and shown(chat)[-1][1] == "Third reply.")
    QTest.keyClick(field(window), Qt.Key.Key_Up, CTRL)
    double.engine.replies = ["Fourth reply."]
    say(window, " more")
    qtbot.wait_until(lambda: settled(chat) and shown(chat)[-1][1] == "Fourth reply.")
    assert [text for _, text, _ in shown(chat)] == [
        "A secret thing", double.engine.default, "And another more", "Fourth reply.",
    ]  # fmt: skip
    assert double.store.chats.list() == []
    window.new_chat()
    assert chat.turns.rowCount() == 0
    assert chat.composer.text() == ""
    assert double.store.search("secret") == []


def test_a_stopped_temporary_reply_says_so(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    chat = window.conversation
    window.new_temporary()
    double.engine.words_before_hold = 1
    double.engine.go.clear()
    double.engine.replies = ["one two"]
    say(window, "Count please")
    qtbot.wait_until(lambda: shown(chat)[-1][1] == "one")
    QTest.keyClick(field(window), Qt.Key.Key_Escape)
    qtbot.wait_until(lambda: settled(chat))
    assert shown(chat)[-1] == ("assistant", "one", "stopped")


def test_the_reader_may_look_elsewhere_while_plum_answers(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    one = double.add_chat("Porto", "What should I pack?", "A bag.")
    two = double.add_chat("Bread", "How long does it rest?", "An hour.")
    window = open_window()
    chat = opened(window, one, qtbot)
    double.engine.words_before_hold = 1
    double.engine.go.clear()
    double.engine.replies = ["Boots too."]
    say(window, "And for walking?")
    qtbot.wait_until(lambda: shown(chat)[-1][1] == "Boots")
    QTest.keyClicks(field(window), "a draft")
    opened(window, two, qtbot)
    assert [text for _, text, _ in shown(chat)] == ["How long does it rest?", "An hour."]
    assert "Plum is still answering in another chat." in texts(chat)
    assert chat.composer.text() == ""
    QTest.keyClick(field(window), Qt.Key.Key_Return)
    assert chat.turns.rowCount() == 2
    opened(window, one, qtbot)
    assert shown(chat)[-1] == ("assistant", "Boots", "writing")
    assert chat.composer.text() == "a draft"
    double.engine.go.set()
    qtbot.wait_until(lambda: settled(chat))
    assert shown(chat)[-1] == ("assistant", "Boots too.", "said")


def test_a_finished_reply_elsewhere_leaves_this_chat_alone(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    one = double.add_chat("Porto", "What should I pack?", "A bag.")
    two = double.add_chat("Bread", "How long does it rest?", "An hour.")
    window = open_window()
    chat = opened(window, one, qtbot)
    double.engine.words_before_hold = 0
    double.engine.go.clear()
    say(window, "And for walking?")
    qtbot.wait_until(lambda: bool(double.engine.asked))
    opened(window, two, qtbot)
    double.engine.go.set()
    qtbot.wait_until(lambda: not chat.busy)
    qtbot.wait(30)
    assert [text for _, text, _ in shown(chat)] == ["How long does it rest?", "An hour."]
    assert double.store.chats.branch(one)[-1].text == double.engine.default


def test_links_ask_before_they_open(
    open_window: Open, double: DoublePlum, qtbot: QtBot, answer: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    went: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: went.append(url.toString()))
    chat_id = double.add_chat("Links", "Where to read more?", "See [tips](https://example.org/a).")
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    prose = view(chat, 1).findChildren(Prose)[0]
    prose.setFocus()
    cursor = prose.document().find("tips")
    spot = prose.cursorRect(cursor).center()
    spot.setX(spot.x() - 8)
    QTest.mouseClick(prose.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    assert "https://example.org/a" in answer("Cancel")
    assert went == []
    QTest.mouseClick(prose.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    answer("Open")
    qtbot.wait_until(lambda: went == ["https://example.org/a"])


def test_copying(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    reply = "Use **this**:\n\n```python\nx = 1\n```"
    chat_id = double.add_chat("Code", "How do I set x to one?", reply)
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    turn = view(chat, 1)
    qtbot.mouseClick(button_named(turn, "Copy"), Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == reply
    code = turn.findChildren(Code)[0]
    qtbot.mouseClick(button_named(code, "Copy code"), Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "x = 1"


def test_old_turns_show_their_actions_under_the_pointer(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Code", "First thing", "Yes.", "Second thing", "No.")
    chat = opened(open_window(), chat_id, qtbot)
    turn = view(chat, 0)
    copies = [w for w in turn.findChildren(QWidget) if w.accessibleName() == "Copy"]
    assert not copies[0].isVisible()
    turn.setFocus(Qt.FocusReason.TabFocusReason)
    assert copies[0].isVisible()
    assert turn.accessibleName() == "You: First thing"


def test_the_welcome_says_what_to_do(window: MainWindow, qtbot: QtBot) -> None:
    chat = window.conversation
    qtbot.wait_until(lambda: "A private assistant that remembers" in texts(chat.welcome))
    said = " ".join(texts(chat.welcome)).replace("\u200b", "")
    assert str(window.plum.folder.root) in said
    assert "SmolLM2-135M-Instruct is ready" in said
    qtbot.mouseClick(button(chat.welcome, "Other models"), Qt.MouseButton.LeftButton)
    assert window.page == "models"


def test_ten_thousand_messages_open_at_once(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    messages = [
        Message(
            f"m{n}", "long", f"m{n - 1}" if n else None, "assistant" if n % 2 else "user",
            f"Message number {n} of a very long chat.", 1.0 + n,
        )
        for n in range(10_000)
    ]  # fmt: skip
    double.store.chats.add_conversation(Chat("long", "Long", 1.0, 1.0), messages)
    window = open_window()
    chat = opened(window, "long", qtbot)
    assert chat.turns.rowCount() == 10_000
    assert len(chat.list.findChildren(TurnView)) < 80


def test_a_deleted_chat_is_left_and_its_reply_stopped(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "What should I pack?", "A bag.")
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    double.engine.go.clear()
    say(window, "And shoes?")
    qtbot.wait_until(lambda: bool(double.engine.asked))
    window.side.chat_actions.delete(double.store.chats.get(chat_id))
    qtbot.wait_until(lambda: not chat.busy)
    assert chat.chat_id is None
    assert chat.turns.rowCount() == 0
    assert double.store.chats.branch(chat_id)[-1].finish_reason == "cancelled"


def test_loading_a_model_is_told_and_over(window: MainWindow, qtbot: QtBot) -> None:
    chat = window.conversation
    window.bridge.engine_progressed.emit(0.43, "loading")
    assert "Loading the model, 43%" in texts(chat)
    chat.replies.set_loaded()
    assert "Loading the model, 43%" not in texts(chat)
