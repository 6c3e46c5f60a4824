"""What goes into a message: files, quotations, drafts; and what is said of it before it is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QWidget
from pytestqt.qtbot import QtBot

from plum_desktop.base.errors import DiskFull, PlumError
from plum_desktop.base.types import Attachment
from plum_desktop.ui.chat.attachments import Chip, FileSheet
from plum_desktop.ui.chat.conversation import Conversation
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum
from tests.ui.test_conversation import (
    CTRL,
    SHIFT,
    button_named,
    field,
    opened,
    say,
    settled,
    shown,
    texts,
    view,
)

Open = Callable[[], MainWindow]
NOTES = "The tide comes at noon."


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes.md"
    path.write_text(NOTES)
    return path


def chips(parent: QWidget) -> list[str]:
    """What each chip says, its note after a bar."""
    return [
        "|".join(text.replace("&&", "&") for text in texts(chip) if text)
        for chip in parent.findChildren(Chip)
        if chip.isVisible()
    ]


def names(chat: Conversation) -> list[str]:
    return [one.name for one in chat.attaching.files]


def urls(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def attach(window: MainWindow, qtbot: QtBot, *paths: Path) -> None:
    before = len(window.conversation.attaching.files)
    window.conversation.attaching.add([str(path) for path in paths])
    qtbot.wait_until(lambda: len(window.conversation.attaching.files) == before + len(paths))


def test_a_file_by_the_button_goes_with_the_message(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, notes: Path
) -> None:
    chat = window.conversation
    qtbot.mouseClick(button_named(chat.composer, "Attach files"), Qt.MouseButton.LeftButton)
    (dialog,) = (one for one in chat.findChildren(QFileDialog) if one.isVisible())
    dialog.filesSelected.emit([str(notes)])
    dialog.close()
    qtbot.wait_until(lambda: chips(chat.composer) == ["notes.md|5 tokens"])
    assert not button_named(chat.composer, "Send").isEnabled()
    say(window, "When does it come?")
    qtbot.wait_until(lambda: settled(chat))
    assert shown(chat)[0] == ("user", "When does it come?", "said")
    assert chips(view(chat, 0)) == ["notes.md"]
    assert chips(chat.composer) == []
    [asked] = double.engine.asked
    assert asked[-1]["content"] == (
        f"[File: notes.md]\n{NOTES}\n[End of file: notes.md]\n\nWhen does it come?"
    )
    [stored] = double.store.chats.list()
    assert double.store.chats.branch(stored.id)[0].attachments == (Attachment("notes.md", NOTES),)

    qtbot.mouseClick(button_named(view(chat, 0), "Show notes.md"), Qt.MouseButton.LeftButton)
    (sheet,) = window.findChildren(FileSheet)
    assert (sheet.windowTitle(), sheet.text.toPlainText()) == ("notes.md", NOTES)
    qtbot.mouseClick(button_named(sheet, "Copy all"), Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == NOTES
    sheet.close()


def test_files_are_dropped_and_pasted_and_removed(
    window: MainWindow, qtbot: QtBot, notes: Path, tmp_path: Path
) -> None:
    chat = window.conversation
    data = urls(notes)
    event = QDropEvent(
        QPoint(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    chat.dropEvent(event)
    qtbot.wait_until(lambda: names(chat) == ["notes.md"])
    other = tmp_path / "b & c.txt"
    other.write_text("two words")
    QGuiApplication.clipboard().setMimeData(urls(other))
    QTest.keyClick(field(window), Qt.Key.Key_V, CTRL)
    qtbot.wait_until(lambda: names(chat) == ["notes.md", "b & c.txt"])
    assert chat.composer.text() == ""
    qtbot.wait_until(lambda: chips(chat.composer)[-1:] == ["b & c.txt|2 tokens"])
    qtbot.mouseClick(button_named(chat.composer, "Remove notes.md"), Qt.MouseButton.LeftButton)
    assert names(chat) == ["b & c.txt"]
    assert chips(chat.composer) == ["b & c.txt|2 tokens"]
    QGuiApplication.clipboard().setText("plain words")
    QTest.keyClick(field(window), Qt.Key.Key_V, CTRL)
    assert chat.composer.text() == "plain words"


def test_what_cannot_be_attached_is_said_and_the_rest_is_attached(
    window: MainWindow, qtbot: QtBot, notes: Path, tmp_path: Path
) -> None:
    chat = window.conversation
    cat = tmp_path / "cat.png"
    cat.write_bytes(b"\x89PNG\0")
    chat.attaching.add([str(cat), str(notes), str(tmp_path)])
    qtbot.wait_until(lambda: names(chat) == ["notes.md"])
    qtbot.wait_until(chat.notice.isVisible)
    cat_says, folder_says = chat.notice.text().split("\n")
    assert cat_says.startswith("cat.png is not a text file")
    assert "is a folder" in folder_says


def test_without_a_model_the_count_is_said_to_be_an_estimate(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, notes: Path
) -> None:
    chat = window.conversation
    double.serving.is_loaded = False
    attach(window, qtbot, notes)
    assert chips(chat.composer) == ["notes.md|about 10 tokens"]
    qtbot.wait_until(lambda: chat.meter.text() == "about 20 of 8,192 tokens")
    double.serving.is_loaded = True
    chat.replies.set_loaded()
    qtbot.wait_until(lambda: chips(chat.composer) == ["notes.md|5 tokens"])
    qtbot.wait_until(lambda: chat.meter.text() == "11 of 8,192 tokens")


def test_what_is_too_long_is_said_before_it_is_sent(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, tmp_path: Path
) -> None:
    chat = window.conversation
    double.engine.context = 100
    long = tmp_path / "long.txt"
    long.write_text("word " * 200)
    attach(window, qtbot, long)
    said = (
        "This is 131 tokens more than the model can read at once, so the beginning would be left "
        "out; remove a file or send less."
    )
    qtbot.wait_until(lambda: said in texts(chat.composer))
    chat.attaching.remove(0)
    qtbot.wait_until(lambda: said not in texts(chat.composer))


def test_an_edit_shows_the_files_and_keeps_what_is_left_of_them(
    open_window: Open, double: DoublePlum, qtbot: QtBot, notes: Path
) -> None:
    chat_id = double.add_chat("Tides")
    files = [Attachment("a.txt", "first"), Attachment("b.txt", "second")]
    double.store.chats.add_message(chat_id, "user", "Which one?", attachments=files)
    double.store.chats.add_message(chat_id, "assistant", "Both.", finish_reason="stop")
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    QTest.keyClicks(field(window), "typed before")
    attach(window, qtbot, notes)
    QTest.keyClick(field(window), Qt.Key.Key_Up, CTRL)
    assert names(chat) == ["a.txt", "b.txt"]
    QTest.keyClick(field(window), Qt.Key.Key_Escape)
    assert (chat.composer.text(), names(chat)) == ("typed before", ["notes.md"])

    QTest.keyClick(field(window), Qt.Key.Key_Up, CTRL)
    chat.attaching.remove(0)
    say(window, " Say.")
    qtbot.wait_until(lambda: settled(chat))
    assert double.store.chats.branch(chat_id)[0].attachments == (files[1],)
    assert chips(view(chat, 0)) == ["b.txt"]
    assert (chat.composer.text(), names(chat)) == ("typed before", ["notes.md"])


def test_a_temporary_chat_has_files_too_and_keeps_none(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, notes: Path
) -> None:
    chat = window.conversation
    QTest.keyClick(field(window), Qt.Key.Key_T, CTRL | SHIFT)
    attach(window, qtbot, notes)
    say(window, "When?")
    qtbot.wait_until(lambda: settled(chat))
    assert NOTES in double.engine.asked[0][-1]["content"]
    assert chips(view(chat, 0)) == ["notes.md"]
    assert double.store.chats.list() == []
    QTest.keyClicks(field(window), "half a thought")
    window.new_chat()
    assert chat.composer.text() == ""
    qtbot.wait(20)
    assert double.store.drafts.get("") == ""
    assert NOTES.encode() not in window.plum.folder.database.read_bytes()


def test_what_could_not_be_sent_comes_back_with_its_files(
    open_window: Open, double: DoublePlum, qtbot: QtBot, notes: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    chat_id = double.add_chat("Porto", "First thing", "Yes.")
    window = open_window()
    chat = opened(window, chat_id, qtbot)

    def full(*_: object, **__: object) -> None:
        raise DiskFull("The disk is full; free some space and try again.")

    monkeypatch.setattr(double.chats, "send", full)
    attach(window, qtbot, notes)
    say(window, "Second thing")
    qtbot.wait_until(lambda: chat.notice.isVisible())
    assert (chat.composer.text(), names(chat)) == ("Second thing", ["notes.md"])


def test_drafts_stay_with_their_chats(
    open_window: Open, double: DoublePlum, qtbot: QtBot, notes: Path
) -> None:
    one = double.add_chat("Porto", "What should I pack?", "A bag.")
    two = double.add_chat("Bread", "How long does it rest?", "An hour.")
    window = open_window()
    chat = opened(window, one, qtbot)
    QTest.keyClicks(field(window), "and shoes")
    attach(window, qtbot, notes)
    opened(window, two, qtbot)
    assert (chat.composer.text(), names(chat)) == ("", [])
    QTest.keyClicks(field(window), "and salt")
    window.new_chat()
    assert chat.composer.text() == ""
    QTest.keyClicks(field(window), "something new")
    opened(window, one, qtbot)
    assert (chat.composer.text(), names(chat)) == ("and shoes", ["notes.md"])
    say(window, "?")
    qtbot.wait_until(lambda: settled(chat) and chat.turns.rowCount() == 4)
    window.leave()  # as a restart does

    window = open_window()
    chat = window.conversation
    qtbot.wait_until(lambda: chat.composer.text() == "something new")
    opened(window, two, qtbot)
    assert chat.composer.text() == "and salt"
    opened(window, one, qtbot)
    assert chat.composer.text() == ""


def test_a_draft_is_saved_while_it_is_typed(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "What should I pack?", "A bag.")
    window = open_window()
    opened(window, chat_id, qtbot)
    QTest.keyClicks(field(window), "and shoes")
    qtbot.wait_until(lambda: double.store.drafts.get(chat_id) == "and shoes")
    double.store.chats.delete(chat_id)
    assert double.store.drafts.get(chat_id) == ""


def test_a_quotation_goes_before_what_is_being_written(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "What should I pack?", "A bag.\n\nAnd shoes.")
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    QTest.keyClicks(field(window), "Why?")
    qtbot.mouseClick(button_named(view(chat, 1), "Quote"), Qt.MouseButton.LeftButton)
    assert chat.composer.text() == "> A bag.\n>\n> And shoes.\n\nWhy?"
    assert field(window).hasFocus()


def test_what_is_selected_is_quoted(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    from plum_desktop.ui.chat.prose import Prose

    chat_id = double.add_chat("Porto", "What should I pack?", "A **bag** and shoes.")
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    prose = view(chat, 1).findChildren(Prose)[0]
    prose.setTextCursor(prose.document().find("bag and"))
    qtbot.mouseClick(button_named(view(chat, 1), "Quote"), Qt.MouseButton.LeftButton)
    assert chat.composer.text() == "> bag and\n\n"


def test_a_cut_reply_is_gone_on_with(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    chat_id = double.add_chat("Porto", "What should I pack?")
    reply = double.store.chats.add_message(
        chat_id, "assistant", "A bag and", finish_reason="length"
    )
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    double.engine.replies = [" shoes."]
    qtbot.mouseClick(button_named(view(chat, 1), "Continue"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: settled(chat) and shown(chat)[-1][2] == "said")
    assert shown(chat)[-1] == ("assistant", "A bag and shoes.", "said")
    assert double.engine.begun == "A bag and"
    assert double.store.chats.branch(chat_id)[-1].id == reply.id
    assert not [one for one in view(chat, 1).findChildren(QWidget)
                if one.accessibleName() == "Continue" and one.isVisible()]  # fmt: skip


def test_a_stopped_temporary_reply_is_gone_on_with(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    chat = window.conversation
    QTest.keyClick(field(window), Qt.Key.Key_T, CTRL | SHIFT)
    double.engine.replies = ["one two three four", " three four"]
    double.engine.words_before_hold = 2
    double.engine.go.clear()
    say(window, "Count")
    qtbot.wait_until(lambda: shown(chat)[-1][1] == "one two")
    QTest.keyClick(field(window), Qt.Key.Key_Escape)
    qtbot.wait_until(lambda: settled(chat) and shown(chat)[-1][2] == "stopped")
    double.engine.go.set()
    qtbot.mouseClick(button_named(view(chat, 1), "Continue"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: settled(chat) and shown(chat)[-1][2] == "said")
    assert shown(chat)[-1][1] == "one two three four"
    assert double.engine.begun == "one two"


def test_the_meter_counts_what_is_said_and_typed(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "one two three", "four five")
    chat = opened(open_window(), chat_id, qtbot)
    qtbot.wait_until(lambda: chat.meter.text() == "5 of 8,192 tokens")
    chat.composer.set_text("six seven")
    qtbot.wait_until(lambda: chat.meter.text() == "7 of 8,192 tokens")


def test_what_no_longer_fits_is_told_where_it_ends(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    turns = ["word " * 30, "yes " * 30, "word " * 20, "no " * 20]
    chat_id = double.add_chat("Long", *turns)
    double.engine.context = 60
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    said = "Plum no longer reads what is above: it does not fit."
    qtbot.wait_until(lambda: [turn.first_seen for turn in chat.turns.turns()] == [0, 0, 1, 0])

    def told() -> list[int]:
        labels = {row: view(chat, row).findChildren(QLabel) for row in range(4)}
        return [row for row, all_ in labels.items()
                if any(each.isVisible() and each.text() == said for each in all_)]  # fmt: skip

    qtbot.wait_until(lambda: told() == [2])
    double.engine.context = 8192
    chat.meter.look_soon()
    qtbot.wait_until(lambda: not any(turn.first_seen for turn in chat.turns.turns()))


def test_a_chat_is_named_by_the_model_after_its_first_exchange(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    chat = window.conversation
    double.engine.title = "Packing for Porto"
    say(window, "What should I pack for Porto?")
    qtbot.wait_until(lambda: chat.header.title.whole() == "Packing for Porto")
    [stored] = double.store.chats.list()
    assert stored.title == "Packing for Porto"
    double.engine.title = "Shoes for Porto"
    say(window, "And shoes?")
    qtbot.wait_until(lambda: settled(chat) and chat.turns.rowCount() == 4)
    qtbot.wait(50)
    assert chat.header.title.whole() == "Packing for Porto"


def test_a_temporary_message_that_failed_comes_back(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, notes: Path
) -> None:
    chat = window.conversation
    QTest.keyClick(field(window), Qt.Key.Key_T, CTRL | SHIFT)
    attach(window, qtbot, notes)
    say(window, "When?")
    qtbot.wait_until(lambda: settled(chat))
    double.engine.replies = [PlumError("There is not enough memory for this model.")]
    qtbot.mouseClick(button_named(view(chat, 1), "Answer again"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: chat.notice.isVisible())
    assert (chat.composer.text(), names(chat)) == ("When?", ["notes.md"])
    assert chat.turns.rowCount() == 0


def test_the_keys_open_what_the_buttons_open(window: MainWindow, qtbot: QtBot) -> None:
    chat = window.conversation
    QTest.keyClick(field(window), Qt.Key.Key_Period, CTRL)
    qtbot.wait_until(chat.options.isVisible)
    assert chat.options.persona.hasFocus()
    chat.options.hide()
    QTest.keyClick(field(window), Qt.Key.Key_O, CTRL)
    (dialog,) = (one for one in chat.findChildren(QFileDialog) if one.isVisible())
    dialog.close()


def test_a_warning_does_not_outlive_the_message(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, tmp_path: Path
) -> None:
    chat = window.conversation
    double.engine.context = 100
    long = tmp_path / "long.txt"
    long.write_text("word " * 200)
    attach(window, qtbot, long)
    QTest.keyClicks(field(window), "What is it?")
    warned = chat.composer.findChild(QLabel, "too_long")
    qtbot.wait_until(warned.isVisible)
    double.engine.go.clear()
    QTest.keyClick(field(window), Qt.Key.Key_Return)
    qtbot.wait(600)  # longer than the meter waits
    assert chat.busy
    assert not warned.isVisible()
    double.engine.go.set()
    qtbot.wait_until(lambda: settled(chat))
