"""The product with a scripted engine and scripted learning; everything else is the real thing.

Signatures follow `plum_desktop.app`; the records are the real ones.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from plum_desktop.adapters.lora import LoraAdapter
from plum_desktop.adapters.peft_format import write_peft
from plum_desktop.app import titles
from plum_desktop.app.backup import BackupService
from plum_desktop.app.chat import ChatService
from plum_desktop.app.compare import CompareService
from plum_desktop.app.due import ScheduleService
from plum_desktop.app.forget import ForgetService
from plum_desktop.app.imports import Imported, ImportService
from plum_desktop.app.job import Outcome, Progress
from plum_desktop.app.learn import LearnPlan, PlannedChat
from plum_desktop.app.memory import MemoryService
from plum_desktop.app.product import Plum
from plum_desktop.app.result_card import ResultCard, Score
from plum_desktop.app.serving import Serving
from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Adapter, Fact, Run, WireMessage
from plum_desktop.engine.client import Cancellation, ChatResult, Measured

REPORT = {
    "new_before": {"yes": 2, "yes_asked": 48, "no": 40, "no_asked": 48},
    "new_after": {"yes": 41, "yes_asked": 48, "no": 45, "no_asked": 48},
    "old_before": {"yes": 205, "yes_asked": 214, "no": 0, "no_asked": 0},
    "old_after": {"yes": 203, "yes_asked": 214, "no": 0, "no_asked": 0},
    "drift": {"canaries": 0.992}, "reasons": [], "seconds": 521.0,
}  # fmt: skip


class ScriptedEngine:
    """Says what it is told to, word by word.  `hold` makes it wait before the next word."""

    def __init__(self) -> None:
        self.replies: list[str | Exception] = []
        self.default = "You mentioned that you travel with one bag, so pack light."
        self.go = threading.Event()
        self.go.set()
        self.words_before_hold = 0  # how many words come although `go` is not set
        self.asked: list[list[WireMessage]] = []
        self.title = ""  # what it calls a chat
        self.context = 8192  # a word is a token

    def count(self, text: str) -> int:
        return len(text.split())

    def measure(self, messages: Sequence[WireMessage], *, max_tokens: int) -> Measured:
        """No template: the newest messages whose words fit."""
        lengths = [self.count(message["content"]) for message in messages]
        limit = self.context - min(max_tokens, self.context // 4)
        dropped = 0
        while sum(lengths[dropped:]) > limit and dropped < len(messages) - 1:
            dropped += 1
        return Measured(sum(lengths[dropped:]), dropped, lengths[-1], limit, self.context)

    def chat(
        self,
        messages: Sequence[WireMessage],
        *,
        on_text: Callable[[str], None] | None = None,
        cancellation: Cancellation | None = None,
        begun: str = "",
        **settings: object,
    ) -> ChatResult:
        if messages[-1] == titles.REQUEST:
            return ChatResult(self.title, "stop", 10, 3, 10, 0.1, 0.2, 0)
        self.asked.append(list(messages))
        self.begun, self.settings = begun, settings
        reply = self.replies.pop(0) if self.replies else self.default
        if isinstance(reply, Exception):
            raise reply
        pieces = reply.split(" ")
        for at, piece in enumerate(pieces):
            while at >= self.words_before_hold and not self.go.wait(0.01):
                if cancellation and cancellation.cancelled:
                    raise Cancelled
            if cancellation and cancellation.cancelled:
                raise Cancelled
            if on_text:
                on_text(piece if at == 0 else f" {piece}")
        return ChatResult(reply, "stop", 10, len(pieces), 10, 0.1, 0.2, 0)


class ScriptedServing(Serving):
    """No child process: every model is the scripted engine."""

    def script(self, engine: ScriptedEngine) -> None:
        self._scripted = engine
        self.memories: list[str | None] = []
        self.models: list[str | None] = []
        self.is_loaded = True

    @contextlib.contextmanager
    def borrow(self, memory=None, model=None, cancellation=None) -> Iterator[ScriptedEngine]:  # type: ignore[override]
        self.memories.append(memory)
        self.models.append(model)
        yield self._scripted

    def chat(self, messages, memory=None, model=None, **options):  # type: ignore[override]
        if messages[-1] == titles.REQUEST:  # not one of the replies that a test counts
            return self._scripted.chat(messages)
        return super().chat(messages, memory, model, **options)

    @contextlib.contextmanager
    def _idle(self) -> Iterator[ScriptedEngine | None]:  # type: ignore[override]
        yield self._scripted if self.is_loaded else None


class ScriptedJob:
    """A learning job whose progress the test sends."""

    def __init__(self, run_id: str, on_progress, on_end) -> None:
        self.run_id = run_id
        self.paused = False
        self.losses: list[float] = []
        self.stopped = self.left = self.over = False
        self._on_progress, self._on_end = on_progress, on_end

    def tell(self, fraction: float, stage: str = "train", left: float | None = 360.0) -> None:
        progress = Progress(
            self.run_id, stage, fraction, left, f"Learning ({stage})", 1.2,  # type: ignore[arg-type]
            "paused" if self.paused else "running",
        )  # fmt: skip
        _on_another_thread(lambda: self._on_progress(progress))

    def end(self, outcome: Outcome) -> None:
        self.over = True
        _on_another_thread(lambda: self._on_end(outcome))

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def stop(self) -> None:
        self.stopped = True
        run = Run(self.run_id, time.time(), "stopped", "train", "s", "default", ())
        self.end(Outcome(run, None, None, "stopped", "Learning was stopped; nothing has changed."))

    def leave(self) -> None:
        self.left = True

    def wait(self, timeout: float | None = None) -> Outcome | None:
        return None


def _on_another_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


class ScriptedLearning:
    """LearnService without learning."""

    def __init__(self, plum: Plum) -> None:
        self._plum = plum
        self._ids = itertools.count(1)
        self.refusal: str | None = None
        self.to_resume: Run | None = None
        self.discarded: list[str] = []
        self.job: ScriptedJob | None = None
        self.started: LearnPlan | None = None
        self.start_error: str | None = None

    def plan(self, chat_ids=None, limit=None, recipe=None, backend=None) -> LearnPlan:
        chats = [chat for chat in self._plum.store.chats.list() if chat.leaf]
        wanted = [
            chat for chat in reversed(chats)
            if (chat.id in chat_ids if chat_ids is not None else chat.learn)
        ]  # fmt: skip
        left_out = [(chat, "you excluded it") for chat in chats if not chat.learn]
        planned = [PlannedChat(chat.id, chat.title, 200, True) for chat in wanted]
        refusal = self.refusal
        if not planned:
            refusal = refusal or "There is nothing new to learn; chat a little first."
        return LearnPlan(
            planned, left_out, 45.0 * len(planned), 140_000_000, "starter", "default", "torch",
            refusal,
        )  # fmt: skip

    def start(self, plan: LearnPlan, on_progress, on_end) -> ScriptedJob:
        if self.start_error:
            raise PlumError(self.start_error)
        self.started = plan
        self.job = ScriptedJob(f"run{next(self._ids)}", on_progress, on_end)
        return self.job

    def resume(self, run_id: str, on_progress, on_end) -> ScriptedJob:
        self.job = ScriptedJob(run_id, on_progress, on_end)
        return self.job

    def interrupted(self) -> Run | None:
        return self.to_resume

    def running(self) -> bool:
        return self.job is not None and not self.job.over

    def discard(self, run_id: str) -> None:
        self.discarded.append(run_id)


class ScriptedImports(ImportService):
    """Imports as the test says: `go` lets one end, `error` makes it fail."""

    def script(self, plum: DoublePlum) -> None:
        self._plum = plum
        self.go = threading.Event()
        self.error: PlumError | None = None
        self.asked: list[Path] = []

    def run(self, path: Path, on_progress=None) -> Imported:  # type: ignore[no-untyped-def]
        self.asked.append(path)
        self._running = True  # until it ends, stop() means this one
        on_progress(0.4, "Testing the adapter")
        while not self.go.wait(0.01):
            if self._stopping.is_set():
                self._stopping.clear()
                raise Cancelled
        if self.error:
            raise self.error
        adapter = self._plum.add_imported(path.name)
        return Imported(adapter, f"{path.name} now serves; undo brings back what served before.")


class DoublePlum(Plum):
    """`Plum` on a real store, with `engine` and `learning` in the hands of the test."""

    def __init__(self, folder: DataFolder) -> None:
        super().__init__(folder)
        self.engine = ScriptedEngine()
        serving = ScriptedServing(folder, self.store, self.models, self._preferences)
        serving.script(self.engine)
        self.serving = serving
        self.chats = ChatService(self.store, serving, self._preferences)
        self.compare = CompareService(serving, self._preferences)
        self.learning = ScriptedLearning(self)  # type: ignore[assignment]
        self.forgetting = ForgetService(
            folder,
            self.store,
            self.adapters,
            self.learning,
            serving,  # type: ignore[arg-type]
        )
        self.memory = MemoryService(self.store, self.forgetting)
        self.backups = BackupService(folder, self.store, self.adapters, serving, self.forgetting)
        self.schedule = ScheduleService(self.learning, self.store, self._preferences)
        imports = ScriptedImports(folder, self.store, self.models, serving)
        imports.script(self)
        self.imports = imports

    # What tests put into the store

    def add_chat(self, title: str, *turns: str, created: float | None = None, **fields) -> str:
        """A chat whose turns are the user's and Plum's in their order."""
        chat = self.store.chats.create(title, created=created)
        for at, text in enumerate(turns):
            role = "assistant" if at % 2 else "user"
            reason = "stop" if at % 2 else None
            self.store.chats.add_message(chat.id, role, text, created=created, finish_reason=reason)
        if fields:
            self.store.chats.update(chat.id, **fields)
        return chat.id

    def add_lesson(
        self, chats: Sequence[str], *, refused: bool = False, active: bool = True,
        created: float | None = None,
    ) -> Adapter:  # fmt: skip
        """A finished run and its adapter, with files that can be exported."""
        model = self.models.file()
        created = created or time.time()
        at = next(_ids)
        report = dict(REPORT)
        if refused:
            report["reasons"] = ["it forgot too much of what it knew (0.81 where 0.90 is asked)"]
        run = Run(
            f"lesson{at}", created, "refused" if refused else "done", "switch", model.sha256,
            "default", tuple(chats), finished=created + 521, report=report,
        )  # fmt: skip
        self.store.runs.create(run)
        self.store.runs.update(run.id, state=run.state, finished=run.finished, report=report)
        adapter = Adapter(
            run.id, run.id, None, model.sha256, created + 521, "refused" if refused else "ready",
            False, tuple(chats), report,
        )  # fmt: skip
        self.store.adapters.add(adapter)
        self._write_files(adapter)
        if active and not refused:
            self.store.adapters.activate(adapter.id, model.sha256)
        return self.store.adapters.get(adapter.id)

    def add_imported(self, name: str) -> Adapter:
        """An adapter that came from elsewhere, and serves."""
        model, at = self.models.file(), next(_ids)
        report = {
            "imported": {"name": name, "form": "gguf", "rank": 16, "modules": 210},
            "drift": {"canaries": 0.97}, "reasons": [], "seconds": 92.0,
        }  # fmt: skip
        adapter = Adapter(
            f"imported{at}", None, None, model.sha256, time.time(), "ready", False, (), report
        )
        self.store.adapters.add(adapter)
        self._write_files(adapter)
        self.store.adapters.activate(adapter.id, model.sha256)
        return self.store.adapters.get(adapter.id)

    def _write_files(self, adapter: Adapter) -> None:
        folder = self.folder.adapter(adapter.id)
        folder.mkdir(parents=True)
        for name in ("adapter.gguf", "merged.gguf"):
            (folder / name).write_bytes(b"x" * 100)
        halves = np.ones((1, 3), np.float32), np.ones((2, 1), np.float32)
        write_peft(LoraAdapter(2.0, 1, {"model.layers.0.mlp.up_proj": halves}), folder)

    def add_facts(self, chat_id: str, *statements: str, state: str = "learned") -> list[Fact]:
        facts = [
            Fact(f"fact{next(_ids)}", True, "asked", text, text, "rule", state, chat_id,  # type: ignore[arg-type]
                 last_recall=0.9 if state == "learned" else None)
            for text in statements
        ]  # fmt: skip
        self.store.facts.add(facts)
        return facts


_ids = itertools.count(1)


def done(adapter: Adapter, chats: int) -> Outcome:
    """What a job that went well ends with."""
    card = ResultCard(chats, 521.0, Score(41, 48, 2), Score(203, 214, 205), Score(45, 48, 40), 0.99)
    run = Run(adapter.id, time.time(), "done", "switch", adapter.model_sha256, "default", ("a",))
    return Outcome(run, adapter, card, "done", f"Learned {chats} chats; Plum remembers now.")


def refused(chats: int) -> Outcome:
    """What a job ends with that the gate did not let through."""
    reason = "it remembers 11 of 48 things from the new chats, which is too few"
    card = ResultCard(chats, 521.0, Score(11, 48, 2), None, Score(45, 48, 40), 0.99, (reason,))
    run = Run("refused", time.time(), "refused", "gate", "s", "default", ("a",))
    return Outcome(run, None, card, "refused", f"Not switched on: {reason}.")
