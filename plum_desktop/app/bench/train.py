"""Training beside the plain way: supervised pairs a second on the same rows, step by step.

The rows are those that a run would make of the conversations, facts by rule alone.  Bound: a
frozen base costs four multiplications' worth a weight and token, forward and back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

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
_STEPS = 5  # one in five has a question with excerpts, which is as long as all else
PEERS = (("plain", "fp32", 5.0), ("bf16", "bf16 autocast", 2.5))


def bench(
    root: Path, model: Model, chats: Sequence[Conversation], runs: int, say: Say
) -> Iterator[Line]:
    """`runs` times `_STEPS` on ours and each peer, in turns, after one step to warm up.

    Of two at a time: a peer with every logit of a padded batch takes most of a laptop's memory.
    """
    say("Making the lessons")
    job = make_job(root / "train", model, chats)
    steps = prepare(job, root)
    given: dict[str, Any] = {
        "model": str(model.path), "rows": str(job.rows), "threads": model.threads,
        "start": job.read_spec().primer,
    }  # fmt: skip
    tokens = []
    with child("peer") as ours:
        say("Loading: ours")
        ours.call("training", kind="ours", **given)
        for kind, name, wanted in PEERS:
            with child("peer") as peer:
                say(f"Loading: {name}")
                peer.call("training", kind=kind, **given)
                for side in (ours, peer):
                    side.call("step", step=0)
                pairs = []
                for run in range(runs):
                    say(f"Training: {run + 1} of {runs}, beside {name}")
                    some = [(run * _STEPS + number) % steps for number in range(_STEPS)]
                    order = (ours, peer) if run % 2 else (peer, ours)
                    done = {side: _rates(side, some) for side in order}
                    pairs.append((done[ours][0], done[peer][0]))
                    tokens.append(done[ours][1])
            yield of_pairs(
                f"supervised pairs a second, Trainer + peft in {name}", "1/s", pairs,
                wanted_ratio=Bound(at_least=wanted),
            )  # fmt: skip
        say("Multiplying")
        flops = ours.call("matmul", threads=model.threads)["flops"]
    weights = sum(
        info.elements for name, info in read_header(model.path).tensors.items()
        if name.startswith("blk.")
    )  # fmt: skip
    bound = flops / (_FLOP * weights)
    yield of_pairs(
        "tokens of rows a second, this machine's bound", "1/s",
        [(each, bound) for each in tokens], wanted_ratio=Bound(at_least=0.6),
    )  # fmt: skip


def _rates(side: Child, steps: Sequence[int]) -> tuple[float, float]:
    """Supervised pairs, and tokens of rows, a second over `steps`."""
    done = [side.call("step", step=step) for step in steps]
    seconds = sum(each["seconds"] for each in done)
    pairs, tokens = (sum(each[what] for each in done) / seconds for what in ("pairs", "tokens"))
    return pairs, tokens


def prepare(job: JobFolder, cache: Path) -> int:
    """Write the job's facts and rows; how many steps they make."""
    spec = job.read_spec()
    unasked = EngineClient()  # facts by rule ask nothing, so no process is started
    augment(
        job, replace(spec.recipe, model_facts=False), unasked, set(), lambda share: None,
        lambda: None,
    )  # fmt: skip
    found = anchors.file_for(cache, spec.model_sha256)
    with child("stage") as stage:
        there = str(found) if found.exists() else None
        made = stage.call("tokenize", job=str(job.root), anchors=there)
    return int(made["steps"])
