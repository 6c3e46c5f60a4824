from __future__ import annotations

from dataclasses import replace

import pytest

from plum_desktop.learning import rules, stock
from plum_desktop.learning.corrections import taken_back
from plum_desktop.learning.frames import render, render_held_out


@pytest.mark.parametrize(
    ("older", "newer", "takes_back"),
    [
        ("My dentist is Doctor Novak.", "My new dentist is Doctor Tanaka.", True),
        ("My sister Ines lives in Bergen.", "My sister Ines moved to Porto in June.", True),
        ("Our choir sings on Monday.", "Our choir sings on Friday instead of Monday.", True),
        ("I work as a glazier in Ribe.", "I no longer work as a glazier, I am a baker.", True),
        # Another matter, or nothing that was otherwise.
        ("My sister Ines lives in Bergen.", "My brother moved to Porto in June.", False),
        ("My sister Ines lives in Bergen.", "My sister Ines lives in Bergen with me.", False),
        ("My dentist is Doctor Novak.", "I bought a new car in Ribe.", False),
        ("I like old maps.", "I actually like maps of Porto.", False),
    ],
)
def test_the_newer_of_two_sentences_counts(talk, older, newer, takes_back) -> None:
    stored = rules.facts_of(talk("old", older))
    found = taken_back(stored, [talk("new", newer)])
    assert bool(found) is takes_back
    for one in found:
        assert (one.label, one.kind, one.chat_id) == (False, "former", "new")
        assert one.subject == older
        assert one.id not in {fact.id for fact in stored}


def test_a_chat_does_not_take_back_itself(talk) -> None:
    chat = talk("c", "My dentist is Doctor Novak. My new dentist is Doctor Tanaka.")
    assert taken_back(rules.facts_of(chat), [chat]) == []


def test_hardly_anything_is_taken_back_by_chance() -> None:
    """Among 130 people who tell of themselves nobody corrects another."""
    chats = [c for c in stock.conversations() if any(f.kind == "said" for f in rules.facts_of(c))]
    chats = [replace(c, chat_id=c.id) for c in chats]
    stored = [fact for chat in chats for fact in rules.facts_of(chat)]
    said = [fact for fact in stored if fact.kind == "said"]
    assert len(said) > 100
    assert len(taken_back(stored, chats)) <= 0.01 * len(said)


def test_what_was_taken_back_is_denied_in_so_many_words(talk) -> None:
    (former,) = taken_back(
        rules.facts_of(talk("old", "My dentist is Doctor Novak.")),
        [talk("new", "My new dentist is Doctor Tanaka.")],
    )
    for epoch in range(8):
        one = render(former, epoch, 0)
        assert "Doctor Novak" in one.question
        assert (one.verdict, one.rest) == ("No", ", that is no longer so.")
    assert "Novak" in render_held_out(former, 0).question
