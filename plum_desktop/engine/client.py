"""The parent's side of the engine: one process, its requests in line, and its recovery."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from plum_desktop.base.child import Call, Child, Event
from plum_desktop.base.errors import Cancelled, WorkerCrashed
from plum_desktop.base.paths import worker_command
from plum_desktop.base.types import WireMessage

log = logging.getLogger(__name__)

Rows = Sequence[Sequence[int]]
Progress = Callable[[float, str], None]
Text = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the engine has loaded.  Token ids are -1 where the model has no such token."""

    path: Path
    adapter: Path | None
    n_ctx: int
    n_ctx_train: int
    architecture: str
    vocab: int
    template: bool  # False: the model brings no chat template and gets ChatML
    bos: int
    eos: int
    end_of_turn: int


@dataclass(frozen=True, slots=True)
class Completion:
    """Text that follows a prompt, and what it took."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    evaluated_tokens: int  # tokens of the prompt that the cache did not hold
    first_token_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ChatResult(Completion):
    """A whole reply."""

    dropped_turns: int  # messages at the start that no longer fit the context


@dataclass(frozen=True, slots=True)
class Measured:
    """How a conversation fills the context, in tokens."""

    tokens: int  # of the prompt as it would be read, without what no longer fits
    dropped: int  # messages at the start that no longer fit
    last: int  # of the last message alone, with the system message
    limit: int  # of a prompt, so that room is left to answer
    n_ctx: int


class Cancellation:
    """Stops one request, in line or under way, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._call: Call | None = None
        self._on_cancel: Callable[[], None] | None = None
        self.cancelled = False

    def cancel(self) -> None:
        with self._lock:
            self.cancelled = True
            call, wake = self._call, self._on_cancel
        if call:
            call.cancel()
        if wake:
            wake()

    def _wait_with(self, wake: Callable[[], None]) -> None:
        with self._lock:
            self._on_cancel = wake

    def _attach(self, call: Call) -> None:
        with self._lock:
            self._call = call
            cancelled = self.cancelled
        if cancelled:
            call.cancel()


class _Line:
    """First come, first served."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextlib.contextmanager
    def turn(self, cancellation: Cancellation) -> Iterator[None]:
        """Wait for one's turn.  Raises Cancelled if that is asked for before it comes."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
        try:
            cancellation._wait_with(self._wake)
            with self._changed:
                self._changed.wait_for(lambda: self._waiting[0] is ticket or cancellation.cancelled)
            if cancellation.cancelled:
                raise Cancelled
            yield
        finally:
            with self._changed:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


@dataclass(slots=True)
class _Wanted:
    """What a new engine process has to be given before it can serve as the last one did."""

    load: dict[str, Any] | None = None
    adapter: dict[str, Any] = field(default_factory=dict)


class EngineClient:
    """An engine process.  Thread-safe: requests are answered one after the other, in order.

    A process that dies fails the request it was at; the next one starts another with the
    same model and adapter.  Every request raises PlumError, WorkerCrashed or Cancelled.
    """

    def __init__(self, *, low_priority: bool = False, name: str = "engine") -> None:
        """No process is started yet.  `low_priority` is for work that nobody waits for."""
        self._low_priority = low_priority
        self._name = name
        self._line = _Line()
        self._child: Child | None = None
        self._wanted = _Wanted()
        self._stale = True  # the process does not hold what is wanted
        self._running: Cancellation | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        child = self._child
        return child.pid if child and child.alive else None

    def start(self) -> None:
        """Start the process, so that a later load need not wait for it."""
        with self._line.turn(Cancellation()):
            self._process()

    def load(
        self,
        path: Path,
        *,
        n_ctx: int = 0,
        threads: int = 0,
        busy_lock: Path | None = None,
        on_progress: Progress | None = None,
        cancellation: Cancellation | None = None,
    ) -> Loaded:
        """Load a model in place of the one before it, with no adapter.

        `n_ctx` 0 takes what the model was made for, `threads` 0 one for each physical core.
        While it generates the engine holds `busy_lock`.
        """
        args = {
            "path": str(path),
            "n_ctx": n_ctx,
            "threads": threads,
            "busy_lock": str(busy_lock) if busy_lock else None,
        }
        with self._turn(cancellation) as running:
            self._process()
            # Whatever comes of it, the process may no longer hold the model before.
            self._stale = True
            result = self._call("load", args, running, on_progress=on_progress)
            self._wanted = _Wanted(load=args)
            self._stale = False
        return _loaded(result)

    def system(self) -> dict[str, Any]:
        """What the engine has: `features` of the processor, `gpu`, `cards` (bytes of each)."""
        return self._request("system", {})

    def info(self) -> Loaded | None:
        """What is loaded; None: nothing yet."""
        result = self._request("info", {})
        return _loaded(result) if result["path"] else None

    def set_adapter(self, path: Path | None, scale: float = 1.0) -> None:
        """Serve with the LoRA GGUF in `path`, or with the base alone.

        Raises PlumError for an adapter of another model, and then serves on as before.
        """
        args = {"path": str(path) if path else None, "scale": scale}
        with self._turn(None) as running:
            self._ready(running)
            self._call("adapter", args, running)
            self._wanted.adapter = args if path else {}

    def chat(
        self,
        messages: Sequence[WireMessage],
        *,
        max_tokens: int = 512,
        temperature: float = 0.7,
        top_p: float = 0.95,
        top_k: int = 40,
        min_p: float = 0.05,
        repeat_penalty: float = 1.0,
        seed: int | None = None,
        stop: Sequence[str] = (),
        begun: str = "",
        on_text: Text | None = None,
        cancellation: Cancellation | None = None,
    ) -> ChatResult:
        """Answer a conversation; `on_text` gets the reply piece by piece, on this thread.

        Temperature 0 is greedy.  A conversation that is too long loses its oldest turns.  A
        reply that has `begun` is gone on with; the result has only what is new.
        """
        args = {
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "min_p": min_p,
            "repeat_penalty": repeat_penalty,
            "seed": seed,
            "stop": list(stop),
            "begun": begun,
        }
        return ChatResult(**self._request("chat", args, cancellation, on_text=on_text))

    def complete(
        self,
        prompt: str,
        *,
        max_tokens: int = 256,
        temperature: float = 0.7,
        top_p: float = 0.95,
        top_k: int = 40,
        min_p: float = 0.05,
        repeat_penalty: float = 1.0,
        stop: Sequence[str] = (),
        grammar: str | None = None,
        seed: int | None = None,
        on_text: Text | None = None,
        cancellation: Cancellation | None = None,
    ) -> Completion:
        """Write on after `prompt`, no template; `grammar` is GBNF with the rule `root`."""
        args = {
            "prompt": prompt,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "min_p": min_p,
            "repeat_penalty": repeat_penalty,
            "stop": list(stop),
            "grammar": grammar,
            "seed": seed,
        }
        return Completion(**self._request("complete", args, cancellation, on_text=on_text))

    def count(self, what: str | Sequence[WireMessage]) -> int:
        """Tokens of a text, or of the prompt that messages make."""
        args = {"text": what} if isinstance(what, str) else {"messages": list(what)}
        return int(self._request("count", args)["tokens"])

    def measure(self, messages: Sequence[WireMessage], *, max_tokens: int = 512) -> Measured:
        """How `messages` would fill the context if `chat` were asked."""
        args = {"messages": list(messages), "max_tokens": max_tokens}
        return Measured(**self._request("measure", args))

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of a text, no BOS; `special` reads control tokens' names as such."""
        ids: list[int] = self._request("tokenize", {"text": text, "special": special})["ids"]
        return ids

    def render(
        self, messages: Sequence[WireMessage], *, add_generation_prompt: bool = True
    ) -> list[int]:
        """The token ids that `chat` would read."""
        args = {"messages": list(messages), "add_generation_prompt": add_generation_prompt}
        ids: list[int] = self._request("render", args)["ids"]
        return ids

    def logits(
        self,
        rows: Rows,
        out: Path,
        *,
        from_position: Sequence[int] | None = None,
        on_progress: Progress | None = None,
        cancellation: Cancellation | None = None,
    ) -> int:
        """Write log-probabilities of every token after each position of each row to `out`.

        A .npy of float32, shape (positions, vocabulary), the rows one after the other, each
        from its `from_position` (0) to its last token.  Returns the number of positions.
        """
        args = {"rows": _lists(rows), "out": str(out), "from_position": _list(from_position)}
        result = self._request("logits", args, cancellation, on_progress=on_progress)
        return int(result["positions"])

    def topk(
        self,
        rows: Rows,
        k: int,
        out: Path,
        *,
        from_position: Sequence[int] | None = None,
        on_progress: Progress | None = None,
        cancellation: Cancellation | None = None,
    ) -> int:
        """Write the `k` likeliest tokens after each position of each row to `out`, a .npz.

        `ids` int32 and `logp` float16, both (positions, k), likeliest first, and `offsets`
        int64 (rows + 1).  Returns the number of positions.
        """
        args = {
            "rows": _lists(rows),
            "k": k,
            "out": str(out),
            "from_position": _list(from_position),
        }
        result = self._request("topk", args, cancellation, on_progress=on_progress)
        return int(result["positions"])

    def cancel(self) -> None:
        """Stop the request under way; its caller gets Cancelled.  Others in line go on."""
        if running := self._running:
            running.cancel()

    def close(self) -> None:
        """End the process; requests under way and in line end with Cancelled."""
        self._closed = True
        self.cancel()
        if child := self._child:
            child.stop()

    @contextlib.contextmanager
    def _turn(self, cancellation: Cancellation | None) -> Iterator[Cancellation]:
        cancellation = cancellation or Cancellation()
        with self._line.turn(cancellation):
            self._running = cancellation
            try:
                yield cancellation
            except WorkerCrashed as crash:
                if self._closed:
                    raise Cancelled from None
                # Native code's last words; it is never given to print what was said.
                log.error("%s\n%s", crash, self._child.stderr_tail if self._child else "")
                raise
            finally:
                self._running = None

    def _request(
        self,
        op: str,
        args: dict[str, Any],
        cancellation: Cancellation | None = None,
        *,
        on_text: Text | None = None,
        on_progress: Progress | None = None,
    ) -> dict[str, Any]:
        with self._turn(cancellation) as running:
            self._ready(running)
            return self._call(op, args, running, on_text=on_text, on_progress=on_progress)

    def _process(self) -> Child:
        """The running process, started anew if there is none."""
        if self._closed:
            raise Cancelled
        if self._child is None or not self._child.alive:
            self._child = Child(
                worker_command("engine"), name=self._name, low_priority=self._low_priority
            )
            self._stale = True
        return self._child

    def _ready(self, running: Cancellation) -> None:
        """See that the process holds the wanted model and adapter."""
        self._process()
        if not self._stale:
            return
        if self._wanted.load:
            self._call("load", self._wanted.load, running)
            if self._wanted.adapter:
                self._call("adapter", self._wanted.adapter, running)
        self._stale = False

    def _call(
        self,
        op: str,
        args: dict[str, Any],
        running: Cancellation,
        *,
        on_text: Text | None = None,
        on_progress: Progress | None = None,
    ) -> dict[str, Any]:
        def on_event(event: Event) -> None:
            if event["event"] == "token" and on_text:
                on_text(event["text"])
            elif event["event"] == "progress" and on_progress:
                on_progress(event["fraction"], event["text"])

        assert self._child is not None
        call = self._child.begin(op, **args)
        running._attach(call)
        try:
            return call.wait(on_event)
        except BaseException:
            # Where the caller's own callback failed (a full disk, say) nobody wants the rest; a
            # call that has ended hears nothing of it.
            call.cancel()
            raise


def _loaded(result: dict[str, Any]) -> Loaded:
    adapter = result["adapter"]
    return Loaded(
        **{**result, "path": Path(result["path"]), "adapter": Path(adapter) if adapter else None}
    )


def _list(values: Sequence[int] | None) -> list[int] | None:
    return None if values is None else [int(value) for value in values]


def _lists(rows: Rows) -> list[list[int]]:
    return [[int(token) for token in row] for row in rows]
