"""Where the window was when it was closed: page and chat."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from pytestqt.qtbot import QtBot

from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]


def test_page_and_chat_come_back(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    chat_id = double.add_chat("Porto", "What to pack?", "A bag.")
    first = open_window()
    assert first.conversation.chat_id is None
    first.open_chat(chat_id)
    qtbot.wait_until(lambda: first.conversation.chat_id == chat_id)
    first.show_page("memory")
    first.close()
    again = open_window()
    assert again.page == "memory"
    qtbot.wait_until(lambda: again.conversation.chat_id == chat_id)
    assert again.page == "memory"
    assert again.conversation.turns.rowCount() == 2
    again.show_page("chat")
    again.new_chat()
    again.close()
    assert open_window().page == "chat"


def test_a_chat_that_is_gone_is_not_missed(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "What to pack?", "A bag.")
    first = open_window()
    first.open_chat(chat_id)
    qtbot.wait_until(lambda: first.conversation.chat_id == chat_id)
    first.close()
    double.store.chats.delete(chat_id)
    again = open_window()
    qtbot.wait(100)
    assert again.conversation.chat_id is None
    assert not again.conversation.notice.isVisible()


def test_what_was_begun_meanwhile_stays(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "What to pack?", "A bag.")
    window = open_window()
    window.conversation.composer.set_text("Half a thou")
    window._reopen(chat_id)
    qtbot.wait(50)
    assert window.conversation.chat_id is None
    assert window.conversation.composer.text() == "Half a thou"


@pytest.mark.parametrize(
    "stored",
    [{"page": "attic", "chat": 5}, {"page": ["chat"]}, {"chat": "x"}, {"closed_folders": 5}],
)
def test_an_odd_state_file_does_no_harm(
    stored: dict[str, object], open_window: Open, double: DoublePlum
) -> None:
    whole = {"geometry": "", "side": "rail", **stored}
    double.folder.root.joinpath("window.json").write_text(json.dumps(whole))
    window = open_window()
    assert window.page == "chat"
    assert window.side.mode == "rail"


def test_closed_folders_stay_closed(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    chat_id = double.add_chat("Porto", "What to pack?", "A bag.")
    double.store.chats.update(chat_id, folder="Travel")
    first = open_window()
    qtbot.wait_until(lambda: first.side.chats.index_of(chat_id).isValid())
    first.side.chats.set_open("Travel", opened=False)
    first.close()
    again = open_window()
    qtbot.wait_until(lambda: again.side.chats.index_of_folder("Travel").isValid())
    assert not again.side.chats.index_of(chat_id).isValid()
