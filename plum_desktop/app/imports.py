"""Bringing in an adapter made elsewhere: checked, tested, switched on, and undone like any other.

Nothing native reads the file before Plum's own parser has, and that in a process of its own, so
whatever is wrong with it is a sentence.  Until the switch everything lies in a folder of the
import's own, which goes whatever happens.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plum_desktop.app.models import ModelService
from plum_desktop.app.serving import ADAPTER_FILE, MERGED_FILE, Serving
from plum_desktop.app.stage import stage_worker
from plum_desktop.base.child import Call
from plum_desktop.base.errors import Cancelled
from plum_desktop.base.files import FileLock, disk_errors, private_folder, require_free
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sealing import seal_of
from plum_desktop.base.sentence import Sentence
from plum_desktop.base.types import Adapter
from plum_desktop.engine.client import EngineClient
from plum_desktop.models.local import ModelFile
from plum_desktop.store import Store

log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]  # of the whole import, 0..1, and what is done now

_CONTEXT = 2048  # tokens; the gate asks short questions
_TESTED, _MERGED = 0.8, 0.95  # shares of the time after which the adapter is tested, and merged


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an import, in one sentence; a refused adapter is kept, switched off."""

    adapter: Adapter
    message: str

    @property
    def refused(self) -> bool:
        return self.adapter.state == "refused"


class ImportService:
    """Imports for the model in use, one at a time, and none while Plum learns."""

    WARNING = Sentence(
        "An adapter changes what the model says: bring in only one from someone you trust."
    )

    def __init__(
        self, folder: DataFolder, store: Store, models: ModelService, serving: Serving
    ) -> None:
        self._folder = folder
        self._store = store
        self._models = models
        self._serving = serving
        self._running = False
        self._stopping = threading.Event()
        self._call: Call | None = None
        self._engine: EngineClient | None = None

    def run(self, path: Path, on_progress: Progress | None = None) -> Imported:
        """Bring in the adapter in `path`: a PEFT folder, or a GGUF file.  Takes a minute or more.

        Raises PlumError where it is no adapter of this model, DamagedFile, DiskFull, Busy,
        Cancelled; then nothing has changed.
        """
        from plum_desktop.adapters.foreign import form_of

        form, path = form_of(path.expanduser().absolute())
        model = self._models.file()
        lock = FileLock(self._folder.learning_lock)
        lock.acquire(
            Sentence("Plum is learning right now; bring the adapter in when that has ended.")
        )
        self._running = True
        try:
            self._clear_leftovers()
            adapter_id = uuid.uuid4().hex[:12]
            scratch = private_folder(self._scratch(adapter_id))
            try:
                with disk_errors(scratch):
                    report = {"imported": {"name": path.name, "form": form}}
                    tell = on_progress or _silent
                    return self._import(path, model, adapter_id, scratch, report, tell)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        finally:
            self._running = False
            self._stopping.clear()
            lock.release()

    def stop(self) -> None:
        """End the import under way, if any, from any thread; nothing has changed then."""
        if self._running:
            self._stopping.set()
        if call := self._call:
            call.cancel()
        if engine := self._engine:
            engine.cancel()

    def _import(
        self, path: Path, model: ModelFile, adapter_id: str, scratch: Path,
        report: dict[str, Any], tell: Progress,
    ) -> Imported:  # fmt: skip
        started = time.monotonic()
        require_free(scratch, 2 * model.size, "Bringing in an adapter")
        files = scratch / "adapter"
        tell(0.0, Sentence("Reading the adapter"))
        found = self._work(
            "bring_in", path=str(path), model=str(model.path), model_sha256=model.sha256,
            folder=str(files),
        )  # fmt: skip
        report["imported"] |= found
        report |= self._tested(model, files, scratch, tell)
        if not report["reasons"]:
            self._merge(model, files, scratch, tell)
        report["seconds"] = round(time.monotonic() - started, 1)
        self._check()
        return self._switch(adapter_id, model, files, report)

    def _tested(
        self, model: ModelFile, files: Path, scratch: Path, tell: Progress
    ) -> dict[str, Any]:
        """What the gate can say of an adapter that knows no chat of this user."""
        from plum_desktop.learning import gate

        def progress(share: float) -> None:
            tell(_TESTED * share, Sentence("Testing the adapter"))

        progress(0.0)
        with self._own_engine() as engine:
            engine.load(model.path, n_ctx=_CONTEXT)
            drift = gate.measure_drift(engine, files / ADAPTER_FILE, scratch, self._check, progress)
        return {"drift": asdict(drift), "reasons": gate.harm(drift, gate.Bounds())}

    def _merge(self, model: ModelFile, files: Path, scratch: Path, tell: Progress) -> None:
        from plum_desktop.learning import gate

        merged = files / MERGED_FILE
        if seal_of(merged):
            return  # a sealed folder keeps no merged file
        tell(_TESTED, Sentence("Writing the new model"))
        self._work("merge", model=str(model.path), folder=str(files), out=str(merged))
        tell(_MERGED, Sentence("Comparing both forms"))
        with self._own_engine() as engine:
            gap = gate.divergence(engine, model.path, files / ADAPTER_FILE, merged, scratch)
        if gap > gate.MERGED_DIVERGENCE:
            # What serves must be what was tested: serve the adapter hot instead.
            log.warning("merged file differs from the adapter: %.4f nats a token", gap)
            merged.unlink()

    def _switch(
        self, adapter_id: str, model: ModelFile, files: Path, report: dict[str, Any]
    ) -> Imported:
        """Keep the adapter, and let it serve unless the gate refused; one transaction."""
        refused = bool(report["reasons"])
        # What it was trained from is not here; undoing it leads to what served before.
        before = self._store.adapters.active(model.sha256)
        adapter = Adapter(
            id=adapter_id,
            run_id=None,
            parent_id=before.id if before else None,
            model_sha256=model.sha256,
            created=time.time(),
            state="refused" if refused else "ready",
            active=False,
            chats=(),
            report=report,
        )
        place = self._folder.adapter(adapter_id)
        files.rename(place)
        try:
            with self._store.transaction():
                self._store.adapters.add(adapter)
                if not refused:
                    self._store.adapters.activate(adapter_id, model.sha256)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        self._serving.invalidate()
        name = report["imported"]["name"]
        message = Sentence("{name} now serves; undo brings back what served before.", name=name)
        if refused:
            message = Sentence(
                "{name} was not switched on: {reasons}; it is kept as adapter {adapter}.",
                name=name,
                reasons=Sentence.joined("; ", report["reasons"]),
                adapter=adapter_id,
            )
        return Imported(self._store.adapters.get(adapter_id), message)

    def _scratch(self, adapter_id: str) -> Path:
        return self._folder.jobs / f"import-{adapter_id}"

    def _clear_leftovers(self) -> None:
        """Files of imports that were killed; the learning lock says that none is under way."""
        known = {adapter.id for adapter in self._store.adapters.list()}
        for scratch in self._folder.jobs.glob(self._scratch("*").name):
            adapter_id = scratch.name.removeprefix("import-")
            if adapter_id not in known:
                shutil.rmtree(self._folder.adapter(adapter_id), ignore_errors=True)
            shutil.rmtree(scratch, ignore_errors=True)

    def _work(self, op: str, **args: str) -> dict[str, Any]:
        """Run one request in a worker of its own and return its result."""
        child = stage_worker(self._folder, "import worker")
        try:
            self._call = child.begin(op, **args)
            self._check()
            result = self._call.wait()
            del result["peak_bytes"]
            return result
        finally:
            self._call = None
            child.stop()

    @contextlib.contextmanager
    def _own_engine(self) -> Iterator[EngineClient]:
        """An engine of the import's own, so that chatting goes on beside it."""
        engine = EngineClient(low_priority=True, name="import engine")
        self._engine = engine
        try:
            self._check()
            yield engine
        finally:
            self._engine = None
            engine.close()

    def _check(self) -> None:
        if self._stopping.is_set():
            raise Cancelled


def _silent(fraction: float, text: str) -> None:
    """Nobody watches."""
