"""From right to left: the window is mirrored, and what people write keeps its own direction."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import PySide6
import pytest
from PySide6.QtCore import QCoreApplication, QLocale, QPoint, Qt, QTranslator
from PySide6.QtGui import QImage, QTextCursor
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QComboBox, QWidget
from pytestqt.qtbot import QtBot

from plum_desktop.ui.base.translations import load_translations
from plum_desktop.ui.chat.code_block import Code
from plum_desktop.ui.chat.prose import Prose
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
HEBREW = "מה כדאי לארוז לשבוע גשום?"
ARABIC = "ماذا يجب أن أحزم لأسبوع ممطر؟"


@pytest.fixture(autouse=True)
def from_right_to_left(qapp: QApplication) -> Iterator[None]:
    qapp.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    yield
    qapp.setLayoutDirection(Qt.LayoutDirection.LeftToRight)


@pytest.fixture
def full(open_window: Open, double: DoublePlum, qtbot: QtBot) -> MainWindow:
    chat_id = double.add_chat("Porto", "What to pack?", f"{HEBREW}\n\nA bag.\n\n```py\nx = 1\n```")
    double.add_facts(chat_id, "You asked what to pack.")
    double.add_lesson([chat_id])
    window = open_window()
    window.open_chat(chat_id)
    qtbot.wait_until(lambda: window.conversation.list.live_views() == 2)
    qtbot.wait_until(lambda: window.side.chats.chat_count() == 1)
    return window


def overlaps(parent: QWidget) -> list[str]:
    """Which siblings in a layout lie over each other."""
    layout = parent.layout()
    shown = []
    if layout is not None:
        children = parent.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
        shown = [each for each in children if each.isVisible() and layout.indexOf(each) >= 0]
    found = [
        f"{one.metaObject().className()} {one.accessibleName()!r} over "
        f"{other.metaObject().className()} {other.accessibleName()!r}"
        for at, one in enumerate(shown) for other in shown[at + 1 :]
        if one.geometry().intersects(other.geometry())
    ]  # fmt: skip
    inside = [
        f"{each.metaObject().className()} {each.accessibleName()!r} out of its parent"
        for each in shown
        if not parent.rect().adjusted(-1, -1, 1, 1).contains(each.geometry())
    ]
    return found + inside


@pytest.mark.parametrize("size", [(1100, 760), (640, 560)])
def test_nothing_lies_over_anything(size: tuple[int, int], full: MainWindow, qtbot: QtBot) -> None:
    def laid_out() -> None:
        for parent in (full.centralWidget(), *full.centralWidget().findChildren(QWidget)):
            inside = isinstance(parent.parent(), QAbstractScrollArea | QComboBox)
            if parent.isVisible() and not inside:
                assert overlaps(parent) == [], page

    full.resize(*size)
    for page in full.pages:
        full.show_page(page)
        qtbot.wait(60)  # what the page asks for arrives
        qtbot.wait_until(laid_out)


def test_the_window_is_mirrored(full: MainWindow, qtbot: QtBot) -> None:
    assert full.side.geometry().right() == full.centralWidget().rect().right()
    header = full.conversation.header
    assert header.title.x() > header.memory.x() > header.model.x()
    qtbot.wait_until(full.status.text.isVisible)
    qtbot.wait(20)
    assert full.status.text.x() > full.status.learn_button.x()
    assert header.title.alignment() & Qt.AlignmentFlag.AlignRight
    assert full.side.property("mirrored") is True
    view = full.conversation.list.view_of(1)
    assert view
    prose = view.findChild(Prose)
    assert prose
    assert view._who.geometry().left() > prose.geometry().right() - 1
    assert view.bar.copy.mapTo(view, QPoint()).x() > view.bar.change.mapTo(view, QPoint()).x()


def left_and_right(image: QImage) -> tuple[int, int]:
    """The first and the last column with something in it."""
    ground = image.pixelColor(0, 0)
    columns = [
        x for x in range(image.width())
        if any(image.pixelColor(x, y) != ground for y in range(image.height()))
    ]  # fmt: skip
    return columns[0], columns[-1]


def test_painted_rows_are_mirrored(full: MainWindow, qtbot: QtBot) -> None:
    full.side.list.clearSelection()
    index = full.side.chats.index(1)
    assert index.data() == "Porto"
    area = full.side.list.visualRect(index)
    image = full.side.list.viewport().grab(area).toImage()
    left, right = left_and_right(image)
    assert left > image.width() // 2
    assert image.width() - 24 < right < image.width() - 12


def side_of(prose: Prose, word: str) -> float:
    """Where the first letter of `word` stands, 0 (left) to 1 (right)."""
    cursor = prose.document().find(word)
    assert not cursor.isNull()
    cursor.setPosition(cursor.selectionStart())
    cursor.movePosition(QTextCursor.MoveOperation.StartOfBlock)
    return prose.cursorRect(cursor).center().x() / prose.viewport().width()


@pytest.mark.parametrize("direction", list(Qt.LayoutDirection)[:2])
@pytest.mark.parametrize("text", [HEBREW, ARABIC])
def test_words_keep_their_own_direction(
    direction: Qt.LayoutDirection, text: str, open_window: Open, double: DoublePlum,
    qtbot: QtBot, qapp: QApplication,
) -> None:  # fmt: skip
    qapp.setLayoutDirection(direction)
    chat_id = double.add_chat("Porto", text, f"{text}\n\nPack a bag.\n\n```py\nx = 1\n```")
    window = open_window()
    window.open_chat(chat_id)
    qtbot.wait_until(lambda: window.conversation.list.live_views() == 2)
    mine, theirs = (window.conversation.list.view_of(row) for row in (0, 1))
    assert mine
    assert theirs
    asked, said = mine.findChild(Prose), theirs.findChild(Prose)
    assert asked
    assert said
    assert side_of(asked, text.split()[0]) > 0.9
    assert side_of(said, text.split()[0]) > 0.9
    assert side_of(said, "Pack") < 0.1
    code = theirs.findChild(Code)
    assert code
    lines = code._text
    assert lines.cursorRect(QTextCursor(lines.document())).x() < lines.width() // 4
    window.conversation.composer.set_text(text)
    field = window.conversation.composer._field
    start = QTextCursor(field.document())
    assert field.cursorRect(start).x() > field.viewport().width() // 2


@pytest.fixture
def translations(tmp_path: Path) -> Path:
    """A folder with a translation of one word into Hebrew, as lrelease makes it."""
    source = tmp_path / "plum_he.ts"
    source.write_text(
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE TS><TS version="2.1" language="he">'
        "<context><name>Probe</name><message><source>Memory</source>"
        "<translation>זיכרון</translation></message></context></TS>",
        encoding="utf-8",
    )
    tool = Path(PySide6.__file__).parent / "lrelease"
    if not tool.exists():
        pytest.skip("this PySide6 came without lrelease")
    subprocess.run([tool, source, "-qm", tmp_path / "plum_he.qm"], check=True, capture_output=True)
    return tmp_path


def test_a_translation_is_loaded_by_the_locale(translations: Path, qapp: QApplication) -> None:
    qapp.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
    assert not load_translations(qapp, QLocale("de_DE"), translations)
    assert not load_translations(qapp, QLocale("he_IL"))  # none ships yet
    assert qapp.layoutDirection() == Qt.LayoutDirection.LeftToRight
    try:
        assert load_translations(qapp, QLocale("he_IL"), translations)
        assert QCoreApplication.translate("Probe", "Memory") == "זיכרון"
        assert qapp.layoutDirection() == Qt.LayoutDirection.RightToLeft
    finally:
        for each in qapp.findChildren(QTranslator):
            qapp.removeTranslator(each)
            each.deleteLater()
