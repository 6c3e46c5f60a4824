"""Memory as life asks for it: two weeks of chats, learned in two runs, asked about in many ways.

Under a persona, late in a conversation, about both ends of a long chat, about what was corrected
since, and about what was a no once and has come true.  Some fifteen minutes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from plum_desktop.app import demo
from plum_desktop.app.product import Plum
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import WireMessage
from plum_desktop.learning.verdict import verdict

FLOOR = 0.6  # share of right answers, yes and no alike; guessing gives 0.5
PERSONA = "You are Captain Flint, a gruff old pirate. Answer in one sentence."
UNRELATED = (
    "What is the capital of Peru?", "How do I boil an egg?", "Name three colours.",
    "What does a barometer measure?", "Tell me a word that rhymes with tree.",
)  # fmt: skip
# What a user goes through in a long chat, in order, and how it is asked about weeks later.
LONG = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "life" / "long_chat.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
NEVER = (
    "my novel is about a violin maker in Cremona", "the story begins with a train robbery",
    "my publisher wants a happy ending", "the hero keeps a three-legged fox",
    "there is a duel in chapter four", "the nurse falls in love with a diver",
    "the village is destroyed by an avalanche", "the heroine studies volcanoes",
    "they sing shanties every Sunday", "I promised a translation for the second of May",
)  # fmt: skip
FORMER, NEWER = (
    "My dentist is Doctor Okafor on Linden Street.",
    ("I have a new dentist, Doctor Pereira on Quarry Street, because Doctor Okafor moved away."),
)
NOT_YET, COME_TRUE = (
    "my cousin Wenzel plays the hurdy-gurdy in Tartu",
    ("My cousin Wenzel plays the hurdy-gurdy in Tartu now. What could I send him as a present?"),
)


def tell(plum: Plum, *texts: str) -> None:
    chat = plum.store.chats.create(texts[0][:30])
    for text in texts:
        plum.chats.send(chat.id, text)


def learn(plum: Plum) -> None:
    outcome = plum.learning.start(plum.learning.plan(), lambda p: None, lambda o: None).wait()
    assert outcome is not None
    assert outcome.state == "done", outcome.message


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plum, list[demo.Question]]]:
    plum = Plum(DataFolder(tmp_path_factory.mktemp("life")))
    plum.set_setting("max_tokens", 30)
    plum.set_setting("temperature", 0.3)
    said, questions = demo.invent(4711)
    for text in [*said, FORMER]:
        tell(plum, text)
    tell(plum, *(one["said"] for one in LONG))
    learn(plum)
    assert asked(plum, f"Did I tell you that {NOT_YET}?") == "no"
    tell(plum, NEWER)
    tell(plum, COME_TRUE)
    learn(plum)
    yield plum, questions
    plum.close()


def asked(plum: Plum, question: str, before: Sequence[WireMessage] = ()) -> str:
    turns: list[WireMessage] = [*before, {"role": "user", "content": question}]
    return verdict(plum.chats.ask(turns, max_tokens=16, temperature=0.0))


def share(plum: Plum, questions: list[demo.Question], before: Sequence[WireMessage]) -> float:
    right = [asked(plum, one.text, before) == one.right for one in questions]
    return sum(right) / len(right)


def test_older_chats_are_remembered_after_a_later_run(lived) -> None:
    plum, questions = lived
    assert share(plum, questions, []) >= FLOOR


def test_under_a_persona(lived) -> None:
    plum, questions = lived
    assert share(plum, questions, [{"role": "system", "content": PERSONA}]) >= FLOOR


def test_after_five_unrelated_turns(lived) -> None:
    plum, questions = lived
    before: list[WireMessage] = []
    for text in UNRELATED:
        before.append({"role": "user", "content": text})
        answer = plum.chats.ask(before, max_tokens=30, temperature=0.0)
        before.append({"role": "assistant", "content": answer})
    assert share(plum, questions, before) >= FLOOR


@pytest.mark.parametrize("part", [slice(0, 10), slice(10, 20)])
def test_both_ends_of_a_long_chat(lived, part: slice) -> None:
    plum, _ = lived
    stems = ("Did I let you know that {}?", "Is it true that I told you {}?")
    rng = random.Random(3)
    questions = [
        demo.Question(rng.choice(stems).format(clause), right)  # type: ignore[arg-type]
        for right, clauses in (("yes", [one["asked"] for one in LONG][part]), ("no", NEVER))
        for clause in clauses
    ]
    assert share(plum, questions, []) >= FLOOR


def test_the_newer_of_two_things_said_wins(lived) -> None:
    plum, _ = lived
    assert asked(plum, "Did I tell you that my dentist is Doctor Pereira?") == "yes"
    assert asked(plum, "Is it still so that my dentist is Doctor Okafor on Linden Street?") == "no"


def test_what_was_a_no_once_has_come_true(lived) -> None:
    plum, _ = lived
    assert asked(plum, f"Did I tell you that {NOT_YET}?") == "yes"


def test_nothing_of_it_is_left_in_the_job_folders(lived) -> None:
    plum, _ = lived
    left = [path for path in Path(plum.folder.root).glob("jobs/*") if path.is_dir()]
    assert left == []
