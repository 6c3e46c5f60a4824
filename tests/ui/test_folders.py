"""Folders in the side bar, several chats chosen at once, and the way back from both."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu
from pytestqt.qtbot import QtBot

from plum_desktop.base.types import Chat
from plum_desktop.ui.sidebar.chat_list import CHATS_MIME, ChatListModel
from plum_desktop.ui.sidebar.side_bar import SideBar
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import button
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
KEY = Qt.Key
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
NONE = Qt.KeyboardModifier.NoModifier


def rows(side: SideBar) -> list[str]:
    return [side.chats.index(row).data() for row in range(side.chats.rowCount())]


def press(menu: QMenu, *path: str) -> None:
    *inner, text = path
    for name in inner:
        menu = next(a for a in menu.actions() if a.text() == name).menu()
    next(action for action in menu.actions() if action.text() == text).trigger()


def click(side: SideBar, index, modifiers=NONE) -> None:
    QTest.mouseClick(
        side.list.viewport(), Qt.MouseButton.LeftButton, modifiers,
        side.list.visualRect(index).center(),
    )  # fmt: skip


def state(double: DoublePlum) -> dict[str, tuple[Chat, list]]:
    """Everything that is stored of every chat."""
    chats = double.store.chats
    return {chat.id: (chat, chats.tree(chat.id)) for chat in chats.list(archived=None)}


@pytest.fixture
def ids(double: DoublePlum) -> dict[str, str]:
    now = time.time()
    made = {}
    for at, (title, folder) in enumerate(
        [("Ann", "Work/Clients"), ("Ben", "Work/Clients"), ("Numbers", "Work"), ("Loose", None)]
    ):
        made[title] = double.add_chat(title, "Something.", "Yes.", created=now - at, folder=folder)
    return made


@pytest.fixture
def side(open_window: Open, ids: dict[str, str], qtbot: QtBot) -> SideBar:
    window = open_window()
    qtbot.wait_until(lambda: window.side.chats.chat_count() == len(ids))
    return window.side


def test_folders_nest_between_the_days_and_what_is_earlier(qtbot: QtBot) -> None:
    now = time.time()
    model = ChatListModel()

    def chat(title: str, folder: str | None = None, days: float = 0, **more: bool) -> Chat:
        when = now - days * 86_400
        return Chat(title, title, when, when, folder, **more)

    model.set_chats(
        [
            chat("pin", "b/y", pinned=True), chat("new"), chat("in y", "b/y"), chat("in b", "b", 9),
            chat("in A", "A", 30), chat("old", days=9), chat("deep", "c/d/e"),
        ]
    )  # fmt: skip
    shown = [model.index(row).data() for row in range(model.rowCount())]
    assert shown == [
        "Pinned", "pin", "Today", "new", "Folders", "A", "in A", "b", "y", "pin", "in y", "in b",
        "c", "d", "e", "deep", "Earlier", "old",
    ]  # fmt: skip
    assert model.folder_at(model.index(7)).count == 3
    assert [model.home_of(model.index(row)) for row in (1, 3, 8, 10, 11, 17)] == [
        None, None, "b/y", "b/y", "b", None,
    ]  # fmt: skip
    spoken = model.index(8).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "Folder b/y, 2 chats, open"
    model.set_closed(["b", "c/d", "gone"])
    shown = [model.index(row).data() for row in range(model.rowCount())]
    assert shown[4:] == ["Folders", "A", "in A", "b", "c", "d", "Earlier", "old"]
    assert model.closed() == ["b", "c/d"]
    assert model.chat_count() == 7
    renamed = dataclasses.replace(model.chat("pin"), title="needle")
    model.set_open("b", True)
    model.put(renamed)
    assert [model.index(row).data() for row in (1, 9)] == ["needle", "needle"]


def test_five_thousand_chats_in_folders_are_listed() -> None:
    now = time.time()
    chats = [
        Chat(f"c{n}", f"Chat {n}", now - n, now - n, f"F{n % 40}/S{n % 7}") for n in range(5000)
    ]
    model = ChatListModel()
    model.set_chats(chats)
    assert model.rowCount() == 1 + 40 + 280 + 5000


def test_a_folder_opens_and_closes_and_stays_so(
    side: SideBar, open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    all_rows = ["Today", "Loose", "Folders", "Work", "Clients", "Ann", "Ben", "Numbers"]
    assert rows(side) == all_rows
    click(side, side.chats.index_of_folder("Work/Clients"))
    assert rows(side) == ["Today", "Loose", "Folders", "Work", "Clients", "Numbers"]
    side.list.setFocus()
    QTest.keyClick(side.list, KEY.Key_Up)
    QTest.keyClick(side.list, KEY.Key_Left)
    assert rows(side) == ["Today", "Loose", "Folders", "Work"]
    assert side.list.currentIndex().data() == "Work"
    QTest.keyClick(side.list, KEY.Key_Right)
    QTest.keyClick(side.list, KEY.Key_Space)
    QTest.keyClick(side.list, KEY.Key_Return)
    assert rows(side) == ["Today", "Loose", "Folders", "Work", "Clients", "Numbers"]
    side.window().leave()
    again = open_window().side
    qtbot.wait_until(lambda: again.chats.chat_count() == 4)
    assert rows(again) == ["Today", "Loose", "Folders", "Work", "Clients", "Numbers"]


def test_a_chat_goes_into_a_folder_and_out(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    get = double.store.chats.get
    press(side.chat_actions.menu_for(get(ids["Loose"])), "Move to folder", "Work")
    qtbot.wait_until(lambda: get(ids["Loose"]).folder == "Work")
    qtbot.wait_until(lambda: rows(side)[0] == "Folders")
    menu = side.chat_actions.menu_for(get(ids["Ann"]))
    moves = next(a for a in menu.actions() if a.text() == "Move to folder").menu()
    assert [a.text() for a in moves.actions() if a.isChecked()] == ["Work/Clients"]
    press(menu, "Move to folder", "Out of the folder")
    qtbot.wait_until(lambda: rows(side)[:2] == ["Today", "Ann"])
    assert get(ids["Ann"]).folder is None


def test_a_new_folder_is_named_in_its_row(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    get = double.store.chats.get
    press(side.chat_actions.menu_for(get(ids["Loose"])), "Move to folder", "New folder…")
    qtbot.wait_until(lambda: side.list.viewport().findChild(QLineEdit) is not None)
    editor = side.list.viewport().findChild(QLineEdit)
    assert editor.text() == "New folder"
    QTest.keyClicks(editor, "Garden / Roses")
    QTest.keyClick(editor, KEY.Key_Return)
    qtbot.wait_until(lambda: get(ids["Loose"]).folder == "Garden/Roses")
    qtbot.wait_until(lambda: rows(side)[:4] == ["Folders", "Garden", "Roses", "Loose"])
    double.store.chats.update(ids["Ann"], folder="New folder")
    side.refresh()
    qtbot.wait_until(lambda: "New folder" in side.chat_actions.folders)
    press(side.chat_actions.menu_for(get(ids["Loose"])), "Move to folder", "New folder…")
    qtbot.wait_until(lambda: get(ids["Loose"]).folder == "New folder 2")


def test_a_folder_is_renamed_with_what_is_in_it(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    click(side, side.chats.index_of_folder("Work/Clients"))
    side.list.setFocus()
    QTest.keyClick(side.list, KEY.Key_F2)
    editor = side.list.viewport().findChild(QLineEdit)
    assert editor.text() == "Clients"
    QTest.keyClicks(editor, "People")
    QTest.keyClick(editor, KEY.Key_Return)
    qtbot.wait_until(lambda: double.store.folders.paths() == ["Work", "Work/People"])
    qtbot.wait_until(lambda: "People" in rows(side))
    assert double.store.chats.get(ids["Ben"]).folder == "Work/People"


def test_a_folder_that_takes_the_name_of_another_can_be_parted_again(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    double.store.chats.update(ids["Loose"], folder="Work/People")
    side.refresh()
    qtbot.wait_until(lambda: "People" in rows(side))
    before = state(double)
    assert side.chats.setData(side.chats.index_of_folder("Work/People"), "Clients")
    qtbot.wait_until(lambda: double.store.folders.paths() == ["Work", "Work/Clients"])
    qtbot.wait_until(lambda: "both folders" in side._undo.text())
    qtbot.mouseClick(button(side, "Undo"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: state(double) == before)


def test_a_removed_folder_can_be_brought_back(
    side: SideBar, double: DoublePlum, qtbot: QtBot
) -> None:
    before = state(double)
    folder = side.chats.folder_at(side.chats.index_of_folder("Work"))
    press(side.chat_actions.folder_menu(folder), "Remove the folder")
    qtbot.wait_until(lambda: "Removed the folder “Work”" in side._undo.text())
    qtbot.wait_until(lambda: rows(side)[-3:] == ["Clients", "Ann", "Ben"])
    assert double.store.folders.paths() == ["Clients"]
    assert len(state(double)) == 4
    qtbot.mouseClick(button(side, "Undo"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: state(double) == before)
    qtbot.wait_until(lambda: "Work" in rows(side))


def test_the_delete_key_removes_a_folder_and_keeps_its_chats(
    side: SideBar, double: DoublePlum, qtbot: QtBot
) -> None:
    side.list.setFocus()
    side.list.setCurrentIndex(side.chats.index_of_folder("Work/Clients"))
    QTest.keyClick(side.list, KEY.Key_Delete)
    qtbot.wait_until(lambda: double.store.folders.paths() == ["Work"])
    assert len(double.store.chats.list()) == 4


def drop(side: SideBar, at: QPoint, chat_ids: list[str]) -> None:
    """What the end of a drag from the list does."""
    indexes = [side.chats.index_of(each) for each in chat_ids]
    data: QMimeData = side.chats.mimeData(indexes)
    event = _FromList(
        side, QPointF(at), Qt.DropAction.MoveAction, data, Qt.MouseButton.LeftButton, NONE
    )
    side.list.dropEvent(event)


class _FromList(QDropEvent):
    def __init__(self, side: SideBar, *rest) -> None:
        super().__init__(*rest)
        self._list = side.list

    def source(self):
        return self._list


def test_chats_are_dropped_onto_a_folder_and_out_of_it(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    def middle(index) -> QPoint:
        return side.list.visualRect(index).center()

    def folders() -> list[str | None]:
        return [double.store.chats.get(ids[name]).folder for name in ("Loose", "Numbers", "Ann")]

    loose = side.chats.flags(side.chats.index_of(ids["Loose"]))
    assert loose & Qt.ItemFlag.ItemIsDragEnabled
    drop(side, middle(side.chats.index_of_folder("Work/Clients")), [ids["Loose"], ids["Numbers"]])
    qtbot.wait_until(lambda: folders() == ["Work/Clients"] * 3)
    qtbot.wait_until(lambda: rows(side)[0] == "Folders")
    drop(side, middle(side.chats.index(0)), [ids["Ann"]])
    qtbot.wait_until(lambda: folders()[2] is None)
    qtbot.wait_until(lambda: rows(side)[:2] == ["Today", "Ann"])
    drop(side, middle(side.chats.index_of(ids["Ben"])), [ids["Ann"]])  # beside a chat in a folder
    qtbot.wait_until(lambda: folders()[2] == "Work/Clients")


def test_nothing_from_elsewhere_is_dropped(side: SideBar, double: DoublePlum) -> None:
    before = state(double)
    data = QMimeData()
    data.setData(CHATS_MIME, b'["x"]')
    event = QDropEvent(
        QPointF(20, 20), Qt.DropAction.MoveAction, data, Qt.MouseButton.LeftButton, NONE
    )
    side.list.dropEvent(event)
    assert not event.isAccepted()
    QApplication.processEvents()
    assert state(double) == before


# Several at once


def test_ctrl_and_shift_choose_several_and_open_none(
    side: SideBar, ids: dict[str, str], qtbot: QtBot
) -> None:
    conversation = side.window().conversation
    click(side, side.chats.index_of(ids["Ann"]))
    qtbot.wait_until(lambda: conversation.chat_id == ids["Ann"])
    click(side, side.chats.index_of(ids["Loose"]), CTRL)
    assert {chat.title for chat in side.list.chosen_chats()} == {"Ann", "Loose"}
    click(side, side.chats.index_of(ids["Ann"]))
    click(side, side.chats.index_of(ids["Numbers"]), SHIFT)
    assert [chat.title for chat in side.list.chosen_chats()] == ["Ann", "Ben", "Numbers"]
    side.refresh()
    qtbot.wait(50)
    assert [chat.title for chat in side.list.chosen_chats()] == ["Ann", "Ben", "Numbers"]
    assert conversation.chat_id == ids["Ann"]
    side.list.setFocus()
    click(side, side.chats.index_of(ids["Numbers"]))
    QTest.keyClick(side.list, KEY.Key_Up, SHIFT)
    assert [chat.title for chat in side.list.chosen_chats()] == ["Ben", "Numbers"]


def test_every_entry_of_the_menu_acts_on_all(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    two = [ids["Ann"], ids["Loose"]]

    def chosen() -> list[Chat]:
        return [double.store.chats.get(each) for each in two]

    def menu() -> QMenu:
        return side.chat_actions.menu_for(*chosen())

    assert "Rename" not in [action.text() for action in menu().actions()]
    double.store.chats.update(ids["Ann"], pinned=True)
    press(menu(), "Pin")
    qtbot.wait_until(lambda: all(chat.pinned for chat in chosen()))
    press(menu(), "Unpin")
    qtbot.wait_until(lambda: not any(chat.pinned for chat in chosen()))
    press(menu(), "Learn from them")
    qtbot.wait_until(lambda: not any(chat.learn for chat in chosen()))
    press(menu(), "Move to folder", "Work")
    qtbot.wait_until(lambda: [chat.folder for chat in chosen()] == ["Work", "Work"])
    with qtbot.wait_signal(side.export_asked) as asked:
        side.export_asked.disconnect(side.window().exchange.ask_for_export)
        press(menu(), "Export…")
    assert asked.args == [two]
    press(menu(), "Archive")
    qtbot.wait_until(lambda: all(chat.archived for chat in chosen()))
    assert not double.store.chats.get(ids["Ben"]).archived


def test_several_deleted_chats_come_back_exactly_as_they_were(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    first = double.store.chats.branch(ids["Ann"])[0]
    double.store.chats.add_message(ids["Ann"], "assistant", "No.", parent_id=first.id)
    double.store.chats.update(ids["Ben"], pinned=True, learn=False)
    double.add_facts(ids["Ann"], "You said something.")
    before, facts = state(double), double.store.facts.list()
    side.refresh()
    qtbot.wait_until(lambda: rows(side)[0] == "Pinned")
    shown = rows(side)
    conversation = side.window().conversation
    click(side, side.chats.index_of(ids["Ann"]))
    qtbot.wait_until(lambda: conversation.chat_id == ids["Ann"])
    side.list.setFocus()
    click(side, side.chats.index_of(ids["Loose"]), CTRL)
    click(side, side.chats.index_of(ids["Ben"]), CTRL)
    QTest.keyClick(side.list, KEY.Key_Delete)
    assert rows(side) == ["Folders", "Work", "Numbers"]
    assert side._undo.text() == "Deleted 3 chats."
    assert conversation.chat_id is None
    assert side._undo.time.interval() == 10_000
    qtbot.mouseClick(button(side, "Undo"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: conversation.chat_id == ids["Ann"])
    assert rows(side) == shown
    assert state(double) == before
    assert double.store.facts.list() == facts


def test_undo_does_not_open_a_chat_that_was_not_open(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    conversation = side.window().conversation
    click(side, side.chats.index_of(ids["Loose"]))
    qtbot.wait_until(lambda: conversation.chat_id == ids["Loose"])
    side.chat_actions.delete(double.store.chats.get(ids["Ann"]))
    qtbot.mouseClick(button(side, "Undo"), Qt.MouseButton.LeftButton)
    qtbot.wait(30)
    assert conversation.chat_id == ids["Loose"]
    assert "Ann" in rows(side)


def test_what_was_deleted_is_gone_when_the_window_closes(
    side: SideBar, double: DoublePlum, ids: dict[str, str]
) -> None:
    side.chat_actions.delete(*(double.store.chats.get(ids[name]) for name in ("Ann", "Ben")))
    assert len(double.store.chats.list()) == 4
    side.window().close()
    assert {chat.title for chat in double.store.chats.list()} == {"Numbers", "Loose"}


def test_removing_a_folder_ends_the_wait_of_a_deletion(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    side.chat_actions.delete(
        double.store.chats.get(ids["Ann"]), double.store.chats.get(ids["Loose"])
    )
    side.chat_actions.remove_folder("Work")
    qtbot.wait_until(lambda: len(double.store.chats.list()) == 2)
    qtbot.wait_until(lambda: rows(side) == ["Today", "Numbers", "Folders", "Clients", "Ben"])
    side._undo.undo()
    qtbot.wait_until(lambda: rows(side) == ["Folders", "Work", "Clients", "Ben", "Numbers"])


def test_a_deletion_that_fails_brings_the_chats_back(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    chats = [double.store.chats.get(ids[name]) for name in ("Ann", "Loose")]
    side.chat_actions.delete(*chats)
    double.store.chats.delete(ids["Ann"])  # another process was faster
    side.commit_delete()
    qtbot.wait_until(lambda: "There is no chat" in side.window().conversation.notice.text())
    qtbot.wait_until(lambda: "Loose" in rows(side))


def test_the_keys_go_on_where_a_chat_was_deleted(
    side: SideBar, double: DoublePlum, ids: dict[str, str], qtbot: QtBot
) -> None:
    click(side, side.chats.index_of(ids["Ann"]))
    side.list.setFocus()
    QTest.keyClick(side.list, KEY.Key_Delete)
    assert side.list.currentIndex().data() == "Ben"
    assert side.list.chosen_chats() == []
    QTest.keyClick(side.list, KEY.Key_Delete)  # once too often
    assert "Ben" in rows(side)
    QTest.keyClick(side.list, KEY.Key_Down)
    assert [chat.title for chat in side.list.chosen_chats()] == ["Numbers"]
    side.list.setCurrentIndex(side.chats.index_of_folder("Work/Clients"))
    double.add_chat("Newest", "Something.", "Yes.")
    side.refresh()
    qtbot.wait_until(lambda: "Newest" in rows(side))
    assert side.list.currentIndex().data() == "Clients"
