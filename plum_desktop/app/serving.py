"""The chat engine of this process: one child, and which model and adapter it is to hold."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from plum_desktop.app.lookup import Lookup
from plum_desktop.app.models import ModelService
from plum_desktop.app.preferences import Preferences
from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sealing import seal_of
from plum_desktop.base.types import WireMessage
from plum_desktop.engine.client import Cancellation, ChatResult, EngineClient, Measured
from plum_desktop.store import Store

# merged, adapter: what was learned, from the weights alone; off: the base; retrieval: the base
# with excerpts of stored chats; hybrid: what was learned, with excerpts.
MemoryMode = Literal["merged", "adapter", "off", "retrieval", "hybrid"]
MEMORY_MODES: tuple[MemoryMode, ...] = ("merged", "adapter", "off", "retrieval", "hybrid")
_COUNTING = 1.0  # seconds that one count may wait for another; a reply takes longer
MERGED_FILE, ADAPTER_FILE = "merged.gguf", "adapter.gguf"  # in an adapter's folder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """What answers: a GGUF file, a hot adapter on it or none, and what that amounts to.

    `lookup`: questions about the past get excerpts of stored chats.
    """

    memory: MemoryMode
    model: Path
    adapter: Path | None
    n_ctx: int
    threads: int
    lookup: bool


class Serving:
    """Owns the engine and loads what a chat needs.  Thread-safe; one user at a time.

    What to serve is looked up afresh for every request, so an adapter that another process
    switched on, or a changed setting, serves from the next request on.
    """

    def __init__(
        self, folder: DataFolder, store: Store, models: ModelService, preferences: Preferences
    ) -> None:
        self.on_progress: Callable[[float, str], None] | None = None
        self._folder = folder
        self._store = store
        self._models = models
        self._preferences = preferences
        self._lookup = Lookup(store)
        self._lock = threading.RLock()
        self._client: EngineClient | None = None
        self._holds: Served | None = None  # None: unknown, or nothing yet
        # Decided once a file: free memory wavers, and every change of mind loads a model.
        self._fits: dict[Path, bool] = {}

    def engine(self, memory: MemoryMode | None = None, model: str | None = None) -> EngineClient:
        """The engine, loaded and ready.  Another user may load something else at any time;
        `borrow` keeps it.  Raises PlumError.
        """
        with self.borrow(memory, model) as client:
            return client

    @contextlib.contextmanager
    def borrow(
        self,
        memory: MemoryMode | None = None,
        model: str | None = None,
        cancellation: Cancellation | None = None,
    ) -> Iterator[EngineClient]:
        """The engine, loaded and kept as asked while the block runs; others wait.

        Raises PlumError, or Cancelled when `cancellation` says so.
        """
        with self._lock:
            yield self._load(self.served(memory, model), cancellation)

    def chat(
        self,
        messages: Sequence[WireMessage],
        memory: MemoryMode | None = None,
        model: str | None = None,
        *,
        chat_id: str | None = None,
        question: str | None = None,
        cancellation: Cancellation | None = None,
        **options: Any,
    ) -> ChatResult:
        """Answer `messages`, with what `memory` adds to them.  `chat_id` is the chat they are of.

        `question` is what is looked up; None: the last message.
        `options` are those of `EngineClient.chat`.  Raises PlumError, or Cancelled.
        """
        with self.borrow(memory, model, cancellation) as engine:
            if self._holds and self._holds.lookup:
                messages = self._lookup.into(messages, engine.count, chat_id, question)
            return engine.chat(messages, cancellation=cancellation, **options)

    def count(self, text: str) -> int | None:
        """Tokens of a text; None while no model is there to count them, or it is answering."""
        with self._idle() as engine:
            return engine.count(text) if engine else None

    def measure(self, messages: Sequence[WireMessage], max_tokens: int) -> Measured | None:
        """How `messages` fill the context; None while no model is loaded, or it is answering."""
        with self._idle() as engine:
            return engine.measure(messages, max_tokens=max_tokens) if engine else None

    @contextlib.contextmanager
    def _idle(self) -> Iterator[EngineClient | None]:
        """The engine as it is loaded, if nobody uses it for long; nothing is loaded for this."""
        if not self._lock.acquire(timeout=_COUNTING):
            yield None
            return
        try:
            yield self._client if self._holds else None
        finally:
            self._lock.release()

    def served(self, memory: MemoryMode | None = None, model: str | None = None) -> Served:
        """What would answer.  `memory` None is what the window would use.

        Raises PlumError where a memory is asked for and nothing was learned, or its files
        are gone.
        """
        file = self._models.file(model)
        settings = self._preferences.current
        weights = memory not in ("off", "retrieval")
        adapter = self._store.adapters.active(file.sha256) if weights else None
        # A small base model cannot read excerpts; learning teaches it.
        unasked = settings.lookup == "always" or (settings.lookup == "learned" and bool(adapter))
        lookup = memory in ("retrieval", "hybrid") or (memory is None and unasked)
        rest = (settings.context, settings.threads, lookup)
        if adapter is None:
            if memory in ("merged", "adapter", "hybrid"):
                raise PlumError(
                    "Nothing has been learned on {name} yet; learn first, or turn memory off.",
                    name=file.name,
                )
            return Served("retrieval" if lookup else "off", file.path, None, *rest)
        folder = self._folder.adapter(adapter.id)
        merged, hot = folder / MERGED_FILE, folder / ADAPTER_FILE
        if seal_of(merged):
            as_merged = False  # of a sealed folder nothing is merged: a copy to read for anyone
        else:
            as_merged = memory == "merged" or (memory != "adapter" and self._merged_fits(merged))
        wanted = merged if as_merged else hot
        if not wanted.is_file():
            raise PlumError(
                "{wanted} is missing, so what was learned cannot be served; undo it with "
                "`plum-desktop adapters rollback`, or turn memory off.",
                wanted=wanted,
            )
        if as_merged:
            return Served("hybrid" if lookup else "merged", merged, None, *rest)
        return Served("hybrid" if lookup else "adapter", file.path, hot, *rest)

    def invalidate(self) -> None:
        """Files changed under their names: load anew at the next request."""
        with self._lock:
            self._holds = None

    def close(self) -> None:
        """End the engine; a reply under way ends as cancelled."""
        if client := self._client:
            client.close()

    def _merged_fits(self, merged: Path) -> bool:
        if not merged.is_file():
            return False
        if merged not in self._fits:
            self._fits[merged] = self._models.fits_in_memory(merged)
        return self._fits[merged]

    def _load(self, wanted: Served, cancellation: Cancellation | None) -> EngineClient:
        """Bring the engine from what it holds to what is wanted."""
        if self._client is None:
            self._client = EngineClient()
        holds, self._holds = self._holds, None
        if holds is None or _base(holds) != _base(wanted):
            log.info("loading %s, memory %s", wanted.model.name, wanted.memory)
            self._client.load(
                wanted.model,
                n_ctx=wanted.n_ctx,
                threads=wanted.threads,
                busy_lock=self._folder.busy_lock,
                on_progress=self._tell,
                cancellation=cancellation,
            )
            adapter = None
        else:
            adapter = holds.adapter
        if cancellation and cancellation.cancelled:
            raise Cancelled
        if adapter != wanted.adapter:
            self._client.set_adapter(wanted.adapter)
        self._holds = wanted
        return self._client

    def _tell(self, fraction: float, text: str) -> None:
        if self.on_progress:
            self.on_progress(fraction, text)


def _base(served: Served) -> tuple[Path, int, int]:
    return (served.model, served.n_ctx, served.threads)
