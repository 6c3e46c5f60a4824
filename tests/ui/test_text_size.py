from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QScrollArea, QSpinBox
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from plum_desktop.ui.base.theme import apply_text_size, apply_theme, scaled, set_property, text_size
from plum_desktop.ui.chat.code_block import Code
from plum_desktop.ui.chat.prose import Prose
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture(autouse=True)
def usual(qapp: QApplication, dressed: None) -> Iterator[None]:
    font = qapp.font()
    apply_text_size(qapp, 100)
    yield
    apply_text_size(qapp, 100)
    qapp.setFont(font)


def test_keys_change_it_at_once_and_it_is_kept(
    window: MainWindow, double: DoublePlum, qtbot: QtBot
) -> None:
    for size in (110, 125, 150):
        QTest.keyClick(window, Qt.Key.Key_Equal, CTRL)
        assert text_size() == size
    qtbot.wait_until(lambda: double.settings.text_size == 150)
    QTest.keyClick(window, Qt.Key.Key_Minus, CTRL)
    qtbot.wait_until(lambda: double.settings.text_size == 125)
    QTest.keyClick(window, Qt.Key.Key_0, CTRL)
    assert text_size() == 100
    qtbot.wait_until(lambda: double.settings.text_size == 100)
    for _ in range(9):
        QTest.keyClick(window, Qt.Key.Key_Minus, CTRL)
    assert text_size() == 80
    qtbot.wait_until(lambda: double.settings.text_size == 80)


def test_presses_faster_than_the_disk_all_count(
    window: MainWindow, double: DoublePlum, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, kept, keep = threading.Semaphore(0), [], double.set_setting

    def keep_slowly(key: str, value: object) -> None:
        disk.acquire()
        keep(key, value)
        kept.append(value)

    monkeypatch.setattr(double, "set_setting", keep_slowly)
    for count in range(1, 4):
        QTest.keyClick(window, Qt.Key.Key_Equal, CTRL)
        if count == 2:
            disk.release()
            qtbot.wait_until(lambda: len(kept) == 1)
            qtbot.wait(50)  # the window hears of it
    assert text_size() == 150
    disk.release(2)
    qtbot.wait_until(lambda: len(kept) == 3)
    qtbot.wait(50)
    assert (text_size(), double.settings.text_size) == (150, 150)


def test_the_setting_applies_it(window: MainWindow, double: DoublePlum, qtbot: QtBot) -> None:
    window.show_page("settings")
    field = window.settings.fields["text_size"]
    assert isinstance(field, QSpinBox)
    assert (field.minimum(), field.maximum()) == (80, 200)
    field.setFocus()
    field.setValue(175)
    QTest.keyClick(field, Qt.Key.Key_Return)
    qtbot.wait_until(lambda: text_size() == 175)


def test_everything_grows(
    open_window: Open, double: DoublePlum, qtbot: QtBot, qapp: QApplication
) -> None:
    chat_id = double.add_chat("Code", "How?", "Like `this`:\n\n```py\nx = 1\n```")
    double.add_facts(chat_id, "You asked how.")
    double.add_lesson([chat_id])
    window = open_window()
    window.open_chat(chat_id)
    qtbot.wait_until(lambda: window.conversation.list.live_views() == 2)
    for page in window.pages:
        window.show_page(page)
        qtbot.wait(20)
    window.open_chat(chat_id)
    qtbot.wait_until(lambda: window.conversation.list.live_views() == 2)
    view = window.conversation.list.view_of(1)
    assert view
    labels = [*window.findChildren(QLabel), *window.findChildren(QPushButton)]
    before = {each: each.font().pixelSize() for each in labels}
    height = view.height()
    row = window.side.list.sizeHintForRow(1)
    apply_text_size(qapp, 200)
    qtbot.wait_until(lambda: view.height() > height * 3 // 2)
    same = [
        (each.text(), each.font().pixelSize()) for each, size in before.items()
        if isValid(each) and each.font().pixelSize() != 2 * size
    ]  # fmt: skip
    assert same == []
    assert sum(isValid(each) for each in before) > 60  # a page may fill itself anew meanwhile
    prose, code = view.findChild(Prose), view.findChild(Code)
    assert prose
    assert code
    assert prose.document().defaultFont().pixelSize() == 30
    assert code._text.document().defaultFont().pixelSize() == 26
    assert "font-size: 26px" in prose.document().defaultStyleSheet()
    field = window.conversation.composer._field
    assert field.document().defaultFont().pixelSize() == 30
    assert window.side.list.sizeHintForRow(1) == 2 * row == scaled(row)


def test_a_new_theme_keeps_the_size(window: MainWindow, qtbot: QtBot, qapp: QApplication) -> None:
    apply_text_size(qapp, 150)
    text = window.status.text
    assert text.font().pixelSize() == 20
    apply_theme(qapp, "dark")
    assert text.font().pixelSize() == 20
    set_property(text, "tone", "danger")  # dressed anew
    assert text.font().pixelSize() == 20


def test_large_text_in_a_narrow_window_is_not_cut_off(
    open_window: Open, double: DoublePlum, qtbot: QtBot, qapp: QApplication
) -> None:
    chat_id = double.add_chat("A rainy week in Porto", "What should I pack?", "A bag.")
    double.add_facts(chat_id, "You travel with one small bag.")
    window = open_window()
    window.resize(800, 600)
    apply_text_size(qapp, 150)
    for name in ("settings", "models", "learning"):
        window.show_page(name)
        area = getattr(window, name).findChild(QScrollArea)
        assert area.widget().minimumSizeHint().width() <= area.viewport().width(), name
    window.show_page("memory")
    page = window.memory
    qtbot.wait_until(lambda: page.taught.rowCount() == 1)
    page.chats.setCurrentIndex(page.taught.index(0))
    line = page._title.fontMetrics().height()
    qtbot.wait_until(lambda: page._title.height() < 3 * line)
