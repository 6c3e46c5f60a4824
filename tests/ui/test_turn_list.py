from __future__ import annotations

import itertools

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTextEdit, QWidget
from pytestqt.qtbot import QtBot

from plum_desktop.base.types import Message
from plum_desktop.ui.base.theme import text_font
from plum_desktop.ui.chat.prose import Prose
from plum_desktop.ui.chat.turn_list import TurnList
from plum_desktop.ui.chat.turn_view import TurnView
from plum_desktop.ui.chat.turns import Turn, TurnModel


def branch(count: int, text: str = "Some words, number {n}.\n\nAnd **more** of them.") -> list:
    return [
        Message(
            f"m{n}", "c", f"m{n - 1}" if n else None, "assistant" if n % 2 else "user",
            text.format(n=n) * (1 + n % 5), float(n), finish_reason="stop" if n % 2 else None,
        )
        for n in range(count)
    ]  # fmt: skip


@pytest.fixture
def turns(qtbot: QtBot) -> TurnList:
    view = TurnList(TurnModel())
    view._model.setParent(view)
    qtbot.add_widget(view)
    view.resize(700, 600)
    view.show()
    return view


def show(turns: TurnList, messages: list[Message], qtbot: QtBot) -> TurnModel:
    model = turns._model
    model.set_branch(messages)
    qtbot.wait(10)
    return model


def tops(turns: TurnList) -> dict[str, int]:
    """Where the visible turns stand, by message id."""
    views = turns.viewport().findChildren(TurnView)
    high = turns.viewport().height()
    return {
        view.turn.id: view.y() for view in views
        if view.isVisible() and -view.height() < view.y() < high
    }  # fmt: skip


def test_ten_thousand_messages_are_a_screenful_of_widgets(
    turns: TurnList, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def count(turn: Turn) -> TurnView:
        made.append(turn.id)
        return make(turn)

    make = turns._make
    monkeypatch.setattr(turns, "_make", count)
    show(turns, branch(10_000), qtbot)
    assert len(made) < 60
    assert turns.live_views() < 60
    assert "m9999" in tops(turns)
    made.clear()
    bar = turns.verticalScrollBar()
    for value in range(0, bar.maximum(), bar.maximum() // 50):
        bar.setValue(value)
    assert turns.live_views() < 60
    assert 50 < len(made) < 50 * 60
    qtbot.wait(20)
    assert len(turns.viewport().findChildren(TurnView)) < 60


def test_turns_lie_one_below_the_other_without_gaps(turns: TurnList, qtbot: QtBot) -> None:
    show(turns, branch(300), qtbot)
    for value in (0, 1234, 9000, turns.verticalScrollBar().maximum()):
        turns.verticalScrollBar().setValue(value)
        views = sorted(
            (v for v in turns.viewport().findChildren(TurnView) if v.isVisible()), key=QWidget.y
        )
        assert views[0].y() <= 16
        assert views[-1].geometry().bottom() >= turns.viewport().height() - 17
        for above, below in itertools.pairwise(views):
            assert above.geometry().bottom() + 1 == below.y()
            assert int(below.turn.id[1:]) == int(above.turn.id[1:]) + 1


def test_scrolling_up_into_unmeasured_turns_moves_as_far_as_asked(
    turns: TurnList, qtbot: QtBot
) -> None:
    """Guesses above turn into heights while one scrolls; what is read must not jump."""
    show(turns, branch(400, "Wide words that wrap over and over again, number {n}. " * 3), qtbot)
    bar = turns.verticalScrollBar()
    for _ in range(40):
        before = tops(turns)
        bar.setValue(bar.value() - 50)
        after = tops(turns)
        moved = {after[each] - before[each] for each in before.keys() & after.keys()}
        assert moved == {50}


def test_the_view_follows_a_reply_that_grows(turns: TurnList, qtbot: QtBot) -> None:
    model = show(turns, branch(20), qtbot)
    model.append("user", "and?")
    model.append("assistant", "", "waiting")
    for lines in range(1, 60, 7):
        model.grow("new", "line\n\n" * lines)
        qtbot.wait(5)
        bar = turns.verticalScrollBar()
        assert bar.value() == bar.maximum()
        bottom = turns.view_of(21).geometry().bottom()
        assert abs(turns.viewport().height() - 16 - bottom) <= 1
    assert not turns._newest.isVisible()


def test_a_reader_who_scrolled_away_is_left_in_peace(turns: TurnList, qtbot: QtBot) -> None:
    model = show(turns, branch(40), qtbot)
    model.append("assistant", "", "waiting")
    qtbot.wait(5)
    bar = turns.verticalScrollBar()
    bar.setValue(bar.value() - 700)
    assert not turns.follows
    before = tops(turns)
    model.grow("new", "line\n\n" * 80)
    qtbot.wait(5)
    assert tops(turns) == before
    assert turns._newest.isVisible()
    qtbot.mouseClick(turns._newest, Qt.MouseButton.LeftButton)
    assert bar.value() == bar.maximum()
    assert turns.follows
    assert not turns._newest.isVisible()


def test_a_reader_in_the_middle_of_the_growing_reply_is_left_in_peace(
    turns: TurnList, qtbot: QtBot
) -> None:
    model = show(turns, branch(3), qtbot)
    model.append("assistant", "", "waiting")
    model.grow("new", "line\n\n" * 80)
    qtbot.wait(5)
    bar = turns.verticalScrollBar()
    bar.setValue(bar.value() - 900)
    top = turns.view_of(3).y()
    model.grow("new", "line\n\n" * 160)
    qtbot.wait(5)
    assert turns.view_of(3).y() == top


def test_resizing_keeps_the_place(turns: TurnList, qtbot: QtBot) -> None:
    show(turns, branch(200), qtbot)
    turns.go_to(77)
    assert tops(turns)["m77"] == 16
    turns.resize(450, 600)
    qtbot.wait(5)
    assert tops(turns)["m77"] == 16
    turns.resize(1200, 500)
    qtbot.wait(5)
    assert tops(turns)["m77"] == 16


def test_lines_are_no_longer_than_one_can_read(turns: TurnList, qtbot: QtBot) -> None:
    show(turns, branch(6), qtbot)
    turns.resize(2400, 600)
    qtbot.wait(5)
    prose = turns.view_of(5).findChildren(Prose)[0]
    assert prose.width() <= QFontMetrics(text_font()).averageCharWidth() * 72
    assert abs(prose.mapTo(turns, QPoint(0, 0)).x() + prose.width() / 2 - 1200) < 60


def test_short_chats_begin_at_the_top(turns: TurnList, qtbot: QtBot) -> None:
    show(turns, branch(2, "Hello."), qtbot)
    assert tops(turns)["m0"] == 16
    assert turns.verticalScrollBar().maximum() == 0


def test_keys_scroll(turns: TurnList, qtbot: QtBot) -> None:
    show(turns, branch(100), qtbot)
    turns.setFocus()
    QTest.keyClick(turns, Qt.Key.Key_Home)
    assert tops(turns)["m0"] == 16
    QTest.keyClick(turns, Qt.Key.Key_PageDown)
    assert turns.verticalScrollBar().value() > 300
    QTest.keyClick(turns, Qt.Key.Key_End)
    assert turns.verticalScrollBar().value() == turns.verticalScrollBar().maximum()


def test_another_branch_keeps_the_widgets_of_what_they_share(turns: TurnList, qtbot: QtBot) -> None:
    messages = branch(6)
    model = show(turns, messages, qtbot)
    shared = turns.view_of(2)
    other = [*messages[:4], Message("other", "c", "m3", "user", "something else", 9.0)]
    model.set_branch(other)
    qtbot.wait(5)
    assert turns.view_of(2) is shared
    assert [turn.id for turn in model.turns()] == ["m0", "m1", "m2", "m3", "other"]


def test_stored_messages_take_over_the_turns_that_stood_in_for_them(
    turns: TurnList, qtbot: QtBot
) -> None:
    messages = branch(4)
    model = show(turns, messages[:2], qtbot)
    model.append("user", messages[2].text)
    model.append("assistant", "", "waiting")
    qtbot.wait(5)
    view = turns.view_of(3)
    model.grow("m3", "Some")
    model.set_branch(messages)
    qtbot.wait(5)
    assert turns.view_of(3) is view
    assert model.last().state == "said"
    assert model.last().text == messages[3].text


def test_a_page_is_reached_by_tab_and_brought_into_sight(turns: TurnList, qtbot: QtBot) -> None:
    show(turns, branch(40), qtbot)
    turns.go_to(10)
    for _ in range(6):
        QTest.keyClick(turns.window().focusWidget() or turns, Qt.Key.Key_Tab)
        focus = turns.focused_view(turns.window().focusWidget()) or turns.window().focusWidget()
        if isinstance(focus, TurnView):
            assert focus.y() < turns.viewport().height()
            assert focus.y() + focus.height() > 0


def test_only_what_grows_is_painted_anew(turns: TurnList, qtbot: QtBot) -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    text = f"First words.\n\n{table}\n\n```python\nx = 1\n```\n\nLast words"
    messages = [*branch(3), Message("r", "c", "m2", "assistant", text, 9.0)]
    model = turns._model
    model.set_branch(messages, writing=True)
    qtbot.wait(10)
    changed: list[str] = []
    for view in turns.viewport().findChildren(TurnView):
        for part in view.findChildren(QTextEdit):
            name = f"{view.turn.id}: {part.toPlainText().split()[0]}"
            part.document().contentsChanged.connect(lambda name=name: changed.append(name))
    model.grow("r", text + ", and more of them.")
    qtbot.wait(10)
    assert set(changed) == {"r: Last"}
    model.grow("r", text + ", and more of them.\n\n- a list")
    qtbot.wait(10)
    assert set(changed) == {"r: Last"}


def test_a_long_reply_is_laid_out_in_pieces(turns: TurnList, qtbot: QtBot) -> None:
    """Else each word of it would have all the words before it laid out again."""
    paragraphs = [f"Paragraph {n} " + "goes on and on. " * 30 for n in range(40)]
    text = "\n\n".join(paragraphs)
    message = Message("r", "c", None, "assistant", text, 9.0, finish_reason="stop")
    show(turns, [message], qtbot)
    (view,) = turns.viewport().findChildren(TurnView)
    parts = [part.toPlainText() for part in view.findChildren(Prose)]
    assert len(parts) > 3
    assert max(map(len, parts)) < 4500
    said = [line.strip() for part in parts for line in part.splitlines() if line.strip()]
    assert said == [each.strip() for each in paragraphs]
