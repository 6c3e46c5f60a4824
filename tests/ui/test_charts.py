from __future__ import annotations

import subprocess
import sys
import time

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from plum_desktop.app.curves import History, RecallLine, RecallPoint
from plum_desktop.ui.base.theme import apply_theme, load_theme
from plum_desktop.ui.learning.charts import Charts
from tests.ui.double import DoublePlum

HISTORY = History(
    ("one", "two"), (1_700_000_000.0, 1_700_900_000.0), (0.02, 0.03),
    (
        RecallLine(
            "one", 1_700_000_000.0, 3,
            (RecallPoint("one", 0.8, 0.9), RecallPoint("two", 0.5, None)),
        ),
        RecallLine("two", 1_700_900_000.0, 1, (RecallPoint("two", 0.7, 1.0),)),
    ),
)  # fmt: skip


@pytest.fixture
def charts(qtbot: QtBot) -> Charts:
    made = Charts()
    qtbot.addWidget(made)
    made.resize(800, 700)
    made.show()
    return made


def lines(chart) -> list[tuple[list[float], list[float]]]:
    return [tuple(list(axis) for axis in item.getData()) for item in chart.plot.listDataItems()]


def test_the_chosen_runs_chats_are_followed(charts: Charts) -> None:
    charts.recall.set_history(HISTORY, "one")
    assert ([0, 1], [80, 50]) in lines(charts.recall)
    assert ([0], [90]) in lines(charts.recall)
    said = charts.recall.summary.text()
    assert said.startswith("Right after learning 3 chats: yes 80%, no 90%. After the run of ")
    assert said.endswith("yes 50%, no –.")
    assert charts.recall.plot.accessibleDescription() == said
    charts.recall.set_history(HISTORY, "two")
    assert "No later run has asked" in charts.recall.summary.text()
    charts.recall.set_history(HISTORY, "refused")
    assert charts.recall.summary.text().startswith("Choose a run")


def test_without_data_a_sentence_stands_alone(charts: Charts) -> None:
    charts.recall.set_history(History(), None)
    charts.drift.set_history(History(), None)
    charts.loss.set_curves([], [])
    for chart in (charts.recall, charts.drift, charts.loss):
        assert not chart.plot.isVisible()
        assert not chart.key.isVisible()
        assert chart.summary.text().endswith(".")


def test_drift_stands_against_its_bound(charts: Charts) -> None:
    charts.drift.set_history(HISTORY, None)
    assert lines(charts.drift) == [([0, 1], [0.02, 0.03])]
    assert charts.drift.summary.text() == (
        "After the newest run 0.030; from 0.08 on a run is refused."
    )


def test_figures_are_written_as_they_are(charts: Charts) -> None:
    charts.drift.set_history(HISTORY, None)
    charts.drift.set_history(HISTORY, None)
    charts.grab()
    axis = charts.drift.plot.getAxis("left")
    assert "0.05" in axis.tickStrings([0.05], axis.autoSIPrefixScale, 0.05)


def test_the_loss_in_progress_and_the_chosen_one(charts: Charts) -> None:
    charts.loss.set_curves([(1, 3.0), (2, 2.0)], [(1, 4.0), (400, 1.0)])
    assert lines(charts.loss) == [([1, 400], [4, 1]), ([1, 2], [3, 2])]
    assert charts.loss.summary.text() == (
        "The run in progress: from 3.00 to 2.00 in 2 steps. "
        "The chosen run: from 4.00 to 1.00 in 400 steps."
    )


def test_charts_follow_the_theme(charts: Charts, qapp: QApplication) -> None:
    charts.drift.set_history(HISTORY, None)
    apply_theme(qapp, "dark")
    dark = load_theme("dark")
    assert charts.drift.plot.backgroundBrush().color() == QColor(dark.surface)
    [line] = charts.drift.plot.listDataItems()
    assert line.opts["pen"].color() == QColor(dark.accent)
    assert charts.drift.plot.getAxis("left").textPen().color() == QColor(dark.muted)


def test_the_wheel_scrolls_the_page(charts: Charts) -> None:
    event = QWheelEvent(
        QPointF(9, 9), QPointF(9, 9), QPoint(0, 0), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    charts.recall.plot.wheelEvent(event)
    assert not event.isAccepted()


def test_charts_stand_below_each_other_where_it_is_narrow(charts: Charts, qtbot: QtBot) -> None:
    assert charts.loss.y() == charts.drift.y()
    charts.resize(420, 900)
    qtbot.wait_until(lambda: charts.loss.y() > charts.drift.y())


def test_the_learning_page_draws_what_the_store_holds(
    open_window, double: DoublePlum, qtbot: QtBot
) -> None:
    chats = [double.add_chat(title, "Tell me more.", "Yes.") for title in ("One", "Two")]
    first = double.add_lesson(chats[:1], created=time.time() - 3000)
    double.add_lesson(chats[1:], created=time.time() - 1000)
    newest = double.store.runs.list()[0]
    counts = {"yes": 1, "yes_asked": 2, "no": 2, "no_asked": 2}
    report = {**newest.report, "by_run": {first.id: counts}, "losses": [[1, 3.0], [2, 1.0]]}
    double.store.runs.update(newest.id, report=report)
    window = open_window()
    assert window.learning.charts is None
    window.show_page("learning")
    qtbot.wait_until(lambda: window.learning.charts is not None)
    charts = window.learning.charts
    qtbot.wait_until(lambda: "from 3.00 to 1.00" in charts.loss.summary.text())
    window.learning.table.selectRow(1)
    assert charts.recall.summary.text().endswith("yes 50%, no 100%.")
    assert "no curve" in charts.loss.summary.text()


def test_the_window_starts_without_the_library_for_charts() -> None:
    code = "import sys, plum_desktop.ui.application as a; print('pyqtgraph' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_run_that_begins_while_the_page_is_open_is_drawn(
    open_window, double: DoublePlum, qtbot: QtBot
) -> None:
    chat = double.add_chat("One", "Tell me more.", "Yes.")
    window = open_window()
    window.show_page("learning")
    qtbot.wait_until(lambda: window.learning._stack.currentIndex() == 0)
    window.learning._redraw.setInterval(5)
    window.lessons.plan_for(None, window.lessons.start, pytest.fail)
    double.add_lesson([chat])  # stands for the row that the job makes
    qtbot.wait_until(lambda: window.lessons.job is not None)
    qtbot.wait_until(lambda: window.learning.charts is not None)
    job = double.learning.job
    assert job
    job.losses += [3.0, 2.0, 1.0]
    job.tell(0.5)
    charts = window.learning.charts
    qtbot.wait_until(lambda: "in progress: from 3.00 to 1.00" in charts.loss.summary.text())
