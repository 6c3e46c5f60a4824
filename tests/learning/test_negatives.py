from __future__ import annotations

import random
from dataclasses import replace

import pytest

from plum_desktop.learning import rules, stock
from plum_desktop.learning.augment import contradicted
from plum_desktop.learning.conversation import Conversation, Turn
from plum_desktop.learning.negatives import Negatives
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.words import content_stems, words

RECIPE = replace(preset("default"), near_share=0.3, altered_share=0.3)
SAID = (
    "My sister Ines moved to Bergen in spring and keeps seven parrots. What could I bring her as "
    "a present? We bought an old green boat called Selkie. Which paint suits her hull best?"
)
ANSWER = (
    "A book of bird maps would suit her. Parrots also love wooden toys with bells. Choose a marine "
    "enamel for the hull, and sand the old coat first."
)


def of_stock(*subjects: str) -> list[Conversation]:
    return [
        Conversation(id=f"s{number}", turns=(Turn("user", text),))
        for number, text in enumerate(subjects)
    ]


def test_as_many_as_asked_for_and_all_of_them_no(talk) -> None:
    chat = talk("c", SAID, ANSWER)
    positives = rules.facts_of(chat)
    found = Negatives(stock.conversations(), {"c": chat.text}).beside(chat, positives, 40, RECIPE)
    assert len(found) == 40
    assert len({fact.subject for fact in found}) == len({fact.id for fact in found}) == 40
    assert not any(fact.label for fact in found)
    assert {fact.chat_id for fact in found} == {"c"}
    assert not {fact.id for fact in found} & {fact.id for fact in positives}
    assert {fact.kind for fact in found} == {"asked", "said", "told", "altered"}


def test_no_and_yes_are_of_the_same_make(talk) -> None:
    """Else what kind of sentence it is would give the answer away."""
    chat = talk("c", SAID, ANSWER)
    positives = rules.facts_of(chat)
    found = Negatives(stock.conversations(), {"c": chat.text}).beside(
        chat, positives, 200, replace(RECIPE, altered_share=0.0)
    )
    for kind in ("asked", "said", "told"):
        of_yes = sum(fact.kind == kind for fact in positives) / len(positives)
        of_no = sum(fact.kind == kind for fact in found) / len(found)
        assert of_no == pytest.approx(of_yes, abs=0.12)


def test_what_some_chat_says_is_never_a_negative(talk) -> None:
    """Whole stock conversations, planted in other chats, word for word and inflected."""
    pool = stock.conversations()
    planted = {f"o{number}": c.text for number, c in enumerate(pool) if number % 2}
    truths = {f.subject for n, c in enumerate(pool) if n % 2 for f in rules.facts_of(c)}
    chat = talk("c", SAID, ANSWER)
    negatives = Negatives(pool, {"c": chat.text, **planted})
    found = negatives.beside(chat, rules.facts_of(chat), 150, RECIPE)
    assert len(found) > 100
    assert not truths & {fact.subject for fact in found}
    assert not any(negatives.may_be_true(f.subject) for f in found if f.kind != "altered")
    assert negatives.may_be_true("Did Ines move to Bergen and keep seven parrots?")


def test_words_scattered_over_chats_make_nothing_true() -> None:
    negatives = Negatives([], {"a": "We feed goats", "b": "The harbour of Porto", "c": "a violin"})
    assert not negatives.may_be_true("a goat plays the violin in Porto")
    assert negatives.may_be_true("the goats we feed")


def test_an_altered_detail_is_one_that_no_chat_knows(talk) -> None:
    chat = talk("c", "My sister keeps 3 parrots in Bergen with her old friend Ruben.")
    pool = of_stock(
        "We saw 5 of them in Porto with Oskar", "We saw 8 of them in Trieste with Casimir"
    )
    # The stock's details all stand in some chat but 8, Trieste and Casimir.
    others = {"c": chat.text, "d": "There were 5 of us in Porto, and Oskar cooked."}
    negatives = Negatives(pool, others)
    recipe = replace(RECIPE, altered_share=1.0)
    found = negatives.beside(chat, rules.facts_of(chat), 60, recipe)
    assert found
    text = " ".join(fact.subject for fact in found)
    assert {"8", "Trieste", "Casimir"} <= set(text.split())
    assert not {"5", "Porto", "Oskar"} & set(text.split())
    for fact in found:
        assert fact.kind == "altered"
        changed = set(words(fact.subject)) - set(words(chat.text))
        assert len(changed) == 1, fact.subject


def test_near_ones_come_from_the_nearest_conversations(talk) -> None:
    goats = [f"My goat Moss{n} limps on its left hoof and eats hay badly" for n in range(6)]
    taxes = [f"I file tax form {n} for my bakery with two receipts" for n in range(20)]
    pool = of_stock(*taxes, *goats)
    chat = talk("c", "My goat Bramble limps since Monday. How do I trim a hoof of a goat?")
    all_near = replace(RECIPE, altered_share=0.0, near_share=1.0)
    none_near = replace(RECIPE, altered_share=0.0, near_share=0.0)
    positives = rules.facts_of(chat)
    negatives = Negatives(pool, {"c": chat.text})
    near = negatives.beside(chat, positives, 6, all_near)
    far = negatives.beside(chat, positives, 20, none_near)
    assert near
    assert all("goat" in content_stems(fact.subject) for fact in near)
    assert any("tax" in content_stems(fact.subject) for fact in far)


def test_the_same_chat_gets_the_same_negatives(talk) -> None:
    chat = talk("c", SAID, ANSWER)
    draws = [
        Negatives(stock.conversations(), {"c": chat.text}).beside(
            chat, rules.facts_of(chat), 20, RECIPE
        )
        for _ in range(2)
    ]
    assert draws[0] == draws[1]


def test_short_names_come_from_the_fields_that_are_near_and_from_any(talk) -> None:
    chat = talk("c", "Which string do I tune first on a violin, and what is a minor chord?")
    negatives = Negatives([], {"c": chat.text})
    fields = stock.subjects()
    near = negatives.subjects(chat, 20, replace(RECIPE, near_subjects=1.0))
    assert {fact.kind for fact in near} == {"topic"}
    assert not any(fact.label for fact in near)
    of_music = [fact for fact in near if fact.subject in fields["music"]]
    assert len(of_music) > 20 * len(fields["music"]) / sum(map(len, fields.values()))
    held = [field for field in fields for fact in near if fact.subject in fields[field]]
    assert len(set(held)) <= 3
    mixed = negatives.subjects(chat, 40, replace(RECIPE, near_subjects=0.5))
    far = [fact for fact in mixed if not any(fact.subject in fields[f] for f in set(held))]
    assert 10 <= len(far) <= 20
    assert len({fact.subject for fact in mixed}) == len({fact.id for fact in mixed}) == len(mixed)


def test_short_names_are_short_and_each_is_there_once() -> None:
    names = [one for names in stock.subjects().values() for one in names]
    assert len(names) > 1000
    assert len({one.lower() for one in names}) == len(names)
    for one in names:
        assert one == one.strip(" .?!;")
        assert len(one.split()) <= 8
        assert content_stems(one), one


def test_a_short_name_that_was_talked_about_is_none(talk) -> None:
    chat = talk("c", "We feed goats.")
    every = [one for names in stock.subjects().values() for one in names]
    none_left = Negatives([], {"c": "; ".join(every)})
    assert none_left.subjects(chat, 20, RECIPE) == []


def test_without_facts_there_are_none(talk) -> None:
    chat = talk("c", SAID)
    assert Negatives(stock.conversations(), {"c": SAID}).beside(chat, [], 5, RECIPE) == []


def test_what_has_come_true_is_contradicted(fact) -> None:
    stored = [
        fact("my brother Koji plays the cello in Lund", id="come true", label=False),
        fact("Did I ask how cellos are tuned?", id="near", label=False),
        fact("a birthday cake with walnuts", id="far", label=False, kind="topic"),
        fact("my brother Koji plays the cello in Lund", id="a yes", label=True),
    ]
    new = {"n": "My brother Koji has moved to Lund, where he now plays cello in an orchestra."}
    assert [one.id for one in contradicted(stored, new)] == ["come true"]
    assert contradicted(stored, {}) == []
    assert contradicted([], new) == []
    rng = random.Random(0)
    scattered = new["n"].split()
    rng.shuffle(scattered)
    halves = {"a": " ".join(scattered[::2]), "b": " ".join(scattered[1::2])}
    assert contradicted(stored[1:3], halves) == []
