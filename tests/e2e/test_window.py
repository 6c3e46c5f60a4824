"""The main job in the real window, by mouse and keyboard, with a real model that really learns.

With PLUM_SHOTS=<folder> every step leaves a picture there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit, QMessageBox

from plum_desktop.models.header import read_header
from plum_desktop.ui.base.theme import current_theme
from plum_desktop.ui.learning.run_table import LessonModel
from plum_desktop.ui.sidebar.search_results import HitRole
from tests.e2e.hands import Hands

PARROTS = "My sister Ines moved to Bergen in spring and keeps parrots. What could I bring her?"
STORY = "I also work in a lighthouse near Ullapool. Please tell me a long story about it."
NUTS = "I am allergic to hazelnuts, so I always carry a red inhaler. Which snacks are safe for me?"
TEA = "How long should green tea steep?"
ASKED = "Did we discuss my sister in Bergen?"
_ENDED = ("said", "cut")
_CHILD_SECONDS = 600


def test_the_whole_main_job(
    display: dict[str, str] | None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if display:
        again = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
        done = subprocess.run(
            again, env=display, cwd=request.config.rootpath, capture_output=True, text=True,
            timeout=_CHILD_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return
    request.getfixturevalue("tiny_learning")
    request.getfixturevalue("open_gate")
    hands: Hands = request.getfixturevalue("hands")
    failures: list[str] = []
    hands.window.bridge.failed.connect(failures.append)
    hands.window.lessons.failed.connect(failures.append)

    begin(hands)
    say_something(hands)
    stop_and_ask_again(hands)
    open_another_chat(hands)
    search_and_jump(hands)
    learn_and_chat_on(hands)
    export_everything(hands, tmp_path)
    ask_what_was_learned(hands)
    undo(hands)
    change_the_looks(hands)
    hands.press("Ctrl+Q")
    assert not hands.window.isVisible()
    assert failures == []


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
    hands.wait(
        lambda: chat.turns.rowCount() == turns and chat.turns.last().state in _ENDED, seconds=60
    )
    hands.wait(lambda: not chat.busy)
    return chat.turns.last().text


def say_something(hands: Hands) -> None:
    window = hands.window
    grown: list[str] = []
    window.bridge.reply_grew.connect(lambda _chat, _message, text: grown.append(text))
    hands.type(PARROTS)
    hands.look("typed")
    hands.press("Return")
    hands.wait(lambda: len(grown) > 2, seconds=60)
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
    hands.wait(lambda: chat.turns.rowCount() == 4 and len(chat.turns.last().text) > 20, 60)
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


def open_another_chat(hands: Hands) -> None:
    window = hands.window
    hands.press("Ctrl+N")
    assert window.conversation.turns.rowCount() == 0
    hands.look("new-chat")
    send(hands, NUTS)
    reply(hands, 2)
    hands.wait(lambda: window.side.chats.chat_count() == 2)
    hands.look("two-chats")


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


def learn_and_chat_on(hands: Hands) -> None:
    window, status = hands.window, hands.window.status
    hands.wait(lambda: status.text.whole() == "2 chats to learn")
    hands.click(status.learn_button)
    hands.wait(window.sheet.learn_button.isEnabled)
    assert window.sheet.title.text() == "Learn from 2 chats"
    hands.look("sheet")
    hands.click(window.sheet.review_button)
    hands.wait(window.sheet.list.isVisible)
    hands.look("sheet-list")
    hands.click(window.sheet.learn_button)
    hands.wait(lambda: window.lessons.job)
    job = window.lessons.job
    assert not window.sheet.isVisible()

    hands.press("Ctrl+N")
    send(hands, TEA)
    reply(hands, 2)
    assert window.lessons.job is job, "learning was over before it was chatted beside"
    hands.wait(lambda: status.bar.value() > 0, seconds=60)
    assert "%" in status.left.text()
    hands.look("chatting-while-learning")

    hands.click(status.pause_button)
    hands.wait(lambda: job.paused)
    assert status.text.whole() == "Learning is paused"
    hands.look("paused")
    hands.click(status.text)
    assert window.page == "learning"
    hands.wait(lambda: window.lessons.progress.state == "paused", seconds=60)
    hands.look("paused-page")
    share = status.bar.value()
    hands.click(window.learning.now.pause_button)
    hands.wait(lambda: not job.paused)
    hands.wait(lambda: status.bar.value() > share, seconds=60)
    hands.look("learning-page")
    hands.press("Ctrl+N")
    hands.wait(window.result.isVisible, seconds=300)
    assert window.result.title.text() == "Learned 2 chats"
    assert window.result.rows.texts()[0] == "Remembers"
    hands.look("result")


def export_everything(hands: Hands, folder: Path) -> None:
    """The whole model from the card, the rest from the Learning page."""
    window = hands.window
    whole, alone, peft = folder / "whole.gguf", folder / "alone.gguf", folder / "peft"
    hands.choose(window.result.export_button, "A whole model", "export-menu")
    save_as(hands, whole, pictures=True)
    hands.look("exported")
    hands.click(window.result.keep_button)
    assert not window.result.isVisible()

    hands.click(window.side.page_buttons["learning"])
    page = window.learning
    hands.wait(lambda: page.model.rowCount() == 1)
    assert page.model.index(0, LessonModel.STATE).data() == "In use"
    hands.wait(page.details.export_button.isVisible)
    hands.choose(page.details.export_button, "GGUF adapter")
    save_as(hands, alone)
    hands.choose(page.details.export_button, "PEFT folder")
    save_as(hands, peft)
    hands.look("learned-page")

    tensors = set(read_header(whole).tensors)
    assert "token_embd.weight" in tensors
    learned = set(read_header(alone).tensors)
    assert "blk.0.attn_q.weight.lora_a" in learned
    assert {each.name for each in peft.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors",
    }  # fmt: skip

    hands.click(window.side.page_buttons["memory"])
    hands.wait(lambda: window.memory.fact_model.rowCount())
    hands.look("memory-page")


def save_as(hands: Hands, path: Path, *, pictures: bool = False) -> None:
    """Through the warning and the file dialog to the word that it is done."""
    warning = hands.opened(QMessageBox)
    if pictures:
        hands.look("export-warning", warning)
    hands.click_button(warning, "Choose where…")
    dialog = hands.opened(QFileDialog)
    name = dialog.findChild(QLineEdit)
    hands.click(name)
    hands.press("Ctrl+A")
    hands.type(str(path))
    if pictures:
        hands.look("export-dialog", dialog)
    hands.press("Return")
    page = hands.window.stack.currentWidget()
    hands.wait(lambda: page.notice.text() == f"Exported to {path}.", seconds=60)
    assert path.exists()


def ask_what_was_learned(hands: Hands) -> None:
    window = hands.window
    chat, serving = window.conversation, window.plum.serving
    hands.press("Ctrl+N")
    assert chat.header.memory.isChecked()
    send(hands, ASKED)
    reply(hands, 2)
    assert serving.served().memory == "hybrid"
    hands.look("memory-on")
    hands.click(chat.header.memory)
    hands.wait(lambda: chat.header.memory.text() == "Memory off")
    send(hands, ASKED)
    reply(hands, 4)
    hands.look("memory-off")


def undo(hands: Hands) -> None:
    window, page = hands.window, hands.window.learning
    hands.click(window.side.page_buttons["learning"])
    hands.wait(page.details.undo_button.isVisible)
    hands.click(page.details.undo_button)
    hands.wait(lambda: page.model.index(0, LessonModel.STATE).data() == "Undone")
    assert window.plum.adapters.active() is None
    hands.look("undone")


def change_the_looks(hands: Hands) -> None:
    window = hands.window
    hands.click(window.side.page_buttons["models"])
    hands.wait(lambda: window.models.cards)
    hands.look("models-page")
    hands.press("Ctrl+,")
    assert window.page == "settings"
    hands.look("settings-page")
    theme = window.settings.fields["theme"]
    hands.click(theme)
    hands.press("End")
    hands.press("Return")
    hands.wait(lambda: current_theme().is_dark)
    assert window.plum.settings.theme == "dark"
    hands.look("settings-dark")
    hands.click(window.side.page_buttons["learning"])
    hands.look("learning-dark")
    chats = window.side.list
    oldest = window.plum.store.chats.list()[-1].id
    hands.click(chats.viewport(), chats.visualRect(window.side.chats.index_of(oldest)).center())
    hands.wait(lambda: window.page == "chat" and window.conversation.chat_id == oldest)
    hands.look("chat-dark")
