"""The one place where the app layer's threads meet Qt's: work goes out, signals come back.

Widgets call `ask` for anything that may block; whatever happens, the answer arrives on the
main thread.  Callbacks that the app layer makes on its own threads become signals here.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from PySide6.QtCore import (
    QCoreApplication,
    QFileSystemWatcher,
    QObject,
    QThreadPool,
    QTimer,
    Signal,
    Slot,
)
from shiboken6 import isValid

from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.ui.base.words import said

if TYPE_CHECKING:
    from plum_desktop.app.chat import OnText
    from plum_desktop.app.imports import Imported
    from plum_desktop.app.job import Job
    from plum_desktop.app.learn import LearnPlan
    from plum_desktop.app.product import Plum

T = TypeVar("T")
Lane = Literal["store", "reply", "count", "slow", "import"]
Failed = Callable[[str], None]

log = logging.getLogger(__name__)

# Short work keeps its order on one thread; replies have theirs, since they take as long as
# they take; files and tokens are counted while somebody writes; what is slow and rare (plans,
# exports, hashing a model) must not hold up any of them, nor what takes minutes hold up that.
_LANES: dict[Lane, int] = {"store": 1, "reply": 1, "count": 1, "slow": 2, "import": 1}
_REDRAW_MS = 50  # most often that a growing reply is handed on
_WATCH_MS = 2000
_LOOKS = 3  # after a write that the system told of: a commit may wait for a slow disk
_PATIENCE_MS = 8000  # at the end, for work under way


def sentence(error: BaseException) -> str:
    """What to tell a person about `error`; a defect of ours goes to the log as well."""
    if isinstance(error, PlumError):
        return said(error.sentence)
    # Where it happened, but not what the error says: that may quote a chat.
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s in the window\n%s", type(error).__name__, where)
    words = QCoreApplication.translate(
        "bridge",
        "Something went wrong inside Plum ({name}); the log in the data folder has the details.",
    )
    return words.format(name=type(error).__name__)


class Bridge(QObject):
    """Runs the app layer's blocking calls and turns its callbacks into signals.

    Signals, all on the main thread:
        reply_grew(chat_id, message_id, text): the reply's whole text so far.
        reply_ended(chat_id, error): `error` is a sentence, or None.
        engine_progressed(fraction, text): a model is being loaded.
        learning_progressed(progress), learning_ended(outcome): of the job started here.
        import_progressed(fraction, text): of an adapter that is brought in.
        download_changed(download): of a model, as it goes on.
        failed(sentence): of work whose asker shows no failures itself.
        store_changed(): another process wrote to the database.
    """

    reply_grew = Signal(str, str, str)
    reply_ended = Signal(str, object)
    engine_progressed = Signal(float, str)
    learning_progressed = Signal(object)
    learning_ended = Signal(object)
    import_progressed = Signal(float, object)  # a Sentence would arrive as a plain str
    download_changed = Signal(object)
    failed = Signal(str)
    store_changed = Signal()

    _answered = Signal(object)
    _text_came = Signal()

    def __init__(self, plum: Plum, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.plum = plum
        self._open = True
        self._pools: dict[Lane, QThreadPool] = {}
        for lane, threads in _LANES.items():
            pool = QThreadPool(self)
            pool.setMaxThreadCount(threads)
            self._pools[lane] = pool
        self._answered.connect(self._deliver)

        self._newest: tuple[str, str, str] | None = None  # written by the reply lane
        self._told = True  # whether a _text_came is on its way
        self._text_came.connect(self._on_text_came)
        self._pace = QTimer(self, singleShot=True, interval=_REDRAW_MS)
        self._pace.timeout.connect(self._on_text_came)

        self._version: int | None = None
        self._files = QFileSystemWatcher(self)
        self._files.fileChanged.connect(self._on_written)
        self._told_of_writes = False  # by the system
        self._looks = 0  # how often still, after the last one
        self._watch = QTimer(self, interval=_WATCH_MS)
        self._watch.timeout.connect(self._on_watch)
        plum.serving.on_progress = self._from_any_thread(self.engine_progressed.emit)
        plum.downloads.on_change = self._from_any_thread(self.download_changed.emit)

    # Work

    def ask(
        self,
        work: Callable[[], T],
        then: Callable[[T], None] | None = None,
        failed: Failed | None = None,
        *,
        owner: QObject,
        lane: Lane = "store",
    ) -> None:
        """Run `work` on another thread; `then(result)` or `failed(sentence)` on this one.

        Neither is called once `owner` is gone.  Without `failed`, the sentence is emitted.
        """

        def run() -> None:
            answer: Callable[[], None]
            try:
                result = work()
            except Cancelled:
                return
            except Exception as error:  # noqa: BLE001 whatever it is, the asker hears of it
                words = sentence(error)
                answer = lambda: (failed or self.failed.emit)(words)  # noqa: E731
            else:
                answer = lambda: then(result) if then else None  # noqa: E731
            self._send(lambda: answer() if isValid(owner) else None)

        if self._open:
            self._pools[lane].start(run)

    def _send(self, answer: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the window has closed meanwhile
            self._answered.emit(answer)

    @Slot(object)
    def _deliver(self, answer: Callable[[], None]) -> None:
        if self._open:
            answer()

    def _from_any_thread(self, emit: Callable[..., Any]) -> Callable[..., None]:
        def relay(*values: object) -> None:
            with contextlib.suppress(RuntimeError):
                emit(*values)

        return relay

    # Replies

    def reply(self, chat_id: str, work: Callable[[OnText], object]) -> None:
        """Run `work`, which answers in `chat_id` and calls back as the reply grows."""

        def grow(message_id: str, text: str) -> None:
            self._newest = (chat_id, message_id, text)
            if self._told:
                self._told = False
                self._text_came.emit()

        def ended(error: str | None) -> None:
            self._pace.stop()
            newest, self._newest, self._told = self._newest, None, True
            if newest:  # a temporary reply is stored nowhere else
                self.reply_grew.emit(*newest)
            self.reply_ended.emit(chat_id, error)

        relayed = self._from_any_thread(grow)
        self.ask(
            lambda: _uncancelled(lambda: work(relayed)),
            lambda _: ended(None), ended, owner=self, lane="reply",
        )  # fmt: skip

    @Slot()
    def _on_text_came(self) -> None:
        if self._pace.isActive():
            return
        newest, self._newest = self._newest, None
        if newest is None:
            self._told = True
            return
        self.reply_grew.emit(*newest)
        self._pace.start()

    def stop_reply(self) -> None:
        """End the reply under way; what was said is kept."""
        self.plum.chats.stop()

    # Learning

    def start_learning(
        self, plan: LearnPlan, then: Callable[[Job], None], failed: Failed, owner: QObject
    ) -> None:
        self._learn(lambda *heard: self.plum.learning.start(plan, *heard), then, failed, owner)

    def resume_learning(
        self, run_id: str, then: Callable[[Job], None], failed: Failed, owner: QObject
    ) -> None:
        self._learn(lambda *heard: self.plum.learning.resume(run_id, *heard), then, failed, owner)

    def _learn(
        self, begin: Callable[..., Job], then: Callable[[Job], None], failed: Failed, owner: QObject
    ) -> None:
        progressed = self._from_any_thread(self.learning_progressed.emit)
        ended = self._from_any_thread(self.learning_ended.emit)
        self.ask(lambda: begin(progressed, ended), then, failed, owner=owner, lane="slow")

    def import_adapter(
        self, path: Path, then: Callable[[Imported | None], None], failed: Failed, owner: QObject
    ) -> None:
        """Bring in an adapter; `then` gets None where that was stopped."""
        progressed = self._from_any_thread(self.import_progressed.emit)

        def work() -> Imported | None:
            with contextlib.suppress(Cancelled):
                return self.plum.imports.run(path, progressed) if self._open else None
            return None

        self.ask(work, then, failed, owner=owner, lane="import")

    # The database, as others change it

    def watch(self) -> None:
        """Say `store_changed` from now on."""
        # Elsewhere a file that is kept open may change untold, so there we look all the time.
        linux = sys.platform == "linux"
        self._told_of_writes = linux and self._files.addPath(str(self.plum.store.written))
        self._on_written()

    def _on_written(self, _path: str = "") -> None:
        """Somebody writes, perhaps we: it is news once it is committed, a moment later."""
        self._looks = _LOOKS
        if not self._watch.isActive():  # else writes without end would put it off without end
            self._watch.start()

    def _on_watch(self) -> None:
        self._look_for_changes()
        self._looks -= 1
        if self._told_of_writes and self._looks <= 0:
            self._watch.stop()

    def _look_for_changes(self) -> None:
        def compare(version: int) -> None:
            before, self._version = self._version, version
            if before is not None and before != version:
                self.store_changed.emit()

        self.ask(self.plum.store.data_version, compare, owner=self)

    def close(self) -> None:
        """Stop what can be stopped and wait, bounded, for the rest; nothing is delivered after."""
        self._open = False
        self._watch.stop()
        self._pace.stop()
        self.plum.serving.on_progress = None
        self.stop_reply()
        self.plum.imports.stop()
        self.plum.updates.stop()
        self.plum.downloads.close()
        for pool in self._pools.values():
            pool.waitForDone(_PATIENCE_MS)


def _uncancelled(work: Callable[[], object]) -> None:
    """A reply that was stopped has ended well."""
    with contextlib.suppress(Cancelled):
        work()
