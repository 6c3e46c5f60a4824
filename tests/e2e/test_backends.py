"""The whole job with each trainer: chats brought in, learned, tested, merged, served and asked.

On a tiny random model with the starter's vocabulary, which MLX's processor build learns from in
minutes; so `make test-bench` has it.  Both trainers get the same chats, recipe and questions, and
each begins with a random adapter of its own.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plum_desktop.app.demo import Question, invent
from plum_desktop.app.product import Plum
from plum_desktop.app.serving import MemoryMode
from plum_desktop.base.paths import ENV_DATA_DIR, DataFolder
from plum_desktop.base.types import WireMessage
from plum_desktop.cli import root
from plum_desktop.learning.verdict import verdict
from tests.reliability import tiny

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mlx_lm") is None, reason="MLX is not installed"
)

STEPS = 250
# Shares of right answers, yes and no alike; guessing gives 0.5.
LEARNED = 0.8  # of what the gate asks
ASKED = 0.6  # of questions further from the lessons' words, of which so small a model knows few
ALIKE = 0.15  # the shares of both trainers may differ by so much
TRAINERS = ("torch", "mlx")


@dataclass(frozen=True)
class Lived:
    """What a trainer left: the report of the adapter that serves, and shares of right answers to
    questions in the words of no lesson, asked as a chat asks, with what was learned and without.
    """

    report: dict[str, Any]
    learned: float
    base: float

    @property
    def gate(self) -> float:
        asked = self.report["new_after"]
        return (asked["yes"] / asked["yes_asked"] + asked["no"] / asked["no_asked"]) / 2

    @property
    def losses(self) -> list[float]:
        return [loss for _, loss in self.report["losses"]]


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """A recipe for so small a model, and a gate that passes whatever becomes of its nonsense."""
    from plum_desktop.learning import gate, recipe, stock

    few = stock.canaries()[:3]
    bounds = gate.Bounds(recall=0, refusal=0, accuracy=0, drift=99, perplexity=1e9, canaries=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipe._PRESETS, "default", dataclasses.replace(
            recipe.preset("default"), fewest_steps=STEPS, epochs=1, learning_rate=5e-3,
            readings=0.0, persona_share=0.0, later_turn_share=0.0,
            anchor_texts=0, anchor_questions=0,
        ))  # fmt: skip
        patch.setattr(gate, "Bounds", lambda: bounds)
        patch.setattr(gate, "_DRIFT_TEXTS", 2)
        patch.setattr(stock, "canaries", lambda: few)
        yield


@pytest.fixture(scope="module")
def lived(small: None, tmp_path_factory: pytest.TempPathFactory, starter: Path) -> dict[str, Lived]:
    folder = tmp_path_factory.mktemp("backends")
    model = tiny.write_model(folder / "tiny.gguf", starter)
    said, questions = invent(11)
    rows = (
        {"id": f"chat-{number}", "messages": [
            {"role": "user", "content": text}, {"role": "assistant", "content": "I see."},
        ]}
        for number, text in enumerate(said)
    )  # fmt: skip
    chats = folder / "chats.jsonl"
    chats.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return {
        trainer: live(tiny.prepare(folder / trainer, model), chats, questions, trainer)
        for trainer in TRAINERS
    }


def live(place: Path, chats: Path, questions: list[Question], trainer: str) -> Lived:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENV_DATA_DIR, str(place))
        assert root.run(["chats", "import", str(chats)]) == 0
        assert root.run(["learn", "--yes", "--json", "--backend", trainer]) == 0
    plum = Plum(DataFolder(place))
    try:
        adapter = plum.adapters.active()
        assert adapter is not None
        assert (plum.folder.adapter(adapter.id) / "merged.gguf").exists()
        return Lived(
            adapter.report, right(plum, questions, "merged"), right(plum, questions, "off")
        )
    finally:
        plum.close()


def right(plum: Plum, questions: list[Question], memory: MemoryMode) -> float:
    found = []
    for question in questions:
        asked: list[WireMessage] = [{"role": "user", "content": question.text}]
        answer = plum.chats.ask(asked, memory, max_tokens=8, temperature=0.0)
        found.append(verdict(answer) == question.right)
    return sum(found) / len(found)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_what_was_learned_is_answered(lived: dict[str, Lived], trainer: str) -> None:
    one = lived[trainer]
    print(f"{trainer}: gate {one.gate:.2f}, asked {one.learned:.2f}, before {one.base:.2f}")
    assert one.gate >= LEARNED
    assert one.learned >= ASKED
    assert one.base <= 0.5  # a random model says neither yes nor no


def test_both_remember_alike(lived: dict[str, Lived]) -> None:
    torch, mlx = (lived[trainer] for trainer in TRAINERS)
    assert mlx.gate == pytest.approx(torch.gate, abs=ALIKE)
    assert mlx.learned == pytest.approx(torch.learned, abs=ALIKE)


def test_the_losses_are_alike(lived: dict[str, Lived]) -> None:
    torch, mlx = (lived[trainer].losses for trainer in TRAINERS)
    assert mlx != torch, "each begins with a random adapter of its own"
    assert mlx[0] == pytest.approx(torch[0], rel=2e-3)  # nothing is changed yet
    last = len(torch) // 4
    assert np.mean(mlx[-last:]) == pytest.approx(np.mean(torch[-last:]), rel=0.1)
