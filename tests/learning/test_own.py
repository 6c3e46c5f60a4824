from __future__ import annotations

from dataclasses import replace

import pytest

from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import write_json_lines
from plum_desktop.learning import curriculum, facts, own, stock
from plum_desktop.learning.augment import augment
from plum_desktop.learning.recipe import preset

TOLD = ("My sister Ines lives in Bergen.", "We feed seven parrots at home.", "I never eat nuts.")


def told(*texts: str) -> list:
    return [own.at_home(own.fact_of(f"fact{at}", text)) for at, text in enumerate(texts)]


def test_a_fact_is_kept_in_the_users_words_and_said_back() -> None:
    fact = own.fact_of("f", "  my sister Ines  lives in Bergen. ")
    assert fact.subject == "my sister Ines lives in Bergen."
    assert fact.statement == "Your sister Ines lives in Bergen."
    assert (fact.kind, fact.source, fact.state, fact.chat_id) == ("said", "user", "waiting", None)


@pytest.mark.parametrize("text", ["", "Hi", "and so on", "word " * 41])
def test_what_is_no_sentence_is_refused(text: str) -> None:
    with pytest.raises(PlumError, match="too (short|long)"):
        own.fact_of("f", text)


def test_home_and_back() -> None:
    fact = own.fact_of("f", TOLD[0])
    home = own.at_home(fact)
    assert (home.chat_id, home.message_id) == (own.HOME, "f")
    assert own.stored(home) == fact
    of_a_chat = replace(fact, chat_id="c", message_id="m")
    assert own.at_home(of_a_chat) == of_a_chat == own.stored(of_a_chat)
    never = replace(fact, label=False)
    assert own.at_home(never).message_id is None


def test_a_conversation_of_what_still_holds() -> None:
    first, second, third = told(*TOLD)
    gone = [replace(second, state="excluded"), replace(third, state="contradicted")]
    assert own.teachable([first, *gone, replace(first, chat_id="c")]) == [first]
    made = own.conversation([first, second])
    assert made is not None
    assert [turn.text for turn in made.turns] == list(TOLD[:2])
    assert (made.id, made.chat_id) == (own.HOME, own.HOME)
    assert made.leaf != getattr(own.conversation([first]), "leaf", None)
    assert made == own.conversation([replace(first, state="learned"), second])
    assert own.conversation([]) is None


def test_the_pipeline_takes_it_as_a_conversation(job, talk) -> None:
    """Every fact is taught as it is, with things never discussed beside it, and asks no model."""
    mine = told(*TOLD, "I keep my bicycle in the cellar.", "My desk stands at the window.")
    made = own.conversation(mine)
    assert made is not None
    write_json_lines(job.own, [facts.to_dict(fact) for fact in mine])
    write_json_lines(job.conversations, [made.to_dict()])
    write_json_lines(job.others, [{"id": own.HOME, "text": made.text}])
    recipe = replace(preset("default"), questions=4, model_facts=True, near_share=0.25)
    engine = None  # must not be asked
    found = augment(job, recipe, engine, set(), lambda share: None, lambda: None)
    yes = [fact for fact in found if fact.label]
    assert yes == mine
    never = [fact for fact in found if not fact.label]
    assert len(never) >= len(mine)
    assert {fact.chat_id for fact in never} == {own.HOME}
    assert not facts.held_back(yes, 7)
    lessons = curriculum.lessons([made], {own.HOME: found})
    assert [len(lesson.positives) for lesson in lessons] == [4, 1]
    assert all(lesson.negatives for lesson in lessons)
    asked = facts.for_gate(found, 7, 60)
    assert sum(fact.label for fact in asked) == len(mine)
    steps = list(curriculum.steps(lessons, curriculum.NO_REPLAY, recipe, None))
    said = " ".join(part.question for batch in steps for one in batch for part in one.exchanges)
    assert "Bergen" in said
    assert stock.never_discussed()
