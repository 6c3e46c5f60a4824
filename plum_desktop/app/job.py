"""A learning job: its stages in order, each in the process that it needs, in one thread.

Every stage whose output is already in the job folder is passed over, so a job that was killed
goes on where it stopped.  Only this thread writes the run's rows in the database.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import psutil

from plum_desktop.app.estimate import Estimates
from plum_desktop.app.giving_way import giving_way
from plum_desktop.app.result_card import ResultCard, card_of, refusal
from plum_desktop.app.selecting import select
from plum_desktop.app.serving import Serving
from plum_desktop.app.stage import stage_worker
from plum_desktop.app.switching import switch
from plum_desktop.base.child import Call, Child, Event
from plum_desktop.base.cores import usable_cores
from plum_desktop.base.errors import Cancelled, PlumError, WorkerCrashed
from plum_desktop.base.files import FileLock, disk_errors, read_json, write_json
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sealing import seal_of
from plum_desktop.base.sentence import Sentence
from plum_desktop.base.types import Adapter, Fact, Run
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning import anchors, facts, gate, own
from plum_desktop.learning.augment import augment, read_facts
from plum_desktop.learning.job import STAGES, JobFolder, Stage
from plum_desktop.store import Store

log = logging.getLogger(__name__)

_PAUSE_LOOK = 0.2  # seconds
_STOP_PATIENCE = 5.0  # seconds that a worker has to finish its step and write a checkpoint
_CONTEXT = 2048  # tokens; lessons and gate ask short questions
_RECENT = 8  # steps, which are of two kinds, that the loss that is told is a mean of
_ASKED_NEW = 60  # questions of the gate about new chats, yes and no together
# Memory of one step serves the next, in place of page faults by the hundred thousand (glibc).
_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 33), "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}
_WORDS: dict[Stage, Sentence] = {
    "select": Sentence("Reading your chats"),
    "augment": Sentence("Finding what to remember"),
    "tokenize": Sentence("Preparing the lessons"),
    "train": Sentence("Learning"),
    "gate": Sentence("Checking what it remembers"),
    "merge": Sentence("Writing the new model"),
    "switch": Sentence("Switching over"),
}
_PAUSED, _CHATTING = Sentence("paused"), Sentence("waiting for a reply to finish")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is; `fraction` of the whole job, 0..1."""

    run_id: str
    stage: Stage
    fraction: float
    seconds_left: float | None
    text: str
    loss: float | None
    state: Literal["running", "paused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended, in one sentence; `adapter` is what it made, serving or not."""

    run: Run
    adapter: Adapter | None
    card: ResultCard | None
    state: Literal["done", "refused", "stopped", "failed"]
    message: str


@dataclass(frozen=True, slots=True)
class JobParts:
    """What a job works with."""

    folder: DataFolder
    store: Store
    serving: Serving
    estimates: Estimates


class Job:
    """One learning run under way.  Its methods may be called from any thread and never wait
    for the job, `wait` aside.
    """

    def __init__(
        self,
        parts: JobParts,
        folder: JobFolder,
        on_progress: Callable[[Progress], None],
        on_end: Callable[[Outcome], None],
        release: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._folder = folder
        self._spec = folder.read_spec()
        self._on_progress = on_progress
        self._on_end = on_end
        self._release = release
        self._stopping = threading.Event()
        self._leaving = False
        self._call: Call | None = None
        self._worker: Child | None = None
        self._busy = FileLock(parts.folder.busy_lock)
        self._engine: EngineClient | None = None
        self._outcome: Outcome | None = None
        self._last: Progress | None = None
        self._losses = folder.read_losses()
        older = parts.store.learned_state(self._spec.model_sha256).keys() - set(self._spec.chats)
        self._expected = parts.estimates.job(
            self._spec.recipe,
            [self._length(chat_id) for chat_id in self._spec.chats],
            len(older),
        )
        self._thread = threading.Thread(target=self._run, name="learning", daemon=True)

    def _length(self, chat_id: str) -> int:
        """How many messages there are to learn."""
        store = self._parts.store
        if chat_id == own.HOME:
            return len(store.facts.of_chat(None))
        with contextlib.suppress(PlumError):  # deleted since
            return len(store.chats.branch(chat_id))
        return 0

    @property
    def run_id(self) -> str:
        return self._spec.run_id

    @property
    def paused(self) -> bool:
        return self._folder.paused.exists()

    @property
    def losses(self) -> list[float]:
        """The loss of every step so far, nats; those of before an interruption too."""
        return list(self._losses)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        """Let training wait; it also survives the program's end."""
        self._folder.paused.touch()

    def resume(self) -> None:
        self._folder.paused.unlink(missing_ok=True)

    def stop(self) -> None:
        """Give the job up.  Nothing that serves changes."""
        self._stopping.set()
        if call := self._call:
            call.cancel()
        if worker := self._worker:
            ending = threading.Timer(_STOP_PATIENCE, worker.stop)
            ending.daemon = True
            ending.start()
        if engine := self._engine:
            engine.cancel()

    def leave(self) -> None:
        """End the job's processes but keep its folder, to go on another time."""
        self._leaving = True
        self.stop()

    def wait(self, timeout: float | None = None) -> Outcome | None:
        """Block until the job ends; None when `timeout` seconds pass before."""
        self._thread.join(timeout)
        return self._outcome

    # The thread ------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._outcome = self._stages()
        except Cancelled:
            self._outcome = self._ended(
                "stopped", Sentence("Learning was stopped; nothing has changed.")
            )
        except PlumError as error:
            self._outcome = self._ended("failed", str(error))
        except Exception as error:
            log.exception("learning failed")
            self._outcome = self._ended(
                "failed",
                Sentence(
                    "Learning failed inside Plum ({kind}); nothing has changed, and the log "
                    "has the details.",
                    kind=type(error).__name__,
                ),
            )
        finally:
            if engine := self._engine:
                engine.close()
            self._release()
        self._on_end(self._outcome)

    def _stages(self) -> Outcome:
        steps: dict[Stage, Callable[[], None]] = {
            "select": self._select,
            "augment": self._augment,
            "tokenize": self._tokenize,
            "train": self._train,
            "gate": self._gate,
            "merge": self._merge,
        }
        with disk_errors(self._folder.root):
            for stage in STAGES[:-1]:
                self._check()
                if self._folder.done(stage) or (stage == "merge" and self._refused()):
                    continue
                self._parts.store.runs.update(self.run_id, stage=stage)
                self._tell(stage, 0.0)
                started = time.monotonic()
                steps[stage]()
                self._note("seconds", stage, round(time.monotonic() - started, 2))
            self._check()
            self._tell("switch", 0.0)
            return self._switch()

    def _select(self) -> None:
        select(self._parts.store, self._folder, self._spec)

    def _augment(self) -> None:
        spec, cache = self._spec, self._parts.folder.cache
        with self._learning_engine() as engine:
            if spec.recipe.anchored:
                anchors.make(
                    engine,
                    anchors.file_for(cache, spec.model_sha256),
                    lambda share, _: self._tell("augment", 0.5 * share),
                )
            augment(
                self._folder,
                spec.recipe,
                engine,
                set(read_json(self._folder.excluded)),
                lambda share: self._tell("augment", 0.5 + 0.5 * share),
                self._check,
            )
        if not any(fact.label for fact in read_facts(self._folder.facts)):
            raise PlumError("There is nothing in these chats that could be learned.")

    def _tokenize(self) -> None:
        recipe, cache = self._spec.recipe, self._parts.folder.cache
        path = anchors.file_for(cache, self._spec.model_sha256)
        self._stage("tokenize", anchors=str(path) if recipe.anchored else None)

    def _train(self) -> None:
        result = self._stage("train", threads=usable_cores())
        self._note("train", "result", result)
        self._folder.checkpoint.unlink(missing_ok=True)

    def _gate(self) -> None:
        spec = self._spec
        taught = [f for f in read_facts(self._folder.facts) if f.state != "excluded"]
        new = facts.for_gate(taught, spec.recipe.seed, _ASKED_NEW)
        old = read_facts(self._folder.old_facts)
        parent = Path(spec.parent_adapter) / "adapter.gguf" if spec.parent_adapter else None
        asked = 2 * (len(new) + len(old))

        with self._learning_engine() as engine:

            def ask(which: list[Fact], offset: int) -> gate.Recall:
                def progress(share: float) -> None:
                    done = (offset + share * len(which)) / asked
                    self._tell("gate", 0.6 * done)

                return gate.ask(
                    engine, which, spec.recipe.seed, spec.persona, self._check, progress
                )

            engine.set_adapter(parent)
            before = ask(new, 0), ask(old, len(new))
            engine.set_adapter(self._folder.adapter_gguf)
            half = len(new) + len(old)
            after = ask(new, half), ask(old, half + len(new))
            drift = gate.measure_drift(
                engine,
                self._folder.adapter_gguf,
                self._folder.root,
                self._check,
                lambda share: self._tell("gate", 0.6 + 0.4 * share),
            )
        report = gate.judge((before[0], after[0]), (before[1], after[1]), drift, gate.Bounds())
        write_json(self._folder.report, report.to_dict())

    def _merge(self) -> None:
        job = self._folder
        if seal_of(job.merged):
            write_json(job.merge_report, {})  # a sealed folder keeps no merged file
            return
        report = self._stage(
            "merge", model=self._spec.model, folder=str(job.adapter), out=str(job.merged)
        )
        with self._learning_engine() as engine:
            gap = gate.divergence(
                engine,
                Path(self._spec.model),
                self._folder.adapter_gguf,
                self._folder.merged,
                self._folder.root,
            )
        for key in ("size", "least_kept"):
            self._note("merge", key, report[key])
        self._note("merge", "divergence", round(gap, 5))
        if gap > gate.MERGED_DIVERGENCE:
            # What serves must be what was tested: serve the adapter hot instead.
            log.warning("merged file differs from the adapter: %.4f nats a token", gap)
            self._folder.merged.unlink(missing_ok=True)
        # Last, since its presence says that the stage is done, the comparison included.
        write_json(self._folder.merge_report, report)

    def _switch(self) -> Outcome:
        store = self._parts.store
        adapter, chats = switch(self._parts.folder, store, self._folder, self._spec)
        self._folder.remove()
        self._remember_speed(adapter.report)
        self._parts.serving.invalidate()
        card = card_of(adapter.report, chats)
        if card.reasons:
            message = refusal(card.reasons)
        elif card.chats == 1:
            message = Sentence("Learned 1 chat; Plum remembers now.")
        else:
            message = Sentence("Learned {chats} chats; Plum remembers now.", chats=card.chats)
        state: Literal["done", "refused"] = "refused" if card.reasons else "done"
        return Outcome(store.runs.get(self.run_id), adapter, card, state, message)

    def _remember_speed(self, report: Mapping[str, Any]) -> None:
        took = report["total_seconds"]
        chats = max(1, len(self._spec.chats))
        measured = {key: took[key] for key in ("merge",) if key in took}
        if "augment" in took:
            measured["augment"] = took["augment"] / chats
        if trained := report.get("train", {}).get("result"):
            measured["train"] = trained["step_seconds"]
        self._parts.estimates.learn(measured)

    # What the stages share -------------------------------------------------------

    def _stage(self, op: str, **args: Any) -> dict[str, Any]:
        """Run one stage in a worker of its own and return its result."""
        stage: Stage = op  # type: ignore[assignment]
        child = stage_worker(self._parts.folder, f"learning worker ({op})", env=_KEPT_MEMORY)
        self._worker = child
        try:
            self._call = child.begin(op, job=str(self._folder.root), **args)
            self._check()
            with giving_way(child, self._why_rest, self._tell_waiting):
                result = self._call.wait(lambda event: self._on_event(stage, event))
            self._note("peak_bytes", op, result.pop("peak_bytes", 0))
            return result
        except WorkerCrashed:
            if self._stopping.is_set():
                raise Cancelled from None
            raise
        finally:
            self._call = self._worker = None
            child.stop()

    def _why_rest(self) -> Sentence | None:
        if self._stopping.is_set():
            return None
        if self.paused:
            return _PAUSED
        return _CHATTING if self._busy.held_by_someone() else None

    def _on_event(self, stage: Stage, event: Event) -> None:
        if event["event"] == "progress":
            if "loss" in event:
                self._losses.append(event["loss"])
            recent = self._losses[-_RECENT:] if "loss" in event else ()
            loss = round(fmean(recent), 4) if recent else None
            self._tell(stage, event["fraction"], loss, event.get("seconds_left"))

    @contextlib.contextmanager
    def _learning_engine(self) -> Iterator[EngineClient]:
        """An engine of the job's own, so that chatting goes on beside it."""
        engine = EngineClient(low_priority=True, name="learning engine")
        self._engine = engine
        try:
            self._check()
            engine.load(Path(self._spec.model), n_ctx=_CONTEXT)
            yield engine
            if engine.pid:
                with contextlib.suppress(psutil.Error):
                    memory = psutil.Process(engine.pid).memory_info().rss
                    self._note("peak_bytes", "engine", memory)
        finally:
            self._engine = None
            engine.close()

    def _check(self) -> None:
        """Wait while the user has paused; raise Cancelled when the job is to stop."""
        told = False
        while self.paused and not self._stopping.is_set():
            if not told:
                self._tell_waiting(_PAUSED)
                told = True
            time.sleep(_PAUSE_LOOK)
        if self._stopping.is_set():
            raise Cancelled

    def _refused(self) -> bool:
        return bool(read_json(self._folder.report)["reasons"])

    def _note(self, group: str, key: str, value: Any) -> None:
        """Keep a measurement beside the job, so that it survives an interruption."""
        path = self._folder.measured
        notes: dict[str, Any] = read_json(path) if path.exists() else {"seconds": {}}
        old = notes.setdefault(group, {}).get(key)
        # A stage that was interrupted and went on took both times together.
        notes[group][key] = old + value if group == "seconds" and old else value
        write_json(path, notes)

    def _tell(
        self,
        stage: Stage,
        share: float,
        loss: float | None = None,
        stage_left: float | None = None,
    ) -> None:
        own = getattr(self._expected, stage, 0.0)  # of stages that take no time to speak of: none
        after = self._expected.after(stage)
        left = (stage_left if stage_left is not None else own * (1 - share)) + after
        before = max(0.0, self._expected.total - own - after)
        done = (before + own * share) / max(1.0, self._expected.total)
        self._last = Progress(
            self.run_id,
            stage,
            round(min(0.99, done), 6),  # a sum in another order is no step back
            left,
            _WORDS[stage],
            loss,
            "paused" if self.paused else "running",
        )
        self._on_progress(self._last)

    def _tell_waiting(self, why: Sentence | None) -> None:
        """Say why nothing goes on, or that it does again."""
        if self._last is None:
            self._tell("select", 0.0)
            return
        words = _WORDS[self._last.stage]
        self._last = replace(
            self._last,
            text=Sentence.joined(": ", [words, why]) if why else words,
            state="paused" if why == _PAUSED else "running",
            seconds_left=None if why == _PAUSED else self._last.seconds_left,
        )
        self._on_progress(self._last)

    def _ended(self, state: Literal["stopped", "failed"], message: str) -> Outcome:
        store = self._parts.store
        with contextlib.suppress(PlumError):
            if self._leaving:
                store.runs.update(self.run_id, state="interrupted")
                message = Sentence("Learning was interrupted; it can go on where it stopped.")
            elif state == "stopped":
                self._folder.remove()
                store.runs.update(self.run_id, state="stopped", finished=time.time())
            else:
                # The folder stays: what failed (a full disk, say) may be mended.
                store.runs.update(self.run_id, state="interrupted", error=message)
        return Outcome(store.runs.get(self.run_id), None, None, state, message)
