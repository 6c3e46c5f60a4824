"""Learning by itself: asks the schedule every minute, and starts, rests or goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtGui import QWindow

from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.learning.lessons import Lessons

if TYPE_CHECKING:
    from plum_desktop.app.learn import LearnPlan
    from plum_desktop.app.schedule import Decision

_LOOK_MS = 60_000
_LOOK_WHILE_LEARNING_MS = 10_000  # whoever comes back should not wait a minute for the processor
_INPUT = frozenset({
    QEvent.Type.KeyPress, QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.Wheel,
    QEvent.Type.TouchBegin, QEvent.Type.TabletPress,
})  # fmt: skip


class Scheduler(QObject):
    """Starts runs as the button does, and pauses the ones it started when conditions go.

    A run that the user pauses or goes on with is the user's from then on.

    Signals: decided(Decision).
    """

    decided = Signal(object)

    def __init__(self, bridge: Bridge, lessons: Lessons, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._lessons = lessons
        self.decision: Decision | None = None
        self.mine = False  # whether the run under way was started from here
        self._rests = False  # whether it is paused from here
        self._looking = False
        self._counted = False  # whether the last look knew what there is to learn
        self._used = time.monotonic()
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._timer.timeout.connect(self.look)
        lessons.changed.connect(self._on_changed)
        lessons.ended.connect(self._on_ended)
        lessons.failed.connect(self._on_failed)

    def start(self, window: QWindow | None) -> None:
        """Look from now on; `window` is where our own user types."""
        if window:
            window.installEventFilter(self)
        self._timer.start()
        self.look()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in _INPUT:
            self._used = time.monotonic()
        return super().eventFilter(watched, event)

    def look(self) -> None:
        """Ask what the schedule says now, and do so."""
        if self._looking:
            return
        self._looking = True
        if self.mine and self._lessons.paused is not self._rests:
            self.mine = self._rests = False
        plan, mine = self._lessons.plan, self.mine
        self._counted = plan is not None
        idle = time.monotonic() - self._used

        def found(decision: Decision) -> None:
            self._looking = False
            self.decision = decision
            self._act(decision)
            self.decided.emit(decision)

        def failed(_error: str) -> None:
            self._looking = False  # whoever presses the button hears of it

        self._bridge.ask(
            lambda: self._bridge.plum.schedule.look(plan, own_idle=idle, scheduled=mine),
            found, failed, owner=self, lane="slow",
        )  # fmt: skip

    def _act(self, decision: Decision) -> None:
        if not self._lessons.running:
            if decision.start:
                # Counted again: what was known may be minutes old.
                self._lessons.plan_for(None, self._begin, lambda _: None)
            return
        job = self._lessons.job if not self._lessons.stopping else None
        if self.mine and job and decision.start is self._rests:
            self._rests = not decision.start
            self._lessons.pause_or_go_on()

    def _begin(self, plan: LearnPlan) -> None:
        if plan.chats and not plan.refusal and not self._lessons.running:
            self.mine, self._rests = True, False
            self._timer.setInterval(_LOOK_WHILE_LEARNING_MS)
            self._lessons.start(plan)

    def _on_changed(self) -> None:
        """Look again as soon as the new chats are counted, not a minute later."""
        if self._timer.isActive() and not self._counted and self._lessons.plan:
            self.look()

    def _on_ended(self, _outcome: object) -> None:
        self.mine = self._rests = False
        self._timer.setInterval(_LOOK_MS)

    def _on_failed(self, _error: str) -> None:
        if not self._lessons.running:
            self._on_ended(None)
