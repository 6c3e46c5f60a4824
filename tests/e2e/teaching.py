"""Somebody has Plum learn: it goes on beside a chat, is exported, compared, corrected, undone."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QMessageBox, QStyleOptionViewItem

from plum_desktop.base.types import FactState
from plum_desktop.models.header import read_header
from plum_desktop.ui.base.ticks import TickDelegate
from plum_desktop.ui.learning.run_table import LessonModel
from tests.e2e.chatting import reply, send
from tests.e2e.hands import Hands

TEA = "How long should green tea steep?"
ASKED = "Did we discuss my sister in Bergen?"


def learn_and_chat_on(hands: Hands) -> str:
    """Returns the id of the chat beside it."""
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
    beside = window.conversation.chat_id
    assert beside
    hands.wait(lambda: status.bar.value() > 0)
    assert "%" in status.left.text()
    hands.look("chatting-while-learning")

    hands.click(status.pause_button)
    hands.wait(lambda: job.paused)
    assert status.text.whole() == "Learning is paused"
    hands.look("paused")
    hands.click(status.text)
    assert window.page == "learning"
    hands.wait(lambda: window.lessons.progress.state == "paused")
    hands.look("paused-page")
    share = status.bar.value()
    hands.click(window.learning.now.pause_button)
    hands.wait(lambda: not job.paused)
    hands.wait(lambda: status.bar.value() > share)
    hands.look("learning-page")
    hands.press("Ctrl+N")
    hands.wait(window.result.isVisible)
    assert window.result.title.text() == "Learned 2 chats"
    assert window.result.rows.texts()[0] == "Remembers"
    hands.look("result")
    return beside


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


def save_as(hands: Hands, path: Path, *, pictures: bool = False) -> None:
    """Through the warning and the file dialog to the word that it is done."""
    warning = hands.opened(QMessageBox)
    if pictures:
        hands.look("export-warning", warning)
    hands.click_button(warning, "Choose where…")
    hands.choose_file(path, "export-dialog" if pictures else "")
    page = hands.window.stack.currentWidget()
    hands.wait(lambda: page.notice.text() == f"Exported to {path}.")
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


def compare(hands: Hands) -> None:
    """One question, answered from the weights, with looking things up as well, and without."""
    window, page = hands.window, hands.window.compare
    hands.press("Ctrl+Shift+K")
    assert window.page == "compare"
    assert page.question.text() == ASKED, "what was asked last is a first suggestion"
    hands.press("Return")
    hands.wait(lambda: page.cards and page.cards[0].text)
    hands.look("comparing")
    hands.wait(lambda: not page.busy)
    assert [(card.way.learned, card.way.looked_up) for card in page.cards] == [
        (True, False), (True, True), (False, False),
    ]  # fmt: skip
    assert all(card.text for card in page.cards)
    assert all("differ" in card.note.text() or "common" in card.note.text() or
               "same" in card.note.text() for card in page.cards)  # fmt: skip
    hands.look("compared")


def leave_out_and_forget(hands: Hands) -> None:
    """One fact loses its tick, another is forgotten."""
    window, page = hands.window, hands.window.memory
    hands.click(window.side.page_buttons["memory"])
    hands.wait(lambda: page.fact_model.rowCount() > 1)
    hands.look("memory-page")
    first, second = (page.fact_model.fact(row).id for row in (0, 1))

    def state(fact_id: str) -> FactState:
        return window.plum.store.facts.get(fact_id).state

    hands.click(page.facts.viewport(), tick_of(hands, 0))
    hands.wait(lambda: state(first) == "excluded")
    hands.look("left-out")
    hands.click(page.facts.viewport(), page.facts.visualRect(page.fact_model.index(1)).center())
    hands.click(page.forget_button)
    hands.wait(lambda: state(second) == "excluded")
    hands.wait(lambda: page.fact_model.fact(1).state == "excluded")
    hands.look("fact-forgotten")


def tick_of(hands: Hands, row: int) -> QPoint:
    facts = hands.window.memory.facts
    option = QStyleOptionViewItem()
    option.rect = facts.visualRect(facts.model().index(row, 0))
    return TickDelegate.tick_rect(option).center()


def undo(hands: Hands) -> None:
    window, page = hands.window, hands.window.learning
    hands.click(window.side.page_buttons["learning"])
    hands.wait(page.details.undo_button.isVisible)
    hands.click(page.details.undo_button)
    hands.wait(lambda: page.model.index(0, LessonModel.STATE).data() == "Undone")
    assert window.plum.adapters.active() is None
    hands.look("undone")
