"""The main job in the real window, by mouse and keyboard, with a real model that really learns.

Every step takes a picture and looks whether it shows something; with PLUM_SHOTS=<folder> they
are left there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from plum_desktop.ui.base.theme import current_theme, text_size
from tests.e2e import chatting, teaching
from tests.e2e.hands import Hands

_CHILD_SECONDS = 1500


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
    request.getfixturevalue("short_answers")
    hands: Hands = request.getfixturevalue("hands")
    failures: list[str] = []
    hands.window.bridge.failed.connect(failures.append)
    hands.window.lessons.failed.connect(failures.append)

    chatting.begin(hands)
    chatting.say_something(hands)
    chatting.stop_and_ask_again(hands)
    chatting.open_another_chat(hands, tmp_path)
    chatting.branch_off(hands)
    chatting.put_into_a_folder(hands)
    chatting.search_and_jump(hands)
    chatting.use_the_palette(hands)
    tea = teaching.learn_and_chat_on(hands)
    teaching.export_everything(hands, tmp_path)
    chatting.delete_and_undo(hands, tea)
    teaching.ask_what_was_learned(hands)
    teaching.compare(hands)
    chatting.see_that_it_is_gone(hands, tea)
    teaching.leave_out_and_forget(hands)
    teaching.undo(hands)
    change_the_looks(hands)
    enlarge_the_text(hands)
    hands.press("Ctrl+Q")
    assert not hands.window.isVisible()
    assert failures == []


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


def enlarge_the_text(hands: Hands) -> None:
    window = hands.window
    for _ in range(3):
        hands.press("Ctrl+=")
    hands.wait(lambda: text_size() == 150)  # on a real display it is laid out a moment later
    hands.wait(lambda: window.plum.settings.text_size == 150)
    hands.look("larger-chat")
    for page in ("learning", "memory", "models", "settings"):
        hands.click(window.side.page_buttons[page])
        hands.look(f"larger-{page}")
    hands.press("Ctrl+0")
    hands.wait(lambda: text_size() == 100)
