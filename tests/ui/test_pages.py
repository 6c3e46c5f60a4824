from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QFileDialog, QSpinBox
from pytestqt.qtbot import QtBot

from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.settings import Settings
from plum_desktop.base.types import Adapter
from plum_desktop.ui.learning.learning_page import LearningPage
from plum_desktop.ui.learning.run_table import LessonModel
from plum_desktop.ui.memory.memory_page import MemoryPage
from plum_desktop.ui.window import MainWindow
from tests.ui.conftest import button
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
Answer = Callable[[str], str]
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def file_dialog(qtbot: QtBot, qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Chooses a path in the file dialog that is open."""
    qapp.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)

    def choose(path: Path) -> None:
        def dialogs() -> list[QFileDialog]:
            return [
                each for each in qapp.topLevelWidgets()
                if isinstance(each, QFileDialog) and each.isVisible()
            ]  # fmt: skip

        qtbot.wait_until(lambda: len(dialogs()) == 1)
        dialog = dialogs()[0]
        dialog.fileSelected.emit(str(path))
        dialog.close()

    return choose


# Memory


def memory(window: MainWindow, qtbot: QtBot) -> MemoryPage:
    qtbot.mouseClick(window.side.page_buttons["memory"], Qt.MouseButton.LeftButton)
    assert window.page == "memory"
    return window.memory


def test_the_memory_page_begins_with_what_to_do(window: MainWindow, qtbot: QtBot) -> None:
    page = memory(window, qtbot)
    qtbot.wait_until(lambda: page._stack.currentIndex() == 0)
    qtbot.mouseClick(button(page, "Learn from my chats"), Qt.MouseButton.LeftButton)
    assert window.sheet.isVisible()


def test_what_was_taught_chat_by_chat(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    porto = double.add_chat("Porto", "What to pack?", "A bag.", created=time.time() - 100)
    bread = double.add_chat("Bread", "How long?", "An hour.", created=time.time() - 50)
    double.add_facts(porto, "You travel with one bag.", "You hate wet shoes.")
    double.add_facts(bread, "Your dough rests for an hour.", state="weak")
    window = open_window()
    page = memory(window, qtbot)
    qtbot.wait_until(lambda: page.taught.rowCount() == 2)
    titles = [page.taught.index(row).data() for row in range(2)]
    assert titles == ["Bread", "Porto"]
    assert page.fact_model.rowCount() == 1
    page.chats.setFocus()
    QTest.keyClick(page.chats, Qt.Key.Key_Down)
    facts = [page.fact_model.index(row) for row in range(page.fact_model.rowCount())]
    assert [each.data() for each in facts] == ["You travel with one bag.", "You hate wet shoes."]
    spoken = facts[0].data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "You travel with one bag. (learned)"
    page.grab()

    page.search.setText("dough")
    assert page.taught.rowCount() == 1
    assert page.fact_model.index(0).data() == "Your dough rests for an hour."
    page.search.setText("nowhere")
    assert page._count.text() == "Nothing found."
    page.search.clear()
    qtbot.mouseClick(button(page, "Open the chat"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: window.conversation.chat_id is not None)
    assert window.page == "chat"


def test_a_fact_is_excluded_by_its_tick(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "What to pack?", "A bag.")
    first, second = double.add_facts(chat_id, "You travel with one bag.", "You hate wet shoes.")
    [gone] = double.add_facts(chat_id, "You have not booked.", state="contradicted")
    window = open_window()
    page = memory(window, qtbot)
    qtbot.wait_until(lambda: page.fact_model.rowCount() == 3)
    page.facts.setFocus()
    page.facts.setCurrentIndex(page.fact_model.index(0))
    QTest.keyClick(page.facts, Qt.Key.Key_Space)
    qtbot.wait_until(lambda: double.memory.get(first.id).state == "excluded")
    qtbot.wait_until(lambda: "(excluded)" in page.fact_model.index(0).data(
        Qt.ItemDataRole.AccessibleTextRole))  # fmt: skip
    QTest.keyClick(page.facts, Qt.Key.Key_Space)
    qtbot.wait_until(lambda: double.memory.get(first.id).state == "waiting")
    spot = page.facts.visualRect(page.fact_model.index(1)).topLeft()
    spot.setX(spot.x() + 18)
    spot.setY(spot.y() + 18)
    QTest.mouseClick(page.facts.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    qtbot.wait_until(lambda: double.memory.get(second.id).state == "excluded")
    page.facts.setCurrentIndex(page.fact_model.index(2))
    QTest.keyClick(page.facts, Qt.Key.Key_Space)
    qtbot.wait(30)
    assert double.memory.get(gone.id).state == "contradicted"


# Learning


@pytest.fixture
def learning(open_window: Open, double: DoublePlum, qtbot: QtBot) -> LearningPage:
    """Three runs: an old one, a refused one, and the one that serves."""
    chats = [double.add_chat(title, "Tell me more.", "Yes.") for title in ("One", "Two")]
    now = time.time()
    double.add_lesson(chats[:1], created=now - 3000, active=False)
    double.add_lesson(chats, created=now - 2000, refused=True)
    double.add_lesson(chats, created=now - 1000)
    window = open_window()
    window.show_page("learning")
    qtbot.wait_until(lambda: window.learning.model.rowCount() == 3)
    return window.learning


def states(page: LearningPage) -> list[str]:
    model = page.model
    return [model.index(row, LessonModel.STATE).data() for row in range(model.rowCount())]


def test_runs_are_listed_with_what_they_came_to(learning: LearningPage, qtbot: QtBot) -> None:
    assert states(learning) == ["In use", "Not switched on", "Ready"]
    first = [learning.model.index(0, column).data() for column in range(4)]
    assert first[1:] == ["2", "8 min 41 s", "41 of 48"]
    assert learning.details.title.text() == "Learned 2 chats"
    learning.table.selectRow(1)
    assert "it forgot too much" in learning.details.reason.text()
    assert not learning.details.use_button.isVisible()
    assert not learning.details.undo_button.isVisible()


def test_going_back_and_forth(learning: LearningPage, double: DoublePlum, qtbot: QtBot) -> None:
    newest, _, oldest = double.adapters.list()

    def serves(adapter: Adapter) -> bool:
        active = double.adapters.active()
        return active is not None and active.id == adapter.id

    learning.table.selectRow(2)
    qtbot.mouseClick(learning.details.use_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: serves(oldest))
    qtbot.wait_until(lambda: states(learning) == ["Ready", "Not switched on", "In use"])
    qtbot.mouseClick(learning.details.undo_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: double.adapters.active() is None)
    qtbot.wait_until(lambda: states(learning) == ["Ready", "Not switched on", "Undone"])
    learning.table.selectRow(0)
    qtbot.mouseClick(learning.details.use_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: serves(newest))


def test_deleting_what_was_learned_can_be_undone(
    learning: LearningPage, double: DoublePlum, qtbot: QtBot
) -> None:
    assert not learning.details.delete_button.isEnabled()  # it serves
    learning.table.selectRow(2)
    oldest = double.adapters.list()[2]
    qtbot.mouseClick(learning.details.delete_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: states(learning)[2] == "Deleted")
    assert not learning.details.export_button.isVisible()
    assert learning.undo.isVisible()
    learning.undo.undo()
    qtbot.wait_until(lambda: states(learning)[2] == "Ready")
    assert double.folder.adapter(oldest.id).exists()
    qtbot.mouseClick(learning.details.delete_button, Qt.MouseButton.LeftButton)
    learning.undo.time.timeout.emit()  # ten seconds later
    qtbot.wait_until(lambda: not double.folder.adapter(oldest.id).exists())
    qtbot.wait_until(lambda: states(learning)[2] == "Deleted")
    assert not learning.undo.isVisible()


@pytest.mark.parametrize(("entry", "name"), [(0, "m.gguf"), (1, "a.gguf"), (2, "peft"), (3, "mlx")])
def test_an_export_warns_first(
    learning: LearningPage, double: DoublePlum, qtbot: QtBot, answer: Answer, tmp_path: Path,
    file_dialog: Callable, entry: int, name: str,
) -> None:  # fmt: skip
    action = learning.details.export_button.menu().actions()[entry]
    action.trigger()
    said = answer("Cancel")
    assert double.adapters.EXPORT_WARNING in said
    action.trigger()
    answer("Choose where…")
    file_dialog(tmp_path / name)
    qtbot.wait_until(lambda: learning.notice.text().startswith("Exported to"))
    assert (tmp_path / name).exists()

    action.trigger()
    answer("Choose where…")
    file_dialog(tmp_path / name)
    qtbot.wait_until(lambda: "already exists" in learning.notice.text())


def test_an_adapter_made_elsewhere_is_a_row_and_is_undone(
    learning: LearningPage, double: DoublePlum, qtbot: QtBot, answer: Answer, tmp_path: Path,
    file_dialog: Callable,
) -> None:  # fmt: skip
    chosen = tmp_path / "friend.gguf"
    chosen.write_bytes(b"GGUF")
    qtbot.mouseClick(learning.import_button, Qt.MouseButton.LeftButton)
    file_dialog(chosen)
    assert "from someone you trust" in answer("Cancel")
    assert not learning.importing.isVisible()
    learning.importing.warn(chosen)
    answer("Import")
    qtbot.wait_until(lambda: learning.importing.doing.text() == "Testing the adapter")
    assert learning.importing.bar.value() == 400
    assert not learning.import_button.isEnabled()
    assert not learning.learn_button.isEnabled()
    double.imports.go.set()
    qtbot.wait_until(lambda: learning.model.rowCount() == 4)
    assert double.imports.asked == [chosen]
    assert learning.notice.text().startswith("friend.gguf now serves")
    assert learning.import_button.isEnabled()
    row = [learning.model.index(0, column).data() for column in range(1, 5)]
    assert row == ["imported", "", "", "In use"]
    qtbot.wait_until(lambda: learning.details.title.text() == "Brought in from friend.gguf")
    assert "GGUF, rank 16, 210 parts" in learning.details.rows.texts()
    assert learning.charts is not None
    assert "No run" not in learning.charts.recall.summary.text()
    qtbot.mouseClick(learning.details.undo_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: states(learning)[0] == "Undone")


def test_an_import_that_fails_or_is_stopped_says_so(
    learning: LearningPage, double: DoublePlum, qtbot: QtBot, answer: Answer, tmp_path: Path
) -> None:
    learning.importing.warn(tmp_path / "bad.gguf")
    answer("Import")
    qtbot.wait_until(learning.importing.isVisible)
    double.imports.error = DamagedFile("bad.gguf is damaged.")
    double.imports.go.set()
    qtbot.wait_until(lambda: learning.notice.text() == "bad.gguf is damaged.")
    assert learning.notice.property("tone") == "danger"
    assert not learning.importing.isVisible()
    double.imports.go.clear()
    learning.importing.warn(tmp_path / "slow.gguf")
    answer("Import")
    qtbot.wait_until(lambda: len(double.imports.asked) == 2)
    qtbot.mouseClick(learning.importing.stop_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: "nothing has changed" in learning.notice.text())
    assert learning.model.rowCount() == 3
    assert learning.import_button.isEnabled()


def test_a_page_without_runs_says_so(window: MainWindow, qtbot: QtBot) -> None:
    window.show_page("learning")
    qtbot.wait_until(lambda: window.learning._stack.currentIndex() == 0)
    assert "has not learned anything yet" in window.learning._empty.text()
    qtbot.mouseClick(window.learning.learn_button, Qt.MouseButton.LeftButton)
    assert window.sheet.isVisible()


# Models


def test_models_are_cards(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    (double.folder.models / "broken.gguf").write_bytes(b"GGUF" + bytes(60))
    window.show_page("models")
    page = window.models
    qtbot.wait_until(lambda: len(page.cards) == 2)
    starter = page.cards["SmolLM2-135M-Instruct.Q4_1.gguf"]
    assert starter.use_button.text() == "In use"
    assert not starter.use_button.isEnabled()
    broken = page.cards["broken.gguf"]
    assert not broken.use_button.isEnabled()
    broken.remove_asked.emit()


def test_a_model_is_added_used_and_removed_which_can_be_undone(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, starter: Path, tmp_path: Path,
    file_dialog: Callable,
) -> None:  # fmt: skip
    copy = tmp_path / "Other-1B.Q8_0.gguf"
    copy.symlink_to(starter)
    window.show_page("models")
    page = window.models
    qtbot.mouseClick(page.add_button, Qt.MouseButton.LeftButton)
    file_dialog(copy)
    qtbot.wait_until(lambda: len(page.cards) == 2)
    assert page.notice.text() == "Added Other-1B.Q8_0.gguf."
    qtbot.mouseClick(page.cards[copy.name].use_button, Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: double.models.current().name == copy.name)
    qtbot.wait_until(lambda: page.cards[copy.name].use_button.text() == "In use")
    assert window.conversation.header.model.text().startswith("Other-1B")
    window.conversation.model_chosen.emit("SmolLM2-135M-Instruct.Q4_1.gguf")
    qtbot.wait_until(lambda: page.cards[copy.name].use_button.text() == "Use")
    file = double.folder.models / copy.name
    page.cards[copy.name].remove_asked.emit()
    assert list(page.cards) == ["SmolLM2-135M-Instruct.Q4_1.gguf"]
    window.show_page("settings")
    assert page.undo.isVisible()
    page.undo.undo()
    qtbot.wait_until(lambda: len(page.cards) == 2)
    assert file.exists()
    page.cards[copy.name].remove_asked.emit()
    window.leave()
    assert not file.exists()


def test_a_file_that_is_no_model_is_a_sentence(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"not a model at all, just some text")
    window.show_page("models")
    window.models.add(bad)
    qtbot.wait_until(lambda: "bad.gguf" in window.models.notice.text())
    qtbot.wait_until(window.models.add_button.isEnabled)
    assert window.models.notice.property("tone") == "danger"


# Settings


def test_every_setting_has_a_field(window: MainWindow) -> None:
    QTest.keyClick(window, Qt.Key.Key_Comma, CTRL)
    assert window.page == "settings"
    names = {field.name for field in dataclasses.fields(Settings)}
    assert set(window.settings.fields) == names - {"model", "keys"}
    assert all(field.accessibleName() for field in window.settings.fields.values())


def test_settings_are_kept(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    window.show_page("settings")
    longest = window.settings.fields["max_tokens"]
    assert isinstance(longest, QSpinBox)
    longest.setFocus()
    longest.selectAll()
    QTest.keyClicks(longest, "64")
    QTest.keyClick(longest, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: double.settings.max_tokens == 64)
    persona = window.settings.fields["persona"]
    persona.setFocus()
    QTest.keyClicks(persona, "Be brief.")
    longest.setFocus()
    qtbot.wait_until(lambda: double.settings.persona == "Be brief.")


def test_the_theme_changes_at_once(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, qapp: QApplication
) -> None:
    window.show_page("settings")
    choice = window.settings.fields["theme"]
    assert isinstance(choice, QComboBox)
    choice.setFocus()
    choice.setCurrentIndex(choice.findData("dark"))
    choice.activated.emit(choice.currentIndex())
    qtbot.wait_until(lambda: double.settings.theme == "dark")
    qtbot.wait_until(lambda: qapp.palette().color(QPalette.ColorRole.Window).lightness() < 100)


def test_a_setting_that_is_refused_goes_back(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    window.show_page("settings")
    window.settings._set("backend", "abacus")
    qtbot.wait_until(window.settings.notice.isVisible)
    assert "is one of" in window.settings.notice.text()
    assert double.settings.backend == "auto"


# Import and export of chats


def test_chats_go_out_and_come_in(
    open_window: Open, double: DoublePlum, qtbot: QtBot, tmp_path: Path, file_dialog: Callable
) -> None:
    chat_id = double.add_chat("Porto", "What to pack?", "A bag.")
    window = open_window()
    qtbot.wait_until(lambda: window.side.chats.chat_count() == 1)
    window.side.export_asked.emit([])
    file_dialog(tmp_path / "chats.jsonl")
    notice = window.conversation.notice
    qtbot.wait_until(lambda: notice.text().startswith("Exported to"))
    double.store.chats.delete(chat_id)
    with (tmp_path / "chats.jsonl").open("a") as stream:
        stream.write("not json\n")
    window.side.import_asked.emit()
    file_dialog(tmp_path / "chats.jsonl")
    qtbot.wait_until(lambda: notice.text().startswith("1 chat came in. Left out: Line 2"))
    qtbot.wait_until(lambda: window.side.chats.chat_count() == 1)
    window.exchange.import_from(tmp_path / "missing.jsonl")
    qtbot.wait_until(lambda: "cannot be read" in notice.text())


def test_one_chat_goes_out_as_markdown(
    open_window: Open, double: DoublePlum, qtbot: QtBot, tmp_path: Path, file_dialog: Callable
) -> None:
    chat_id = double.add_chat("Porto", "What to pack?", "A bag.")
    window = open_window()
    window.side.export_asked.emit([chat_id])
    file_dialog(tmp_path / "porto.md")
    qtbot.wait_until(lambda: (tmp_path / "porto.md").exists())
    qtbot.wait_until(lambda: "A bag." in (tmp_path / "porto.md").read_text())


def test_several_chats_go_out_in_each_format(
    open_window: Open, double: DoublePlum, qtbot: QtBot, tmp_path: Path, file_dialog: Callable
) -> None:
    ids = [double.add_chat(title, "What to pack?", "A bag.") for title in ("Porto", "Oslo", "Rome")]
    window = open_window()
    for name in ("two.md", "two.json", "two.jsonl"):
        window.side.export_asked.emit(ids[:2])
        file_dialog(tmp_path / name)
        qtbot.wait_until(lambda name=name: (tmp_path / name).exists())
    qtbot.wait_until(lambda: (tmp_path / "two.jsonl").read_text().count("\n") == 2)
    markdown = (tmp_path / "two.md").read_text()
    assert [title in markdown for title in ("# Porto", "# Oslo", "# Rome")] == [True, True, False]
    assert len(json.loads((tmp_path / "two.json").read_text())["chats"]) == 2


def test_the_format_follows_what_is_chosen_in_the_dialog(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, qapp: QApplication, file_dialog: Callable
) -> None:
    for ids, suffixes in (([], ["jsonl", "json", "md"]), (["one"], ["md", "jsonl", "json"])):
        window.side.export_asked.emit(ids)
        (dialog,) = [each for each in window.findChildren(QFileDialog) if each.isVisible()]
        assert dialog.defaultSuffix() == suffixes[0]
        for name, suffix in zip(dialog.nameFilters(), suffixes, strict=True):
            dialog.filterSelected.emit(name)
            assert dialog.defaultSuffix() == suffix
        dialog.close()


def test_what_chatgpt_exported_comes_in(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, file_dialog: Callable
) -> None:
    window.side.import_asked.emit()
    file_dialog(Path(__file__).parent.parent / "data" / "exchange" / "chatgpt.json")
    notice = window.conversation.notice
    qtbot.wait_until(lambda: notice.text().startswith("2 chats came in. Left out: Conversation 3"))
    qtbot.wait_until(lambda: window.side.chats.chat_count() == 1)  # the other is archived
    window.exchange.import_from(Path(__file__).parent.parent / "data" / "exchange" / "broken.json")
    qtbot.wait_until(lambda: notice.text().endswith("And 8 more."))


def test_the_current_row_is_kept_when_a_page_is_read_again(
    learning: LearningPage, qtbot: QtBot
) -> None:
    learning.table.selectionModel().setCurrentIndex(
        learning.model.index(2, 0), QItemSelectionModel.SelectionFlag.SelectCurrent
    )
    learning.refresh()
    qtbot.wait(50)
    assert learning.table.currentIndex().row() == 2
