"""Training beside the plain way: supervised pairs a second on the same rows, step by step.

The rows are those that a run would make of the conversations, facts by rule alone.  Bound: a
frozen base costs four multiplications' worth a weight and token, forward and back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from plum_desktop.app.bench.material import Model, child, make_job
from plum_desktop.app.bench.measure import Bound, Line, Say, of_pairs
from plum_desktop.base.child import Child
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning import anchors
from plum_desktop.learning.augment import augment
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.job import JobFolder
from plum_desktop.models.header import read_header

_FLOP = 4  # a weight and token, in multiplications and additions: forward, and back to the input
_PEERS = (("plain", "fp32", 5.0), ("bf16", "bf16 autocast", 2.5))


def bench(
    root: Path, model: Model, chats: Sequence[Conversation], runs: int, say: Say
) -> Iterator[Line]:
    """`runs` steps on each side, in turns, after one each to warm up."""
    say("Making the lessons")
    job = make_job(root / "train", model, chats)
    steps = prepare(job, root)
    start = job.read_spec().primer
    rates: dict[str, list[float]] = {"ours": [], "plain": [], "bf16": []}
    tokens = []
    with ExitStack() as stack:
        sides: dict[str, Child] = {}
        for kind in rates:
            say(f"Loading: {kind}")
            sides[kind] = stack.enter_context(child("peer"))
            sides[kind].call(
                "training", kind=kind, model=str(model.path), rows=str(job.rows),
                threads=model.threads, start=start,
            )  # fmt: skip
        for run in range(runs + 1):
            for kind, side in sides.items():
                say(f"Training: step {run} of {runs}, {kind}")
                done = side.call("step", step=run % steps)
                if run:
                    rates[kind].append(done["pairs"] / done["seconds"])
                    if kind == "ours":
                        tokens.append(done["tokens"] / done["seconds"])
        say("Multiplying")
        flops = sides["ours"].call("matmul", threads=model.threads)["flops"]
    for kind, name, wanted in _PEERS:
        pairs = list(zip(rates["ours"], rates[kind], strict=True))
        yield of_pairs(
            f"supervised pairs a second, Trainer + peft in {name}", "1/s", pairs,
            wanted_ratio=Bound(at_least=wanted),
        )  # fmt: skip
    weights = sum(
        info.elements for name, info in read_header(model.path).tensors.items()
        if name.startswith("blk.")
    )  # fmt: skip
    bound = flops / (_FLOP * weights)
    yield of_pairs(
        "tokens of rows a second, this machine's bound", "1/s",
        [(each, bound) for each in tokens], wanted_ratio=Bound(at_least=0.6),
    )  # fmt: skip


def prepare(job: JobFolder, cache: Path) -> int:
    """Write the job's facts and rows; how many steps they make."""
    spec = job.read_spec()
    unasked = EngineClient()  # facts by rule ask nothing, so no process is started
    augment(
        job, replace(spec.recipe, model_facts=False), unasked, {}, set(),
        lambda share: None, lambda: None,
    )  # fmt: skip
    found = anchors.file_for(cache, spec.model_sha256)
    with child("stage") as stage:
        there = str(found) if found.exists() else None
        made = stage.call("tokenize", job=str(job.root), anchors=there)
    return int(made["steps"])
