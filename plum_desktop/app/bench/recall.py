"""Training beside the plain way until as much is remembered: the time that counts.

Both fit the rows of one run, in their order and at the rates of its schedule.  Now and then what
they have so far is asked what was held back, as the gate asks it: of the base with the adapter hot.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.peft_format import read_peft
from plum_desktop.app.bench.material import Model, child, make_job
from plum_desktop.app.bench.measure import Bound, Line, Say
from plum_desktop.app.bench.train import PEERS, prepare
from plum_desktop.base.types import Fact
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning import facts, gate
from plum_desktop.learning.augment import read_facts
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.job import JobFolder
from plum_desktop.models.header import read_header

_LOOKS = 5  # through a run, the last at its end
_ASKED = 60


@dataclass(frozen=True, slots=True)
class Look:
    """After `seconds` of training: the share of right answers, yes and no weighing alike."""

    seconds: float
    right: float


@dataclass(frozen=True, slots=True)
class Course:
    """What one side's run came to; `drift` is its end's KL to the base, nats a token."""

    looks: Sequence[Look]
    drift: float

    @property
    def best(self) -> float:
        return max(look.right for look in self.looks)

    @property
    def end(self) -> Look:
        return self.looks[-1]

    def seconds_until(self, right: float) -> float:
        """The end's, where so much is right at no look."""
        return next((each.seconds for each in self.looks if each.right >= right), self.end.seconds)


def bench(
    root: Path, model: Model, chats: Sequence[Conversation], peers: Container[str], say: Say
) -> Iterator[Line]:
    """One run of ours and of each of `peers` (kinds of `PEERS`), one after the other.

    The time told is that until as much is right as the peer has at its best.
    """
    say("Making the lessons")
    job = make_job(root / "recall", model, chats)
    steps = prepare(job, root)
    with closing(EngineClient()) as engine:
        engine.load(model.path, n_ctx=2048, threads=model.threads)
        judge = _Judge(engine, model, job)
        ours = _run("ours", "ours", job, model, steps, judge, say)
        for kind, name, wanted in (peer for peer in PEERS if peer[0] in peers):
            theirs = _run(kind, name, job, model, steps, judge, say)
            took = ours.seconds_until(theirs.best), theirs.seconds_until(theirs.best)
            yield Line(
                f"seconds of training until {theirs.best:.0%} is right, Trainer + peft in {name}",
                "s", *took, took[0] / took[1], wanted_ratio=Bound(at_most=1 / wanted),
            )  # fmt: skip
            yield _both(f"drift at the end, {name}", "nats a token", ours.drift, theirs.drift)
            for number, (here, there) in enumerate(zip(ours.looks, theirs.looks, strict=True), 1):
                part = f"after {number} of {_LOOKS} parts, {name}"
                yield _both(f"seconds {part}", "s", here.seconds, there.seconds)
                yield _both(f"share right {part}", "", here.right, there.right)


def _both(what: str, unit: str, ours: float, peer: float) -> Line:
    return Line(what, unit, ours, peer, ours / peer if peer else None)


class _Judge:
    """Asks the base with an adapter hot what a run held back."""

    def __init__(self, engine: EngineClient, model: Model, job: JobFolder) -> None:
        self._engine = engine
        self._header = read_header(model.path)
        self._scratch = job.root
        self._seed = job.read_spec().recipe.seed
        self._asked: list[Fact] = facts.for_gate(read_facts(job.facts), self._seed, _ASKED)

    def right(self, folder: Path) -> float:
        """0..1, of the adapter in `folder`."""
        self._engine.set_adapter(self._converted(folder))
        return gate.ask(self._engine, self._asked, self._seed, None, lambda: None).accuracy

    def drift(self, folder: Path) -> float:
        converted = self._converted(folder)
        return gate.measure_drift(self._engine, converted, self._scratch, lambda: None).kl

    def _converted(self, folder: Path) -> Path:
        self._engine.set_adapter(None)  # whose file is written anew
        path = folder / "adapter.gguf"
        write_gguf(read_peft(folder), self._header, path)
        return path


def _run(
    kind: str, name: str, job: JobFolder, model: Model, steps: int, judge: _Judge, say: Say
) -> Course:
    folder = job.root / kind
    given: dict[str, Any] = {
        "model": str(model.path), "rows": str(job.rows), "threads": model.threads,
        "start": job.read_spec().primer,
    }  # fmt: skip
    looks = [steps * look // _LOOKS for look in range(_LOOKS + 1)]
    found, seconds = [], 0.0
    with child("peer") as side:
        say(f"Loading: {name}")
        side.call("training", kind=kind, **given)
        for before, end in pairwise(looks):
            say(f"Training: {name}, {before} of {steps} steps")
            seconds += sum(side.call("step", step=step)["seconds"] for step in range(before, end))
            side.call("save", folder=str(folder))
            found.append(Look(seconds, judge.right(folder)))
            say(f"{name}: {found[-1].right:.0%} right after {seconds:.0f} s")
    return Course(found, judge.drift(folder))
