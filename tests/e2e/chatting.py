"""Somebody chats: the first words, a reply stopped and asked again, a branch, a file, a folder."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QApplication

from plum_desktop.base.types import Chat
from plum_desktop.ui.sidebar.search_results import HitRole
from tests.e2e.hands import Hands

PARROTS = "My sister Ines moved to Bergen in spring and keeps parrots. What could I bring her?"
STORY = "I also work in a lighthouse near Ullapool. Please tell me a long story about it."
NUTS = "I am allergic to hazelnuts, so I always carry a red inhaler. Which snacks are safe for me?"
SNACKS = "Which of these snacks are safe for me? I am allergic to hazelnuts."
LIST = "Oat bars with raisins\nHazelnut wafers\nRice cakes with salt\n"
_ENDED = ("said", "cut")


def begin(hands: Hands) -> None:
    chat = hands.window.conversation
    hands.wait(lambda: chat.model_name)
    hands.wait(chat.welcome.isVisible)
    assert chat.isAncestorOf(QApplication.focusWidget()), "one cannot write at once"
    hands.look("first-run")


def send(hands: Hands, text: str) -> None:
    hands.type(text)
    hands.press("Return")


def reply(hands: Hands, turns: int) -> str:
    """Wait until the reply that is turn number `turns` has ended."""
    chat = hands.window.conversation
    hands.wait(lambda: chat.turns.rowCount() == turns and chat.turns.last().state in _ENDED)
    hands.wait(lambda: not chat.busy)
    return chat.turns.last().text


def say_something(hands: Hands) -> None:
    window = hands.window
    grown: list[str] = []
    window.bridge.reply_grew.connect(lambda _chat, _message, text: grown.append(text))
    hands.type(PARROTS)
    hands.look("typed")
    hands.press("Return")
    hands.wait(lambda: len(grown) > 2)
    hands.look("streaming")
    said = reply(hands, 2)
    assert grown[0] != grown[-1], "the reply came all at once"
    assert said.startswith(grown[0].strip())
    [stored] = window.plum.store.chats.list()
    assert [each.text.strip() for each in window.plum.store.chats.branch(stored.id)] == [
        PARROTS, said.strip(),
    ]  # fmt: skip
    hands.wait(lambda: window.status.text.whole() == "1 chat to learn")
    hands.look("answered")


def stop_and_ask_again(hands: Hands) -> None:
    chat = hands.window.conversation
    send(hands, STORY)
    hands.wait(lambda: chat.turns.rowCount() == 4 and len(chat.turns.last().text) > 20)
    hands.press("Esc")
    hands.wait(lambda: chat.turns.last().state == "stopped" and not chat.busy)
    assert chat.turns.last().text
    hands.look("stopped")

    hands.click_button(chat.list, "Answer again")
    reply(hands, 4)
    hands.wait(lambda: chat.turns.last().place == (2, 2))
    hands.look("answered-again")
    hands.press("Ctrl+[")
    hands.wait(lambda: chat.turns.last().state == "stopped")
    hands.press("Ctrl+]")
    hands.wait(lambda: chat.turns.last().state in _ENDED)


def open_another_chat(hands: Hands, folder: Path) -> None:
    """It begins with a text file."""
    window = hands.window
    hands.press("Ctrl+N")
    assert window.conversation.turns.rowCount() == 0
    hands.look("new-chat")
    file = folder / "snacks.txt"
    file.write_text(LIST, encoding="utf-8")
    hands.press("Ctrl+O")
    hands.choose_file(file, "attach-dialog")
    hands.wait(lambda: window.conversation.attaching.files)
    hands.type(NUTS)
    hands.look("attached")
    hands.press("Return")
    reply(hands, 2)
    hands.wait(lambda: window.side.chats.chat_count() == 2)
    said = window.plum.store.chats.branch(window.conversation.chat_id)[0]
    assert [(each.name, each.text.strip()) for each in said.attachments] == [
        ("snacks.txt", LIST.strip())
    ]
    assert said.text.strip() == NUTS
    hands.look("two-chats")


def branch_off(hands: Hands) -> None:
    """Say the last thing otherwise, and walk between both versions."""
    chat = hands.window.conversation
    hands.press("Ctrl+Up")
    hands.wait(lambda: chat.composer.editing)
    assert chat.composer.text() == NUTS
    hands.press("Ctrl+A")
    hands.type(SNACKS)
    hands.look("editing")
    hands.press("Return")
    reply(hands, 2)
    hands.wait(lambda: chat.turns.turn(0).place == (2, 2))
    assert chat.turns.turn(0).text.strip() == SNACKS
    hands.look("branched")
    hands.click_button(chat.list.view_of(0), "Older version")
    hands.wait(lambda: chat.turns.turn(0).text.strip() == NUTS)
    hands.wait(lambda: chat.turns.turn(0).place == (1, 2))
    hands.look("other-branch")
    hands.click_button(chat.list.view_of(0), "Newer version")
    hands.wait(lambda: chat.turns.turn(0).text.strip() == SNACKS)
    assert len(hands.window.plum.store.chats.tree(chat.chat_id)) == 4


def row_of(hands: Hands, chat_id: str) -> QPoint:
    side = hands.window.side
    return side.list.visualRect(side.chats.index_of(chat_id)).center()


def put_into_a_folder(hands: Hands) -> None:
    window, side = hands.window, hands.window.side
    chat_id = window.conversation.chat_id

    def stored() -> Chat:
        return window.plum.store.chats.get(chat_id)

    hands.open_menu(side.list.viewport(), row_of(hands, chat_id))
    hands.pick("Move to folder", "New folder", name="folder-menu")
    hands.wait(lambda: stored().folder)
    hands.wait(lambda: side.list.state() == side.list.State.EditingState)
    hands.type("Health")
    hands.press("Return")
    hands.wait(lambda: stored().folder == "Health")
    hands.wait(lambda: side.chats.index_of_folder("Health").isValid())
    hands.look("in-a-folder")


def search_and_jump(hands: Hands) -> None:
    window = hands.window
    before = window.conversation.chat_id
    hands.press("Ctrl+K")
    hands.type("lighthouse")
    hands.wait(window.side.hits.rowCount)
    hands.wait(window.side.hit_list.isVisible)
    hands.look("search")
    hands.press("Down")
    hands.press("Return")
    hands.wait(lambda: window.conversation.chat_id != before)
    turns = window.conversation.turns
    hands.wait(lambda: turns.rowCount() == 4)
    found = turns.row_of(window.side.hit_list.currentIndex().data(HitRole).message_id)
    hands.wait(lambda: window.conversation.list.view_of(found).isVisible())
    hands.look("jumped")
    hands.press("Ctrl+K")
    hands.press("Esc")
    hands.wait(window.side.list.isVisible)


def use_the_palette(hands: Hands) -> None:
    window = hands.window
    hands.press("Ctrl+Shift+P")
    hands.wait(window.palette_sheet.isVisible)
    hands.look("palette")
    hands.type("gomem")
    hands.look("palette-found")
    hands.press("Return")
    assert window.page == "memory"
    assert not window.palette_sheet.isVisible()
    hands.look("nothing-learned-yet")
    hands.press("Ctrl+Shift+P")
    hands.type("bergen")
    hands.press("Return")
    assert window.page == "chat"
    hands.wait(lambda: window.conversation.turns.rowCount() == 4)


def delete_and_undo(hands: Hands, chat_id: str) -> None:
    """A chat goes and comes back, then goes and nobody brings it back."""
    window, chats = hands.window, hands.window.side.chats
    count = chats.chat_count()
    hands.click(window.side.list.viewport(), row_of(hands, chat_id))
    hands.wait(lambda: window.conversation.chat_id == chat_id)
    delete(hands, chat_id)
    assert window.conversation.turns.rowCount() == 0
    hands.look("deleted")
    hands.click_button(window.side, "Undo")
    hands.wait(lambda: chats.chat_count() == count)
    hands.wait(lambda: window.conversation.chat_id == chat_id)
    hands.look("brought-back")
    delete(hands, chat_id)
    assert window.plum.store.chats.get(chat_id), "nobody could bring it back"


def see_that_it_is_gone(hands: Hands, chat_id: str) -> None:
    """Ten seconds after the deletion the store has forgotten the chat."""
    store = hands.window.plum.store.chats
    hands.wait(lambda: chat_id not in [each.id for each in store.list(archived=None)])


def delete(hands: Hands, chat_id: str) -> None:
    side = hands.window.side
    hands.open_menu(side.list.viewport(), row_of(hands, chat_id))
    hands.pick("Delete")
    hands.wait(lambda: not side.chats.index_of(chat_id).isValid())
