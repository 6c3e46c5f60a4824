from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plum_desktop.base.errors import PlumError
from plum_desktop.engine.fitting import fit


def words(messages):
    return sum(2 + len(message["content"].split()) for message in messages)


def turn(role, length, mark="w"):
    return {"role": role, "content": " ".join([mark] * length)}


def test_what_fits_is_left_alone():
    messages = [turn("system", 3), turn("user", 3), turn("assistant", 3), turn("user", 1)]
    assert fit(messages, words(messages), words).messages == messages


def test_oldest_turns_leave_and_a_user_starts():
    messages = [
        turn("system", 3, "s"), turn("user", 10, "a"), turn("assistant", 10, "b"),
        turn("user", 5, "c"), turn("assistant", 5, "d"), turn("user", 2, "e"),
    ]  # fmt: skip
    fitted = fit(messages, 30, words)
    assert fitted.messages == [messages[0], *messages[3:]]
    assert fitted.dropped == 2
    # One token less and the next pair has to leave too.
    assert fit(messages, words(fitted.messages) - 1, words).messages == [messages[0], messages[5]]


def test_last_message_is_cut_at_its_start():
    last = {"role": "user", "content": " ".join(str(n) for n in range(100))}
    fitted = fit([turn("system", 3), turn("user", 9), last], 20, words)
    assert fitted.messages[0] == turn("system", 3)
    assert last["content"].endswith(fitted.messages[1]["content"])
    assert words(fitted.messages) == 20
    assert fitted.dropped == 1


def test_too_long_a_persona_is_refused():
    with pytest.raises(PlumError, match="persona"):
        fit([turn("system", 50), turn("user", 2)], 20, words)


def test_a_very_long_conversation_is_not_read_whole():
    messages = [turn(("user", "assistant")[n % 2], 20, "word") for n in range(10_001)]
    read = []

    def count(part):
        read.append(len(part))
        return words(part)

    fitted = fit(messages, 1000, count)
    assert fitted.dropped == 10_001 - 45
    assert fitted.messages == messages[-45:]
    assert sum(read) < 1000


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=20),
    st.booleans(),
    st.integers(16, 60),
)
def test_always_fits_and_keeps_the_newest(lengths, persona, limit):
    messages = [turn("system", 4)] if persona else []
    for number, length in enumerate(lengths):
        messages.append(turn("assistant" if number % 2 else "user", length, f"m{number}"))
    fitted = fit(messages, limit, words)
    assert words(fitted.messages) <= limit
    assert messages[-1]["content"].endswith(fitted.messages[-1]["content"])
    assert (fitted.messages[0]["role"] == "system") == persona
    kept = fitted.messages[1:] if persona else fitted.messages
    assert fitted.dropped + len(kept) == len(lengths)
    if fitted.dropped and len(kept) > 1:
        assert kept[0]["role"] == "user"
