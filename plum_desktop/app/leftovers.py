"""What a kill left behind: folders that the database has already given up, words of chats in them.

Most ends write the database first and remove files then, so that nothing that still counts can
be missing; a kill in between leaves files, which go at the next start.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from plum_desktop.base.files import FileLock
from plum_desktop.base.paths import DataFolder
from plum_desktop.store import Store


def clear(folder: DataFolder, store: Store) -> None:
    """Remove the folders of ended jobs and of deleted or never finished adapters.

    Does nothing while a job runs.  What the database does not know stays: a backup that is put
    back may know it again.
    """
    if not _given_up(folder, store):
        return
    lock = FileLock(folder.learning_lock)
    if lock.try_acquire():
        try:
            for path in _given_up(folder, store):  # looked at again, now that nobody learns
                shutil.rmtree(path, ignore_errors=True)
        finally:
            lock.release()


def _given_up(folder: DataFolder, store: Store) -> list[Path]:
    jobs, files = list(folder.jobs.iterdir()), list(folder.adapters.iterdir())
    if not jobs and not files:
        return []
    ended = {run.id for run in store.runs.list() if not run.unfinished}
    states = {adapter.id: adapter.state for adapter in store.adapters.list()}
    return [path for path in jobs if path.name in ended] + [
        path
        for path in files
        if states.get(path.name, "deleted" if path.name in ended else "") == "deleted"
    ]
