"""What grows, and what does not, the more was learned before: everything again at several sizes.

The sizes take turns, and which of them begins changes, so that whatever else the machine does
slows all of them.  The peer of each is the smallest.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from plum_desktop.app import search
from plum_desktop.app.bench.learned import English, Learned, learned_folder
from plum_desktop.app.bench.material import Model, child, make_job
from plum_desktop.app.bench.measure import Line, Say, Side, milliseconds, of_pairs, percentile
from plum_desktop.app.bench.merge import merge
from plum_desktop.app.bench.startup import window
from plum_desktop.app.bench.store import QUERY_WORDS, Bare
from plum_desktop.app.bench.train import prepare
from plum_desktop.app.learn import LearnService
from plum_desktop.app.models import ModelService
from plum_desktop.app.preferences import Preferences
from plum_desktop.app.selecting import select
from plum_desktop.app.serving import Serving
from plum_desktop.base.child import Child
from plum_desktop.base.types import Chat
from plum_desktop.learning import primer
from plum_desktop.learning.job import JobFolder
from plum_desktop.learning.rows import Plan
from plum_desktop.learning.select import learnable
from plum_desktop.store import Store

_WARM = 2  # steps that are not counted
_WRITTEN = 60  # words

Values = dict[int, list[float]]  # by how many chats were learned, one of each round


@dataclass(frozen=True, slots=True)
class _Size:
    """One of the stores, open."""

    learned: Learned
    store: Store


_Sizes = Mapping[int, _Size]  # by how many chats were learned, the fewest first


def bench(
    root: Path, model: Model, models: ModelService, chats: Sequence[int], runs: int,
    queries: int, say: Say,
) -> Iterator[Line]:  # fmt: skip
    """`runs` rounds of every measure where each of `chats`, the fewest first, were learned.

    Raises PlumError where a window does not come, or a stage fails.
    """
    work = root / "growth"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        with ExitStack() as stack:
            sizes = {}
            for count in chats:
                learned = learned_folder(root, model, count, partial(_say_making, say, count))
                store = Store(learned.folder.database, learned.folder.backups)
                sizes[count] = _Size(learned, stack.enter_context(contextlib.closing(store)))
            yield from _searches(sizes, runs, queries, say)
            yield from _writes(sizes, runs, say)
            starts = {count: partial(_start, size) for count, size in sizes.items()}
            starting = _rounds(starts, runs, say, "Starting")
            yield from _lines("start to a usable window", "s", starting)
            plans = {count: partial(_plan, size, models) for count, size in sizes.items()}
            planning = _rounds(plans, runs, say, "Planning")
            yield from _lines("see what there is to learn", "ms", planning)
            yield from _learning(work, root, model, sizes, runs, say)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _say_making(say: Say, count: int, share: float) -> None:
    say(f"Making {count:,} learned chats: {share:.0%}")


def _rounds(sides: Mapping[int, Side], runs: int, say: Say, doing: str) -> Values:
    values: Values = {count: [] for count in sides}
    order = list(sides)
    for run in range(runs):
        for count in order:
            say(f"{doing}: round {run + 1} of {runs}, {count:,} chats")
            values[count].append(sides[count]())
        order.append(order.pop(0))
    return values


def _lines(what: str, unit: str, values: Values) -> Iterator[Line]:
    """A line a size: the median, the smallest size's, and the ratio of neighbouring rounds."""
    first = next(iter(values.values()))
    for count, of in values.items():
        if of is first:
            yield Line(what, unit, statistics.median(of), runs=len(of), chats=count)
        else:
            line = of_pairs(what, unit, list(zip(of, first, strict=True)))
            yield replace(line, chats=count)


def _searches(sizes: _Sizes, runs: int, queries: int, say: Say) -> Iterator[Line]:
    lists = {count: partial(milliseconds, size.store.chats.list) for count, size in sizes.items()}
    yield from _lines("list every chat", "ms", _rounds(lists, runs, say, "Listing"))
    english, words = English(3), itertools.cycle(QUERY_WORDS)
    texts = [" ".join(english.draw(next(words))) for _ in range(queries)]
    searches = {
        count: partial(_next_search, size.store, iter(texts)) for count, size in sizes.items()
    }
    found = _rounds(searches, queries, say, "Searching")
    yield from _lines("search, median", "ms", found)
    slowest = {count: [percentile(of, 0.95)] for count, of in found.items()}
    for line in _lines("search, 95th percentile", "ms", slowest):
        yield replace(line, runs=queries)


def _next_search(store: Store, texts: Iterator[str]) -> float:
    return milliseconds(partial(search.find, store, next(texts)))


def _writes(sizes: _Sizes, runs: int, say: Say) -> Iterator[Line]:
    text = English(4).text(_WRITTEN)
    chats = {count: size.store.chats.create("bench") for count, size in sizes.items()}
    try:
        writes = {
            count: partial(_write, size.store, chats[count], text) for count, size in sizes.items()
        }
        yield from _lines("write one message", "ms", _rounds(writes, runs, say, "Writing"))
    finally:
        for count, size in sizes.items():
            # Not the store's way, which also rewrites the whole search index.
            with contextlib.closing(Bare(size.learned.folder.database)) as bare:
                bare.remove(chats[count].id)


def _write(store: Store, chat: Chat, text: str) -> float:
    return milliseconds(lambda: store.chats.add_message(chat.id, "user", text))


def _start(size: _Size) -> float:
    with window(size.learned.folder) as (_, seconds):
        return seconds


def _plan(size: _Size, models: ModelService) -> float:
    """By a service that has seen no chat yet, as after a start."""
    folder = size.learned.folder
    preferences = Preferences(folder.settings)
    serving = Serving(folder, size.store, models, preferences)
    service = LearnService(folder, size.store, models, preferences, serving)
    return milliseconds(service.plan)


def _learning(
    work: Path, root: Path, model: Model, sizes: _Sizes, runs: int, say: Say
) -> Iterator[Line]:
    """The next conversation, from choosing to the merged file.

    Without what the model names and what the gate asks, which is by rule as much at every size.
    """
    jobs = {count: _job(work / f"{count}", model, size) for count, size in sizes.items()}
    choices = {count: partial(_select, sizes[count].store, job) for count, job in jobs.items()}
    chosen = _rounds(choices, runs, say, "Choosing")
    yield from _lines("choose what a run works on", "s", chosen)
    lessons = {count: partial(_seconds, partial(prepare, job, root)) for count, job in jobs.items()}
    made = _rounds(lessons, runs, say, "Making lessons")
    yield from _lines("make the lessons", "s", made)
    plans = {count: Plan.load(job.rows) for count, job in jobs.items()}
    tokens = {count: [statistics.mean(_tokens(plan))] for count, plan in plans.items()}
    yield from _lines("tokens of a training step", "", tokens)
    stepped = _steps(work / "rows.npz", model, plans, runs, say)
    yield from _lines("one training step", "s", stepped)
    merges = {
        count: partial(_merge, model, size, work / "merged.gguf") for count, size in sizes.items()
    }
    merged = _rounds(merges, runs, say, "Merging")
    yield from _lines("merge", "s", merged)
    whole = {
        count: [
            before + lesson + len(plan.steps) * step + after
            for before, lesson, step, after in zip(
                chosen[count], made[count], stepped[count], merged[count], strict=True
            )
        ]
        for count, plan in plans.items()
    }
    yield from _lines("the next conversation", "s", whole)


def _job(root: Path, model: Model, size: _Size) -> JobFolder:
    """A job for the conversation that waits, chosen once: what it contradicts is marked then."""
    chats, waiting = size.store.chats, size.learned.waiting
    conversation, _ = learnable(chats.get(waiting), chats.branch(waiting))
    assert conversation
    job = make_job(root, model, [conversation])
    select(size.store, job, job.read_spec())
    return job


def _seconds(work: Callable[[], object]) -> float:
    return milliseconds(work) / 1000


def _select(store: Store, job: JobFolder) -> float:
    return _seconds(lambda: select(store, job, job.read_spec()))


def _tokens(plan: Plan) -> list[int]:
    """Of each step of the run."""
    return [sum(len(row.ids) for row in plan.batch(step)) for step in range(len(plan.steps))]


def _steps(rows: Path, model: Model, plans: Mapping[int, Plan], runs: int, say: Say) -> Values:
    """Steps of each run, all by one trainer, whose rows are written to the file `rows`.

    Those of about the run's mean of tokens, since a step of twice as many takes twice as long.
    """
    every = Plan([], [])
    numbers: dict[int, Iterator[int]] = {}
    for count, plan in plans.items():
        first, tokens = len(every.steps), _tokens(plan)
        mean = statistics.mean(tokens)
        order = sorted((abs(each - mean), first + step) for step, each in enumerate(tokens))
        numbers[count] = itertools.cycle([step for _, step in order])
        every.steps.extend([place + len(every.rows) for place in step] for step in plan.steps)
        every.rows.extend(plan.rows)
    every.save(rows)
    say("Loading the trainer")
    start = primer.shipped(model.sha256)
    with child("peer") as peer:
        peer.call(
            "training", kind="ours", model=str(model.path), rows=str(rows),
            threads=model.threads, start=str(start) if start else None,
        )  # fmt: skip
        sides = {count: partial(_next_step, peer, steps) for count, steps in numbers.items()}
        for side in sides.values():
            for _ in range(_WARM):
                side()
        return _rounds(sides, runs, say, "Training")


def _next_step(peer: Child, steps: Iterator[int]) -> float:
    return float(peer.call("step", step=next(steps))["seconds"])


def _merge(model: Model, size: _Size, out: Path) -> float:
    """What learned those chats: a LoRA of the same shape, whatever they were."""
    active = size.store.adapters.active(model.sha256)
    assert active
    return merge(model, size.learned.folder.adapter(active.id), out)[0]
