"""The copies of an open database: made, rotated, changed when something is forgotten, restored."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import disk_errors
from plum_desktop.store import search
from plum_desktop.store.connection import Connection
from plum_desktop.store.copies import (
    BEFORE,
    DAILY,
    KEPT,
    Backup,
    alone,
    copy,
    listed,
    scratch_file,
)
from plum_desktop.store.opening import check_pages, configure, recognise, upgrade

_DAYS, _WEEKS = 7, 4  # of daily copies: one of each of the last days and of weeks before them
_MOST_BEFORE = 3


class Backups:
    """The copies of one open database."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder

    def list(self) -> list[Backup]:
        """Every copy, newest first."""
        return listed(self._folder)

    def get(self, name: str) -> Backup:
        """The copy of this name, or `latest`.  Raises PlumError."""
        found = [each for each in self.list() if each.restorable]
        for each in found:
            if name in (each.name, each.path.name, "latest"):
                return each
        raise PlumError(
            "There is no backup {name!r}; `plum-desktop backup list` names them.", name=name
        )

    def create(self, label: str = KEPT) -> Backup:
        """Copy the database as it is now.  Raises DiskFull."""
        path = copy(self._connection, self._folder, label)
        return next(each for each in self.list() if each.path == path)

    def daily(self) -> Backup | None:
        """Today's copy, unless there is one or nothing to copy; older ones are rotated."""
        today = _day(time.time())
        if any(each.label == DAILY and _day(each.created) == today for each in self.list()):
            return None
        if not self._connection.query("SELECT 1 FROM chats UNION ALL SELECT 1 FROM facts LIMIT 1"):
            return None
        made = self.create(DAILY)
        self.rotate()
        return made

    def rotate(self) -> None:
        """Delete daily copies but one of each of 7 days and of 4 weeks before, and old ones of
        what went well.
        """
        every = self.list()
        days: dict[str, Backup] = {}
        weeks: dict[tuple[int, int], Backup] = {}
        for each in every:  # newest first
            if each.label != DAILY:
                continue
            day = _day(each.created)
            if day in days or len(days) < _DAYS:
                days.setdefault(day, each)
            else:
                year, week, _ = datetime.fromtimestamp(each.created, UTC).isocalendar()
                weeks.setdefault((year, week), each)
        stay = [*days.values(), *[*weeks.values()][:_WEEKS]]
        daily = [each for each in every if each.label == DAILY]
        before = [each for each in every if each.label.startswith(BEFORE)][_MOST_BEFORE:]
        for each in [*(each for each in daily if each not in stay), *before]:
            with disk_errors(each.path):
                each.path.unlink(missing_ok=True)

    def rewrite(self, change: Callable[[Connection], None]) -> None:
        """Change every copy and write it anew, so that no page keeps what `change` deleted.

        A copy that cannot be changed is deleted: who asked for this wants nothing left.
        """
        with alone(self._folder):
            for each in self.list():
                try:
                    if not each.restorable:
                        raise DamagedFile
                    _rewrite(each.path, change)
                except (DamagedFile, sqlite3.Error):  # damaged, or nothing of ours
                    each.path.unlink(missing_ok=True)
            for path in self._folder.iterdir():  # what a killed process or another program left
                if path.suffix in (".part", ".db-wal", ".db-shm", ".db-journal"):
                    path.unlink(missing_ok=True)

    def restore(self, backup: Backup) -> Backup:
        """Put a copy in the place of what is stored now, of which a copy is made first.

        One step for whoever has the database open.  Returns the copy of what was there.  Raises
        DamagedFile, or PlumError for a copy that a newer version wrote; nothing changed then.
        """
        with scratch_file(self._folder) as scratch:
            shutil.copyfile(backup.path, scratch)
            ready = Connection(scratch)
            try:
                with _damage_of(backup), ready.sentences():
                    recognise(ready, backup.path)
                    configure(ready, journal="DELETE")
                    check_pages(ready, backup.path)
                    upgrade(ready, None)
                before = self.create(f"{BEFORE}-restore")
                ready.copy_into(self._connection)
            finally:
                ready.close()
        self.rotate()
        return before


def _rewrite(path: Path, change: Callable[[Connection], None]) -> None:
    with scratch_file(path.parent) as scratch:
        shutil.copyfile(path, scratch)
        connection = Connection(scratch)
        try:
            configure(connection, journal="MEMORY")
            connection.pragma("foreign_keys", "ON")
            change(connection)
            search.optimize(connection)
            connection.execute("VACUUM")
            connection.pragma("journal_mode", "DELETE")
        finally:
            connection.close()
        os.replace(scratch, path)


@contextlib.contextmanager
def _damage_of(backup: Backup) -> Iterator[None]:
    try:
        yield
    except DamagedFile as error:
        raise DamagedFile(
            "The backup {name} is damaged; restore another one.", name=backup.name
        ) from error


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d")
