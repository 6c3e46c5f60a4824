from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from plum_desktop.adapters.peft_format import read_peft
from plum_desktop.learning import primer, stock
from plum_desktop.learning.recipe import preset

RECIPE = replace(preset("default"), questions=5, open_share=0.0, later_turn_share=0.0)


class Echo:
    """An engine that names what it is shown by its last words."""

    def __init__(self) -> None:
        self.asked = 0

    def complete(self, prompt: str, **_: object) -> SimpleNamespace:
        self.asked += 1
        *_, shown, ending = prompt.split("\n")
        said = shown.partition(": ")[2].rstrip("?.").split()[-4:]
        name = " ".join(said) if ending == "Subject:" else f"a zither {' '.join(said[:2])}"
        return SimpleNamespace(text=f" {name}", finish_reason="stop")


@pytest.fixture
def material(tmp_path: Path) -> primer.Material:
    told: list[float] = []
    few = stock.conversations()[::6]
    made = primer.prepare(few, Echo(), tmp_path / "notes.jsonl", told.append)
    assert told[-1] == 1.0
    assert [c.id for c in made.conversations] == [c.id for c in few]
    return made


def test_what_was_asked_once_is_noted(tmp_path: Path) -> None:
    few, engine = stock.conversations()[:4], Echo()
    first = primer.prepare(few, engine, tmp_path / "notes.jsonl", lambda share: None)
    asked = engine.asked
    assert asked >= 4
    assert primer.prepare(few, engine, tmp_path / "notes.jsonl", lambda share: None) == first
    assert engine.asked == asked
    kinds = {fact.source for facts in first.facts.values() for fact in facts}
    assert kinds == {"rule", "model"}
    assert all(not fact.label for facts in first.near.values() for fact in facts)


def test_no_yes_lasts_from_episode_to_episode(material: primer.Material) -> None:
    """What is true in one episode was never discussed in others, and both come alike often."""
    batches = list(primer.episodes(material, RECIPE, 9, 6))
    assert len(batches) == 9 * 6
    yes: list[set[str]] = []
    no: list[set[str]] = []
    for number in range(9):
        asked = [
            (one.verdict, one.question)
            for batch in batches[number * 6 : number * 6 + 6]
            for example in batch
            for one in example.exchanges
        ]
        yes.append({question for verdict, question in asked if verdict == "Yes"})
        no.append({question for verdict, question in asked if verdict == "No"})
        assert len([1 for verdict, _ in asked if verdict == "Yes"]) == len(asked) / 2
        assert not yes[-1] & no[-1]

    def holds(questions: set[str], words: str) -> bool:
        return any(words.lower() in question.lower() for question in questions)

    topics = [f.subject for facts in material.facts.values() for f in facts if f.kind == "topic"]
    turned = [
        topic
        for topic in topics
        if any(holds(asked, topic) for asked in yes) and any(holds(asked, topic) for asked in no)
    ]
    assert len(turned) > 5


def test_the_same_recipe_makes_the_same_episodes(material: primer.Material) -> None:
    assert list(primer.episodes(material, RECIPE, 2, 3)) == list(
        primer.episodes(material, RECIPE, 2, 3)
    )


def test_the_starter_has_a_primer_that_training_goes_on_from(starter: Path) -> None:
    import hashlib

    digest = hashlib.sha256(starter.read_bytes()).hexdigest()
    folder = primer.shipped(digest)
    assert folder is not None
    adapter = read_peft(folder)
    assert adapter.metadata["base_sha256"] == digest
    assert (adapter.rank, adapter.alpha) == (preset("default").rank, preset("default").alpha)
    assert primer.shipped("0" * 64) is None
