"""Where learning stands, for every widget that shows it: what waits, what runs, what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from plum_desktop.ui.base.bridge import Bridge

if TYPE_CHECKING:
    from plum_desktop.app.job import Job, Outcome, Progress
    from plum_desktop.app.learn import LearnPlan
    from plum_desktop.base.types import Adapter, Run

_LOOK_AGAIN_MS = 1500
_PATIENCE = 10.0  # seconds


class Lessons(QObject):
    """The one job of this window.

    Signals:
        changed: anything below is another than before.
        ended(Outcome): the job is over.
        serving_changed: another adapter answers now.
        failed(sentence)
    """

    changed = Signal()
    ended = Signal(object)
    serving_changed = Signal()
    failed = Signal(str)

    def __init__(self, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._service = bridge.plum.learning
        self.plan: LearnPlan | None = None  # what a press would learn now; None: not known yet
        self.job: Job | None = None
        self.progress: Progress | None = None
        self.outcome: Outcome | None = None  # of the last job, until it is put away
        self.interrupted: Run | None = None  # a job that an earlier start left unfinished
        self.starting = False
        self.stopping = False
        self.paused = False
        self._asking = False
        self._soon = QTimer(self, singleShot=True, interval=_LOOK_AGAIN_MS)
        self._soon.timeout.connect(self._look)
        bridge.learning_progressed.connect(self._on_progressed)
        bridge.learning_ended.connect(self._on_ended)

    @property
    def running(self) -> bool:
        return self.starting or self.job is not None

    def look_soon(self) -> None:
        """Something was said or changed: find out again what there is to learn."""
        self._soon.start()

    def look_for_interrupted(self) -> None:
        """Whether an earlier start left a job behind; asked once, at the start."""

        def found(run: Run | None) -> None:
            self.interrupted = run
            self.changed.emit()

        self._bridge.ask(self._service.interrupted, found, self.failed.emit, owner=self)

    def look_whether_it_is_there(self) -> None:
        """Whether the job that is offered still is: it goes when what it read is deleted."""
        if self.interrupted:
            self.look_for_interrupted()

    def _look(self) -> None:
        if self.running:
            return
        if self._asking:
            self._soon.start()
            return
        self._asking = True

        def found(plan: LearnPlan) -> None:
            self._asking = False
            self.plan = plan
            self.changed.emit()

        def failed(_error: str) -> None:
            # Whoever presses the button hears the reason; a count in the margin need not.
            self._asking = False
            self.plan = None
            self.changed.emit()

        self._bridge.ask(self._service.plan, found, failed, owner=self, lane="slow")

    def plan_for(
        self,
        chat_ids: list[str] | None,
        then: Callable[[LearnPlan], None],
        failed: Callable[[str], None],
    ) -> None:
        """What learning just these would take; None: all that wait."""

        def found(plan: LearnPlan) -> None:
            if chat_ids is None:
                self.plan = plan
                self.changed.emit()
            then(plan)

        self._bridge.ask(
            lambda: self._service.plan(chat_ids), found, failed, owner=self, lane="slow"
        )

    def start(self, plan: LearnPlan) -> None:
        self._begin()
        self._bridge.start_learning(plan, self._on_started, self._on_not_started, self)

    def resume_interrupted(self) -> None:
        if run := self.interrupted:
            self.interrupted = None
            self._begin()
            self._bridge.resume_learning(run.id, self._on_started, self._on_not_started, self)

    def discard_interrupted(self) -> None:
        if run := self.interrupted:
            self.interrupted = None
            self.changed.emit()
            self._bridge.ask(
                lambda: self._service.discard(run.id), lambda _: self.look_soon(),
                self.failed.emit, owner=self, lane="slow",
            )  # fmt: skip

    def put_off_interrupted(self) -> None:
        """Not now; it is offered again at the next start."""
        self.interrupted = None
        self.changed.emit()

    def _begin(self) -> None:
        self.starting, self.stopping, self.paused = True, False, False
        self.outcome = self.progress = self.plan = None
        self.changed.emit()

    def _on_started(self, job: Job) -> None:
        if self.starting:  # a job can be over before its start is told
            self.starting = False
            self.job = job
            self.changed.emit()

    def _on_not_started(self, error: str) -> None:
        self.starting = False
        self.changed.emit()
        self.failed.emit(error)
        self.look_soon()

    def _on_progressed(self, progress: Progress) -> None:
        self.progress = progress
        self.changed.emit()

    def _on_ended(self, outcome: Outcome) -> None:
        self.starting, self.job, self.progress = False, None, None
        self.stopping = self.paused = False
        self.outcome = None if outcome.state == "stopped" else outcome
        self.changed.emit()
        self.ended.emit(outcome)
        self.serving_changed.emit()
        if outcome.state == "failed":
            self.look_for_interrupted()
        self.look_soon()

    def pause_or_go_on(self) -> None:
        if job := self.job:
            self.paused = not self.paused
            act = job.pause if self.paused else job.resume
            self._bridge.ask(act, None, self.failed.emit, owner=self, lane="slow")
            self.changed.emit()

    def stop(self) -> None:
        if job := self.job:
            self.stopping = True
            self._bridge.ask(job.stop, None, self.failed.emit, owner=self, lane="slow")
            self.changed.emit()

    def put_away(self) -> None:
        """The result has been read."""
        self.outcome = None
        self.changed.emit()

    def undo(self) -> None:
        """Back to what served before."""

        def undone(_adapter: Adapter | None) -> None:
            self.outcome = self.plan = None
            self.changed.emit()
            self.serving_changed.emit()
            self.look_soon()

        self._bridge.ask(
            self._bridge.plum.adapters.rollback, undone, self.failed.emit, owner=self, lane="slow"
        )

    def leave(self) -> None:
        """The window closes: what is done so far is kept, for an offer at the next start."""
        if job := self.job:
            job.leave()
            job.wait(_PATIENCE)
