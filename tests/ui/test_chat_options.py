"""What holds for one chat alone, and the list of personas."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from plum_desktop.base.types import Chat
from plum_desktop.ui.chat.chat_options import ChatOptions
from plum_desktop.ui.chat.conversation import Conversation
from plum_desktop.ui.chat.personas import PersonaDialog
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum
from tests.ui.test_conversation import button_named, opened, say, settled

Open = Callable[[], MainWindow]


def options(chat: Conversation, qtbot: QtBot) -> ChatOptions:
    """The popover, as the header's button opens it."""
    qtbot.mouseClick(chat.header.options, Qt.MouseButton.LeftButton)
    qtbot.wait_until(chat.options.isVisible)
    return chat.options


def choose(choice, text: str) -> None:
    row = next(at for at in range(choice.count()) if choice.itemText(at).startswith(text))
    choice.setCurrentIndex(row)
    choice.activated.emit(row)


def prompt(double: DoublePlum, name: str) -> str:
    return next(one.prompt for one in double.personas.all() if one.name == name)


def test_a_new_chat_begins_with_what_was_chosen_for_it(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    chat = window.conversation
    shown = options(chat, qtbot)
    assert shown.persona.currentText() == "As in new chats (none)"
    assert not shown.temperature.isEnabled()
    choose(shown.persona, "Editor")
    shown.own_temperature.click()
    shown.temperature.setValue(0.2)
    shown.hide()
    say(window, "Their is a mistake")
    qtbot.wait_until(lambda: settled(chat))
    [stored] = double.store.chats.list()
    assert (stored.persona, stored.temperature) == (prompt(double, "Editor"), 0.2)
    assert double.engine.asked[0][0] == {"role": "system", "content": stored.persona}
    assert double.engine.settings["temperature"] == 0.2
    window.new_chat()
    assert options(chat, qtbot).persona.currentText() == "As in new chats (none)"


def test_a_stored_chat_changes_and_goes_back(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    double.set_setting("persona", prompt(double, "Brief"))
    chat_id = double.add_chat("Porto", "What?", "A bag.", temperature=1.5, persona="Be a pirate.")
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    shown = options(chat, qtbot)
    assert shown.persona.currentText() == "One of its own"
    assert (shown.temperature.value(), shown.own_temperature.isChecked()) == (1.5, True)
    choose(shown.persona, "As in new chats (Brief)")
    shown.own_temperature.click()
    choose(shown.model, "SmolLM2")

    def stored() -> Chat:
        return double.store.chats.get(chat_id)

    qtbot.wait_until(lambda: stored().model == window.conversation.model_name)
    assert (stored().persona, stored().temperature) == (None, None)
    shown.hide()
    say(window, "And shoes?")
    qtbot.wait_until(lambda: settled(chat) and chat.turns.rowCount() == 4)
    assert double.serving.models[-1] == stored().model
    assert double.engine.settings["temperature"] == double.settings.temperature
    assert double.engine.asked[0][0]["content"] == prompt(double, "Brief")
    choose(options(chat, qtbot).persona, "None")
    qtbot.wait_until(lambda: stored().persona == "")


def dialog(window: MainWindow, qtbot: QtBot) -> PersonaDialog:
    shown = options(window.conversation, qtbot)
    qtbot.mouseClick(button_named(shown, "Edit personas"), Qt.MouseButton.LeftButton)
    (made,) = window.findChildren(PersonaDialog)
    qtbot.wait_until(lambda: made.list.count() > 0)
    return made


def test_a_persona_is_added_changed_made_the_default_and_removed(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    made = dialog(window, qtbot)
    count = made.list.count()
    qtbot.mouseClick(button_named(made, "New"), Qt.MouseButton.LeftButton)
    assert not button_named(made, "Save").isEnabled()
    QTest.keyClicks(made.name, "Cook")
    QTest.keyClicks(made.prompt, "You cook.")
    qtbot.mouseClick(button_named(made, "Save"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: made.list.count() == count + 1)
    assert made.list.currentItem().text() == "Cook"
    made.default.click()
    qtbot.wait_until(lambda: double.settings.persona == "You cook.")
    made.prompt.setPlainText("You cook well.")
    qtbot.mouseClick(button_named(made, "Save"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: prompt(double, "Cook") == "You cook well.")
    # Still the one for new chats.
    qtbot.wait_until(lambda: double.settings.persona == "You cook well.")
    qtbot.wait_until(lambda: made.list.currentItem().text() == "Cook")
    made.name.setText("Brief")
    qtbot.mouseClick(button_named(made, "Save"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(made.notice.isVisible)
    assert "called Brief already" in made.notice.text()
    qtbot.mouseClick(button_named(made, "Remove"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: made.list.count() == count)
    made.undo.undo()
    qtbot.wait_until(lambda: made.list.count() == count + 1)
    assert made.list.currentItem().text() == "Cook"
    qtbot.mouseClick(button_named(made, "Remove"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: made.list.count() == count)
    assert prompt(double, "Cook"), "it goes when the bar goes, or the dialog"
    made.close()
    qtbot.wait_until(lambda: "Cook" not in [one.name for one in double.personas.all()])


def test_the_menu_of_a_chat_with_its_own_model_changes_that(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "What?", "A bag.", model="Other-1B.Q4_K_M.gguf")
    window = open_window()
    chat = opened(window, chat_id, qtbot)
    assert chat.header.model.accessibleName() == "Model: Other-1B"
    chat.header.model_chosen.emit(chat.model_name)
    qtbot.wait_until(lambda: double.store.chats.get(chat_id).model == chat.model_name)
