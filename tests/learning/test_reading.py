from __future__ import annotations

import random
from collections import Counter

import pytest

from plum_desktop.learning import stock
from plum_desktop.learning.conversation import Conversation, Turn
from plum_desktop.learning.excerpts import OPENING
from plum_desktop.learning.frames import Rendering
from plum_desktop.learning.reading import Reading, look_up
from plum_desktop.learning.stock import Asked


@pytest.fixture(scope="module")
def questions() -> list[Rendering]:
    reading, rng = Reading(stock.conversations(), stock.asked()), random.Random(4)
    return [reading.question(rng) for _ in range(300)]


def test_half_of_what_can_be_answered_by_yes_or_no_is_a_yes(questions: list[Rendering]) -> None:
    counts = Counter(one.verdict for one in questions)
    assert counts["Yes"] / (counts["Yes"] + counts["No"]) == pytest.approx(0.5, abs=0.1)
    assert 0.4 < (counts[OPENING] + counts[""]) / 300 < 0.6
    assert counts[OPENING] > 9 * counts[""]  # for which nothing is found
    assert all(one.looked_up for one in questions)


def test_what_follows_stands_in_the_excerpts(questions: list[Rendering]) -> None:
    """Else the model would learn to make it up."""
    for one in questions:
        if one.verdict == "Yes" and one.rest is not None:
            quoted = one.rest.partition('"')[2].rpartition('"')[0].removesuffix("...")
            assert quoted.strip()
            assert quoted in one.question
        if one.verdict == OPENING:
            assert OPENING + str(one.rest) in one.question
        if one.verdict == "":
            assert one.rest == "I do not remember that from our chats."


def test_the_same_question_is_a_yes_or_a_no_by_what_was_there_alone() -> None:
    names = ("Zeb", "Mia", "Tom", "Ida", "Rex")
    chats = [
        Conversation(name, (Turn("user", f"My goat {name} eats {food} every day."),))
        for name, food in zip(names, ("kale", "figs", "oats", "corn", "rice"), strict=True)
    ]
    asked = {
        c.id: Asked((f"Did I tell you about {c.turns[0].text}",), ("Did I mention yaks?",))
        for c in chats
    }
    reading, rng = Reading(chats, asked), random.Random(1)
    seen = Counter()
    for _ in range(400):
        one = reading.question(rng)
        if one.verdict in ("Yes", "No"):
            question = one.question.rpartition("\n\n")[2].partition("\n(Best match")[0]
            about = next((name for name in names if name in question), None)
            if about:  # neither yaks nor "eats every day"
                was_there = f'wrote: "My goat {about} eats' in one.question
                assert was_there is (one.verdict == "Yes")
                seen[about, one.verdict] += 1
    assert all(seen[name, "Yes"] and seen[name, "No"] for name in names)


def test_the_past_is_looked_up_as_it_is_when_serving() -> None:
    gophers = Conversation(
        "g", (Turn("user", "What can I pour into gopher holes?"), Turn("assistant", "Castor oil."))
    )
    bread = Conversation("b", (Turn("user", "How long should my rye sourdough rise?"),))
    (found,) = look_up("Did we talk about gopher holes?", [gophers, bread])
    assert (found.chat_id, found.told) == ("g", "Castor oil.")
    assert look_up("Did we talk about submarines?", [gophers, bread]) == []
