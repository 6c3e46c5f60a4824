"""When Plum learns by itself: one pure decision, and its reason in a sentence.

Nothing here looks at the machine or at a clock; `app.machine` and the caller do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from plum_desktop.base.sentence import Sentence
from plum_desktop.base.settings import Settings

# Degrees Celsius.  Learning itself heats: it begins on a cool processor, and rests on a hot one.
COOL_BELOW, HOT_FROM = 75.0, 92.0
BUSY_FROM = 0.5  # of the processor, taken by others


@dataclass(frozen=True, slots=True)
class State:
    """What is the case now; None: it cannot be told."""

    new_chats: int | None = None
    refusal: str | None = None  # why learning cannot start at all, as a sentence
    tried: bool = False  # these very chats were tried since, and nothing came of it
    idle_seconds: float | None = None  # since the computer was last used
    idle_is_own: bool = False  # of our own window alone; other programs cannot be told
    on_power: bool | None = None  # True too for a computer without a battery
    hottest: float | None = None  # degrees Celsius
    load: float | None = None  # share of the processor in use, 0..1
    interrupted: bool = False  # an unfinished run waits for a word of the user's
    learning: bool = False  # some process learns
    scheduled: bool = False  # what learns was started by the schedule


@dataclass(frozen=True, slots=True)
class Decision:
    """`start`: learn now, or go on learning.  `reason` is a sentence."""

    start: bool
    reason: str


def decide(now: datetime, state: State, settings: Settings) -> Decision:
    """Whether to learn now; for a run that the schedule started, whether to go on.

    Such a run asks for less: its chats are counted already, and the load and the heat are its
    own until the processor is too hot.  `now` is local time.
    """
    if settings.schedule != "on":
        return Decision(False, Sentence("Plum learns only when you ask it to."))
    goes_on = state.learning and state.scheduled
    if state.learning and not goes_on:
        return Decision(False, Sentence("Plum is learning already."))
    waits = list(_conditions(now, state, settings))
    if not goes_on:
        if state.interrupted:
            return Decision(
                False, Sentence("Waits: a run was interrupted; go on with it or drop it first.")
            )
        waits = [*_to_learn(state, settings), *waits, *_busy(state, settings)]
        if waits:
            return Decision(
                False, Sentence("Waits: {reasons}.", reasons=Sentence.joined("; ", waits))
            )
        if state.refusal:
            return Decision(False, state.refusal)
        would = [Sentence("Would start now"), *_unknown(state, settings)]
        return Decision(True, Sentence("{parts}.", parts=Sentence.joined("; ", would)))
    if waits:
        return Decision(False, Sentence("Rests: {reasons}.", reasons=Sentence.joined("; ", waits)))
    return Decision(True, Sentence("Learns by itself."))


def _to_learn(state: State, settings: Settings) -> Iterable[str]:
    wanted = max(1, settings.schedule_chats)
    if state.new_chats is None:
        yield Sentence("the new chats have not been counted yet")
    elif state.new_chats < wanted:
        if wanted == 1:
            yield Sentence("no chat is new")
        else:
            yield Sentence("{count} of {wanted} new chats", count=state.new_chats, wanted=wanted)
    elif state.tried:
        yield Sentence("the last run came to nothing with these chats, and none is newer")


def _conditions(now: datetime, state: State, settings: Settings) -> Iterable[str]:
    """What must hold at the start and all the while."""
    if not within(now.hour, settings.schedule_from, settings.schedule_until):
        start, end = settings.schedule_from % 24, settings.schedule_until % 24
        yield Sentence("it is not between {start:02d}:00 and {end:02d}:00", start=start, end=end)
    if settings.schedule_power == "on":
        if state.on_power is None:
            yield Sentence("whether this computer is plugged in cannot be told")
        elif not state.on_power:
            yield Sentence("it runs on its battery")
    wanted = 60 * settings.schedule_idle
    if wanted and state.idle_seconds is None:
        yield Sentence("whether somebody uses this computer cannot be told")
    elif wanted and state.idle_seconds is not None and state.idle_seconds < wanted:
        used = int(state.idle_seconds // 60)
        ago = Sentence("{minutes} min ago", minutes=used) if used else Sentence("just now")
        yield Sentence(
            "somebody used this computer {ago} (it waits {minutes} min)",
            ago=ago,
            minutes=settings.schedule_idle,
        )
    limit = HOT_FROM if state.learning else COOL_BELOW
    if settings.schedule_cool == "on" and state.hottest is not None and state.hottest >= limit:
        yield Sentence("the processor is hot ({hottest:.0f} °C)", hottest=state.hottest)


def _busy(state: State, settings: Settings) -> Iterable[str]:
    """Nobody at the keyboard is not idle yet: something else may be at work."""
    if settings.schedule_idle and state.load is not None and state.load >= BUSY_FROM:
        yield Sentence("other programs keep the processor busy")


def _unknown(state: State, settings: Settings) -> Iterable[str]:
    if settings.schedule_idle and state.idle_is_own:
        yield Sentence("whether other programs are in use cannot be told here")
    if settings.schedule_cool == "on" and state.hottest is None:
        yield Sentence("how hot the processor is cannot be told here")


def within(hour: int, start: int, end: int) -> bool:
    """Whether `hour` lies from `start` up to `end`, over midnight too; the same twice: all day."""
    start, end = start % 24, end % 24
    if start == end:
        return True
    return start <= hour < end if start < end else hour >= start or hour < end


def in_words(settings: Settings) -> str:
    """The schedule as one would say it."""
    if settings.schedule != "on":
        return Sentence("Plum learns only when you ask it to.")
    conditions = []
    if settings.schedule_idle:
        conditions.append(
            Sentence(
                "nobody has used this computer for {minutes} min", minutes=settings.schedule_idle
            )
        )
    if settings.schedule_power == "on":
        conditions.append(Sentence("it is plugged in"))
    if settings.schedule_cool == "on":
        conditions.append(Sentence("it is not hot"))
    start, end = settings.schedule_from % 24, settings.schedule_until % 24
    if start != end:
        conditions.append(
            Sentence("it is between {start:02d}:00 and {end:02d}:00", start=start, end=end)
        )
    wanted = max(1, settings.schedule_chats)
    if wanted == 1:
        last = Sentence("1 chat is new")
    else:
        last = Sentence("{count} chats are new", count=wanted)
    if not conditions:
        return Sentence("Learns when {condition}.", condition=last)
    first = Sentence.joined(", ", conditions)
    return Sentence("Learns when {conditions} and {last}.", conditions=first, last=last)
