from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plum_desktop.app.schedule import Decision, State, decide, in_words, within
from plum_desktop.base.settings import Settings

NOON = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
ON = Settings(schedule="on")
READY = State(
    new_chats=5, idle_seconds=3600.0, on_power=True, hottest=50.0, load=0.1
)  # fmt: skip

maybe_flag = st.sampled_from([None, True, False])
states = st.builds(
    State,
    new_chats=st.none() | st.integers(0, 20),
    refusal=st.none() | st.just("This model cannot learn."),
    tried=st.booleans(),
    idle_seconds=st.none() | st.floats(0, 1e6),
    idle_is_own=st.booleans(),
    on_power=maybe_flag,
    hottest=st.none() | st.floats(20, 110),
    load=st.none() | st.floats(0, 1),
    interrupted=st.booleans(),
    learning=st.booleans(),
    scheduled=st.booleans(),
)
switch = st.sampled_from(["off", "on"])
settings = st.builds(
    Settings,
    schedule=switch,
    schedule_chats=st.integers(0, 10),
    schedule_idle=st.integers(0, 60),
    schedule_power=switch,
    schedule_cool=switch,
    schedule_from=st.integers(0, 24),
    schedule_until=st.integers(0, 24),
)
times = st.datetimes(timezones=st.just(UTC))


@given(times, states, settings)
def test_every_decision_is_a_sentence(now: datetime, state: State, chosen: Settings) -> None:
    decision = decide(now, state, chosen)
    assert decision.reason[0].isupper()
    assert decision.reason.endswith(".")
    assert ".." not in decision.reason


@given(times, states, settings)
def test_it_starts_only_where_everything_holds(
    now: datetime, state: State, chosen: Settings
) -> None:
    if not decide(now, state, chosen).start:
        return
    assert chosen.schedule == "on"
    assert within(now.hour, chosen.schedule_from, chosen.schedule_until)
    assert state.on_power or chosen.schedule_power == "off"
    if chosen.schedule_idle:
        assert state.idle_seconds is not None
        assert state.idle_seconds >= 60 * chosen.schedule_idle
    assert not state.learning or state.scheduled
    if not state.learning:
        assert state.new_chats is not None
        assert state.new_chats >= max(1, chosen.schedule_chats)
        assert not state.tried
        assert not state.interrupted
        assert state.refusal is None


@given(times, states, settings)
def test_what_may_start_may_go_on(now: datetime, state: State, chosen: Settings) -> None:
    """Else a run would be paused by the very conditions that started it."""
    if decide(now, state, chosen).start:
        assert decide(now, replace(state, learning=True, scheduled=True), chosen).start


@given(times, states, settings)
def test_off_is_off(now: datetime, state: State, chosen: Settings) -> None:
    off = replace(chosen, schedule="off")
    assert decide(now, state, off) == Decision(False, "Plum learns only when you ask it to.")


@given(st.integers(0, 23), st.integers(0, 24), st.integers(0, 24))
def test_hours_and_their_complement_fill_the_day(hour: int, start: int, end: int) -> None:
    if start % 24 == end % 24:
        assert within(hour, start, end)
    else:
        assert within(hour, start, end) != within(hour, end, start)


@given(st.integers(0, 23), st.integers(0, 24), st.integers(0, 24), st.integers(0, 23))
def test_hours_turn_with_the_clock(hour: int, start: int, end: int, turn: int) -> None:
    turned = within((hour + turn) % 24, start + turn, end + turn)
    assert within(hour, start, end) == turned


def test_over_midnight() -> None:
    assert [hour for hour in range(24) if within(hour, 23, 2)] == [0, 1, 23]
    assert [hour for hour in range(24) if within(hour, 22, 24)] == [22, 23]
    night = replace(ON, schedule_from=23, schedule_until=2)
    late = NOON.replace(hour=23)
    assert decide(late, READY, night).start
    assert decide(late + timedelta(hours=2), READY, night).start
    assert decide(NOON, READY, night).reason == "Waits: it is not between 23:00 and 02:00."


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (READY, "Would start now."),
        (replace(READY, new_chats=3), "Waits: 3 of 5 new chats."),
        (replace(READY, new_chats=None), "Waits: the new chats have not been counted yet."),
        (replace(READY, on_power=False), "Waits: it runs on its battery."),
        (
            replace(READY, on_power=None),
            "Waits: whether this computer is plugged in cannot be told.",
        ),
        (
            replace(READY, idle_seconds=200.0),
            "Waits: somebody used this computer 3 min ago (it waits 10 min).",
        ),
        (
            replace(READY, idle_seconds=None),
            "Waits: whether somebody uses this computer cannot be told.",
        ),
        (replace(READY, hottest=80.0), "Waits: the processor is hot (80 °C)."),
        (replace(READY, load=0.9), "Waits: other programs keep the processor busy."),
        (
            replace(READY, new_chats=0, on_power=False),
            "Waits: 0 of 5 new chats; it runs on its battery.",
        ),
        (
            replace(READY, hottest=None, idle_is_own=True),
            "Would start now; whether other programs are in use cannot be told here; "
            "how hot the processor is cannot be told here.",
        ),
        (replace(READY, learning=True), "Plum is learning already."),
        (
            replace(READY, interrupted=True),
            "Waits: a run was interrupted; go on with it or drop it first.",
        ),
        (
            replace(READY, tried=True),
            "Waits: the last run came to nothing with these chats, and none is newer.",
        ),
        (replace(READY, refusal="This model cannot learn."), "This model cannot learn."),
    ],
)  # fmt: skip
def test_reasons(state: State, reason: str) -> None:
    decision = decide(NOON, state, ON)
    assert decision == Decision(reason.startswith("Would start"), reason)


def test_a_run_of_its_own_rests_when_its_conditions_go() -> None:
    runs = replace(READY, new_chats=0, learning=True, scheduled=True, load=1.0, hottest=85.0)
    assert decide(NOON, runs, ON) == Decision(True, "Learns by itself.")
    back = replace(runs, idle_seconds=4.0)
    assert decide(NOON, back, ON) == Decision(
        False, "Rests: somebody used this computer just now (it waits 10 min)."
    )
    assert (
        decide(NOON, replace(runs, on_power=False), ON).reason == "Rests: it runs on its battery."
    )
    assert not decide(NOON, replace(runs, hottest=95.0), ON).start


def test_the_schedule_in_words() -> None:
    assert in_words(Settings()) == "Plum learns only when you ask it to."
    night = replace(ON, schedule_from=23, schedule_until=7)
    assert in_words(night) == (
        "Learns when nobody has used this computer for 10 min, it is plugged in, it is not hot, "
        "it is between 23:00 and 07:00 and 5 chats are new."
    )
    bare = replace(ON, schedule_idle=0, schedule_power="off", schedule_cool="off", schedule_chats=1)
    assert in_words(bare) == "Learns when 1 chat is new."
