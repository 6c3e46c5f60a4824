"""Copies of the chats: made every day and when asked for, and put back."""

from __future__ import annotations

import logging
import time

from plum_desktop.app.adapters import AdapterService
from plum_desktop.app.forget import ForgetService
from plum_desktop.app.serving import Serving
from plum_desktop.base.errors import Busy, PlumError
from plum_desktop.base.files import FileLock
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sentence import Sentence
from plum_desktop.store import Store
from plum_desktop.store.copies import Backup

log = logging.getLogger(__name__)


class BackupService:
    """Backups hold chats, facts and what is known of runs; never models, nor what was learned."""

    def __init__(
        self,
        folder: DataFolder,
        store: Store,
        adapters: AdapterService,
        serving: Serving,
        forgetting: ForgetService,
    ) -> None:
        self._folder = folder
        self._store = store
        self._adapters = adapters
        self._serving = serving
        self._forgetting = forgetting

    def list(self) -> list[Backup]:
        """Every backup, newest first."""
        return self._store.backups.list()

    def get(self, name: str) -> Backup:
        """The backup of this name, or `latest`.  Raises PlumError."""
        return self._store.backups.get(name)

    def create(self) -> Backup:
        """Make a backup that stays until the user deletes its file.  Raises DiskFull."""
        return self._store.backups.create()

    def look_after(self) -> None:
        """What is due at a start and at an end: finish forgetting, make the day's backup."""
        try:
            self._forgetting.finish()
            self._store.backups.daily()
        except PlumError as error:
            log.warning("no backup was made: %s", type(error).__name__)

    def restore(self, name: str) -> Backup:
        """Put a backup in the place of what is stored; returns the backup made of that before.

        Raises Busy while Plum learns or answers or has not finished forgetting, DamagedFile, or
        PlumError for one that a newer version wrote.
        """
        backup = self.get(name)
        lock = FileLock(self._folder.learning_lock)
        if FileLock(self._folder.busy_lock).held_by_someone():
            raise Busy("Plum is answering right now; restore the backup when it is done.")
        if not self._forgetting.finish():
            raise Busy(
                "Something is still being forgotten; close other Plum Desktops and try again."
            )
        lock.acquire(Sentence("Plum is learning right now; stop that first."))
        try:
            before = self._store.backups.restore(backup)
            self._match_files()
        finally:
            lock.release()
        self._serving.invalidate()
        return before

    def _match_files(self) -> None:
        """What was deleted since the backup was made cannot serve, nor go on."""
        store = self._store
        there = self._adapters.has_files
        gone = {each.id for each in self._adapters.list() if not there(each.id)}
        store.forgetting.retire(gone, there)
        for run in store.runs.list():
            folder = self._folder.jobs / run.id
            if run.unfinished and not folder.is_dir():
                store.runs.update(run.id, state="stopped", finished=time.time())
