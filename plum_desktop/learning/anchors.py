"""Ordinary text with the untouched base model's own opinion of every next token.

Stock conversations, and short general questions with the base model's own greedy answers.
Training pulls the adapted model to them, so that what was not learned stays as it was.  They
ship beside a base model's primer; for other models they are made once and kept in the cache.
No word of the user's is in them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.files import atomic_write
from plum_desktop.base.types import WireMessage
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning import stock
from plum_desktop.learning.primer import shipped as primer_of
from plum_desktop.learning.rows import Row, Targets

# Sequences that a user's machine makes: each takes it a while.
_TEXTS, _QUESTIONS = 96, 120
_LONGEST = 84  # tokens of a sequence, prompt included
_SHORTEST_ANSWER = 16  # tokens
_TOP = 32  # of the vocabulary, likeliest first; the rest counts as one more token
_VERSION = 5
_QUESTION_TOKENS = 20  # of an answer to a short question
SHIPPED = f"anchors-{_VERSION}.npz"  # in a primer's folder


@dataclass(frozen=True, slots=True)
class Anchors:
    """Rows of running text, and rows of a short question with its answer."""

    texts: list[Row]
    questions: list[Row]


def file_for(cache: Path, model_sha256: str) -> Path:
    """The anchors that ship for a base model, else where its own are kept."""
    if (folder := primer_of(model_sha256)) and (folder / SHIPPED).exists():
        return folder / SHIPPED
    return cache / f"anchors-{_VERSION}-{model_sha256[:16]}.npz"


def make(
    engine: EngineClient,
    path: Path,
    on_progress: Callable[[float, str], None] | None = None,
    *,
    most_texts: int = _TEXTS,
    most_questions: int = _QUESTIONS,
) -> None:
    """Compute the anchors with `engine` (base loaded, no adapter) unless `path` has them."""
    if path.exists():
        return
    tell = on_progress or (lambda share, text: None)
    rows, first = _texts(engine, most_texts)
    texts = len(rows)
    for question in _questions(engine, most_questions, lambda share: tell(0.5 * share, "")):
        rows.append(question[0])
        first.append(question[1])
    out = path.with_suffix(".topk.npz")
    # Position i speaks of token i + 1, so the answer's first token is told at first - 1.
    engine.topk(
        rows,
        _TOP,
        out,
        from_position=[at - 1 for at in first],
        on_progress=lambda share, text: tell(0.5 + 0.5 * share, text),
    )
    with np.load(out) as top:
        arrays = {key: top[key] for key in top.files}
    out.unlink()
    flat = np.concatenate([np.array(row, np.int32) for row in rows])
    with atomic_write(path) as stream:
        np.savez_compressed(
            stream,
            tokens=flat,
            lengths=np.array([len(row) for row in rows], np.int32),
            first=np.array(first, np.int32),
            texts=np.array(texts, np.int32),
            **arrays,
        )


def load(path: Path, positions: int) -> Anchors:
    """Rows that count at up to `positions` of their answer's tokens.  Raises DamagedFile."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            kept = {key: arrays[key] for key in arrays.files}
        ends = np.cumsum(kept["lengths"])
        rows = [_row(kept, number, int(end), positions) for number, end in enumerate(ends)]
        return Anchors(rows[: int(kept["texts"])], rows[int(kept["texts"]) :])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise DamagedFile("{path} is damaged; delete it and learn again.", path=path) from error


def _row(kept: dict[str, np.ndarray], number: int, end: int, positions: int) -> Row:
    start = end - int(kept["lengths"][number])
    told = int(kept["first"][number]) - 1
    last = min(end - start - 1, told + positions)
    length = last + 1
    weights = np.zeros(length, np.float32)
    weights[told:last] = 1.0
    top = int(kept["offsets"][number])
    ids = np.zeros((length, kept["ids"].shape[1]), np.int32)
    logp = np.zeros(ids.shape, np.float32)
    ids[told:last] = kept["ids"][top : top + last - told]
    logp[told:last] = kept["logp"][top : top + last - told]
    return Row(kept["tokens"][start : start + length], weights, Targets(ids, logp))


def _texts(engine: EngineClient, most: int) -> tuple[list[list[int]], list[int]]:
    """Token rows of stock conversations, and where each one's answer begins."""
    rows, first = [], []
    conversations = stock.conversations()
    random.Random(0).shuffle(conversations)
    for conversation in conversations:
        messages: list[WireMessage] = [
            {"role": turn.role, "content": turn.text} for turn in conversation.turns[:2]
        ]
        start = len(engine.render(messages[:1]))
        ids = engine.render(messages, add_generation_prompt=False)[:_LONGEST]
        if len(ids) - start >= _SHORTEST_ANSWER:
            rows.append(ids)
            first.append(start)
        if len(rows) == most:
            break
    return rows, first


def _questions(
    engine: EngineClient, most: int, progress: Callable[[float], None]
) -> Iterator[tuple[list[int], int]]:
    """Rows of short questions with the base model's own answers, and where those begin."""
    questions = stock.questions()
    random.Random(0).shuffle(questions)  # they are listed by kind
    questions = questions[:most]
    for done, question in enumerate(questions, 1):
        messages: list[WireMessage] = [{"role": "user", "content": question}]
        start = len(engine.render(messages))
        answer = engine.chat(messages, max_tokens=_QUESTION_TOKENS, temperature=0.0).text
        messages.append({"role": "assistant", "content": answer})
        ids = engine.render(messages, add_generation_prompt=False)
        if len(ids) > start:
            yield ids[: start + _QUESTION_TOKENS], start
        progress(done / len(questions))
