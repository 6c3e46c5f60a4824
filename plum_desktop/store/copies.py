"""Copies of the whole database in the backups folder: one file each, owner-only.

`plum-<UTC time>-<label>.db`.  `daily` ones come by themselves and are rotated; `kept` ones are the
user's; `before-…` ones were made before something that may go wrong; `damaged` is what was there
instead of a database.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from plum_desktop.base.errors import Busy
from plum_desktop.base.files import FileLock, disk_errors, require_free
from plum_desktop.store.connection import Connection

DAILY, KEPT, BEFORE, DAMAGED = "daily", "kept", "before", "damaged"
_NAME = re.compile(r"plum-(\d{8}-\d{6})-(.+)\.db")
_STAMP = "%Y%m%d-%H%M%S"
_PATIENCE, _LOOK = 30.0, 0.05  # seconds, for another process that copies


@dataclass(frozen=True, slots=True)
class Backup:
    """One copy.  `label` is `daily`, `kept`, `damaged` or `before-` and what it was made before."""

    path: Path
    created: float  # Unix seconds
    size: int  # bytes
    label: str

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def restorable(self) -> bool:
        return self.label != DAMAGED


def listed(folder: Path) -> list[Backup]:
    """Every copy, newest first."""
    found = []
    for path in folder.iterdir():
        if (match := _NAME.fullmatch(path.name)) and path.is_file():
            with contextlib.suppress(ValueError):  # a name that only looks like one of ours
                made = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
                found.append(Backup(path, made.timestamp(), path.stat().st_size, match[2]))
    return sorted(found, key=lambda each: (each.created, each.name), reverse=True)


def new_path(folder: Path, label: str) -> Path:
    """A path in the folder for a copy that is newer than all there are."""
    newest = max((each.created for each in listed(folder)), default=0.0)
    stamp = time.strftime(_STAMP, time.gmtime(max(time.time(), newest + 1)))
    return folder / f"plum-{stamp}-{label}.db"


def copy(connection: Connection, folder: Path, label: str) -> Path:
    """Copy the database, as of now, to the folder; the copy's path.

    A copy is whole or absent.  Raises DiskFull.
    """
    # SQLCipher says one of them as text.
    size = int(connection.pragma("page_count")) * int(connection.pragma("page_size"))
    require_free(folder, size, "A backup of the chats")
    with alone(folder), scratch_file(folder) as scratch:
        connection.copy_to(scratch)
        path = new_path(folder, label)
        os.replace(scratch, path)
    return path


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else makes or changes copies meanwhile: none is made of what is being forgotten.

    Raises Busy.
    """
    lock = FileLock(folder.with_suffix(".lock"))
    until = time.monotonic() + _PATIENCE
    while not lock.try_acquire():
        if time.monotonic() > until:
            raise Busy("Another Plum Desktop is making a backup; try again in a moment.")
        time.sleep(_LOOK)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def scratch_file(folder: Path) -> Iterator[Path]:
    """A file of ours alone, gone at the end unless it was given another name."""
    with disk_errors(folder / "plum.db"):
        descriptor, name = tempfile.mkstemp(prefix=".plum-", suffix=".part", dir=folder)
        os.close(descriptor)
        try:
            yield Path(name)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(name)
