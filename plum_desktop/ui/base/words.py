"""Numbers, times and sizes as people say them.  No widgets."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from PySide6.QtCore import QCoreApplication, QDateTime, QLocale

from plum_desktop.base.sentence import Sentence

translate = QCoreApplication.translate  # which lupdate knows by this name
SECTIONS = ("pinned", "today", "yesterday", "folders", "earlier")


def said(text: str | None) -> str:
    """What the layers below say, in the user's language where their sentence is translated."""
    if not isinstance(text, Sentence):
        return translate("app", text) if text else ""
    told = translate("app", text.template)
    values = {
        name: said(value) if isinstance(value, Sentence) else value
        for name, value in text.values.items()
    }
    return told.format(**values) if values else told


def chats(count: int) -> str:
    return (
        translate("words", "1 chat") if count == 1 else translate("words", "%n chats", None, count)
    )


def about(seconds: float) -> str:
    """A forecast: no more exact than it can be."""
    minutes = round(seconds / 60)
    if seconds < 45:
        return translate("words", "less than a minute")
    if minutes <= 1:
        return translate("words", "about a minute")
    if minutes < 90:
        return translate("words", "about %n minutes", None, minutes)
    hours = round(minutes / 60)
    return translate("words", "about %n hours", None, hours)


def left(seconds: float | None) -> str:
    """Time that remains, short; empty when nobody knows."""
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    if seconds < 45:
        return translate("words", "less than a minute left")
    if minutes < 90:
        return translate("words", "%n min left", None, max(1, minutes))
    return translate("words", "%n h left", None, round(minutes / 60))


def took(seconds: float) -> str:
    """A time that was measured: 41 s, 8 min 41 s, 1 h 02 min."""
    whole = round(seconds)
    if whole < 60:
        return translate("words", "%n s", None, whole)
    if whole < 3600:
        return translate("words", "{minutes} min {seconds:02d} s").format(
            minutes=whole // 60, seconds=whole % 60
        )
    return translate("words", "{hours} h {minutes:02d} min").format(
        hours=whole // 3600, minutes=whole % 3600 // 60
    )


def percent(fraction: float) -> str:
    """Whole percents, rounded down: 100% means done."""
    return f"{int(max(0.0, min(1.0, fraction)) * 100)}%"


def section_of(updated: float, pinned: bool, now: datetime) -> str:
    """Which of SECTIONS a chat belongs to."""
    if pinned:
        return "pinned"
    today, yesterday = _days(now.date(), now.utcoffset())
    if updated >= today:
        return "today"
    return "yesterday" if updated >= yesterday else "earlier"


@lru_cache(maxsize=2)
def _days(today: date, _offset: timedelta | None) -> tuple[float, float]:
    """When a day and the one before it began here: asked for each of thousands of chats."""
    begins = datetime.combine(today, time.min)
    return begins.timestamp(), (begins - timedelta(days=1)).timestamp()


def section_title(section: str) -> str:
    return {
        "pinned": translate("words", "Pinned"),
        "today": translate("words", "Today"),
        "yesterday": translate("words", "Yesterday"),
        "folders": translate("words", "Folders"),
        "earlier": translate("words", "Earlier"),
    }[section]


def moment(when: float, now: datetime | None = None) -> str:
    """A date as one reads it in a list: today's by the clock, others by the day."""
    stamp = QDateTime.fromSecsSinceEpoch(int(when))
    locale = QLocale()
    clock = locale.toString(stamp.time(), QLocale.FormatType.ShortFormat)
    section = section_of(when, False, now or datetime.now().astimezone())
    if section == "today":
        return translate("words", "Today, {clock}").format(clock=clock)
    if section == "yesterday":
        return translate("words", "Yesterday, {clock}").format(clock=clock)
    return locale.toString(stamp.date(), QLocale.FormatType.ShortFormat)


def day(when: float) -> str:
    """A date below a chart: the day and the month, short."""
    return QLocale().toString(QDateTime.fromSecsSinceEpoch(int(when)).date(), "d MMM")


def number(value: int) -> str:
    return QLocale().toString(value)


def tokens(count: int, *, exact: bool) -> str:
    """A number of tokens; an estimate is rounded, and said to be one."""
    if exact:
        return (
            translate("words", "1 token")
            if count == 1
            else translate("words", "{n} tokens").format(n=number(count))
        )
    step = 10 if count < 1000 else 100
    return translate("words", "about {n} tokens").format(
        n=number(max(step, round(count / step) * step))
    )


def real(value: float) -> str:
    return QLocale().toString(value, "g", 6)


def model_name(file_name: str) -> str:
    """A model's name without what its file says about quantization."""
    return re.sub(r"[.-](I?Q\d\w*|BF16|F16|F32)$", "", file_name.removesuffix(".gguf"), flags=re.I)


def breakable(text: str) -> str:
    """`text` with places to break inside paths and file names, which have no spaces."""
    return re.sub(r"(?<=[/\\_])(?=\w)", "\u200b", text)


def shortened(text: str, longest: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
