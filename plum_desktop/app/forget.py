"""Forgetting for real: rows, search entries, facts, job folders, copies, and what was learned.

The rows go in one transaction, which also lets a clean adapter, or the base, serve.  What is left
then (files, copies, free pages) is written down in the database: whatever keeps it from being
finished, a kill or another process, `finish` goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from plum_desktop.app import titles
from plum_desktop.app.adapters import AdapterService
from plum_desktop.app.learn import LearnService
from plum_desktop.app.serving import Serving
from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import FileLock, read_bytes, read_json, write_json
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sentence import Sentence
from plum_desktop.base.types import UNTITLED, Chat, Message
from plum_desktop.learning import own
from plum_desktop.learning.job import JobFolder
from plum_desktop.store import Store
from plum_desktop.store.connection import Connection
from plum_desktop.store.forgetting import Doomed, erase

_LEARNING = Sentence("Plum is learning right now; stop that first.")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ForgetPlan:
    """What forgetting takes: to be told before it is done."""

    chats: tuple[Chat, ...]
    learned: tuple[str, ...]  # ids of those that some adapter has seen
    adapters: tuple[str, ...]  # ids of the adapters that are deleted
    relearn: tuple[Chat, ...]  # chats that are to stay in memory and have to be learned again
    seconds: float | None  # that learning them takes; None: nobody knows
    serves: str | None  # the adapter that serves then; None: the base
    interrupted: bool  # whether an unfinished learning run is given up


class ForgetService:
    """Deletes and forgets.  Every method but `plan` may take seconds."""

    def __init__(
        self,
        folder: DataFolder,
        store: Store,
        adapters: AdapterService,
        learning: LearnService,
        serving: Serving,
    ) -> None:
        self._folder = folder
        self._store = store
        self._adapters = adapters
        self._learning = learning
        self._serving = serving

    def plan(self, chat_ids: Sequence[str]) -> ForgetPlan:
        """What forgetting these chats takes.  Raises PlumError for one that is not there."""
        chats = tuple(self._store.chats.get(chat_id) for chat_id in chat_ids)
        return self._plan(chats, {chat.id for chat in chats}, chats_stay=False)

    def plan_message(self, message_id: str) -> ForgetPlan:
        """What forgetting a message takes; its chat is to be learned again without it."""
        chat = self._store.chats.get(self._store.chats.message(message_id).chat_id)
        return self._plan((chat,), {chat.id}, chats_stay=True)

    def delete(self, chat_ids: Sequence[str]) -> bool:
        """Delete chats; what was learned from them stays in memory.

        No byte of them is left once this returns True.  False: the rest follows when other
        processes let go of the files.
        """
        ids = tuple(self._store.chats.get(chat_id).id for chat_id in chat_ids)
        self._begin(Doomed(chats=ids))
        return self.finish()

    def forget(self, chat_ids: Sequence[str]) -> bool:
        """Delete chats, and every adapter that has seen one; `delete` says what is returned.

        Raises Busy while Plum learns.
        """
        ids = tuple(self._store.chats.get(chat_id).id for chat_id in chat_ids)
        return self._forget(Doomed(chats=ids, learned=ids))

    def deleted_with(self, message_id: str) -> list[Message]:
        """What goes when a message is deleted, it included."""
        return self._store.chats.deleted_with(message_id)

    def delete_message(self, message_id: str, *, learned: bool = False) -> bool:
        """Delete a message with what goes with it; `learned`: also every adapter that saw its chat.

        `delete` says what is returned.  Raises Busy while Plum learns.
        """
        gone = self._store.chats.deleted_with(message_id)
        chat_id = gone[0].chat_id
        ids = tuple(message.id for message in gone)
        if learned:
            done = self._forget(Doomed(messages=ids, learned=(chat_id,)))
        else:
            self._begin(Doomed(messages=ids))
            done = self.finish()
        chat = self._store.chats.get(chat_id)
        said = [each.text for each in self._store.chats.branch(chat_id) if each.role == "user"]
        if chat.title == UNTITLED and said:
            self._store.chats.update(chat_id, title=titles.first_words(said[0]))
        return done

    def forget_facts(self, fact_ids: Iterable[str]) -> bool:
        """Delete facts; what was learned of them stays in memory."""
        self._begin(Doomed(facts=tuple(fact_ids)))
        return self.finish()

    def forget_learned(self) -> bool:
        """Delete every adapter and every fact; the base models serve alone.  Chats stay.

        Raises Busy while Plum learns.
        """
        facts = tuple(fact.id for fact in self._store.facts.list())
        seen = {chat for adapter in self._store.adapters.list() for chat in adapter.chats}
        with self._nobody_learns():
            for adapter in self._adapters.list():  # those that saw nothing, too
                self._store.adapters.update(adapter.id, state="deleted")
            self._begin(Doomed(facts=facts, learned=tuple(sorted(seen))))
            return self._finish(may_drop_jobs=True)

    def orphans(self) -> list[str]:
        """Ids of chats that are deleted while an adapter still remembers them."""
        there = {chat.id for chat in self._store.chats.list(archived=None)} | {own.HOME}
        seen = {
            chat_id
            for adapter in self._adapters.list()
            for chat_id in self._store.adapters.seen(adapter.id)
        }
        return sorted(seen - there)

    def plan_orphans(self) -> ForgetPlan:
        """What forgetting the deleted chats takes that are still in memory."""
        return self._plan((), set(self.orphans()), chats_stay=False)

    def forget_orphans(self) -> bool:
        """Delete every adapter that remembers a deleted chat.  Raises Busy while Plum learns."""
        return self._forget(Doomed(learned=tuple(self.orphans())))

    def finish(self) -> bool:
        """Remove the last traces of what is being forgotten; whether none is left."""
        if self._store.forgetting.pending() is None:
            return True
        lock = FileLock(self._folder.learning_lock)
        free = lock.try_acquire()
        try:
            return self._finish(may_drop_jobs=free)
        finally:
            lock.release()

    # How it is done

    def _plan(self, chats: tuple[Chat, ...], ids: set[str], *, chats_stay: bool) -> ForgetPlan:
        store = self._store
        gone = store.forgetting.stale(ids)
        again: set[str] = set()
        serves = None
        for adapter in store.adapters.list():
            if adapter.active and adapter.id in gone:
                ancestor = store.forgetting.clean_ancestor(adapter.id, gone, self._is_there)
                kept = store.adapters.seen(ancestor) if ancestor else {}
                again |= store.adapters.seen(adapter.id).keys() - kept.keys()
                serves = ancestor
            elif adapter.active:
                serves = adapter.id
        learned = [each for each in ids if store.forgetting.stale({each})]
        if not chats_stay:
            again -= ids
        relearn = [chat for chat in store.chats.list(archived=None) if chat.id in again]
        seconds = None
        if relearn:
            with contextlib.suppress(PlumError):
                seconds = self._learning.plan([chat.id for chat in relearn]).seconds
        doomed = Doomed(chats=tuple(ids), learned=tuple(ids))
        return ForgetPlan(
            chats, tuple(sorted(learned)), tuple(sorted(gone)), tuple(relearn), seconds, serves,
            any(self._holds(job, doomed) for job in self._jobs()),
        )  # fmt: skip

    def _forget(self, doomed: Doomed) -> bool:
        with self._nobody_learns():
            self._begin(doomed)
            return self._finish(may_drop_jobs=True)

    @contextlib.contextmanager
    def _nobody_learns(self) -> Iterator[None]:
        lock = FileLock(self._folder.learning_lock)
        lock.acquire(_LEARNING)  # or it would learn what is to be forgotten
        try:
            yield
        finally:
            lock.release()

    def _begin(self, doomed: Doomed) -> None:
        self._store.forgetting.begin(doomed, self._is_there)
        self._serving.invalidate()

    def _is_there(self, adapter_id: str) -> bool:
        return self._adapters.has_files(adapter_id)

    def _finish(self, *, may_drop_jobs: bool) -> bool:
        store = self._store
        doomed = store.forgetting.pending()
        if doomed is None:
            return True
        try:
            for adapter in store.adapters.list():
                if adapter.state == "deleted":
                    self._adapters.remove_files(adapter.id)
            if not self._drop_jobs(doomed, may_drop_jobs):
                return False
            known = {adapter.id for adapter in self._adapters.list()}

            def rewrite(copy: Connection) -> None:
                erase(copy, doomed)
                rows = copy.query("SELECT id FROM adapters WHERE state <> 'deleted'")
                known.update(row["id"] for row in rows)

            store.backups.rewrite(rewrite)
            if doomed.learned:
                # Of no database and of no copy: nobody knows what it has seen.
                for folder in self._folder.adapters.iterdir():
                    if folder.name not in known:
                        self._adapters.remove_files(folder.name)
            self._tidy_place()
            store.compact()
        except PlumError as error:
            log.warning("forgetting goes on later: %s", type(error).__name__)
            return False
        store.forgetting.end(doomed)
        return True

    def _drop_jobs(self, doomed: Doomed, may: bool) -> bool:
        """Give up the runs whose folders hold what is to go; False: one of them runs."""
        runs = {run.id: run for run in self._store.runs.list()}
        for job in self._jobs():
            run = runs.get(job.root.name)
            if run is not None and run.unfinished and not self._holds(job, doomed):
                continue
            if not may:
                return False
            job.remove()
            if job.root.exists():
                raise PlumError(
                    "{root} cannot be deleted; close what uses it and try again.", root=job.root
                )
            if run is not None and run.unfinished:
                self._store.runs.update(run.id, state="stopped", finished=time.time())
        return True

    def _jobs(self) -> list[JobFolder]:
        return [JobFolder(path) for path in sorted(self._folder.jobs.iterdir()) if path.is_dir()]

    def _holds(self, job: JobFolder, doomed: Doomed) -> bool:
        """Whether a job has read what is doomed, or goes on from an adapter that has."""
        with contextlib.suppress(DamagedFile):
            if parent := job.read_spec().parent_adapter:
                gone = self._store.forgetting.stale(doomed.learned)
                if Path(parent).name in gone or not self._is_there(Path(parent).name):
                    return True
        try:
            read = read_bytes(job.others)  # from then on it lies in many of its files
        except OSError:
            return False
        ids = {*doomed.chats, *doomed.learned}
        whole = not (doomed.messages or doomed.facts)  # what of its chat is not written there
        return not whole or any(_quoted(each) in read for each in ids)

    def _tidy_place(self) -> None:
        """The window keeps the names of closed folders, some of which may be gone."""
        path = self._folder.window_place
        with contextlib.suppress(FileNotFoundError, DamagedFile, AttributeError):
            place = read_json(path)
            there = self._store.folders.paths()
            closed = place.get("closed_folders") or []
            left = [each for each in closed if each in there]
            if left != closed:
                write_json(path, {**place, "closed_folders": left})


def _quoted(chat_id: str) -> bytes:
    """An id as a job's files have it."""
    return json.dumps(chat_id, ensure_ascii=False).encode()
