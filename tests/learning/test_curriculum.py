from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from plum_desktop.learning import rules, stock
from plum_desktop.learning.curriculum import NO_REPLAY, Example, Lesson, Replay, lessons, steps
from plum_desktop.learning.excerpts import OPENING
from plum_desktop.learning.gist import Gist
from plum_desktop.learning.negatives import Negatives
from plum_desktop.learning.reading import Reading
from plum_desktop.learning.recipe import Recipe, preset
from plum_desktop.learning.words import content_stems

RECIPE = replace(
    preset("default"), order="joint", epochs=3, fewest_steps=0, questions=4, open_every=0,
    open_times=1000,
    batch_conversations=1, replay_questions=4, answered_share=0.5,
    later_turn_share=0.3, persona_share=0.2,
)  # fmt: skip


@pytest.fixture(scope="module")
def taught() -> list[Lesson]:
    """Five lessons from stock conversations, as if they were the user's."""
    pool = stock.conversations()
    chats = [replace(c, chat_id=c.id) for c in pool[:300:60]]
    negatives = Negatives(pool[1::2], {c.id: c.text for c in chats})
    found = []
    for chat in chats:
        positives = rules.facts_of(chat)
        found.append(
            Lesson(chat, tuple(positives), tuple(negatives.beside(chat, positives, 8, RECIPE)))
        )
    assert len(found) == 5
    return found


def answers(step) -> Counter[str]:
    return Counter(one.verdict for example in step for one in example.exchanges)


def test_every_step_has_as_many_no_as_yes(taught) -> None:
    for recipe in (
        RECIPE,
        replace(RECIPE, batch_conversations=2),
        replace(RECIPE, order="sequential"),
        replace(RECIPE, questions=30),  # more than a chat has facts
    ):
        found = list(steps(taught, NO_REPLAY, recipe, None))
        assert len(found) == 3 * -(-5 // recipe.batch_conversations)
        for step in found:
            counts = answers(step)
            in_step = (counts["Yes"] + counts["No"]) // (2 * recipe.questions)
            assert counts["Yes"] == counts["No"] == recipe.questions * in_step > 0


def test_what_a_chat_is_about_is_asked_more_often(taught, fact) -> None:
    """By short names and requests of both labels; neither has a kind that the other has not."""
    named = [fact(f"a goat called Moss{n}", id=f"y{n}", kind="topic") for n in range(2)]
    never = [fact(f"a cow called Rosa{n}", id=f"n{n}", kind="topic", label=False) for n in range(2)]
    unnamed = taught[0]
    lesson = replace(
        unnamed,
        positives=(*unnamed.positives, *named),
        negatives=(*unnamed.negatives, *never),
    )

    def shares(one: Lesson, topic_share: float) -> tuple[float, float]:
        recipe = replace(RECIPE, epochs=200, topic_share=topic_share)
        asked = [
            each.question
            for step in steps([one], NO_REPLAY, recipe, None)
            for example in step
            for each in example.exchanges
        ]
        goats, cows = (sum(word in one for one in asked) for word in ("Moss", "Rosa"))
        return goats * 2 / len(asked), cows * 2 / len(asked)

    few_goats, few_cows = shares(lesson, 0.0)
    goats, cows = shares(lesson, 0.5)
    assert goats == pytest.approx(0.5 * few_goats + 0.25, abs=0.05)
    assert cows == pytest.approx(0.5 * few_cows + 0.25, abs=0.05)
    # A chat that nobody named has no names among its no either.
    alone = replace(lesson, positives=unnamed.positives)
    assert shares(alone, 0.0)[1] == shares(alone, 1.0)[1] == 0.0


def test_no_and_yes_are_asked_in_the_same_forms(taught, fact) -> None:
    """Of what was never discussed there are many short names, of what was one or two."""
    never = [fact(f"a cow {n}", id=f"n{n}", kind="topic", label=False) for n in range(60)]
    lesson = replace(
        taught[0],
        positives=(*taught[0].positives, fact("a goat called Moss", id="y", kind="topic")),
        negatives=(*taught[0].negatives, *never),
    )
    recipe = replace(RECIPE, epochs=300, altered_share=0.0)
    short: Counter[str] = Counter()
    for step in steps([lesson], NO_REPLAY, recipe, None):
        for example in step:
            for one in example.exchanges:
                short[one.verdict] += "Moss" in one.question or "a cow" in one.question
    assert short["Yes"] > 100
    assert short["No"] == pytest.approx(short["Yes"], rel=0.1)


def test_replay_is_balanced_too(taught, fact) -> None:
    stored = [fact(f"my goat Moss{n} limps", id=f"y{n}") for n in range(20)]
    stored += [fact(f"my cow Moss{n} limps", id=f"n{n}", label=False) for n in range(60)]
    balance = Counter()
    for step in steps(taught, Replay(stored), replace(RECIPE, epochs=40), None):
        balance += answers(step)
    assert balance["Yes"] / (balance["Yes"] + balance["No"]) == pytest.approx(0.5, abs=0.02)


def test_what_is_replayed_has_the_forms_of_what_is_true_as_well(taught, fact) -> None:
    stored = [fact(f"my goat Moss{n} limps", id=f"y{n}", kind="said") for n in range(40)]
    stored += [fact(f"a cow {n}", id=f"t{n}", kind="topic", label=False) for n in range(40)]
    stored += [
        fact(f"my dog Rex{n} barks", id=f"n{n}", kind="said", label=False) for n in range(40)
    ]
    recipe = replace(RECIPE, epochs=40, altered_share=0.0)
    asked = [
        one.question
        for step in steps(taught, Replay(stored), recipe, None)
        for example in step
        for one in example.exchanges
    ]
    assert sum("a cow" in one for one in asked) == 0
    assert sum("Rex" in one for one in asked) == sum("Moss" in one for one in asked) > 100


def test_replay_asks_what_older_chats_taught(taught, fact) -> None:
    stored = [fact(f"my goat Zebedee{n} limps", id=f"y{n}") for n in range(20)]
    asked: Counter[str] = Counter()
    for step in steps(taught, Replay(stored), replace(RECIPE, epochs=20), None):
        old = [
            one for example in step for one in example.exchanges if "edee" in one.question.lower()
        ]
        assert len(old) == RECIPE.replay_questions
        for one in old:
            asked.update(n for n in range(20) if f"zebedee{n} " in f"{one.question.lower()} ")
    for step in steps(taught, Replay(stored[:2]), RECIPE, None):
        assert answers(step) == {"Yes": 6, "No": 4}  # fewer stored than asked for: what there is


def open_steps(lessons: list[Lesson], replay: Replay, recipe: Recipe) -> list[list[Example]]:
    """The steps that ask openly; every `open_every` others there is one."""
    found = list(steps(lessons, replay, recipe, None))
    every = recipe.open_every + 1
    opened = found[recipe.open_every :: every]
    assert len(opened) == len(found) // every
    for step in found:
        open_ones = [one.verdict == "" for example in step for one in example.exchanges]
        assert all(open_ones) if step in opened else not any(open_ones)
    return opened


def test_every_chat_is_asked_about_openly_as_often_as_the_others(taught) -> None:
    """So many in steps of their own, half of them about older chats, however many those are."""
    old = Gist(("Zebedee", "a goat"), ("my goat Zebedee",))
    recipe = replace(RECIPE, epochs=60, open_every=4, open_questions=2)
    opened = open_steps(taught, Replay([], [old]), recipe)
    assert len(opened) == 60 * len(taught) // 4
    recited = Counter(one.rest for step in opened for example in step for one in example.exchanges)
    assert "We have not talked about that." not in recited  # no short names here
    assert recited.pop("We talked about Zebedee, a goat.") == len(opened)
    assert recited.total() == len(opened)
    assert len(recited) == len(taught)
    assert max(recited.values()) - min(recited.values()) <= 1


def test_a_few_chats_are_not_asked_about_openly_without_end(taught) -> None:
    """What 300 visits of three chats have room for would wear out what else is learned."""
    recipe = replace(RECIPE, epochs=2, fewest_steps=300, open_every=1, open_questions=2)
    recipe = replace(recipe, open_times=5)
    found = list(steps(taught[:3], NO_REPLAY, recipe, None))
    opened = [step for step in found if step[0].exchanges[0].verdict == ""]
    assert len(found) - len(opened) == 300
    assert len(opened) == pytest.approx(3 * 5 / 2, abs=1)
    gaps = [n for n, step in enumerate(found) if step in opened]
    assert gaps[0] > 20  # all through the run
    assert len(found) - gaps[-1] < 60
    old = [Gist((f"a goat {n}",), (f"my goat {n}",)) for n in range(9)]
    beside = list(steps(taught[:3], Replay([], old), recipe, None))
    assert len(beside) - 300 == pytest.approx(4 * len(opened), abs=3)


def test_open_questions_about_what_never_came_up_are_told_apart(taught, fact) -> None:
    """So many a step: by a short name, of which half of those about chats have one."""
    lesson = replace(
        taught[0],
        positives=(*taught[0].positives, fact("my goat Moss", id="y", kind="topic")),
        negatives=(*taught[0].negatives, fact("a cow", id="n", kind="topic", label=False)),
    )
    answers: Counter[str] = Counter()
    recipe = replace(RECIPE, epochs=100, open_every=2, open_questions=2, open_never=1)
    for step in open_steps([lesson], NO_REPLAY, recipe):
        for example in step:
            for one in example.exchanges:
                nothing = one.rest == "We have not talked about that."
                assert nothing == ("a cow?" in one.question)
                answers["nothing" if nothing else "about"] += 1
                answers["named"] += "my goat Moss" in one.question
    assert (answers["nothing"], answers["about"]) == (50, 100)
    assert answers["named"] == pytest.approx(50, abs=20)
    silent = replace(lesson, positives=())  # of which nothing can be said
    assert open_steps([silent], NO_REPLAY, replace(recipe, open_every=200)) == []


def test_all_facts_come_as_often_as_each_other(taught) -> None:
    lesson = taught[0]
    recipe = replace(RECIPE, questions=len(lesson.positives))
    recipe = replace(recipe, later_turn_share=0.0, persona_share=0.0)
    (step,) = steps([lesson], NO_REPLAY, replace(recipe, epochs=1), None)
    shown = [example.exchanges[0] for example in step if example.exchanges[0].verdict == "Yes"]
    assert len(shown) == len({one.question for one in shown}) == len(lesson.positives)


def test_wordings_change_from_epoch_to_epoch(taught) -> None:
    recipe = replace(RECIPE, order="sequential", epochs=4)
    seen = [
        {one.question for example in step for one in example.exchanges}
        for step in steps(taught[:1], NO_REPLAY, recipe, None)
    ]
    assert len(set().union(*seen)) > 3 * len(seen[0])


def test_joint_shuffles_and_sequential_keeps_time_order(taught) -> None:
    def whose(step) -> str:
        """The chat that has most of the words that a yes is asked in."""
        asked = [one.question for e in step for one in e.exchanges if one.verdict == "Yes"]
        said = content_stems(" ".join(asked))
        chats = [lesson.conversation for lesson in taught]
        return max(chats, key=lambda chat: len({*said} & {*content_stems(chat.text)})).id

    all_answered = replace(RECIPE, answered_share=1.0)
    ids = [lesson.conversation.id for lesson in taught]
    one_by_one = replace(all_answered, order="sequential")
    in_order = [whose(step) for step in steps(taught, NO_REPLAY, one_by_one, None)]
    assert in_order == [one for one in ids for _ in range(3)]
    joint = [whose(step) for step in steps(taught, NO_REPLAY, all_answered, None)]
    assert [sorted(joint[at : at + 5]) for at in (0, 5, 10)] == [sorted(ids)] * 3
    assert joint[:5] != joint[5:10] or joint[5:10] != joint[10:]


def test_the_same_recipe_makes_the_same_lessons(taught) -> None:
    assert list(steps(taught, NO_REPLAY, RECIPE, None)) == list(
        steps(taught, NO_REPLAY, RECIPE, None)
    )
    other = replace(RECIPE, seed=1)
    assert list(steps(taught, NO_REPLAY, RECIPE, None)) != list(
        steps(taught, NO_REPLAY, other, None)
    )


def test_prompt_shapes_are_those_that_are_served(taught) -> None:
    examples = [
        e for s in steps(taught, NO_REPLAY, replace(RECIPE, epochs=30), "You are Pim.") for e in s
    ]
    lengths = Counter(len(example.exchanges) for example in examples)
    assert set(lengths) == {1, 2}
    assert lengths[2] / len(examples) == pytest.approx(RECIPE.later_turn_share, abs=0.08)
    own = sum(example.system == "You are Pim." for example in examples) / len(examples)
    assert own == pytest.approx(1 - RECIPE.persona_share, abs=0.06)
    assert len({example.system for example in examples}) > 3
    for step in steps(taught, NO_REPLAY, replace(RECIPE, persona_share=0.0), None):
        assert {example.system for example in step} == {None}


def test_only_the_last_answer_may_end_with_its_verdict(taught) -> None:
    ended = asked = 0
    for step in steps(taught, NO_REPLAY, replace(RECIPE, epochs=30), None):
        for example in step:
            *first, last = example.exchanges
            assert all(one.rest is not None for one in first)
            if last.verdict:
                asked += 1
                ended += last.rest is None
            else:
                assert last.rest  # an open question always has its answer
    assert ended / asked == pytest.approx(1 - RECIPE.answered_share, abs=0.06)


def test_open_questions_are_answered_from_the_facts_that_may_be_taught(talk, fact) -> None:
    """What the user excluded must not come back in another lesson's answer."""
    chat = talk(
        "c",
        "My brother Koji drinks again. We bought a green boat called Selkie. Which paint suits it?",
        "Marine enamel suits the hull. Talk to Koji in private.",
    )
    facts = rules.facts_of(chat)
    kept = [one for one in facts if "Koji" not in one.subject]
    assert len(kept) == len(facts) - 2
    negative = fact("a limping goat", kind="topic", label=False)
    (lesson,) = lessons([chat], {"c": [*kept, negative]})
    recipe = replace(RECIPE, epochs=20, answered_share=1.0, open_every=1, open_questions=1)
    opened: list[str | None] = []
    for step in steps([lesson], NO_REPLAY, recipe, None):
        for example in step:
            for one in example.exchanges:
                assert "Koji" not in one.question + (one.rest or "")
                assert "koji" not in one.question
                opened += [one.rest] * (not one.verdict)
    assert len(opened) == 40
    assert opened.count("We have not talked about that.") == 20


def test_a_few_chats_are_repeated_and_many_are_not() -> None:
    recipe = replace(RECIPE, epochs=5, fewest_steps=40)
    assert recipe.passes(0) == 0
    assert recipe.passes(1) == 40
    assert recipe.passes(3) == 14  # 42 steps
    assert recipe.passes(8) == recipe.passes(500) == 5
    assert replace(recipe, batch_conversations=4).passes(8) == 20  # 2 steps a pass


def test_lessons_pair_chats_with_their_facts_in_order(talk, fact) -> None:
    chats = [talk(name, "My goat limps.") for name in "bac"]
    facts = {
        "a": [fact("x", label=True), fact("y", label=False)],
        "b": [fact("z", label=True)],
        "c": [fact("w", label=False)],  # nothing true to teach
    }
    found = lessons(chats, facts)
    assert [lesson.conversation.id for lesson in found] == ["b", "a"]
    assert [one.subject for one in found[1].positives] == ["x"]
    assert [one.subject for one in found[1].negatives] == ["y"]


def test_nothing_to_teach_makes_no_steps() -> None:
    assert list(steps([], NO_REPLAY, RECIPE, None)) == []


def test_questions_with_excerpts_come_as_often_as_the_recipe_says(taught) -> None:
    reading = Reading(stock.conversations(), stock.asked())
    recipe = replace(RECIPE, epochs=25, readings=1.4)
    read = [
        [one for example in step for one in example.exchanges if one.looked_up]
        for step in steps(taught, NO_REPLAY, recipe, None, reading)
    ]
    assert {len(step) for step in read} == {1, 2}
    assert sum(map(len, read)) / len(read) == pytest.approx(1.4, abs=0.2)
    # What was taught stays as it was, and is taught apart from what is read.
    plain = steps(taught, NO_REPLAY, recipe, None)
    beside = steps(taught, NO_REPLAY, recipe, None, reading)
    for alone, step in zip(plain, beside, strict=True):
        assert step[: len(alone)] == alone
        assert all(len(example.exchanges) == 1 for example in step[len(alone) :])


def test_what_is_taught_is_looked_up_as_well(taught) -> None:
    """What it is told matches by more or less, and is a yes; what is like it, a no."""
    reading = Reading(stock.conversations(), stock.asked())
    own = {lesson.conversation.turns[0].text.split("?")[0][:40] for lesson in taught}
    for share, some in ((0.0, False), (1.0, True)):
        recipe = replace(RECIPE, epochs=10, readings=1.0, own_readings=share)
        read = [
            one
            for step in steps(taught, NO_REPLAY, recipe, None, reading)
            for example in step
            for one in example.exchanges
            if one.looked_up
        ]
        if some:
            assert {one.verdict for one in read} == {"Yes", "No", OPENING}
            assert all(one.rest is None for one in read)  # no quoted word is a lesson
            found = [one for one in read if one.verdict == "Yes"]
            matches = [int(re.search(r"Best match: (\d+)%", one.question)[1]) for one in found]
            # As people ask it weeks later: of the lesson's own words each has the whole.
            assert min(matches) < 50 < 90 <= max(matches)
            assert any(text in one.question for one in found for text in own)
        else:
            assert {one.verdict for one in read} >= {"Yes", "No", OPENING}


def test_two_parts_are_asked_at_once_as_often_as_the_recipe_says(taught) -> None:
    def asked(share: float) -> set[str]:
        recipe = replace(RECIPE, epochs=4, spliced_share=share)
        return {
            one.question
            for step in steps(taught, NO_REPLAY, recipe, None)
            for example in step
            for one in example.exchanges
        }

    alone, some, every = asked(0.0), asked(0.3), asked(1.0)
    # Some facts stand alone in their lesson, and nothing goes with them.
    assert len(every & alone) < len(every) / 4
    assert len(every & alone) < len(some & alone) < len(some)


def test_what_is_no_longer_so_is_asked_whole(taught) -> None:
    """Joined with something true it would be neither a yes nor a no."""
    said = "my dentist is Doctor Okafor on Linden Street"
    former = replace(taught[0].positives[0], label=False, kind="former", subject=said)
    lesson = replace(taught[0], negatives=(former,))
    recipe = replace(RECIPE, spliced_share=1.0, epochs=6, fewest_steps=0)
    asked = [
        one
        for step in steps([lesson], NO_REPLAY, recipe, None)
        for example in step
        for one in example.exchanges
        if one.verdict == "No"
    ]
    assert asked
    assert all(one.question.endswith(f"{said}?") for one in asked)
