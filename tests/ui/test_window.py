from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QTextEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot

from plum_desktop.app.product import Plum
from plum_desktop.base.paths import DataFolder, open_data_folder
from plum_desktop.store import Store
from plum_desktop.ui.application import OneWindow
from plum_desktop.ui.base.theme import apply_theme
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
CONTROLS = (
    QAbstractButton, QLineEdit, QTextEdit, QAbstractItemView, QComboBox, QAbstractSpinBox,
    QProgressBar,
)  # fmt: skip


def named(widget: QWidget) -> bool:
    parent = widget.parent()
    inside = parent is None or isinstance(parent, QComboBox | QAbstractSpinBox | QLineEdit)
    if (
        inside
        or widget.objectName().startswith("qt_")
        or (parent.metaObject().className() == "QComboBoxPrivateContainer")
    ):
        return True  # Qt's own inside of a control of ours
    return bool(widget.accessibleName() or getattr(widget, "text", lambda: "")())


def test_every_control_has_a_name(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    chat_id = double.add_chat("Code", "How?", "See [a](https://b.c)\n\n```py\nx\n```")
    double.add_facts(chat_id, "You asked how.")
    double.add_lesson([chat_id])
    window = open_window()
    window.open_chat(chat_id)
    qtbot.wait_until(lambda: window.conversation.turns.rowCount() == 2)
    for page in window.pages:
        window.show_page(page)
        qtbot.wait(60)
    nameless = [
        (type(each).__name__, each.objectName(), type(each.parent()).__name__)
        for kind in CONTROLS for each in window.findChildren(kind)
        if not isinstance(each, QHeaderView) and not named(each)
    ]  # fmt: skip
    assert nameless == []


def test_titles_are_never_markup(open_window: Open, double: DoublePlum, qtbot: QtBot) -> None:
    title = "<b>bold</b><img src='http://evil.example/x.png'>"
    chat_id = double.add_chat(title, "Something.", "Yes.")
    double.add_facts(chat_id, title)
    window = open_window()
    window.open_chat(chat_id)
    qtbot.wait_until(lambda: window.conversation.turns.rowCount() == 2)
    window.show_page("memory")
    qtbot.wait_until(lambda: window.memory.fact_model.rowCount() == 1)
    rich = [
        each for each in window.findChildren(QLabel)
        if "evil" in each.text() and each.textFormat() != Qt.TextFormat.PlainText
    ]  # fmt: skip
    assert rich == []
    assert "<b>bold" not in window.side.chats.index_of(chat_id).data(Qt.ItemDataRole.ToolTipRole)


def test_the_whole_window_follows_the_theme(
    open_window: Open, double: DoublePlum, qtbot: QtBot, qapp: QApplication
) -> None:
    chat_id = double.add_chat("Code", "How?", "Like `this`:\n\n```py\nx = 1\n```")
    window = open_window()
    window.open_chat(chat_id)
    qtbot.wait_until(lambda: window.conversation.turns.rowCount() == 2)
    for page in window.pages:
        window.show_page(page)
        qtbot.wait(20)
        apply_theme(qapp, "light")
        qtbot.wait(20)
        light = _brightness(window)
        apply_theme(qapp, "dark")
        qtbot.wait(20)
        assert light > 200
        assert _brightness(window) < 60


def _brightness(window: MainWindow) -> float:
    image = window.grab().toImage().scaled(40, 30)
    points = [(x, y) for x in range(40) for y in range(30)]
    return sum(image.pixelColor(x, y).lightness() for x, y in points) / len(points)


def test_the_place_of_the_window_is_remembered(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    window = open_window()
    window.resize(1000, 610)
    QTest.keyClick(window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    window.close()
    again = MainWindow(double)
    qtbot.add_widget(again)
    assert again.height() == 610  # the offscreen display is only 800 wide
    again.resize(1000, 610)
    assert again.side.mode == "rail"
    again.close()


def test_a_damaged_state_file_does_no_harm(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    double.folder.root.joinpath("window.json").write_text('{"geometry": 5, "side": [')
    assert open_window().isVisible()


def test_an_error_shows_on_the_page_in_sight(window: MainWindow, qtbot: QtBot) -> None:
    window.show_page("models")
    window.bridge.failed.emit("Something could not be done; try again.")
    assert window.models.notice.text() == "Something could not be done; try again."
    assert window.models.notice.isVisible()
    window.show_page("chat")
    window.bridge.failed.emit("Something else.")
    assert window.conversation.notice.isVisible()


def test_interrupted_replies_are_closed_at_the_start(
    open_window: Open, double: DoublePlum, qtbot: QtBot
) -> None:
    chat_id = double.add_chat("Porto", "What to pack?")
    double.store.chats.add_message(chat_id, "assistant", "Half a re")
    open_window()
    qtbot.wait_until(lambda: double.store.chats.branch(chat_id)[-1].finish_reason == "failed")


def test_a_second_start_raises_the_first_window(qtbot: QtBot, data_folder: DataFolder) -> None:
    first = OneWindow(data_folder)
    assert first.acquire()
    second = OneWindow(data_folder)
    assert not second.acquire()
    with qtbot.wait_signal(first.called):
        assert second.call_other()
    other_folder = OneWindow(open_data_folder(data_folder.root / "other"))
    assert other_folder.acquire()
    first.release()
    assert second.acquire()
    second.release()
    other_folder.release()


def _start(folder: DataFolder) -> subprocess.Popen[str]:
    code = (
        "import sys, pathlib\n"
        "from plum_desktop.base.paths import open_data_folder\n"
        "from plum_desktop.ui.application import run\n"
        "sys.exit(run(open_data_folder(pathlib.Path(sys.argv[1]))))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder.root)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def test_the_program_opens_and_closes(data_folder: DataFolder) -> None:
    """The real thing in a process of its own: a second start leaves, Ctrl-C ends the first."""
    first = _start(data_folder)
    try:
        deadline = time.monotonic() + 30
        while not data_folder.database.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert first.poll() is None, first.communicate()[1]
        second = _start(data_folder)
        _, errors = second.communicate(timeout=30)
        assert second.returncode == 0, errors
        assert first.poll() is None
        time.sleep(0.5)
        first.send_signal(signal.SIGINT)
        _, errors = first.communicate(timeout=30)
        assert first.returncode == 0, errors
        assert "Traceback" not in errors
    finally:
        first.kill()
        first.wait()
    assert data_folder.root.joinpath("window.json").exists()


def test_the_window_imports_nothing_heavy(data_folder: DataFolder) -> None:
    Store(data_folder.database, data_folder.backups).close()
    code = (
        "import sys, pathlib\n"
        "import plum_desktop.ui.application\n"
        "from plum_desktop.app.product import Plum\n"
        "from plum_desktop.base.paths import open_data_folder\n"
        "Plum(open_data_folder(pathlib.Path(sys.argv[1]))).close()\n"
        "heavy = {'torch', 'transformers', 'peft', 'llama_cpp', 'gguf', 'starlette', 'numpy',"
        " 'sqlite_utils', 'markdown_it', 'pygments', 'psutil', 'difflib', 'ctypes',"
        " 'plum_desktop.learning.gate'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data_folder.root)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_opening_makes_few_of_qts_classes(data_folder: DataFolder) -> None:
    """PySide makes a class when it is named, and all of them to say what is of none it knows."""
    store = Store(data_folder.database, data_folder.backups)
    store.chats.create("Porto")
    store.close()
    code = (
        "import logging, pathlib, sys\n"
        "from PySide6 import QtWidgets\n"
        "from plum_desktop.base.paths import open_data_folder\n"
        "from plum_desktop.ui import application\n"
        "class Usable(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        if 'usable' in record.getMessage():\n"
        "            print('QListView' in vars(QtWidgets), 'QWizard' in vars(QtWidgets))\n"
        "            QtWidgets.QApplication.closeAllWindows()\n"
        "logging.getLogger().addHandler(Usable())\n"
        "logging.getLogger().setLevel(logging.INFO)\n"
        "sys.exit(application.run(open_data_folder(pathlib.Path(sys.argv[1]))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data_folder.root)],
        capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip
    assert done.stdout.split() == ["True", "False"]


def test_a_page_is_made_when_it_is_first_shown(window: MainWindow) -> None:
    """The start pays for what it shows; a page that comes later knows what went on before."""
    later = {"memory", "learning", "settings", "compare"}
    assert later.isdisjoint(vars(window))
    for page in window.pages:
        window.show_page(page)
    assert later <= vars(window).keys()


def test_nothing_is_ever_a_window_for_a_moment(
    open_window: Open, qapp: QApplication, double: DoublePlum, qtbot: QtBot
) -> None:
    """A widget that is shown before it has a parent flashes, and takes the keyboard away."""
    double.add_chat("Bergen", "My sister lives in Bergen.", "How nice.")
    seen: list[QWidget] = []

    class Watch(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
            if event.type() == QEvent.Type.Show and isinstance(watched, QWidget):
                seen.extend([watched] if watched.isWindow() else [])
            return False

    watch = Watch()
    qapp.installEventFilter(watch)
    try:
        window = open_window()
        qtbot.wait_until(lambda: window.lessons.plan is not None)
        assert window.lessons.plan
        window.lessons.start(window.lessons.plan)
        qtbot.wait_until(lambda: window.lessons.job is not None)
        for page in window.pages:
            window.show_page(page)
    finally:
        qapp.removeEventFilter(watch)
    assert seen == [window]
    assert window.learning.now.isVisibleTo(window.learning)
    assert not window.learning.learn_button.isEnabled()


def test_a_real_model_answers_in_the_window(plum: Plum, qtbot: QtBot) -> None:
    """End to end with the starter model: type, read, close."""
    plum.set_setting("max_tokens", 12)
    plum.set_setting("temperature", 0.0)
    plum.set_setting("context", 512)
    window = MainWindow(plum)
    qtbot.add_widget(window)
    window.show()
    window.start()
    chat = window.conversation
    grown: list[str] = []
    window.bridge.reply_grew.connect(lambda _chat, _id, text: grown.append(text))
    chat.composer.set_text("What is the capital of France?")
    QTest.keyClick(chat.composer._field, Qt.Key.Key_Return)
    ended = ("said", "cut")
    qtbot.wait_until(lambda: chat.turns.rowCount() == 2 and chat.turns.last().state in ended)
    last = chat.turns.last()
    assert len(last.text) > 5
    assert last.text.startswith(grown[0].strip())
    [stored] = plum.store.chats.list()
    assert plum.store.chats.branch(stored.id)[-1].text == last.text
    window.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
