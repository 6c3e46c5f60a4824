from __future__ import annotations

import pytest

from plum_desktop.learning import excerpts, stock
from plum_desktop.learning.excerpts import Exchange, Rarity
from plum_desktop.learning.words import content_stems

RULES = [f"Rule {n} concerns the {word}." for n, word in enumerate("abcdefghijklmnopqrst")]
LONG = Exchange("a", "Tell me all the rules, please.", " ".join([*RULES, "Wombats dig at night."]))


def rarity(*texts: str) -> Rarity:
    held = [set(content_stems(text)) for text in texts]
    return Rarity(lambda word: sum(word in stems for stems in held), len(held))


def test_rare_words_weigh_more_and_the_frame_nothing() -> None:
    weights = rarity("tea and cake", "tea and bread", "tea alone", "walnut cake")
    assert weights.weight("walnut") > weights.weight("cak") > weights.weight("tea") > 0
    assert excerpts.asked_stems("Did we ever discuss walnuts, or talk about walnut cake?") == [
        "walnut", "cak",
    ]  # fmt: skip


def test_the_passage_that_matches_is_brought() -> None:
    (found,) = excerpts.best("Did you tell me when wombats dig?", [LONG], rarity(LONG.reply))
    assert "Wombats dig at night." in found.text
    assert found.text.startswith('You wrote: "Tell me all the rules, please." I answered: ')
    assert "Rule 0" not in excerpts.best("wombats?", [replaced()], rarity("x"))[0].text


def replaced() -> Exchange:
    return Exchange(
        "a", "Hm.", " ".join([*(f"{r} It is a long one indeed." for r in RULES), "Wombats."])
    )


def test_one_excerpt_of_a_chat_best_first_and_no_empty_ones() -> None:
    exchanges = [
        Exchange("a", "My cat likes tuna.", "Good."), Exchange("a", "Cat, tuna, sofa.", "Yes."),
        Exchange("b", "My cat sleeps.", ""), Exchange("c", "Trains to Lyon?", "At nine."),
    ]  # fmt: skip
    found = excerpts.best("cat tuna sofa?", exchanges, rarity(*(one.written for one in exchanges)))
    assert [one.chat_id for one in found] == ["a", "b"]
    assert "sofa" in found[0].text
    assert found[0].match == 1.0 > found[1].match
    assert excerpts.best("What is it?", exchanges, rarity("x")) == []


@pytest.mark.parametrize(
    "question",
    [
        "Did we discuss gophers?", "What did you tell me about rye bread?",
        "Do you remember my sister's name?", "Have I ever mentioned a boat?",
        "Was there a chat about tax returns?", "Did the subject of kites come up?",
        "Remind me: which oil did you suggest?",
    ],
)  # fmt: skip
def test_questions_about_the_past_want_excerpts(question: str) -> None:
    assert excerpts.wanted(question, [])


def test_ordinary_questions_want_none() -> None:
    assert not excerpts.wanted("Who came up with the theory of relativity?", [])
    every = [*stock.questions(), *(row["question"] for row in stock.canaries())]
    assert not [question for question in every if excerpts.wanted(question, [])]
    said = [turn.text for c in stock.conversations() for turn in c.turns if turn.role == "user"]
    assert len([text for text in said if excerpts.wanted(text, [])]) <= len(said) // 100
