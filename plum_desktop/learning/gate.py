"""Stage: ask what will serve, and decide whether it may.

Everything is asked through the engine, of the base with the adapter hot, in wordings and of
facts that training never saw; drift and canaries are on texts that no training draws on.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from plum_desktop.base.errors import Cancelled
from plum_desktop.base.files import open_file
from plum_desktop.base.types import Fact, WireMessage
from plum_desktop.engine.client import Cancellation, EngineClient
from plum_desktop.learning import stock
from plum_desktop.learning.frames import render_held_out
from plum_desktop.learning.verdict import Verdict, verdict

_ANSWER_TOKENS = 16
MERGED_DIVERGENCE = 0.02  # nats a token, hot adapter against merged file, that may serve
_CANARY_WORDINGS = ("{question}", "Please tell me: {question}")
_DRIFT_TEXTS = 24
_DRIFT_TOKENS = 48  # of each text's answer
_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
)  # fmt: skip
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_NUMBERS)})\b")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an adapter must reach before it serves; shares are 0..1."""

    recall: float = 0.50  # of the new chats' facts, answered yes
    refusal: float = 0.50  # of things never discussed, answered no
    accuracy: float = 0.58  # of both, halved; by guessing 0.5
    retention_loss: float = 0.10  # of older chats' facts, against what served before
    drift: float = 0.08  # mean KL(base || adapted), nats a token
    perplexity: float = 0.03  # relative rise on neutral text
    canaries: float = 0.85  # still answered right, of those that the base knows


@dataclass(frozen=True, slots=True)
class Recall:
    """Right answers out of those asked; `by_fact` maps a fact's id to right (1) or wrong (0)."""

    yes: int = 0
    yes_asked: int = 0
    no: int = 0
    no_asked: int = 0
    by_fact: Mapping[str, int] = field(default_factory=dict)

    @property
    def yes_share(self) -> float:
        return self.yes / self.yes_asked if self.yes_asked else 0.0

    @property
    def no_share(self) -> float:
        return self.no / self.no_asked if self.no_asked else 0.0

    @property
    def accuracy(self) -> float:
        """Yes and no weighing alike, however many of each were asked."""
        return (self.yes_share + self.no_share) / 2


@dataclass(frozen=True, slots=True)
class Drift:
    """KL in nats a token, perplexity as a relative rise, canaries as the share still right."""

    kl: float
    perplexity: float
    same_top: float
    canaries: float


@dataclass(frozen=True, slots=True)
class Report:
    """What the gate saw, before and after, and why it refuses (empty: it does not)."""

    new_before: Recall
    new_after: Recall
    old_before: Recall
    old_after: Recall
    drift: Drift
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


Progress = Callable[[float], None]


def ask(
    engine: EngineClient,
    facts: Sequence[Fact],
    seed: int,
    persona: str | None,
    check: Callable[[], None],
    progress: Progress = lambda share: None,
) -> Recall:
    """Ask each fact once, in held-out words, greedily, as a first turn."""
    right: dict[str, int] = {}
    for done, fact in enumerate(facts, 1):
        check()
        said = _said(engine, render_held_out(fact, seed).question, persona)
        right[fact.id] = int(said == ("yes" if fact.label else "no"))
        progress(done / len(facts))
    yes = [right[fact.id] for fact in facts if fact.label]
    no = [right[fact.id] for fact in facts if not fact.label]
    return Recall(sum(yes), len(yes), sum(no), len(no), right)


def canaries_kept(
    engine: EngineClient, adapter: Path, check: Callable[[], None], progress: Progress
) -> float:
    """The share of the canary questions that the base knows which are still answered right.

    What a small model says in one wording is often a near tie that falls either way with any
    change: known is what it answers right in both wordings, lost what it then does in neither.
    """

    def right(canary: Mapping[str, Any], wording: str) -> bool:
        check()
        question = wording.format(question=canary["question"])
        return is_right(_answer(engine, question, None), canary)

    engine.set_adapter(None)
    known = [
        canary
        for canary in stock.canaries()
        if all(right(canary, wording) for wording in _CANARY_WORDINGS)
    ]
    progress(0.7)
    engine.set_adapter(adapter)
    kept = [any(right(canary, wording) for wording in _CANARY_WORDINGS) for canary in known]
    progress(1.0)
    return sum(kept) / len(kept) if kept else 1.0


def is_right(answer: str, canary: Mapping[str, Any]) -> bool:
    """By the first number, the first choice that is named, or a word that is said at all."""
    text = answer.lower()
    if canary["kind"] == "number":
        text = _NUMBER_WORD.sub(lambda word: str(_NUMBERS.index(word[0])), text)
        number = re.search(r"-?\d+(?:[.,]\d+)*", text)
        return number is not None and number.group() in canary["right"]
    if canary["kind"] == "choice":
        places = {
            match.start(): choice.lower()
            for choice in canary["choices"]
            if (match := re.search(rf"\b{re.escape(choice.lower())}\b", text))
        }
        return bool(places) and places[min(places)] in canary["right"]
    return not set(re.findall(r"[a-z]+", text)).isdisjoint(canary["right"])


def measure_drift(
    engine: EngineClient,
    adapter: Path,
    scratch: Path,
    check: Callable[[], None],
    progress: Progress = lambda share: None,
) -> Drift:
    """Compare the adapter with the base on texts never taught.  `scratch` is a folder."""
    import numpy as np

    divergence, same, rise, places = 0.0, 0, 0.0, 0
    texts = stock.drift_texts()[:_DRIFT_TEXTS]
    for done, text in enumerate(texts, 1):
        check()
        ids, start = _tokens(engine, text)
        pair = []
        for path in (None, adapter):
            engine.set_adapter(path)
            out = scratch / "drift.npy"
            engine.logits([ids[:-1]], out, from_position=[start - 1])
            pair.append(_logits(out))
            out.unlink()
        base, adapted = pair
        divergence += float((np.exp(base) * (base - adapted)).sum())
        same += int((base.argmax(1) == adapted.argmax(1)).sum())
        told = np.arange(len(base)), np.array(ids[start:])
        rise += float((base[told] - adapted[told]).sum())
        places += len(base)
        progress(0.5 * done / len(texts))
    return Drift(
        divergence / places,
        float(np.exp(rise / places)) - 1,
        same / places,
        canaries_kept(engine, adapter, check, lambda share: progress(0.5 + 0.5 * share)),
    )


def judge(
    new: tuple[Recall, Recall], old: tuple[Recall, Recall], drift: Drift, bounds: Bounds
) -> Report:
    """Hold what was measured, each (before, after), against the bounds."""
    before, after = new
    reasons = []
    if after.yes_share < bounds.recall:
        reasons.append(
            f"it remembers {after.yes} of {after.yes_asked} things from the new chats, "
            f"which is too few"
        )
    if after.no_share < bounds.refusal:
        reasons.append(
            f"it says no to {after.no} of {after.no_asked} things that were never discussed, "
            f"which is too few"
        )
    if not reasons and after.accuracy < bounds.accuracy:
        reasons.append("it hardly tells what was discussed from what was not")
    lost = old[0].accuracy - old[1].accuracy
    if old[1].yes_asked and lost > bounds.retention_loss:
        reasons.append(f"it forgot older chats ({lost:.0%} fewer right answers)")
    return Report(before, after, *old, drift, (*reasons, *harm(drift, bounds)))


def harm(drift: Drift, bounds: Bounds) -> list[str]:
    """What speaks against an adapter whatever it remembers: how it changed everything else."""
    reasons = []
    # Put so that what is no number is refused too.
    if not (drift.kl <= bounds.drift and drift.perplexity <= bounds.perplexity):
        reasons.append(
            f"its other answers changed too much (KL {drift.kl:.3f}, perplexity "
            f"{drift.perplexity:+.1%})"
        )
    if drift.canaries < bounds.canaries:
        reasons.append(
            f"of the general questions it knew, only {drift.canaries:.0%} are still right"
        )
    return reasons


def divergence(
    engine: EngineClient, base: Path, adapter: Path, merged: Path, scratch: Path
) -> float:
    """Mean KL(hot adapter || merged file) on neutral text, nats a token; loads both in turn."""
    import numpy as np

    engine.load(base)
    engine.set_adapter(adapter)
    rows, first = [], []
    for text in stock.drift_texts()[:4]:
        ids, start = _tokens(engine, text)
        rows.append(ids)
        first.append(start)
    files = scratch / "hot.npy", scratch / "merged.npy"
    engine.logits(rows, files[0], from_position=first)
    engine.load(merged)
    engine.logits(rows, files[1], from_position=first)
    hot, own = map(_logits, files)
    for file in files:
        file.unlink()
    return float((np.exp(hot) * (hot - own)).sum(1).mean())


def _logits(file: Path) -> Any:
    """What the engine wrote, float64."""
    import numpy as np

    with open_file(file) as stream:
        return np.load(stream).astype(np.float64)


def _tokens(engine: EngineClient, text: Sequence[WireMessage]) -> tuple[list[int], int]:
    """Ids of a conversation's first exchange, and where its answer begins."""
    start = len(engine.render(text[:1]))
    return engine.render(text[:2], add_generation_prompt=False)[: start + _DRIFT_TOKENS], start


def _said(engine: EngineClient, question: str, persona: str | None) -> Verdict:
    """The verdict of the answer, of which no more is written than that takes."""
    text, enough = "", Cancellation()

    def read(piece: str) -> None:
        nonlocal text
        text += piece
        whole_words = re.sub(r"[\w']+$", "", text)  # "no" may become "nothing"
        if verdict(whole_words) != "unclear":
            enough.cancel()

    with contextlib.suppress(Cancelled):
        _answer(engine, question, persona, on_text=read, cancellation=enough)
    return verdict(text)


def _answer(
    engine: EngineClient,
    question: str,
    persona: str | None,
    on_text: Callable[[str], None] | None = None,
    cancellation: Cancellation | None = None,
) -> str:
    messages: list[WireMessage] = [{"role": "user", "content": question}]
    if persona is not None:
        messages.insert(0, {"role": "system", "content": persona})
    return engine.chat(
        messages,
        max_tokens=_ANSWER_TOKENS,
        temperature=0.0,
        on_text=on_text,
        cancellation=cancellation,
    ).text
