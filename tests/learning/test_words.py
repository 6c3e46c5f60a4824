from __future__ import annotations

import pytest

from plum_desktop.learning.words import (
    Overlap,
    closing,
    content_stems,
    lower_first,
    sentences,
    stem,
    to_second_person,
)


def test_sentences_are_freed_of_markdown_and_keep_their_order() -> None:
    text = (
        "# Plan\n"
        "Buy **two** tins. Then [call](https://example.org) Ines!\n"
        "- first item\n"
        "2) second item at 3.5 percent\n"
        "```python\nsecret = 1. Two.\n```\n"
        "_Last_ (one): __2*3__ in C# is parcel_id."
    )
    assert sentences(text) == [
        "Plan",
        "Buy two tins.",
        "Then call Ines!",
        "first item",
        "second item at 3.5 percent",
        "Last (one): 2*3 in C# is parcel_id.",
    ]


def test_a_code_block_that_never_ends_is_no_sentence() -> None:
    assert sentences("Look:\n```\nx = 1. Two. Three") == ["Look:"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("holes", "hole"), ("planning", "plan"), ("planned", "plans"), ("cities", "citied"),
     ("Ines's", "Ines's"), ("quickly", "quick"),
     ("cake", "cakes"), ("Ruben", "Ruben's"), ("Ines’s", "ines's")],
)  # fmt: skip
def test_forms_of_a_word_share_a_stem(one: str, other: str) -> None:
    assert content_stems(one) == content_stems(other) != []


def test_short_words_keep_enough_to_differ() -> None:
    assert stem("bed") != stem("bing")
    assert stem("sing") == "sing"
    assert len({stem(word) for word in ("red", "bus", "king", "gas", "yes")}) == 5


def test_only_words_with_a_meaning_count() -> None:
    assert content_stems("Would you please tell me about the two goats?") == ["two", "goat"]
    assert content_stems("It is, and was, what we had.") == []


@pytest.mark.parametrize(
    ("said", "back"),
    [
        ("my dog and I am at home", "your dog and you are at home"),
        ("I was in Lund and my sister was too", "you were in Lund and your sister was too"),
        ("we've sold our boat ourselves", "you've sold your boat yourselves"),
        ("I'm allergic, I'd say", "you're allergic, you'd say"),
        ("I’m allergic", "you're allergic"),  # as phones write it
        ("Mine is the myth of mymy", "yours is the myth of mymy"),
    ],
)
def test_the_users_words_said_back(said: str, back: str) -> None:
    assert to_second_person(said) == back


@pytest.mark.parametrize(
    ("text", "lowered"),
    [
        ("My boat leaks", "my boat leaks"),
        ("I leak", "I leak"),
        ("I'm wet", "I'm wet"),
        ("NASA called", "NASA called"),
        ("Bergen is wet", "Bergen is wet"),
        ("Rome is wet", "Rome is wet"),
        ("Planning a trip", "planning a trip"),
        ("", ""),
    ],
)
def test_a_first_word_is_lowered_unless_it_is_a_name(text: str, lowered: str) -> None:
    assert lower_first(text) == lowered


def test_closing_marks_go() -> None:
    assert closing(" Really?! ") == "Really"
    assert closing("at 3.5 percent.") == "at 3.5 percent"


def test_overlap_is_the_share_that_one_document_holds() -> None:
    known = Overlap({"a": "Ines keeps parrots in Bergen", "b": "a goat eats tulips"})
    assert known.highest("parrots in Bergen") == 1.0
    assert known.highest("Did Ines keep a parrot?") == 1.0  # other forms of the same words
    assert known.highest("violins") == 0.0
    assert known.share("goats and tulips", "b") == 1.0
    assert known.share("goats and tulips", "a") == 0.0
    # Half in one chat and half in another is not the whole in either.
    assert known.highest("parrots eat tulips in Bergen") < 1.0


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    known = Overlap({"a": "goats parrots", "b": "goats", "c": "goats", "d": "goats tulips"})
    assert known.share("parrots tulips", "a") == pytest.approx(0.5)
    assert known.share("goats tulips", "a") < 0.5 < known.share("goats tulips", "d")
    assert known.share("goats violins", "b") < 0.5


def test_the_nearest_document_comes_first() -> None:
    known = Overlap({"a": "tulips in Bergen", "b": "goats eat tulips", "c": "violins"})
    assert known.nearest("which tulips do goats like")[0] == "b"
    assert known.nearest("which tulips do goats like")[-1] == "c"


def test_no_documents_and_no_words() -> None:
    assert Overlap({}).highest("goats") == 0.0
    assert Overlap({"a": "goats"}).highest("is it?") == 0.0
    assert Overlap({"a": ""}).nearest("goats") == ["a"]
