"""Chat through the whole app beside llama-cpp-python's bare loop; the hot adapter beside merged.

Both read the same token ids and take the likeliest tokens, so that both write the same text.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from plum_desktop.app.bench.material import Model, child, make_job, write_adapter
from plum_desktop.app.bench.measure import Bound, Line, Say, alone, of_pairs
from plum_desktop.app.product import Plum
from plum_desktop.base.child import Child
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import WireMessage
from plum_desktop.engine.client import ChatResult, EngineClient

_CONTEXT = 2048
_ASKED = (
    "Tell me the story of a lighthouse keeper who finds a bottle with a map in it, and of what he "
    "does with it. Take your time and describe the sea, the weather and the people of the harbour."
)
_TURNS = 10
_TURN_TOKENS = 24


def bench(root: Path, model: Model, tokens: int, runs: int, say: Say) -> Iterator[Line]:
    """Replies of `tokens` tokens, `runs` of them on each side, in turns."""
    folder = root / "serve"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with contextlib.closing(Plum(DataFolder(folder))) as plum, child("peer") as peer:
        if plum.models.file().path.resolve() != model.path.resolve():
            plum.models.add(model.path)
            plum.set_setting("model", model.path.name)
        for key, value in (
            ("temperature", 0.0), ("max_tokens", tokens), ("context", _CONTEXT),
            ("threads", model.threads),
        ):  # fmt: skip
            plum.set_setting(key, value)
        peer.call("llama", path=str(model.path), n_ctx=_CONTEXT, threads=model.threads)
        yield from _against_bare(plum, peer, runs, say)
        say("Ten turns")
        yield _tenth_turn(plum)
    yield from _adapter(folder, model, tokens, runs, say)


def _against_bare(plum: Plum, peer: Child, runs: int, say: Say) -> Iterator[Line]:
    engine = plum.serving.engine()
    prompt = engine.render([{"role": "user", "content": _ASKED}])
    speeds, firsts = [], []
    for number in range(runs + 1):
        say(f"Replies: {number} of {runs}")
        engine.set_adapter(None)  # forgets what it has read
        chat = plum.store.chats.create("bench")
        first = 0.0
        began = time.perf_counter()

        def on_text(_id: str, _text: str, began: float = began) -> None:
            nonlocal first
            first = first or time.perf_counter() - began

        reply = plum.chats.send(chat.id, _ASKED, on_text)
        seconds = time.perf_counter() - began
        count = reply.tokens or 1
        bare = peer.call("generate", prompt=prompt, tokens=count)
        if number:  # the first of each warms up
            speeds.append((count / seconds, count / bare["seconds"]))
            firsts.append((first * 1000, bare["first_s"] * 1000))
    yield of_pairs("tokens a second, whole app", "1/s", speeds, wanted_ratio=Bound(at_least=0.98))
    yield of_pairs("first token", "ms", firsts)
    later = statistics.median(ours - bare for ours, bare in firsts)
    yield Line("first token, later than bare", "ms", later, runs=runs, wanted=Bound(at_most=15))


def _tenth_turn(plum: Plum) -> Line:
    """How much of the tenth turn's prompt is read, against what is new in it."""
    said: list[WireMessage] = []
    before: ChatResult | None = None
    for turn in range(_TURNS):
        said.append({"role": "user", "content": f"And what does he see on day {turn + 1}?"})
        now = plum.serving.chat(said, "off", max_tokens=_TURN_TOKENS, temperature=0.0)
        said.append({"role": "assistant", "content": now.text})
        new = now.prompt_tokens
        if before:
            new -= before.prompt_tokens + before.completion_tokens
        before = now
    return Line(
        "tenth turn: tokens read, new ones", "", now.evaluated_tokens, new,
        now.evaluated_tokens / new, wanted_ratio=Bound(at_most=1.1),
    )  # fmt: skip


def _adapter(root: Path, model: Model, tokens: int, runs: int, say: Say) -> Iterator[Line]:
    """The same reply from the base with a hot adapter, and from the merged file."""
    say("Merging an adapter")
    job = make_job(root / "job", model, [])
    write_adapter(model.path, job.adapter)
    with child("stage") as stage:
        stage.call("merge", model=str(model.path), folder=str(job.adapter), out=str(job.merged))
    hot, merged = EngineClient(), EngineClient()
    try:
        hot.load(model.path, n_ctx=_CONTEXT, threads=model.threads)
        hot.set_adapter(job.adapter_gguf)
        merged.load(job.merged, n_ctx=_CONTEXT, threads=model.threads)
        speeds = []
        for number in range(runs):
            say(f"Hot and merged: {number} of {runs}")
            speeds.append((_speed(hot, tokens), _speed(merged, tokens)))
        yield of_pairs("tokens a second, hot adapter / merged", "1/s", speeds)
        swap = iter([job.adapter_gguf, None] * runs)
        yield alone("adapter switched on or off", "ms", lambda: _swap(hot, next(swap)), 2 * runs)
    finally:
        hot.close()
        merged.close()


def _speed(engine: EngineClient, tokens: int) -> float:
    done = engine.chat([{"role": "user", "content": _ASKED}], max_tokens=tokens, temperature=0.0)
    return (done.completion_tokens - 1 or 1) / (done.seconds - done.first_token_s)


def _swap(engine: EngineClient, adapter: Path | None) -> float:
    began = time.perf_counter()
    engine.set_adapter(adapter)
    return (time.perf_counter() - began) * 1000
