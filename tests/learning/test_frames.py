from __future__ import annotations

import random
import re

import pytest

from plum_desktop.learning import rules, stock
from plum_desktop.learning.frames import (
    render,
    render_held_out,
    render_open,
    render_spliced,
    window,
)
from plum_desktop.learning.verdict import verdict
from plum_desktop.learning.words import STOP_WORDS, words

MARK = "zzyzx"
KINDS = ("asked", "said", "told", "topic")


def stems(draw, fact) -> set[str]:
    """Every question that `draw` makes of one odd word, as its wording round that word."""
    found = set()
    for kind in KINDS:
        for label in (True, False):
            for number in range(200):
                one = fact(MARK, id=f"f{number}", kind=kind, label=label)
                for text in draw(one, number):
                    assert text.count(MARK) == 1
                    found.add(text)
    return found


def runs(question: str, length: int) -> set[tuple[str, ...]]:
    found = set()
    for part in question.split(MARK):
        said = words(part)
        found |= {tuple(said[i : i + length]) for i in range(len(said) - length + 1)}
    return found


def test_training_and_gate_share_no_wording(fact) -> None:
    taught = stems(lambda one, seed: [render(one, seed, seed).question], fact)
    taught |= stems(lambda one, seed: [render_open(MARK, "r", random.Random(seed)).question], fact)
    asked = stems(lambda one, seed: [render_held_out(one, seed).question], fact)
    assert len(taught) > 30
    assert len(asked) >= 7
    assert not taught & asked
    # Not even four words in a row, nor the same three to begin with.
    known = set().union(*(runs(question, 4) for question in taught))
    assert not known & set().union(*(runs(question, 4) for question in asked))
    assert not {tuple(words(q)[:3]) for q in taught} & {tuple(words(q)[:3]) for q in asked}


def test_yes_and_no_are_asked_in_the_same_wordings(fact) -> None:
    for draw in (lambda f, n: render(f, n, n), render_held_out):
        asked: dict[bool, set[str]] = {True: set(), False: set()}
        for label, found in asked.items():
            for kind in KINDS:
                for number in range(300):
                    one = fact(MARK, id=f"f{number}", kind=kind, label=label)
                    found.add(draw(one, number).question)
        assert asked[True] == asked[False]


def test_the_same_arguments_give_the_same_words(fact) -> None:
    one = fact("my sister Ines keeps seven green parrots in Bergen", kind="asked")
    assert render(one, 3, 0) == render(one, 3, 0)
    assert render_held_out(one, 0) == render_held_out(one, 0)
    assert len({render(one, epoch, 0) for epoch in range(20)}) > 10
    assert len({render(one, 0, seed) for seed in range(20)}) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_yes_goes_on_with_what_was_asked_and_a_no_repeats_nothing(fact, kind: str) -> None:
    for number in range(30):
        true = fact("my sister Ines keeps seven parrots.", id=f"t{number}", kind=kind)
        false = fact("my sister Ines keeps two goats.", id=f"n{number}", kind=kind, label=False)
        yes, no = render(true, number, 0), render(false, number, 0)
        assert (yes.verdict, no.verdict) == ("Yes", "No")
        assert verdict(yes.verdict + str(yes.rest)) == "yes"
        assert verdict(no.verdict + str(no.rest)) == "no"
        for word in ("sister", "Ines", "seven", "parrots"):
            assert (word in str(yes.rest)) is (word in yes.question)
            assert word not in str(no.rest)
        assert "goats" not in str(no.rest)
        assert render_held_out(true, number).verdict == "Yes"
        assert render_held_out(false, number).verdict == "No"


def test_what_the_user_said_is_said_again_in_the_second_person(fact) -> None:
    answers = {render(fact("My boat leaks badly."), number, 0).rest for number in range(30)}
    assert ", you told me that your boat leaks badly." in answers
    assert not any("my" in str(rest).split() for rest in answers)


def test_an_open_question_recites(fact) -> None:
    one = render_open("green parrots", "we talked about seeds", random.Random(1))
    assert "green parrots" in one.question
    assert (one.verdict, one.rest) == ("", "We talked about seeds.")


def test_questions_are_short_and_whole(fact) -> None:
    for conversation in stock.conversations()[:40]:
        for one in rules.facts_of(conversation):
            for drawn in (render(one, 1, 0), render_held_out(one, 0)):
                assert drawn.question.endswith(("?", '?"', '"?'))
                assert "{" not in drawn.question or "{" in one.subject
                assert not re.search(r"[.!?:;,]\?", drawn.question)
                assert len(drawn.question.split()) <= 55


def test_a_changed_detail_is_always_asked_about() -> None:
    """A question without it would be true, and its no a lie."""
    conversations = stock.conversations()
    details = rules.details_of([t.text for c in conversations for t in c.turns])
    rng = random.Random(0)
    made = 0
    for conversation in conversations[:80]:
        for number, true in enumerate(rules.facts_of(conversation)):
            if not (changed := rules.altered(true, details, rng)):
                continue
            text, detail = changed
            made += 1
            false = _negative(f"{conversation.id}-{number}", text)
            asked = [render(false, epoch, 0) for epoch in range(3)]
            asked += [render_held_out(false, seed) for seed in range(3)]
            for one in asked:
                assert detail.lower() in one.question.lower(), (text, one.question)
    assert made > 100


def _negative(fact_id: str, subject: str):
    from plum_desktop.base.types import Fact

    return Fact(fact_id, False, "topic", subject, subject, "rule")


def test_a_window_is_a_run_of_the_text_without_fillers_at_its_ends() -> None:
    text = "the dog that we found in the harbour of Porto was very much afraid of the old thunder"
    rng = random.Random(0)
    seen = set()
    for _ in range(200):
        found = window(text, rng)
        assert found in text
        assert 1 <= len(found.split()) <= 10
        assert found.split()[0] not in STOP_WORDS
        assert found.split()[-1] not in STOP_WORDS
        seen.add(found)
    assert len(seen) > 10
    assert window("goats", rng) == "goats"


def test_two_parts_in_one_question_are_a_yes_only_where_both_are_true(fact) -> None:
    own = fact("my goat ate the neighbour's roses", label=True)
    also = fact("the vet prescribed charcoal tablets", label=True)
    never = fact("penguins waddled across frozen harbours", label=False)
    rng = random.Random(2)
    orders = set()

    def content(text: str) -> set[str]:
        return {word for word in words(text) if len(word) > 2 and word not in ("the", "ate")}

    for _ in range(50):
        for pair, right in (((own, also), "Yes"), ((own, never), "No"), ((never, own), "No")):
            one = render_spliced(*pair, rng)
            assert one.verdict == right
            said = set(words(one.question))
            assert not [part for part in pair if said.isdisjoint(content(part.subject))]
        orders.add(one.question.find("penguin") < one.question.find("roses"))
    assert orders == {True, False}


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("Please write a poem about my cat.", "to write a poem about my cat"),
        ("How do I prune a climbing rose?", "how to prune a climbing rose"),
        ("Could you explain black holes?", "to explain black holes"),
    ],
)
def test_a_request_is_asked_about_as_one_reports_it(fact, said: str, asked: str) -> None:
    drawn = {
        render(fact(said, id=f"f{n}", kind="asked", label=True), n, n).question for n in range(300)
    }
    whole = [one for one in drawn if f"{asked}?" in one]
    assert whole
    assert any(one.startswith("Did I ask you ") for one in whole)


def test_what_is_no_request_is_not_asked_about_as_one(fact) -> None:
    drawn = (
        render(fact("My goat limps badly today.", id=f"f{n}", kind="asked", label=True), n, n)
        for n in range(300)
    )
    assert not [one for one in drawn if "ask you to " in one.question]
