"""What a chat is called."""

from __future__ import annotations

import pytest

from plum_desktop.app.product import Plum
from plum_desktop.app.titles import first_words, title_in
from plum_desktop.base.errors import Cancelled

ASKED = "What should I pack for a rainy week in Porto?"
ANSWERED = "A rain coat, two pairs of shoes and an umbrella."


@pytest.mark.parametrize(
    ("reply", "title"),
    [
        ("Packing for Rainy Porto", "Packing for Rainy Porto"),
        ('Title: "A Rainy Week in Porto."\n\nIt rains.', "A Rainy Week in Porto"),
        ("**Porto packing list**", "Porto packing list"),
        ("Here is a title:\n\nRainy Porto", "Rainy Porto"),
        ("", None),
        ("...", None),
        ("You should pack a rain coat and umbrellas for it", None),
        ("The History of France", None),
        ("Porto " * 3 + "x" * 60, None),
        ("Porto\x07 trip", None),
    ],
)
def test_a_title_is_short_and_about_what_was_said(reply: str, title: str | None) -> None:
    assert title_in(reply, ASKED, ANSWERED) == title


def test_the_first_words_are_cut_between_words() -> None:
    assert first_words("  Green \n tea? ") == "Green tea?"
    long = first_words("What should I pack, wear and read, " + "and so on " * 20)
    assert len(long) <= 49
    assert long.startswith("What should I pack, wear and read")
    assert first_words("x" * 100) == "x" * 48 + "…"
    assert first_words("word " * 20) == "word word word word word word word word word…"


@pytest.fixture
def named(plum: Plum, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The engine's next replies, for what becomes of them."""
    replies: list[str] = []

    class Reply:
        def __init__(self, text: str) -> None:
            self.text = text

    monkeypatch.setattr(plum.serving, "chat", lambda *_, **__: Reply(replies.pop(0)))
    return replies


def exchange(plum: Plum, title: str | None = None) -> str:
    chat = plum.store.chats.create(title or first_words(ASKED))
    plum.store.chats.add_message(chat.id, "user", ASKED)
    plum.store.chats.add_message(chat.id, "assistant", ANSWERED, finish_reason="stop")
    return chat.id


def test_a_chat_is_named_after_its_first_exchange(plum: Plum, named: list[str]) -> None:
    chat_id = exchange(plum)
    named.append("Rainy Porto")
    assert plum.chats.name(chat_id) == "Rainy Porto"
    assert plum.store.chats.get(chat_id).title == "Rainy Porto"


def test_a_bad_title_leaves_the_first_words(plum: Plum, named: list[str]) -> None:
    chat_id = exchange(plum)
    named.append("As a language model I would say that")
    assert plum.chats.name(chat_id) is None
    assert plum.store.chats.get(chat_id).title == first_words(ASKED)


def test_a_title_of_the_users_own_stays(plum: Plum, named: list[str]) -> None:
    chat_id = exchange(plum, "My trip")
    assert plum.chats.name(chat_id) is None  # and nobody was asked: there is no reply to pop
    assert plum.store.chats.get(chat_id).title == "My trip"


def test_a_title_given_meanwhile_stays(plum: Plum, monkeypatch: pytest.MonkeyPatch) -> None:
    chat_id = exchange(plum)

    class Reply:
        text = "Rainy Porto"

    def slow(*_: object, **__: object) -> Reply:
        plum.store.chats.update(chat_id, title="My trip")
        return Reply()

    monkeypatch.setattr(plum.serving, "chat", slow)
    assert plum.chats.name(chat_id) is None
    assert plum.store.chats.get(chat_id).title == "My trip"


def test_a_second_exchange_names_nothing(plum: Plum, named: list[str]) -> None:
    chat_id = exchange(plum)
    plum.store.chats.add_message(chat_id, "user", "And shoes?")
    plum.store.chats.add_message(chat_id, "assistant", "Two pairs.", finish_reason="stop")
    assert plum.chats.name(chat_id) is None


def test_whoever_wants_a_reply_does_not_wait_for_a_title(
    plum: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_id = exchange(plum)
    seen = []

    def chat(*_: object, cancellation, **__: object) -> None:
        with plum.chats._reply():  # another thread's, in the wild
            seen.append(cancellation.cancelled)
        raise Cancelled

    monkeypatch.setattr(plum.serving, "chat", chat)
    assert plum.chats.name(chat_id) is None
    assert seen == [True]
