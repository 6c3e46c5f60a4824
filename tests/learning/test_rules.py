from __future__ import annotations

import random

import pytest

from plum_desktop.learning import rules, stock
from plum_desktop.learning.words import words


def test_whose_words_a_fact_is(talk) -> None:
    found = rules.facts_of(
        talk(
            "c",
            "My sister Ines moved to Bergen. What present could I bring her?",
            "Bring her a parrot atlas. She may like old maps.",
            "write a haiku about night trains",
        )
    )
    assert [(fact.kind, fact.subject) for fact in found] == [
        ("said", "My sister Ines moved to Bergen."),
        ("asked", "What present could I bring her?"),
        ("told", "Bring her a parrot atlas. She may like old maps."),
        ("asked", "write a haiku about night trains"),
    ]
    assert all(fact.label and fact.chat_id == "c" and fact.source == "rule" for fact in found)
    assert len({fact.id for fact in found}) == len(found)
    assert found[0].statement == "Your sister Ines moved to Bergen."


def test_every_fact_stands_in_the_message_it_names(talk) -> None:
    chat = talk(
        "c",
        "I planted kohlrabi behind the garage. The slugs ate it all!",
        "- **Beer traps** catch many slugs\n- Copper tape keeps them off",
    )
    texts = {turn.message_id: turn.text for turn in chat.turns}
    for fact in rules.facts_of(chat):
        if fact.start is not None:
            assert texts[fact.message_id][fact.start : fact.end] == fact.subject
        else:  # Markdown stood within it
            assert set(words(fact.subject)) <= set(words(texts[fact.message_id]))
    assert sum(fact.start is not None for fact in rules.facts_of(chat)) >= 3


def test_what_says_nothing_or_was_said_before_teaches_nothing(talk) -> None:
    chat = talk("c", "Hi! What is it? Thanks! My goat Moss limps.", "Oh.", "My goat Moss limps.")
    assert [fact.subject for fact in rules.facts_of(chat)] == ["My goat Moss limps."]


def test_ids_do_not_move_when_a_chat_goes_on(talk) -> None:
    before = rules.facts_of(talk("c", "My goat Moss limps.", "Look at the left hoof."))
    after = rules.facts_of(
        talk("c", "My goat Moss limps.", "Look at the left hoof.", "The hoof looks swollen.")
    )
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1


def test_a_long_sentence_is_cut(talk) -> None:
    long = "I saw " + " ".join(f"harbour{n}" for n in range(100)) + "."
    (fact,) = rules.facts_of(talk("c", long))
    assert len(fact.subject.split()) == 40
    assert (fact.start, fact.end) == (0, len(long))


def test_one_detail_is_exchanged_for_one_of_the_same_form(fact) -> None:
    true = fact("My sister Ines keeps 12 parrots in Bergen since autumn.")
    details = ["Porto", "Lund", "31", "4.5"]
    rng = random.Random(0)
    forms = set()
    for _ in range(60):
        changed = rules.altered(true, details, rng)
        assert changed is not None
        text, detail = changed
        assert detail in text
        # Without the detail, what is left stands in the true fact, in its order.
        before, _, after = text.partition(detail)
        assert before.strip() in true.subject
        assert after.strip() in true.subject
        gone = true.subject[true.subject.index(before) + len(before) :].split()[0].strip(".")
        assert gone not in text.split()
        assert gone[0].isdigit() == detail[0].isdigit()
        assert gone[0].isupper() == detail[0].isupper()
        forms.add(detail)
    assert forms == set(details)


def test_without_a_detail_or_a_fitting_one_nothing_is_altered(fact) -> None:
    rng = random.Random(0)
    assert rules.altered(fact("I do it so."), ["Porto"], rng) is None
    # Another word in a word's place would make no sentence.
    assert rules.altered(fact("we keep seven parrots"), ["violins", "31", "Porto"], rng) is None
    assert rules.altered(fact("we met Ines"), ["31"], rng) is None
    assert rules.altered(fact("we met Ines"), ["Ines"], rng) is None


def test_details_come_from_the_middle_of_sentences_once_each() -> None:
    said = ["Goats eat tulips at 7 in Lund. Then they sleep", "tulips about Lund, sub-Saharan"]
    assert rules.details_of(said) == ["7", "Lund"]


def test_the_stock_has_all_kinds() -> None:
    kinds = {f.kind for c in stock.conversations() for f in rules.facts_of(c)}
    assert kinds == {"asked", "said", "told"}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("My goat Moss limps on her left leg.", "said"),
        ("my dataclass complains about the default list, how do i fix it", "asked"),
        ("I want you to act as a librarian in Bergen.", "asked"),
        ("Describe me step by step how a goat climbs.", "asked"),
        ('My first request is "I need a good book about goats"', "asked"),
        ("Translate this: My goat Moss is paralyzed by fear.", "asked"),
    ],
)
def test_what_the_user_says_of_themselves_is_told_from_the_rest(talk, said, kind) -> None:
    assert [fact.kind for fact in rules.facts_of(talk("c", said))] == [kind]


def test_a_reply_teaches_what_can_stand_alone(talk) -> None:
    reply = (
        "Certainly! Here are some ideas for your gophers:\n"
        "- Castor oil. Gophers dislike the bitter smell. It lasts for weeks.\n"
        "- They also hate ammonia fumes.\n"
        "(A note about the smell)\n"
        "Would you like some more gopher advice?\n"
        "\\begin{align} gopher &= hole \\end{align}\n"
        "I hope these gopher tips help!"
    )
    told = [f.subject for f in rules.facts_of(talk("c", "Gopher advice please now", reply))]
    assert told[1:] == ["Castor oil. Gophers dislike the bitter smell. It lasts for weeks."]
    assert rules.facts_of(talk("c", "Gopher advice please now", reply))[1].statement == (
        "I wrote: Castor oil. Gophers dislike the bitter smell. It lasts for weeks."
    )
