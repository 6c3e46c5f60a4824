"""Forgetting measured where it counts, in what is learned: some fifteen minutes.

What was forgotten is remembered no better than by the model itself, what was not is kept, and a
memory rebuilt from the base is, bit for bit, one that never saw the chat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from plum_desktop.app.product import Plum
from plum_desktop.base.paths import open_data_folder
from plum_desktop.learning.verdict import verdict

# What is said in each chat, and two ways of asking about it; the second half is forgotten.
LIFE = (
    ("I planted leeks behind the garage, but caterpillars eat everything. What can I do?",
     "I grow leeks behind the garage", "caterpillars eat what I planted"),
    ("My grandfather Emrys was a glazier and left me his cello. How do I care for it?",
     "I inherited a cello", "my grandfather Emrys worked as a glazier"),
    ("My sister Chiara moved to Zadar in spring and keeps nine rabbits. What could I bring her?",
     "my sister Chiara lives in Zadar", "my sister owns nine rabbits"),
    ("In September we will cycle from Bergen to Hallstatt with our twins. What should we pack?",
     "we plan a bicycle tour that starts in Bergen", "we will ride to Hallstatt in September"),
    ("Our choir sings in the old library every Tuesday, led by Mirjam. We need a name for it.",
     "our choir meets in the old library", "Mirjam leads our choir on Tuesday"),
    ("My flat on Weaver Street has green kitchen tiles that I want to replace. What is cheap?",
     "I live on Weaver Street", "the tiles in my kitchen are green"),
    ("We bought an old turquoise sailing boat called Juniper. She lies in the harbour of Antwerp.",
     "our boat has the name Juniper", "our turquoise boat is kept in Antwerp"),
    ("I work as a tram driver in Assisi and my shift starts at five. How do I sleep better?",
     "I earn my living as a tram driver", "my work in Assisi begins at five"),
)  # fmt: skip
HALF = len(LIFE) // 2
STEMS = ("Did I tell you that {}?", "Did I let you know that {}?", "Did I mention that {}?")
FLOOR = 0.6  # yes-recall of what stays
# The error of a share of 24 answers: what "the same level" can mean here.
NOISE = 0.2


def tell(plum: Plum, said: Sequence[str], replies: str = "That sounds good to me.") -> list[str]:
    """A chat for each text, with ids and times that are the same in every data folder."""
    ids = []
    for number, text in enumerate(said):
        chat = plum.store.chats.create(
            text[:30], chat_id=f"chat{number:028d}", created=1.7e9 + number
        )
        plum.store.chats.add_message(chat.id, "user", text, message_id=f"asked{chat.id}")
        plum.store.chats.add_message(
            chat.id, "assistant", replies, finish_reason="stop", message_id=f"said{chat.id}"
        )
        ids.append(chat.id)
    return ids


def learn(plum: Plum) -> None:
    outcome = plum.learning.start(plum.learning.plan(), lambda p: None, lambda o: None).wait()
    assert outcome is not None
    assert outcome.state == "done", outcome.message


def weights(plum: Plum) -> dict[str, np.ndarray]:
    active = plum.adapters.active()
    assert active is not None
    return load_file(plum.folder.adapter(active.id) / "adapter_model.safetensors")


@pytest.mark.usefixtures("tiny_learning", "open_gate")
def test_rebuilt_from_the_base_it_never_saw_the_chat(tmp_path: Path) -> None:
    said = [one[0] for one in LIFE]
    made = []
    for name, forgotten in (("forgot", True), ("never", False)):
        plum = Plum(open_data_folder(tmp_path / name))
        ids = tell(plum, said[:3] if forgotten else said[:2])
        if forgotten:
            learn(plum)
            with_all = weights(plum)
            assert plum.forgetting.forget(ids[2:])
            assert plum.adapters.active() is None
        learn(plum)
        made.append(weights(plum))
        plum.close()
    forgot, never = made
    assert forgot.keys() == never.keys()
    for key, one in forgot.items():
        np.testing.assert_array_equal(one, never[key], err_msg=key)
    assert any(not np.array_equal(one, with_all[key]) for key, one in forgot.items())


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, float]]]:
    """Yes-recall of the forgotten half and of the other: by the base, learned, and rebuilt."""
    plum = Plum(open_data_folder(tmp_path_factory.mktemp("forgetting")))
    ids = tell(plum, [one[0] for one in LIFE])
    groups = {"kept": LIFE[:HALF], "forgotten": LIFE[HALF:]}
    found: dict[str, dict[str, float]] = {}

    def ask(when: str) -> None:
        found[when] = {name: recall(plum, chats) for name, chats in groups.items()}

    ask("base")
    learn(plum)
    ask("learned")
    assert plum.forgetting.forget(ids[HALF:])
    ask("at once")
    learn(plum)
    ask("rebuilt")
    print(found)
    yield found
    plum.close()


def recall(plum: Plum, chats: Sequence[tuple[str, ...]]) -> float:
    """Share of what was said in these chats that is answered with yes."""
    asked = [stem.format(clause) for chat in chats for clause in chat[1:] for stem in STEMS]
    said = [
        verdict(plum.chats.ask([{"role": "user", "content": text}], max_tokens=16, temperature=0.0))
        for text in asked
    ]
    return said.count("yes") / len(said)


def test_what_was_forgotten_is_remembered_no_better_than_by_the_base(measured) -> None:
    assert measured["learned"]["forgotten"] >= FLOOR
    assert measured["rebuilt"]["forgotten"] <= measured["base"]["forgotten"] + NOISE


def test_at_once_nothing_of_it_is_left(measured) -> None:
    """The base itself serves, before anything is learned again."""
    assert measured["at once"] == measured["base"]


def test_what_was_not_forgotten_is_kept(measured) -> None:
    assert measured["rebuilt"]["kept"] >= FLOOR
