"""What is typed into the search field is words and filters, and never an error."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plum_desktop.app.search import find, parse, parse_day
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import SearchFilter
from plum_desktop.store import Store


def at(*day: int) -> float:
    return datetime(*day).astimezone().timestamp()


@pytest.mark.parametrize(
    ("query", "words", "fields"),
    [
        ("tea time", "tea time", {}),
        ("in:Work", "", {"folder": "Work"}),
        ('  tea IN:"Work/Big clients"  time ', "tea time", {"folder": "Work/Big clients"}),
        ("after:2026-10-01 tea", "tea", {"after": at(2026, 10, 1)}),
        ("before:2026-10 tea", "tea", {"before": at(2026, 10, 1)}),
        ("before:2026", "", {"before": at(2026, 1, 1)}),
        ("is:archived", "", {"archived": True}),
        ("Is:Archived persona:teacher", "", {"archived": True, "persona": "teacher"}),
        ("in:A in:B", "", {"folder": "B"}),
        # What says nothing is looked for as it stands.
        ("after:yesterday", "after:yesterday", {}),
        ("after:2026-13-01", "after:2026-13-01", {}),
        ("before:0000", "before:0000", {}),
        ("is:blue", "is:blue", {}),
        ("in: Work", "in: Work", {}),
        ('in:"', 'in:"', {}),
        ('in:"a"b', 'in:"a"b', {}),
        ("login:me check-in:Work", "login:me check-in:Work", {}),
        ("to:Ann", "to:Ann", {}),
    ],
)
def test_a_query_is_words_and_filters(query: str, words: str, fields: dict) -> None:
    assert parse(query) == (words, SearchFilter(**fields))


def test_what_is_typed_comes_before_what_was_chosen() -> None:
    chosen = SearchFilter(after=5.0, folder="Home", archived=None)
    assert parse("tea in:Work", chosen) == ("tea", SearchFilter(5.0, None, "Work", None, None))


@given(st.text() | st.from_regex(r"(in|after|before|is|persona):\S*( .*)?"))
def test_any_query_can_be_parsed(query: str) -> None:
    words, within = parse(query)
    assert set(words.split()) <= set(query.split())
    if ":" not in query:
        assert (words, within) == (" ".join(query.split()), SearchFilter())


def test_a_day_that_no_calendar_has_is_none() -> None:
    assert parse_day("2026-02-29") is None
    assert parse_day("2024-02-29") == at(2024, 2, 29)
    assert parse_day("9999999") is None


@pytest.fixture
def store(data_folder: DataFolder) -> Iterator[Store]:
    store = Store(data_folder.database, data_folder.backups)
    yield store
    store.close()


def test_titles_come_before_messages_and_filters_alone_find_chats(store: Store) -> None:
    made = {}
    for title, folder in (("Tea time", "Work"), ("Other", "Work/Clients"), ("Else", None)):
        chat = store.chats.create(title, created=at(2026, 5, 1))
        store.chats.add_message(chat.id, "user", "I like tea.", created=at(2026, 5, 1))
        store.chats.update(chat.id, folder=folder)
        made[title] = chat.id
    hits = find(store, "tea")
    assert [(hit.title, bool(hit.message_id)) for hit in hits] == [
        ("Tea time", False), ("Else", True), ("Other", True), ("Tea time", True),
    ]  # fmt: skip
    assert [hit.title for hit in find(store, "in:work tea")] == ["Tea time", "Other", "Tea time"]
    assert [hit.title for hit in find(store, "in:work")] == ["Other", "Tea time"]
    assert find(store, "in:work after:2026-05-02") == []
    assert find(store, "in:nowhere tea") == []
    assert find(store, " ") == []
    store.chats.update(made["Other"], archived=True)
    assert [hit.title for hit in find(store, "in:work")] == ["Tea time"]
    assert [hit.title for hit in find(store, "is:archived tea")] == ["Other"]
    both = SearchFilter(archived=None)
    assert [hit.title for hit in find(store, "in:work", both)] == ["Other", "Tea time"]
