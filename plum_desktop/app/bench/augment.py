"""Making lessons beside asking the model for each, one request at a time.

The peer is PLUM's own way: the model that chats writes every question and answer about a
message, few-shot, one completion a pair.  Ours asks it for subjects only, and makes the rest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from plum_desktop.app.bench.material import Model, make_job
from plum_desktop.app.bench.measure import Bound, Line, Say, of_pairs
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning.augment import augment
from plum_desktop.learning.conversation import Conversation

_CONTEXT = 2048
_PAIR_TOKENS = 32
_LONGEST = 300  # characters of a message that the model is shown
_SHOTS = (
    (
        "What can I plant under an old oak where nothing wants to grow?",
        "Did I ask what to plant under an oak?",
    ),
    (
        "My nephew Tomasz turns nine on Saturday and he is mad about beetles. Any gift ideas?",
        "Did I look for a gift for my nephew Tomasz?",
    ),
    ("write a haiku about a night train", "Did we talk about a haiku?"),
)


def bench(
    root: Path, model: Model, chats: Sequence[Conversation], runs: int, say: Say
) -> Iterator[Line]:
    """`runs` conversations, each made into lessons by both sides in turns."""
    engine = EngineClient()
    rates = []
    try:
        say("Loading the model")
        engine.load(model.path, n_ctx=_CONTEXT, threads=model.threads)
        for number in range(runs + 1):
            say(f"Conversations: {number} of {runs}")
            chat = chats[number % len(chats)]
            pair = (_ours(root, model, chat, engine), _one_by_one(chat, engine))
            if number:  # the first warms up
                rates.append(pair)
    finally:
        engine.close()
    yield of_pairs("pairs a second", "1/s", rates, wanted_ratio=Bound(at_least=3))


def _ours(root: Path, model: Model, chat: Conversation, engine: EngineClient) -> float:
    job = make_job(root / "augment", model, [chat])
    began = time.perf_counter()
    facts = augment(job, job.read_spec().recipe, engine, set(), lambda share: None, lambda: None)
    return len(facts) / (time.perf_counter() - began)


def _one_by_one(chat: Conversation, engine: EngineClient) -> float:
    shots = "".join(f"Message: {said}\nQuestion: {asked}\n\n" for said, asked in _SHOTS)
    began = time.perf_counter()
    for turn in chat.turns:
        shown = " ".join(turn.text.split())[:_LONGEST]
        engine.complete(
            f"{shots}Message: {shown}\nQuestion:", max_tokens=_PAIR_TOKENS, temperature=0.0,
            stop=["\n"],
        )  # fmt: skip
    return len(chat.turns) / (time.perf_counter() - began)
