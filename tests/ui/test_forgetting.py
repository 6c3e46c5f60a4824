"""Deleting and forgetting in the window: what is asked first, and what is gone after."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from plum_desktop.base.files import FileLock
from plum_desktop.base.paths import DataFolder
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import button
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
Answer = Callable[[str], str]
SECRET = "Zyxwortel"


def seen(double: DoublePlum, adapter_id: str, *chats: str) -> None:
    double.store.adapters.set_seen(adapter_id, dict.fromkeys(chats, "leaf"))


def left(double: DoublePlum, word: str = SECRET) -> list[str]:
    return [
        path.name for path in double.folder.root.rglob("*")
        if path.is_file() and word.lower().encode() in path.read_bytes().lower()
    ]  # fmt: skip


def told(window: MainWindow) -> str:
    return window.conversation.notice.text() if window.conversation.notice.isVisible() else ""


def test_a_chat_is_forgotten_from_its_menu(
    open_window: Open, double: DoublePlum, qtbot: QtBot, answer: Answer
) -> None:
    old = double.add_chat("Old", "I bake rye bread on every Sunday.", "Good.")
    chat = double.add_chat(SECRET, f"I live beside the {SECRET} river.", "Nice.")
    later = double.add_chat("Later one", "I sold my blue bicycle in May.", "Fine.")
    first = double.add_lesson([old])
    seen(double, first.id, old)
    second = double.add_lesson([old, chat, later])
    seen(double, second.id, old, chat, later)
    double.store.backups.create()
    window = open_window()
    window.open_chat(chat)
    qtbot.wait_until(lambda: window.conversation.chat_id == chat)
    actions = window.side.chat_actions
    menu = actions.menu_for(double.store.chats.get(chat))
    forget = next(each for each in menu.actions() if each.text() == "Forget…")
    forget.trigger()
    said = answer("Cancel")
    assert f"Forget “{SECRET}” for good?" in said
    assert "it answers without memory then" in said
    assert "Old, Later one" in said or "Later one, Old" in said
    assert "exported stay as they are" in said
    assert left(double)
    forget.trigger()
    answer("Forget")
    qtbot.wait_until(lambda: "Forgotten." in told(window))
    assert "2 chats can be learned again." in told(window)
    assert button(window.conversation.notice, "Learn from my chats")
    assert window.conversation.chat_id is None
    assert [each.title for each in double.store.chats.list()] == ["Later one", "Old"]
    assert double.adapters.active() is None
    assert left(double) == []
    assert not double.folder.adapter(second.id).exists()


def test_while_plum_learns_nothing_is_forgotten_and_that_is_said(
    open_window: Open, double: DoublePlum, qtbot: QtBot, answer: Answer
) -> None:
    chat = double.add_chat("Tea", "I like green tea.", "Good.")
    window = open_window()
    with FileLock(double.folder.learning_lock):
        window.side.forget_asked.emit([chat])
        assert "Nothing was learned from it." in answer("Forget")
        qtbot.wait_until(lambda: "stop that first" in told(window))
    qtbot.wait_until(lambda: window.side.chats.chat(chat) is not None)
    assert window.side.chats.hidden == frozenset()


def test_deleting_is_for_real_and_offers_to_forget(
    open_window: Open, double: DoublePlum, qtbot: QtBot, answer: Answer
) -> None:
    chat = double.add_chat(SECRET, f"I live beside the {SECRET} river.", "Nice.")
    adapter = double.add_lesson([chat])
    seen(double, adapter.id, chat)
    double.store.backups.create()
    window = open_window()
    side = window.side
    qtbot.wait_until(lambda: side.chat_actions.remembered(chat))
    side.chat_actions.delete(double.store.chats.get(chat))
    assert "stays in memory" in side._undo.text()
    button(side._undo, "Forget that too…").click()
    said = answer("Cancel")
    assert "Forget what was learned from deleted chats?" in said
    qtbot.wait_until(lambda: left(double) == [])
    assert double.store.chats.list() == []
    active = double.adapters.active()
    assert active is not None  # it was only deleted
    # The Memory page offers it again.
    window.show_page("memory")
    qtbot.wait_until(lambda: window.memory.deleted.isVisible())
    window.memory.forget_deleted_button.click()
    answer("Forget")
    qtbot.wait_until(lambda: not window.memory.deleted.isVisible())
    assert double.adapters.active() is None


def test_a_chat_is_forgotten_from_the_memory_page(
    open_window: Open, double: DoublePlum, qtbot: QtBot, answer: Answer
) -> None:
    chat = double.add_chat(SECRET, f"I live beside the {SECRET} river.", "Nice.")
    double.add_facts(chat, f"You live beside the {SECRET} river.")
    double.memory.add("My desk stands at the window.")
    window = open_window()
    window.show_page("memory")
    page = window.memory
    qtbot.wait_until(lambda: page.taught.rowCount() == 2)
    page._choose("own")
    assert not page.forget_chat_button.isVisible()  # of no chat
    page._choose(chat)
    page.forget_chat_button.click()
    answer("Forget")
    qtbot.wait_until(lambda: page.taught.rowCount() == 1)
    assert left(double) == []


def test_a_message_is_deleted_with_its_reply(
    open_window: Open, double: DoublePlum, qtbot: QtBot, answer: Answer
) -> None:
    chat = double.add_chat(
        "Tea", f"I live beside the {SECRET} river.", f"The {SECRET}!", "I like tea.", "Good.",
    )  # fmt: skip
    adapter = double.add_lesson([chat])
    seen(double, adapter.id, chat)
    window = open_window()
    window.open_chat(chat)
    conversation = window.conversation
    qtbot.wait_until(lambda: conversation.turns.rowCount() == 4)
    view = conversation.list.view_of(1)
    assert view is not None
    view.delete_asked.emit()
    said = answer("Delete")
    assert "Delete this question and its reply for good?" in said
    assert "“Delete” leaves what Plum learned from this chat as it is." in said
    qtbot.wait_until(lambda: conversation.turns.rowCount() == 2)
    assert left(double) == []
    assert double.adapters.active() is not None
    qtbot.wait_until(lambda: "Deleted." in told(window))
    view = conversation.list.view_of(0)
    assert view is not None
    view.delete_asked.emit()
    answer("Delete and forget")
    qtbot.wait_until(lambda: conversation.turns.rowCount() == 0)
    qtbot.wait_until(lambda: "Forgotten." in told(window))
    assert double.adapters.active() is None


def test_what_a_kill_left_is_finished_when_the_window_opens(
    open_window: Open, double: DoublePlum, qtbot: QtBot, monkeypatch
) -> None:
    chat = double.add_chat(SECRET, f"I live beside the {SECRET} river.", "Nice.")
    double.store.backups.create()
    with monkeypatch.context() as patch:
        patch.setattr(type(double.forgetting), "finish", lambda _: False)
        double.forgetting.delete([chat])
    assert left(double)
    open_window()
    qtbot.wait_until(lambda: left(double) == [])
    assert not [each for each in QApplication.topLevelWidgets() if isinstance(each, QMessageBox)]


def test_a_backup_is_made_and_put_back_from_the_settings(
    open_window: Open, double: DoublePlum, qtbot: QtBot, answer: Answer
) -> None:
    chat = double.add_chat("Tea", "I like green tea.", "Good.")
    window = open_window()
    window.show_page("settings")
    row = window.settings.backups
    # The day's own is made at the start.
    qtbot.wait_until(lambda: len(double.backups.list()) == 1)
    row.refresh()
    qtbot.wait_until(lambda: "by itself" in row.choice.currentText())
    row.make_button.click()
    qtbot.wait_until(lambda: "by you" in row.choice.currentText())
    double.forgetting.delete([double.add_chat("Coffee", "I like black coffee.", "Good.")])
    double.add_chat("Water", "I like cold water.", "Good.")
    window.open_chat(chat)
    window.show_page("settings")
    row.restore_button.click()
    assert "A backup is made of what is here now" in answer("Restore")
    qtbot.wait_until(lambda: "back as they were" in window.settings.notice.text())
    assert [each.title for each in double.store.chats.list()] == ["Tea"]
    qtbot.wait_until(lambda: "before restoring" in row.choice.currentText())
    qtbot.wait_until(lambda: [each.title for each in window.side.chats.recent(5)] == ["Tea"])


def test_a_damaged_database_is_said_to_have_been_saved(
    data_folder: DataFolder, qtbot: QtBot
) -> None:
    data_folder.database.write_bytes(b"nonsense")
    plum = DoublePlum(data_folder)
    window = MainWindow(plum)
    window.show()
    window.start(warm=False)
    assert "The damaged file is kept as" in told(window)
    window.leave()
    window.deleteLater()
    plum.close()
