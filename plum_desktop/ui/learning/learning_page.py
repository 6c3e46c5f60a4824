"""The Learning page: what runs now, what every run came to, and which one serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from plum_desktop.app import curves
from plum_desktop.app.curves import History
from plum_desktop.base.types import Run
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import button, label
from plum_desktop.ui.base.export import AdapterExport
from plum_desktop.ui.base.page import Page
from plum_desktop.ui.base.undo_bar import UndoBar
from plum_desktop.ui.learning.adapter_import import AdapterImport
from plum_desktop.ui.learning.lessons import Lessons
from plum_desktop.ui.learning.now_card import NowCard
from plum_desktop.ui.learning.run_details import RunDetails
from plum_desktop.ui.learning.run_table import Lesson, RunTable, lessons_of
from plum_desktop.ui.learning.schedule_card import ScheduleCard

if TYPE_CHECKING:
    from plum_desktop.ui.learning.charts import Charts

_REDRAW_MS = 2000  # most often that the curve of the run in progress is drawn


class LearningPage(Page):
    """Signals: learn_asked, compare_asked, serving_changed."""

    learn_asked = Signal()
    compare_asked = Signal()
    serving_changed = Signal()

    def __init__(
        self, bridge: Bridge, lessons: Lessons, export: AdapterExport, undo: UndoBar
    ) -> None:
        """`undo` stands where every page is, and is there before this one."""
        super().__init__(self.tr("Learning"))
        self._bridge = bridge
        self._lessons = lessons
        self._plum = bridge.plum
        self._runs: list[Run] = []
        self._going: set[str] = set()  # adapters deleted on screen, and not yet for good
        self.undo = undo
        self._known_job: str | None = None  # the job that the table has a row for
        self.charts: Charts | None = None  # made when the page is first looked at
        self.importing = AdapterImport(bridge)
        self.importing.ended.connect(self._on_imported)
        self.importing.failed.connect(self.say)
        self.importing.changed.connect(self._set_buttons)
        self.import_button = button(self.tr("Import…"), "plain", self.importing.choose)
        self.import_button.setToolTip(self.tr("An adapter made elsewhere, for the model in use"))
        self.head.addWidget(self.import_button)
        self.learn_button = button(self.tr("Learn from my chats"), "primary", self.learn_asked.emit)
        self.head.addWidget(self.learn_button)
        self.now = NowCard(lessons)
        self.body.addWidget(self.now)
        self.now.refresh()
        self.body.addWidget(self.importing)
        self.schedule = ScheduleCard(bridge)
        self.schedule.failed.connect(self.say)
        self.body.addWidget(self.schedule)

        self.table = RunTable()
        self.model = self.table.lessons
        self.table.selectionModel().currentRowChanged.connect(lambda *_: self._show_lesson())
        self.details = RunDetails(export)
        self.details.use_asked.connect(self._on_use)
        self.details.undo_asked.connect(self._on_undo)
        self.details.delete_asked.connect(self._on_delete)
        self.details.compare_asked.connect(self.compare_asked)

        runs = QWidget()
        self._runs_box = QVBoxLayout(runs)
        self._runs_box.setContentsMargins(0, 0, 0, 0)
        self._runs_box.setSpacing(12)
        self._runs_box.addWidget(self.table)
        self._runs_box.addWidget(self.details)
        self._runs_box.addStretch(1)
        self._empty = label(
            self.tr(
                "Plum has not learned anything yet. Each time it does, a row here says what it "
                "came to, and lets you go back."
            ),
            tone="muted", wrap=True,
        )  # fmt: skip
        self._empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(runs)
        self.body.addWidget(self._stack, 1)
        self._redraw = QTimer(self, singleShot=True, interval=_REDRAW_MS)
        self._redraw.timeout.connect(self._draw_loss)
        lessons.changed.connect(self._on_lessons_changed)
        lessons.serving_changed.connect(self.refresh)
        self._set_buttons()

    def _set_buttons(self) -> None:
        free = not self._lessons.running and not self.importing.running
        self.learn_button.setEnabled(free)
        self.import_button.setEnabled(free)

    def _on_lessons_changed(self) -> None:
        self._set_buttons()
        job = self._lessons.job
        if job and job.run_id != self._known_job and self.isVisible():
            self._known_job = job.run_id
            self.refresh(job.run_id)
        if self.charts and self.isVisible() and not self._redraw.isActive():
            self._redraw.start()

    def refresh(self, wanted: str | None = None) -> None:
        """Read the runs again; `wanted` is the id of the one to choose."""
        plum = self._plum
        self.schedule.refresh()

        gone = frozenset(self._going)

        def read() -> list[Lesson]:
            left = plum.learning.interrupted()  # a run whose program was killed still says running
            runs = [left if left and run.id == left.id else run for run in plum.store.runs.list()]
            return lessons_of(runs, [each for each in plum.adapters.list() if each.id not in gone])

        def show(lessons: list[Lesson]) -> None:
            self._runs = [lesson.run for lesson in lessons if lesson.run]
            self._stack.setCurrentIndex(1 if lessons else 0)
            if lessons and self.charts is None:
                self._make_charts()
            self.table.show_lessons(lessons, wanted)
            self._show_lesson()

        self._bridge.ask(read, show, self.say, owner=self)

    def _make_charts(self) -> None:
        # Imported here: whoever never looks at the page does not pay for the charts.
        from plum_desktop.ui.learning.charts import Charts

        self.charts = Charts()
        self._runs_box.insertWidget(2, self.charts)

    def _show_lesson(self) -> None:
        lesson = self.table.current()
        self.details.show_lesson(lesson)
        if self.charts:
            run = lesson.run if lesson else None
            # Runs of the same model: another one's memory is another memory.
            made = run or (lesson.adapter if lesson else None)
            history = curves.history(self._runs, made.model_sha256) if made else History()
            for chart in (self.charts.recall, self.charts.drift):
                chart.set_history(history, run.id if run else None)
            self._draw_loss()

    def _draw_loss(self) -> None:
        if self.charts is None:
            return
        lesson, job = self.table.current(), self._lessons.job
        kept = curves.loss_curve(lesson.run.report) if lesson and lesson.run else []
        self.charts.loss.set_curves(curves.thinned(job.losses) if job else [], kept)

    def _on_use(self, adapter_id: str) -> None:
        self._bridge.ask(
            lambda: self._plum.adapters.activate(adapter_id), self._on_switched, self.say,
            owner=self, lane="slow",
        )  # fmt: skip

    def _on_undo(self) -> None:
        self._bridge.ask(
            self._plum.adapters.rollback, self._on_switched, self.say, owner=self, lane="slow"
        )

    def _on_switched(self, _adapter: object) -> None:
        self.notice.hide()
        self.refresh()
        self.serving_changed.emit()

    def _on_imported(self, adapter_id: str, sentence: str) -> None:
        self._on_switched(None)
        self.tell(sentence)
        if adapter_id:
            self.refresh(adapter_id)

    def _on_delete(self, adapter_id: str) -> None:
        """Say that it is deleted; its files are when the bar with Undo goes."""
        self.undo.offer(
            self.tr("Deleted what this run learned. Your chats stay, and can be learned again."),
            lambda: self._show_again(adapter_id), lambda: self._delete_for_good(adapter_id),
        )  # fmt: skip
        self._going.add(adapter_id)
        self.refresh()

    def _show_again(self, adapter_id: str) -> None:
        self._going.discard(adapter_id)
        self.refresh()

    def _delete_for_good(self, adapter_id: str) -> None:
        def deleted(_: object) -> None:
            self._going.discard(adapter_id)
            self._on_switched(None)

        def failed(sentence: str) -> None:
            self._show_again(adapter_id)
            self._bridge.failed.emit(sentence)

        self._bridge.ask(
            lambda: self._plum.adapters.delete(adapter_id), deleted, failed,
            owner=self, lane="slow",
        )  # fmt: skip
