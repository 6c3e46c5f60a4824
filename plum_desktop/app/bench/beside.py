"""Chatting while a run trains: how soon training gives way, and what is left of chat's speed.

The training is a run's own stage, with the priority that it has there; it rests in turns, so that
chat's speed alone is measured next to its speed beside it.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from plum_desktop.app.bench.material import Model, child, conversations, make_job
from plum_desktop.app.bench.measure import Bound, Line, Say, of_pairs
from plum_desktop.app.bench.train import prepare
from plum_desktop.app.giving_way import giving_way
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import FileLock
from plum_desktop.base.sentence import Sentence
from plum_desktop.base.types import WireMessage
from plum_desktop.engine.client import EngineClient

_CONTEXT = 2048
_ASKED = "Tell me the story of a lighthouse keeper who finds a bottle with a map in it."
_CHATS = 4  # that it trains on, again and again
_LOOK = 0.005  # seconds between looks at what training has used
_AT_WORK = 0.5  # seconds of processor that it uses before the next reply begins
_IDLE = 0.005  # of processor: below the grain of the system's clock
_PATIENCE = 120.0  # seconds


def bench(root: Path, model: Model, tokens: int, runs: int, say: Say) -> Iterator[Line]:
    """Replies of `tokens` tokens, `runs` of them beside the training and as many without."""
    busy = root / "beside.lock"
    say("Making the lessons")
    job = make_job(root / "beside", model, conversations(None, _CHATS))
    prepare(job, root)
    engine = EngineClient()
    speeds, gave_way = [], []
    with child("stage", low_priority=True) as stage, contextlib.closing(engine):
        stage.begin("train", job=str(job.root), threads=model.threads)
        trainer = psutil.Process(stage.pid)
        engine.load(model.path, n_ctx=_CONTEXT, threads=model.threads, busy_lock=busy)
        lock, resting = FileLock(busy), threading.Event()

        def reason() -> Sentence | None:
            return Sentence("chatting") if resting.is_set() or lock.held_by_someone() else None

        with giving_way(stage, reason, lambda _: None):
            for number in range(runs + 1):
                say(f"Chatting beside a run: {number} of {runs}")
                resting.clear()
                _wait_for_work(trainer)
                with _Used(trainer) as used:
                    beside = _speed(engine, tokens)
                resting.set()
                time.sleep(_AT_WORK)
                alone = _speed(engine, tokens)
                if number:  # the first warms up
                    speeds.append((beside, alone))
                    gave_way.append(used.until() * 1000)
    yield of_pairs(
        "tokens a second beside a run, without one", "1/s", speeds,
        wanted_ratio=Bound(at_least=0.9),
    )  # fmt: skip
    yield Line(
        "training gave way after", "ms", statistics.median(gave_way), runs=runs,
        wanted=Bound(at_most=200),
    )  # fmt: skip


def _speed(engine: EngineClient, tokens: int) -> float:
    """Tokens a second of a whole reply, its first token included."""
    asked: list[WireMessage] = [{"role": "user", "content": _ASKED}]
    engine.set_adapter(None)  # forgets what it has read
    began = time.perf_counter()
    done = engine.chat(asked, max_tokens=tokens, temperature=0.0)
    return done.completion_tokens / (time.perf_counter() - began)


def _wait_for_work(trainer: psutil.Process) -> None:
    """Until it has trained for a while: loading is over, too."""
    ends, before = time.monotonic() + _PATIENCE, _seconds(trainer)
    while _seconds(trainer) - before < _AT_WORK:
        if time.monotonic() > ends:
            raise PlumError("The training beside which to chat does not go on; look at the log.")
        time.sleep(_LOOK)


def _seconds(process: psutil.Process) -> float:
    """Of processor that it has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


class _Used:
    """Watches what a process uses, in a thread."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._samples: list[tuple[float, float]] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._ends.is_set():
            self._samples.append((time.perf_counter(), _seconds(self._process)))
            time.sleep(_LOOK)

    def until(self) -> float:
        """Seconds after which it used (nearly) nothing any more."""
        (began, _), (_, last) = self._samples[0], self._samples[-1]
        at_work = [at for at, used in self._samples if used < last - _IDLE]
        return max(at_work, default=began) - began

    def __enter__(self) -> _Used:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
