"""Searching everything: what was typed, as words and filters, and what it finds."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime

from plum_desktop.base.types import SearchFilter, SearchHit
from plum_desktop.store import Store

_TITLES_AT_MOST = 10
_TERM = re.compile(r'(?<!\S)(in|after|before|is|persona):("[^"]+"|[^\s"]+)(?!\S)', re.IGNORECASE)
_DAYS = ("%Y-%m-%d", "%Y-%m", "%Y")
_UNARCHIVED = SearchFilter()


def parse(query: str, within: SearchFilter = _UNARCHIVED) -> tuple[str, SearchFilter]:
    """The words in a query, and `within` narrowed by its filters.

    `in:Work`, `in:"Work/Big clients"`, `after:2026-10-01`, `before:2026-10`, `is:archived` and
    `persona:teacher`; a day begins at midnight of this place.  The last of a kind counts.  What
    cannot be understood stays a word.
    """

    def take(match: re.Match[str]) -> str:
        nonlocal within
        name, value = match[1].lower(), match[2].strip('"')
        day = parse_day(value) if name in ("after", "before") else None
        if day is not None and name == "after":
            within = dataclasses.replace(within, after=day)
        elif day is not None:
            within = dataclasses.replace(within, before=day)
        elif name == "in":
            within = dataclasses.replace(within, folder=value)
        elif name == "persona":
            within = dataclasses.replace(within, persona=value)
        elif name == "is" and value.lower() == "archived":
            within = dataclasses.replace(within, archived=True)
        else:
            return match[0]
        return ""

    words = _TERM.sub(take, query)
    return " ".join(words.split()), within


def parse_day(text: str) -> float | None:
    """When a day, a month or a year begins here, in Unix seconds; None where it is none."""
    for form in _DAYS:
        try:
            return datetime.strptime(text, form).astimezone().timestamp()
        except (ValueError, OverflowError, OSError):
            continue
    return None


def find(
    store: Store,
    query: str,
    within: SearchFilter = _UNARCHIVED,
    limit: int = 50,
) -> list[SearchHit]:
    """Chats by their title first, then messages, best first; filters alone find chats."""
    text, within = parse(query, within)
    if not text:
        return store.search_titles("", limit, within) if query.strip() else []
    return store.search_titles(text, _TITLES_AT_MOST, within) + store.search(text, limit, within)
