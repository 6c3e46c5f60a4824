"""Whether the last process that had the database open ended without closing it."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path

from plum_desktop.base.files import FileLock, disk_errors


class OpenMarker:
    """A locked file beside the database for as long as a process has it open.

    The system drops the lock with the process, only `close` removes the file: one that
    nobody holds was left by a kill, a crash or a power cut.
    """

    def __init__(self, database: Path) -> None:
        self._left = [path for path in _markers(database) if not FileLock(path).held_by_someone()]
        self._lock = FileLock(database.with_name(f"{_stem(database)}{uuid.uuid4().hex}"))
        self.unclean = bool(self._left)
        with disk_errors(self._lock.path):
            self._lock.try_acquire()

    def settle(self) -> None:
        """The database has been found whole: forget who left it open."""
        for path in self._left:
            _remove(path)

    def close(self, *, leave: bool = False) -> None:
        """`leave`: damage was met, so that the next one to open looks at every page."""
        if leave:
            self._lock.release()
            return
        _remove(self._lock.path)  # first, so that nobody finds it without its lock
        self._lock.release()
        _remove(self._lock.path)  # Windows removes no open file


def in_use(database: Path) -> bool:
    """Whether any process has the database open."""
    return any(FileLock(path).held_by_someone() for path in _markers(database))


def _markers(database: Path) -> list[Path]:
    stem = _stem(database)
    return [path for path in database.parent.iterdir() if path.name.startswith(stem)]


def _stem(database: Path) -> str:
    return f".{database.name}.open-"


def _remove(path: Path) -> None:
    # Windows refuses while another process looks at it; the next one to open removes it.
    with contextlib.suppress(OSError):
        path.unlink()
