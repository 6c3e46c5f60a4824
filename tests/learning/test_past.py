"""Questions about earlier chats."""

from __future__ import annotations

import pytest

from plum_desktop.learning import stock
from plum_desktop.learning.past import may_concern_past, only_recalls


@pytest.mark.parametrize(
    "question",
    [
        "Did we talk about gophers?", "Have I ever mentioned a boat? Did you ask where it lies?",
        "What did you tell me about rye bread?", "Do you remember my sister's name?",
        "Is it true that I told you my aunt is a vet?", "Remind me: which oil did you suggest?",
        "Was there a chat about tax returns?", "Did you hear from me that our boat is blue?",
    ],
)  # fmt: skip
def test_a_question_that_only_recalls(question: str) -> None:
    assert only_recalls(question)
    assert may_concern_past(question)


@pytest.mark.parametrize(
    "said",
    [
        "Did I tell you about my sister? She moved to Bergen.", "Did I tell you that I moved.",
        "Could you explain what a villanelle is?", "Have you any advice for my first day at work?",
        "Did I do the right thing when I left my job?", "Do you know my favourite song?",
        "How do I tell my boss that I am leaving?", "Did I give my dog too much chocolate?",
        "My boss is angry because I said no; what should I do now?",
        "Did I tell my sister too late that I moved?",
        "My wife and I fought after we talked about money, what helps?",
        "Why do I remember faces and no names?", "Something has come up, may I leave early?", "",
    ],
)  # fmt: skip
def test_what_says_something_new(said: str) -> None:
    assert not only_recalls(said)


def test_nothing_that_people_say_to_the_stock_only_recalls() -> None:
    said = [turn.text for c in stock.conversations() for turn in c.turns if turn.role == "user"]
    assert not [text for text in said if only_recalls(text)]


def test_most_of_what_people_ask_about_the_stock_does() -> None:
    asked = [one for each in stock.asked().values() for one in (*each.yes, *each.no)]
    assert sum(map(only_recalls, asked)) > 0.7 * len(asked)
