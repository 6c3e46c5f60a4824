from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from plum_desktop.ui.base import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "less than a minute"), (60, "about a minute"), (540, "about 9 minutes"),
     (5_300, "about 88 minutes"), (7_300, "about 2 hours")],
)  # fmt: skip
def test_a_forecast_is_no_more_exact_than_it_can_be(seconds: float, text: str) -> None:
    assert words.about(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(41.3, "41 s"), (521, "8 min 41 s"), (3_725, "1 h 02 min")]
)
def test_a_measured_time_is_exact(seconds: float, text: str) -> None:
    assert words.took(seconds) == text


def test_time_left() -> None:
    assert words.left(None) == ""
    assert words.left(360) == "6 min left"
    assert words.left(10) == "less than a minute left"
    assert words.left(3 * 3600) == "3 h left"


def test_counts() -> None:
    assert (words.chats(1), words.chats(12)) == ("1 chat", "12 chats")
    assert words.percent(0.999) == "99%"


def test_sections_follow_the_calendar_and_not_the_clock() -> None:
    now = datetime(2026, 3, 2, 0, 30).astimezone()
    before_midnight = (now - timedelta(hours=1)).timestamp()
    assert words.section_of(now.timestamp(), False, now) == "today"
    assert words.section_of(before_midnight, False, now) == "yesterday"
    assert words.section_of(before_midnight - 86_400, False, now) == "earlier"
    assert words.section_of(before_midnight, True, now) == "pinned"


def test_model_names() -> None:
    assert words.model_name("SmolLM2-135M-Instruct.Q4_1.gguf") == "SmolLM2-135M-Instruct"
    assert words.model_name("qwen2.5-7b-instruct-q4_k_m.gguf") == "qwen2.5-7b-instruct"
    assert words.model_name("plain.gguf") == "plain"
