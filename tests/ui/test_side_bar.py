from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from plum_desktop.base.types import Chat
from plum_desktop.ui.sidebar.chat_list import ChatDelegate, ChatListModel
from plum_desktop.ui.sidebar.side_bar import SideBar
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import button
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
DAY = 86_400
CTRL = Qt.KeyboardModifier.ControlModifier


def rows(side: SideBar) -> list[str]:
    return [side.chats.index(row).data() for row in range(side.chats.rowCount())]


def ready(window: MainWindow, count: int, qtbot: QtBot) -> SideBar:
    qtbot.wait_until(lambda: window.side.chats.chat_count() == count)
    return window.side


def choose(side: SideBar, chat_id: str) -> None:
    QTest.mouseClick(
        side.list.viewport(), Qt.MouseButton.LeftButton,
        pos=side.list.visualRect(side.chats.index_of(chat_id)).center(),
    )  # fmt: skip


def act(side: SideBar, chat: Chat, text: str) -> None:
    """Choose an entry of a chat's menu."""
    menu = side.chat_actions.menu_for(chat)
    next(action for action in menu.actions() if action.text() == text).trigger()


def test_chats_are_grouped_and_opened(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    now = time.time()
    double.add_chat("Old", "Something old.", "Yes.", created=now - 9 * DAY)
    double.add_chat("Older but pinned", "Kept.", "Yes.", created=now - 20 * DAY, pinned=True)
    new = double.add_chat("New", "Something new.", "Yes.", created=now)
    window = open_window()
    side = ready(window, 3, qtbot)
    assert rows(side) == ["Pinned", "Older but pinned", "Today", "New", "Earlier", "Old"]
    choose(side, new)
    qtbot.wait_until(lambda: window.conversation.chat_id == new)
    side.list.setFocus()
    QTest.keyClick(side.list, Qt.Key.Key_Down)
    QTest.keyClick(side.list, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: window.conversation.header.title.whole() == "Old")


def test_five_thousand_chats_are_listed(qtbot: QtBot) -> None:
    now = time.time()
    chats = [Chat(f"c{n}", f"Chat number {n}", now - n * 600, now - n * 600) for n in range(5000)]
    model = ChatListModel()
    model.set_chats(chats, datetime.now().astimezone())
    assert model.chat_count() == 5000
    assert model.index_of("c4999").data() == "Chat number 4999"


def test_the_newest_are_listed_before_all_are_read(
    open_window: Open, double: DoublePlum, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [double.add_chat(f"Chat {number}") for number in range(250)]
    listed: list[int] = []
    show = ChatListModel.set_chats

    def set_chats(model: ChatListModel, chats: Sequence[Chat]) -> None:
        listed.append(len(chats))
        show(model, chats)

    monkeypatch.setattr(ChatListModel, "set_chats", set_chats)
    window = open_window()
    qtbot.wait_until(lambda: window.side.chats.chat_count() == 250)
    assert [count for count in listed if count] == [100, 250]
    assert window.side.chats.index_of(ids[0]).isValid()  # the oldest
    window.side.refresh()
    qtbot.wait_until(lambda: len(listed) > 2 and listed[-1] == 250)
    assert 100 not in listed[listed.index(250) :]


def test_of_a_long_list_only_what_is_seen_is_painted(
    open_window: Open, double: DoublePlum, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window()
    painted: list[int] = []
    paint = ChatDelegate.paint

    def count(
        delegate: ChatDelegate, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        painted.append(index.row())
        paint(delegate, painter, option, index)

    monkeypatch.setattr(ChatDelegate, "paint", count)
    now = time.time()
    chats = [Chat(f"c{n}", f"Chat number {n}", now - n * 600, now - n * 600) for n in range(5000)]
    window.side.chats.set_chats(chats)
    window.side.list.grab()
    window.side.list.scrollToBottom()
    window.side.list.grab()
    assert 10 < len(painted) < 500
    assert max(painted) > 4900


def test_renaming_in_place(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    chat_id = double.add_chat("Before", "Something.", "Yes.")
    window = open_window()
    side = ready(window, 1, qtbot)
    choose(side, chat_id)
    qtbot.wait_until(lambda: window.conversation.chat_id == chat_id)
    side.list.setFocus()
    QTest.keyClick(side.list, Qt.Key.Key_F2)
    editor = side.list.viewport().findChild(QLineEdit)
    assert editor.text() == "Before"
    QTest.keyClicks(editor, "After  all ")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: double.store.chats.get(chat_id).title == "After all")
    qtbot.wait_until(lambda: window.conversation.header.title.whole() == "After all")
    assert "After all" in rows(side)

    side.list.setFocus()
    QTest.keyClick(side.list, Qt.Key.Key_F2)
    editor = side.list.viewport().findChildren(QLineEdit)[-1]
    QTest.keyClicks(editor, "never")
    QTest.keyClick(editor, Qt.Key.Key_Escape)
    qtbot.wait(30)
    assert double.store.chats.get(chat_id).title == "After all"


def test_pin_archive_and_learning(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    one = double.add_chat("One", "Something.", "Yes.")
    two = double.add_chat("Two", "Something.", "Yes.")
    window = open_window()
    side = ready(window, 2, qtbot)
    act(side, double.store.chats.get(one), "Pin")
    qtbot.wait_until(lambda: rows(side) == ["Pinned", "One", "Today", "Two"])
    act(side, double.store.chats.get(two), "Learn from it")
    qtbot.wait_until(lambda: not double.store.chats.get(two).learn)
    qtbot.wait_until(lambda: "not learned from" in side.chats.index_of(two).data(
        Qt.ItemDataRole.AccessibleTextRole))  # fmt: skip
    act(side, double.store.chats.get(two), "Archive")
    ready(window, 1, qtbot)
    side._archive_action.trigger()
    qtbot.wait_until(lambda: rows(side) == ["Today", "Two"])
    act(side, double.store.chats.get(two), "Take out of the archive")
    qtbot.wait_until(lambda: "No archived chats" in side._empty.text())
    side._archive_action.trigger()
    ready(window, 2, qtbot)


def test_deleting_can_be_undone(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    one = double.add_chat("One", "Something.", "Yes.")
    double.add_chat("Two", "Something.", "Yes.")
    window = open_window()
    side = ready(window, 2, qtbot)
    choose(side, one)
    qtbot.wait_until(lambda: window.conversation.chat_id == one)
    side.list.setFocus()
    QTest.keyClick(side.list, Qt.Key.Key_Delete)
    assert rows(side) == ["Today", "Two"]
    assert window.conversation.chat_id is None
    assert side._undo.text() == "Deleted “One”."
    qtbot.mouseClick(button(side, "Undo"), Qt.MouseButton.LeftButton)
    assert "One" in rows(side)
    qtbot.wait_until(lambda: window.conversation.chat_id == one)
    assert double.store.chats.get(one)


def test_a_delete_is_done_when_the_bar_goes(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    ids = [double.add_chat(title, "Something.", "Yes.") for title in ("One", "Two", "Three")]
    double.add_lesson([ids[2]])
    window = open_window()
    side = ready(window, 3, qtbot)
    qtbot.wait_until(lambda: side.chat_actions.remembered(ids[2]))
    side.chat_actions.delete(double.store.chats.get(ids[0]))
    side.chat_actions.delete(double.store.chats.get(ids[1]))  # the first is gone for good now
    qtbot.wait_until(lambda: len(double.store.chats.list()) == 2)
    side._undo.time.setInterval(20)
    side._undo.time.start()
    qtbot.wait_until(lambda: len(double.store.chats.list()) == 1)
    assert not side._undo.isVisible()
    side.chat_actions.delete(double.store.chats.get(ids[2]))
    assert "What was learned from it stays in memory." in side._undo.text()
    window.close()
    assert double.store.chats.list() == []


def test_search_leads_to_the_message(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    filler = [f"Filler number {n}." for n in range(120)]
    long = double.add_chat("Garden", *filler, "The gophers ate my tulips.", "Oh no.", *filler)
    double.add_chat("About gophers", "Something else.", "Yes.")
    window = open_window()
    ready(window, 2, qtbot)
    QTest.keyClick(window, Qt.Key.Key_K, CTRL)
    assert window.side.search.hasFocus()
    QTest.keyClicks(window.side.search, "gophe")
    qtbot.wait_until(lambda: window.side.hits.rowCount() == 2)
    hits = window.side.hits
    assert [hits.index(row).data() for row in range(2)] == ["About gophers", "Garden"]
    spoken = hits.index(1).data(Qt.ItemDataRole.AccessibleTextRole)
    assert "The gophers ate my tulips." in spoken
    window.side.hit_list.grab()
    QTest.keyClick(window.side.search, Qt.Key.Key_Down)
    assert window.side.hit_list.hasFocus()
    QTest.keyClick(window.side.hit_list, Qt.Key.Key_Down)
    QTest.keyClick(window.side.hit_list, Qt.Key.Key_Return)
    chat = window.conversation
    qtbot.wait_until(lambda: chat.chat_id == long and chat.turns.rowCount() == 242)
    row = next(n for n, t in enumerate(chat.turns.turns()) if "gophers" in t.text)
    qtbot.wait_until(lambda: chat.list.view_of(row) is not None)
    qtbot.wait_until(lambda: chat.list.view_of(row).y() == 16)
    window.side.search.setFocus()
    QTest.keyClick(window.side.search, Qt.Key.Key_Escape)
    assert window.side.search.text() == ""
    qtbot.wait_until(lambda: window.side._lists.currentWidget() is window.side.list)


def test_search_that_finds_nothing_says_what_to_do(window: MainWindow, qtbot: QtBot) -> None:
    QTest.keyClicks(window.side.search, '"unbalanced (')
    qtbot.wait_until(lambda: "Nothing found for" in window.side._empty.text())
    assert "Try fewer words" in window.side._empty.text()


def test_a_hit_on_another_branch_shows_that_branch(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "What should I pack?", "An umbrella.")
    first = double.store.chats.branch(chat_id)
    double.store.chats.add_message(
        chat_id, "assistant", "Sandals.", parent_id=first[0].id, finish_reason="stop"
    )
    window = open_window()
    ready(window, 1, qtbot)
    QTest.keyClicks(window.side.search, "umbrella")
    qtbot.wait_until(lambda: window.side.hits.rowCount() == 1)
    QTest.keyClick(window.side.search, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: window.conversation.turns.rowCount() == 2)
    assert window.conversation.turns.last().text == "An umbrella."


def test_the_side_bar_narrows_and_hides(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    double.add_chat("One", "Something.", "Yes.")
    window = open_window()
    assert window.side.mode == "full"
    assert not window.conversation.header.side.isVisible()
    window.resize(700, 700)
    assert window.side.mode == "rail"
    assert not window.side.list.isVisible()
    assert window.side.page_buttons["memory"].isVisible()
    assert window.side.page_buttons["memory"].accessibleName() == "Memory"
    window.resize(500, 700)
    assert not window.side.isVisible()
    qtbot.mouseClick(window.conversation.header.side, Qt.MouseButton.LeftButton)
    assert window.side.list.isVisible()
    window.resize(1100, 700)
    assert window.side.mode == "full"
    QTest.keyClick(window, Qt.Key.Key_B, CTRL)
    assert window.side.mode == "rail"
    window.resize(1000, 700)
    assert window.side.mode == "rail"  # as the reader wants it


def test_what_another_process_does_is_shown(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("One", "Something.", "Yes.")
    window = open_window()
    ready(window, 1, qtbot)
    window.open_chat(chat_id)
    qtbot.wait_until(lambda: window.conversation.turns.rowCount() == 2)
    double.add_chat("Two", "Something.", "Yes.")
    double.store.chats.add_message(chat_id, "user", "From a terminal")
    window.bridge.store_changed.emit()
    ready(window, 2, qtbot)
    qtbot.wait_until(lambda: window.conversation.turns.rowCount() == 3)
