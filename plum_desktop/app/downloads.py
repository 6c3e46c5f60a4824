"""Downloads of models: one at a time in a thread of this process, the others in a queue.

What was begun and is not there yet counts as paused, whichever process began it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from plum_desktop.app.preferences import Preferences
from plum_desktop.base.errors import Busy, Cancelled, DiskFull, PlumError
from plum_desktop.base.files import FileLock
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sentence import Sentence
from plum_desktop.models import local
from plum_desktop.models.catalog import CatalogModel, catalog, find
from plum_desktop.models.fit import why_no_room
from plum_desktop.models.part import Origin, Part, parts

if TYPE_CHECKING:
    from plum_desktop.models.download import Progress

ENV_ENDPOINT = "PLUM_ENDPOINT"
ENDPOINT = "https://huggingface.co"

State = Literal["waiting", "downloading", "paused", "failed", "done", "cancelled"]
_PATIENCE = 3.0  # seconds at the end for the transfer to notice; the part is good in any case

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """How the download of one model stands."""

    model: CatalogModel
    state: State
    done: int  # bytes
    total: int  # bytes; approximate until the server has said
    rate: float = 0.0  # bytes a second
    checking: bool = False  # what is there already is being read
    error: str | None = None  # why it is paused or failed

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        if self.state != "downloading" or self.rate <= 0:
            return None
        return max(0, self.total - self.done) / self.rate


class DownloadService:
    """Starts, pauses and cancels downloads.  `on_change` is called on any thread."""

    def __init__(self, folder: DataFolder, preferences: Preferences) -> None:
        self._folder = folder
        self._preferences = preferences
        self.on_change: Callable[[Download], None] | None = None
        self._lock = threading.Lock()
        self._queue: list[CatalogModel] = []
        self._downloads: dict[str, Download] = {}  # by file, of this process
        self._thread: threading.Thread | None = None
        self._current: CatalogModel | None = None
        self._stop = threading.Event()
        self._dropped = False  # whether the current one is to be forgotten when it has stopped

    def list(self) -> list[Download]:
        """What is under way, waits, is paused or has failed, in the catalog's order."""
        begun = {part.target.name: part for part in parts(self._folder.models)}
        found = []
        with self._lock:
            for model in catalog():
                if known := self._downloads.get(model.file):
                    found.append(known)
                elif part := begun.get(model.file):
                    found.append(_paused(model, part))
        return [each for each in found if each.state not in ("done", "cancelled")]

    def start(self, name: str) -> Download:
        """Download the model called `name`, or go on with it, when those before it are done.

        Raises PlumError where it is unknown, here already, or has no room.
        """
        model = find(name)
        self._refuse(model)
        part = self._part(model)
        with self._lock:
            going = model is self._current and not self._stop.is_set()
            if going or model in self._queue:
                return self._downloads[model.file]
            if not part.origin.url:  # so that the queue outlives the process
                part.note(Origin(self._url(model)))
            waiting = replace(_paused(model, part), state="waiting")
            self._downloads[model.file] = waiting
            self._queue.append(model)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="download", daemon=True)
                self._thread.start()
        self._tell(waiting)
        return waiting

    def pause(self, name: str) -> None:
        """Stop for now; what came so far is kept.  Raises PlumError where it is unknown."""
        self._end(find(name), drop=False)

    def cancel(self, name: str) -> None:
        """Stop, and delete what came so far.  Raises PlumError where it is unknown."""
        self._end(find(name), drop=True)

    def fetch(
        self,
        name: str,
        on_progress: Callable[[Progress], None],
        stop: threading.Event | None = None,
    ) -> local.ModelFile:
        """Download here and now, or go on with it; returns when the model is there.

        Raises Busy while another process downloads, Cancelled when stopped, and PlumError.
        """
        from plum_desktop.models.download import download

        model = find(name)
        self._refuse(model)
        target = self._folder.models / model.file
        lock = FileLock(self._folder.download_lock)
        lock.acquire(
            Sentence("Another Plum Desktop is downloading a model; go on when it is done.")
        )
        try:
            digest = download(
                self._url(model),
                target,
                token=self._preferences.current.token,
                sha256=model.sha256,
                stop=stop,
                on_progress=on_progress,
            )
        finally:
            lock.release()
        local.remember_digest(target, digest)
        return local.resolve(self._folder.models, model.file)

    def close(self) -> None:
        """Pause everything, and wait a little for it."""
        with self._lock:
            self.on_change = None
            self._queue.clear()
            self._stop.set()
            thread = self._thread
        if thread:
            thread.join(_PATIENCE)

    def _refuse(self, model: CatalogModel) -> None:
        if (self._folder.models / model.file).exists():
            raise PlumError("{name} is here already.", name=model.name)
        had = self._part(model).length
        if reason := why_no_room(model.approximate_size - had, self._folder.models):
            raise DiskFull(reason)

    def _end(self, model: CatalogModel, *, drop: bool) -> None:
        with self._lock:
            known = self._downloads.get(model.file)
            if model is self._current:
                self._dropped = self._dropped or drop
                self._stop.set()
                return
            if model in self._queue:
                self._queue.remove(model)
            if not drop and (known is None or known.state != "waiting"):
                return
            part = self._part(model)
            if drop:
                part.remove()
            ended = replace(_paused(model, part), state="cancelled" if drop else "paused")
            self._downloads[model.file] = ended
        self._tell(ended)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._thread = None
                    return
                model = self._current = self._queue.pop(0)
                self._stop, self._dropped = threading.Event(), False
                stop = self._stop
                begun = replace(_paused(model, self._part(model)), state="downloading")
                self._downloads[model.file] = begun
            self._tell(begun)
            state, error = self._run(model, stop)
            with self._lock:
                self._current = None
                part = self._part(model)
                if self._dropped:
                    part.remove()
                    state = "cancelled"
                ended = replace(_paused(model, part), state=state, error=error)
                if model in self._queue:  # asked for again while it was stopping
                    ended = replace(ended, state="waiting", error=None)
                self._downloads[model.file] = ended
            self._tell(ended)

    def _run(self, model: CatalogModel, stop: threading.Event) -> tuple[State, str | None]:
        from plum_desktop.models.download import Interrupted

        def progressed(progress: Progress) -> None:
            total = progress.total or model.approximate_size
            now = Download(
                model, "downloading", progress.done, total, progress.rate, progress.checking
            )
            with self._lock:
                self._downloads[model.file] = now
            self._tell(now)

        try:
            self.fetch(model.name, progressed, stop)
        except Cancelled:
            return "paused", None
        except (Interrupted, Busy, DiskFull) as error:
            return "paused", str(error)
        except PlumError as error:
            return "failed", str(error)
        except Exception as error:  # a defect, which must not end the queue
            log.exception("a download failed")
            return "failed", (
                Sentence(
                    "Something went wrong inside Plum ({kind}); the log in the data folder "
                    "has the details.",
                    kind=type(error).__name__,
                )
            )
        return "done", None

    def _part(self, model: CatalogModel) -> Part:
        return Part(self._folder.models / model.file)

    def _url(self, model: CatalogModel) -> str:
        endpoint = os.environ.get(ENV_ENDPOINT) or self._preferences.current.endpoint or ENDPOINT
        return model.url(endpoint)

    def _tell(self, download: Download) -> None:
        if heard := self.on_change:
            heard(download)


def _paused(model: CatalogModel, part: Part) -> Download:
    return Download(model, "paused", part.length, part.origin.size or model.approximate_size)
