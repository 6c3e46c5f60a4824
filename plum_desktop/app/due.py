"""Whether a run is due now: the schedule's decision, on what this computer and the store say."""

from __future__ import annotations

from datetime import datetime

from plum_desktop.app import machine
from plum_desktop.app.learn import LearnPlan, LearnService
from plum_desktop.app.preferences import Preferences
from plum_desktop.app.schedule import Decision, State, decide
from plum_desktop.learning import own
from plum_desktop.store import Store


class ScheduleService:
    """Reads what the decision needs, and decides.  It starts nothing."""

    def __init__(self, learning: LearnService, store: Store, preferences: Preferences) -> None:
        self._learning = learning
        self._store = store
        self._preferences = preferences

    def look(
        self, plan: LearnPlan | None, *, own_idle: float | None = None, scheduled: bool = False
    ) -> Decision:
        """Decide for this moment.

        `plan` is what a run would learn, None: not known yet.  `own_idle` is how many seconds
        ago our own window was last used, for where the system does not tell.  `scheduled`: the
        schedule has started the run under way.
        """
        settings = self._preferences.current
        if settings.schedule != "on":
            return decide(datetime.now().astimezone(), State(), settings)
        idle = machine.idle_seconds()
        state = State(
            new_chats=len(plan.chats) if plan else None,
            refusal=plan.refusal if plan else None,
            tried=bool(plan and plan.chats) and self._tried(plan),
            idle_seconds=own_idle if idle is None else idle,
            idle_is_own=idle is None,
            on_power=machine.on_power(),
            hottest=machine.hottest(),
            load=machine.load(),
            interrupted=self._learning.interrupted() is not None,
            learning=self._learning.running(),
            scheduled=scheduled,
        )
        return decide(datetime.now().astimezone(), state, settings)

    def _tried(self, plan: LearnPlan | None) -> bool:
        """Whether the last run had all these chats as they are, and they still wait."""
        runs = self._store.runs.list()
        if plan is None or not runs or runs[0].state not in ("refused", "stopped", "failed"):
            return False
        last = runs[0]
        planned = [chat.id for chat in plan.chats]
        if not set(planned) <= set(last.chats):
            return False
        chats = [self._store.chats.get(chat_id) for chat_id in planned if chat_id != own.HOME]
        return all(chat.updated <= last.created for chat in chats)
