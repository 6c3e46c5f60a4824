"""Stage: from lessons in words to training rows, with the tokenizer and template that serve.

Worker side: opens the model's vocabulary through llama.cpp.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plum_desktop.base.files import read_json_lines
from plum_desktop.base.types import Fact, WireMessage
from plum_desktop.learning import anchors as anchor_rows
from plum_desktop.learning import curriculum, stock
from plum_desktop.learning.anchors import Anchors
from plum_desktop.learning.augment import read_facts
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.curriculum import Example, Replay
from plum_desktop.learning.facts import held_back
from plum_desktop.learning.frames import Rendering
from plum_desktop.learning.gist import Gist
from plum_desktop.learning.job import JobFolder
from plum_desktop.learning.reading import Reading
from plum_desktop.learning.recipe import Recipe
from plum_desktop.learning.rows import Plan, Row

if TYPE_CHECKING:
    from plum_desktop.engine.template import PromptTokenizer

_PROBE = "x"


class Encoder:
    """Turns examples into rows.  Template tokens weigh nothing, whatever the template is."""

    def __init__(self, tokenizer: PromptTokenizer, recipe: Recipe) -> None:
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._end = self._end_of_answer()

    def row(self, example: Example) -> Row:
        """One training row of an example's exchanges."""
        messages: list[WireMessage] = []
        if example.system is not None:
            messages.append({"role": "system", "content": example.system})
        weights: dict[int, float] = {}
        ids: list[int] = []
        for exchange in example.exchanges:
            before = list(messages)
            messages.append({"role": "user", "content": exchange.question})
            prompt = self._tokenizer.render_ids(messages)
            if prompt[: len(ids)] != ids:
                weights.clear()  # a template that shows earlier turns otherwise than it had them
            start, end = self._differing(before, prompt)
            weight = self._question_weight(exchange)
            weights |= dict.fromkeys(range(start, end), weight)
            if exchange.rest is None:
                ids = [*prompt, *self._tokenizer.ids(exchange.verdict)]
                for place in range(len(prompt), len(ids)):
                    weights[place] = self._verdict_weight(exchange)
                break
            answer = exchange.verdict + exchange.rest
            messages.append({"role": "assistant", "content": answer})
            # As the engine goes on from the prompt, whatever a template puts before an answer.
            ids = [*prompt, *self._tokenizer.ids(answer), self._end]
            verdict = len(self._tokenizer.ids(exchange.verdict)) if exchange.verdict else 0
            for place in range(len(prompt), len(ids)):
                inside = place < len(prompt) + verdict
                weights[place] = (
                    self._verdict_weight(exchange) if inside else self._answer_weight(exchange)
                )
        dense = np.zeros(len(ids), np.float32)
        for place, weight in weights.items():
            dense[place] = weight
        return Row(np.array(ids, np.int32), dense)

    def _answer_weight(self, exchange: Rendering) -> float:
        by_heart = not exchange.verdict and not exchange.looked_up
        return self._recipe.open_weight if by_heart else self._recipe.answer_weight

    def _verdict_weight(self, exchange: Rendering) -> float:
        less = exchange.looked_up and exchange.verdict == "No"
        return self._recipe.verdict_weight * (self._recipe.read_no_weight if less else 1.0)

    def _question_weight(self, exchange: Rendering) -> float:
        if exchange.looked_up:
            return 0.0
        absent = exchange.verdict == "No"
        return self._recipe.absent_question_weight if absent else self._recipe.question_weight

    def _end_of_answer(self) -> int:
        """The token with which the template ends an answer."""
        turns: list[WireMessage] = [
            {"role": "user", "content": _PROBE},
            {"role": "assistant", "content": _PROBE},
        ]
        ids = self._tokenizer.render_ids(turns, add_generation_prompt=False)
        ends = (token for token in reversed(ids) if self._tokenizer.is_end(token))
        return next(ends, self._tokenizer.end_of_turn)

    def _differing(self, before: Sequence[WireMessage], prompt: list[int]) -> tuple[int, int]:
        """Where the last user message's own tokens stand in `prompt`."""
        probe: list[WireMessage] = [*before, {"role": "user", "content": _PROBE}]
        other = self._tokenizer.render_ids(probe)
        start = 0
        while start < min(len(prompt), len(other)) and prompt[start] == other[start]:
            start += 1
        end = 0
        while end < min(len(prompt), len(other)) - start and prompt[-1 - end] == other[-1 - end]:
            end += 1
        return start, len(prompt) - end


def make_rows(
    job: JobFolder,
    anchors: Path | None,
    check: Callable[[], None],
    progress: Callable[[float, str], None],
) -> Plan:
    """The whole run's rows, in training order, anchors mixed into every step."""
    from plum_desktop.engine.template import open_vocab

    spec = job.read_spec()
    recipe = spec.recipe
    conversations = [Conversation.from_dict(row) for row in read_json_lines(job.conversations)]
    facts = [fact for fact in read_facts(job.facts) if fact.state != "excluded"]
    kept_back = held_back(facts, recipe.seed)  # of the same facts as the gate
    by_chat: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.chat_id is not None and fact.id not in kept_back:
            by_chat[fact.chat_id].append(fact)
    lessons = curriculum.lessons(conversations, by_chat)
    reading = Reading(stock.conversations(), stock.asked()) if recipe.readings else None
    batches = list(curriculum.steps(lessons, _replay(job), recipe, spec.persona, reading))
    loaded = anchor_rows.load(anchors, recipe.anchor_tokens) if anchors else None
    tokenizer = open_vocab(Path(spec.model))
    try:
        return plan_of(Encoder(tokenizer, recipe), batches, loaded, recipe, check, progress)
    finally:
        tokenizer.close()


def _replay(job: JobFolder) -> Replay:
    if not job.replay_facts.exists():
        return curriculum.NO_REPLAY
    gists = [Gist.from_dict(row) for row in read_json_lines(job.replay_gists)]
    return Replay(read_facts(job.replay_facts), gists)


def plan_of(
    encoder: Encoder,
    batches: Sequence[Sequence[Example]],
    anchors: Anchors | None,
    recipe: Recipe,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[float, str], None] = lambda share, text: None,
) -> Plan:
    """The rows of every batch, in training order, anchors mixed into every step."""
    pools: list[tuple[range, int]] = []
    rows: list[Row] = []
    if anchors:
        rows = anchors.texts + anchors.questions
        texts = len(anchors.texts)
        pools = [
            (range(texts), recipe.anchor_texts),
            (range(texts, len(rows)), recipe.anchor_questions),
        ]
    steps = []
    rng = random.Random(f"{recipe.seed} anchors")
    for done, batch in enumerate(batches, 1):
        check()
        step = list(range(len(rows), len(rows) + len(batch)))
        rows.extend(encoder.row(example) for example in batch)
        for pool, count in pools:
            step += rng.sample(pool, min(len(pool), count))
        steps.append(step)
        progress(done / len(batches), "preparing the lessons")
    return Plan(rows, steps)
