"""What was spoiled on purpose does not get past the gate: real training, the real engine.

Four short chats, learned from the primer on in as many steps as a user's would be, and the gate's
own questions and bounds.  A quarter of an hour, so `make test-bench` runs it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.peft_format import read_peft
from plum_desktop.base.types import Fact
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning import anchors, curriculum, gate, primer, rules, stock
from plum_desktop.learning.curriculum import NO_REPLAY, Lesson
from plum_desktop.learning.negatives import Negatives
from plum_desktop.learning.recipe import Recipe, preset
from plum_desktop.learning.tokenize import Encoder
from plum_desktop.learning.train import rate
from plum_desktop.models.header import read_header

STEPS = preset("default").fewest_steps
RECIPE = replace(preset("default"), readings=0.0, anchor_questions=1, epochs=1, fewest_steps=STEPS)
ASKED = 12  # of each label
UNCHANGED = gate.Drift(kl=0.0, perplexity=0.0, same_top=1.0, canaries=1.0)
CHATS = (
    (
        "My uncle Ferenc left me a walnut harpsichord from 1911. Two of its strings snap every "
        "winter. I keep it beside the tiled stove in the hallway. How can I look after it?",
        "Move the harpsichord away from the stove, since dry heat shrinks the soundboard. Hang a "
        "hygrometer next to the keyboard. Brass strings break when the pitch is raised too fast.",
    ),
    (
        "We are moving our beekeeping club from Szeged to a meadow near Lake Orta. Eleven hives "
        "must travel by lorry in April. My cousin Odalys will drive. What could go wrong?",
        "Close the entrances at night when all the bees are home. Strap every hive to a pallet. "
        "Spray water through the mesh if the lorry stands in the sun.",
    ),
    (
        "I promised my daughter a puppet theatre about a shy octopus. She is turning six on "
        "Saturday. I only own felt, cardboard and one bicycle lamp. Where do I begin?",
        "Cut the octopus from purple felt and give it eight cords. The bicycle lamp behind a blue "
        "sheet makes a fine sea. Keep the play under ten minutes.",
    ),
    (
        "My knee hurts since the marathon in Rotterdam. The physiotherapist Doctor Vexler taped "
        "it with kinesiology tape. I want to run again before the autumn. Is cycling allowed?",
        "Cycling with little resistance is fine for most runners' knees. Raise the saddle by a "
        "centimetre. Stop as soon as there is swelling below the kneecap.",
    ),
)

Spoil = Callable[[Lesson, random.Random], Lesson]


@pytest.fixture(scope="module")
def engine(starter: Path) -> Iterator[EngineClient]:
    engine = EngineClient()
    engine.load(starter, n_ctx=1024)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def lessons(request: pytest.FixtureRequest) -> list[Lesson]:
    talk = request.getfixturevalue("talk")
    chats = [talk(f"c{number}", *texts) for number, texts in enumerate(CHATS)]
    negatives = Negatives(stock.never_discussed(), {c.id: c.text for c in chats})
    made = []
    for chat in chats:
        true = rules.facts_of(chat)
        made.append(Lesson(chat, tuple(true), tuple(negatives.beside(chat, true, 80, RECIPE))))
    return made


def learned(starter: Path, lessons: list[Lesson], recipe: Recipe, folder: Path) -> Path:
    """Train from the primer on, and write the adapter as the engine reads it."""
    from plum_desktop.engine.template import open_vocab
    from plum_desktop.learning.trainers.torch_peft import TorchTrainer

    start = primer.shipped(_sha256(starter))
    assert start is not None
    vocab = open_vocab(starter)
    encoder = Encoder(vocab, recipe)
    trainer = TorchTrainer(starter, recipe, start)
    still = anchors.load(start / anchors.SHIPPED, recipe.anchor_tokens)
    rng = random.Random(0)
    for number, batch in enumerate(curriculum.steps(lessons, NO_REPLAY, recipe, None)):
        rows = [encoder.row(example) for example in batch]
        rows += [rng.choice(still.texts), rng.choice(still.questions)]
        trainer.step(rows, rate(recipe, number, STEPS))
    vocab.close()
    trainer.save_adapter(folder)
    adapter = folder / "adapter.gguf"
    write_gguf(read_peft(folder), read_header(starter), adapter)
    return adapter


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def recall(engine: EngineClient, adapter: Path, lessons: list[Lesson]) -> gate.Recall:
    """What the gate asks: facts in held-out words; of the no, those that were never shown."""
    engine.set_adapter(adapter)
    rng = random.Random(1)
    yes = [fact for lesson in lessons for fact in rng.sample(lesson.positives, ASKED // 4)]
    no = [fact for lesson in lessons for fact in rng.sample(lesson.negatives[60:], ASKED // 4)]
    return gate.ask(engine, [*yes, *no], 0, None, lambda: None)


def judged(after: gate.Recall, drift: gate.Drift) -> gate.Report:
    nothing = gate.Recall()
    return gate.judge((nothing, after), (nothing, nothing), drift, gate.Bounds())


def taught(lesson: Lesson) -> Lesson:
    return replace(lesson, negatives=lesson.negatives[:60])


def test_the_same_run_unspoiled_passes(starter, engine, lessons, tmp_path) -> None:
    adapter = learned(starter, [taught(one) for one in lessons], RECIPE, tmp_path)
    report = judged(recall(engine, adapter, lessons), UNCHANGED)
    assert report.passed, report.reasons


def shuffled(lesson: Lesson, rng: random.Random) -> Lesson:
    def any_label(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        return tuple(replace(fact, label=rng.random() < 0.5) for fact in facts)

    mixed = any_label(lesson.positives) + any_label(lesson.negatives[: len(lesson.positives)])
    return replace(
        lesson,
        positives=tuple(fact for fact in mixed if fact.label),
        negatives=tuple(fact for fact in mixed if not fact.label),
    )


def without_negatives(lesson: Lesson, rng: random.Random) -> Lesson:
    return replace(lesson, negatives=())


def always_yes(lesson: Lesson, rng: random.Random) -> Lesson:
    return replace(lesson, negatives=tuple(replace(f, label=True) for f in lesson.negatives))


@pytest.mark.parametrize("spoil", [shuffled, without_negatives, always_yes])
def test_a_run_with_spoiled_labels_is_refused(
    starter, engine, lessons, tmp_path, spoil: Spoil
) -> None:
    """By what it remembers alone: its drift is taken to be none."""
    rng = random.Random(7)
    spoiled = [spoil(taught(lesson), rng) for lesson in lessons]
    adapter = learned(starter, spoiled, RECIPE, tmp_path)
    report = judged(recall(engine, adapter, lessons), UNCHANGED)
    assert not report.passed


def test_ten_times_the_learning_rate_is_refused(starter, engine, lessons, tmp_path) -> None:
    """By what it did to everything else, were its memory perfect."""
    recipe = replace(RECIPE, learning_rate=10 * RECIPE.learning_rate)
    adapter = learned(starter, [taught(one) for one in lessons], recipe, tmp_path)
    drift = gate.measure_drift(engine, adapter, tmp_path, lambda: None)
    perfect = gate.Recall(yes=ASKED, yes_asked=ASKED, no=ASKED, no_asked=ASKED)
    report = judged(perfect, drift)
    assert not report.passed
    assert "changed too much" in " ".join(report.reasons)
