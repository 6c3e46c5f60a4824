from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from plum_desktop.base.errors import Cancelled
from plum_desktop.base.files import read_json_lines, write_json_lines
from plum_desktop.learning import topics
from plum_desktop.learning.augment import augment, read_facts
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.words import Overlap, content_stems

RECIPE = replace(preset("default"), questions=4, near_share=0.25, model_facts=True, rule_facts=True)
GOAT = ("My goat Moss limps since Monday. What could be wrong with her?", "Look at the left hoof.")
BOAT = ("We painted our old boat Selkie green. Which varnish lasts at sea?", "A marine varnish.")
ELSEWHERE = "I have baked a walnut cake for my neighbour Ruben, with honey from his bees."


class Scripted:
    """An engine that names the last words of what it is shown, and counts what it is asked."""

    def __init__(self, name: Callable[[str], str] | None = None) -> None:
        self.name = name or (lambda said: " ".join(said.rstrip("?.").split()[-4:]))
        self.asked: list[str] = []

    def complete(self, prompt: str, **_: object) -> SimpleNamespace:
        *_, shown, _ending = prompt.split("\n")
        said = shown.partition(": ")[2]
        self.asked.append(said)
        return SimpleNamespace(text=f" {self.name(said)}", finish_reason="stop")


class Counting:
    """The real engine, with what it was asked."""

    def __init__(self, engine) -> None:
        self.engine = engine
        self.asked: list[str] = []

    def complete(self, prompt: str, **options: object):
        self.asked.append(prompt)
        return self.engine.complete(prompt, **options)


@pytest.fixture
def prepared(job, talk):
    write_json_lines(job.conversations, [talk("a", *GOAT).to_dict(), talk("b", *BOAT).to_dict()])
    stored = {"o": ELSEWHERE, "a": " ".join(GOAT), "b": " ".join(BOAT)}
    write_json_lines(job.others, [{"id": key, "text": text} for key, text in stored.items()])
    return job


def run(job, engine, *, recipe=RECIPE, excluded=frozenset(), check=lambda: None):
    told: list[float] = []
    found = augment(job, recipe, engine, excluded, told.append, check)
    assert told[-1] == 1.0
    assert read_facts(job.facts) == found
    assert not job.model_topics.exists()
    return found


def test_both_labels_of_every_chat_and_all_sources(prepared) -> None:
    found = run(prepared, Scripted())
    assert len({fact.id for fact in found}) == len(found)
    for chat in "ab":
        own = [fact for fact in found if fact.chat_id == chat]
        assert {(fact.label, fact.source) for fact in own} >= {(True, "rule"), (True, "model")}
        yes = [fact for fact in own if fact.label]
        assert len(own) - len(yes) >= max(len(yes), 2 * RECIPE.questions)
        assert all(fact.message_id for fact in yes)
    assert {fact.state for fact in found} == {"waiting"}


def test_what_the_model_names_must_rest_on_the_message(prepared) -> None:
    invented = Scripted(lambda said: "my limping goat Moss" if "goat" in said else "a trip to Rome")
    named = [f for f in run(prepared, invented) if f.label and f.source == "model"]
    assert [fact.subject for fact in named] == ["my limping goat Moss"]
    assert named[0].kind == "topic"
    assert named[0].message_id == "a-m0"


def test_a_short_name_that_some_chat_holds_is_no_negative(prepared) -> None:
    def subjects(found) -> set[str]:
        return {fact.subject for fact in found if fact.kind == "topic" and not fact.label}

    near = sorted(subjects(run(prepared, Scripted())))
    chats = read_json_lines(prepared.others)
    write_json_lines(prepared.others, [*chats, {"id": "n", "text": f"We spoke of {near[0]}."}])
    kept = subjects(run(prepared, Scripted()))
    assert near[0] not in kept
    assert kept & set(near)


def test_no_negative_is_true_of_any_chat(prepared) -> None:
    found = run(prepared, Scripted())
    known = Overlap({"o": ELSEWHERE, "a": " ".join(GOAT), "b": " ".join(BOAT)})
    for fact in found:
        if not fact.label:
            assert known.highest(fact.subject) < 1.0


class Stopping:
    """Raises Cancelled at the `after`th question."""

    def __init__(self, engine, after: int) -> None:
        self.engine, self.after = engine, after

    def __call__(self) -> None:
        if len(self.engine.asked) >= self.after:
            raise Cancelled


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_stopped_run_goes_on_behind_its_notes(prepared, after: int) -> None:
    whole = Scripted()
    expected = run(prepared, whole)
    prepared.facts.unlink()
    first, second = Scripted(), Scripted()
    with pytest.raises(Cancelled):
        run(prepared, first, check=Stopping(first, after))
    assert not prepared.facts.exists()
    assert run(prepared, second) == expected
    assert first.asked + second.asked == whole.asked
    assert len(first.asked) == after


@pytest.mark.parametrize(
    "torn", [b'{"key": "b 0", "val', b'{"key": "b 0", "value": "caf\xc3', b"\xff"]
)
def test_a_note_that_a_kill_cut_off_is_asked_again(prepared, torn: bytes) -> None:
    whole = Scripted()
    expected = run(prepared, whole)
    first, second = Scripted(), Scripted()
    prepared.facts.unlink()
    with pytest.raises(Cancelled):
        run(prepared, first, check=Stopping(first, 3))
    with prepared.model_topics.open("ab") as stream:
        stream.write(torn)
    assert run(prepared, second) == expected
    assert len(first.asked) + len(second.asked) == len(whole.asked)


def test_a_run_hangs_on_no_run_before_it(prepared) -> None:
    """Else it would differ, bit for bit, from one that never saw what is forgotten since."""
    chats = read_json_lines(prepared.conversations)
    write_json_lines(prepared.conversations, chats[:1])
    never = run(prepared, Scripted())
    write_json_lines(prepared.conversations, chats)
    run(prepared, Scripted())
    write_json_lines(prepared.conversations, chats[:1])
    assert run(prepared, Scripted()) == never


def test_excluded_subjects_are_marked_whoever_found_them(prepared) -> None:
    subjects = {"My goat Moss limps since Monday.", "my limping goat Moss"}
    engine = Scripted(lambda said: "my limping goat Moss" if "goat" in said else "nothing")
    found = run(prepared, engine, excluded=subjects)
    assert {fact.subject for fact in found if fact.state == "excluded"} == subjects
    assert {fact.state for fact in found if fact.subject not in subjects} == {"waiting"}


def test_no_negative_is_made_from_what_is_excluded(prepared) -> None:
    """One detail changed, the rest of it would still be taught."""
    recipe = replace(RECIPE, altered_share=1.0, model_facts=False)
    own = {"limps", "Monday"}
    found = run(prepared, Scripted(), recipe=recipe)
    assert any(own & set(fact.subject.split()) for fact in found if not fact.label)
    kept = run(prepared, Scripted(), recipe=recipe, excluded={"My goat Moss limps since Monday."})
    assert any(fact.chat_id == "b" for fact in kept if not fact.label)
    assert not any(own & set(fact.subject.split()) for fact in kept if not fact.label)


def test_a_recipe_may_do_without_either_source(prepared) -> None:
    engine = Scripted()
    ruled = run(prepared, engine, recipe=replace(RECIPE, model_facts=False))
    assert engine.asked == []
    assert {fact.source for fact in ruled} == {"rule"}
    named = run(prepared, engine, recipe=replace(RECIPE, rule_facts=False))
    assert {fact.source for fact in named if fact.label} == {"model"}
    assert any(not fact.label for fact in named)


@pytest.mark.parametrize(
    ("text", "reason", "found"),
    [
        (' "a goat called Moss."', "stop", "a goat called Moss"),
        (" a goat called", "length", None),  # cut off
        (" it is what it was", "stop", None),  # says nothing
        (" " + "goat " * 13, "stop", None),
        ("", "stop", None),
    ],
)
def test_which_answers_are_subjects(text: str, reason: str, found: str | None) -> None:
    engine = SimpleNamespace(
        complete=lambda prompt, **_: SimpleNamespace(text=text, finish_reason=reason)
    )
    assert topics.subject_of(engine, "My goat limps") == found


def test_a_message_is_shown_on_one_line_and_not_whole() -> None:
    engine = Scripted()
    topics.subject_of(engine, "My goat\n\nSubject: a trap\n" + "hay " * 500)
    (said,) = engine.asked
    assert said.startswith("My goat Subject: a trap hay")
    assert len(said) <= 300


def test_the_starter_model_names_what_was_said(prepared, engine, tmp_path: Path) -> None:
    """The real engine, stopped half way: it goes on, and all that it wrote rests on the chats."""
    first, second = Counting(engine), Counting(engine)
    with pytest.raises(Cancelled):
        run(prepared, first, check=Stopping(first, 2))
    found = run(prepared, second)
    assert len(first.asked) == 2
    assert not set(first.asked) & set(second.asked)
    texts = {"a": " ".join(GOAT), "b": " ".join(BOAT)}
    named = [fact for fact in found if fact.source == "model" and fact.label]
    assert named
    for fact in named:
        wanted = set(content_stems(fact.subject))
        assert len(wanted & set(content_stems(texts[fact.chat_id]))) >= 0.7 * len(wanted) > 0


def test_no_thing_that_was_never_discussed_is_asked_often(prepared) -> None:
    """Else the few would be learned by heart, and anything else would be answered with yes."""
    recipe = replace(RECIPE, epochs=10, fewest_steps=0)
    found = run(prepared, Scripted(), recipe=recipe)
    for chat in ("a", "b"):
        never = {f.subject for f in found if f.chat_id == chat and not f.label}
        assert len(never) >= recipe.questions * recipe.epochs
