"""One SQLite connection that several threads share, and its errors as sentences.

Every statement of the store passes here.  Nothing else of the store holds a lock, opens a
transaction or sees a `sqlite3.Error`.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from plum_desktop.base.errors import Busy, DamagedFile, DiskFull, PlumError
from plum_desktop.store import driver

Row = dict[str, Any]
Values = Sequence[Any] | Mapping[str, Any]

_BUSY_SECONDS = 5.0  # how long a statement waits for another process's transaction
_LOOK_SECONDS = 0.001  # at most, from one look whether it has ended to the next
# Who writes one transaction after another stops this often for this long, so that others get
# their turn: a look hardly ever falls into the moment between two transactions.
_BURST_SECONDS = 0.05
_PAUSE_SECONDS = 0.002
# How it begins, how it is kept, how it is undone.  IMMEDIATE: a transaction that first reads and
# then writes could not wait for another process's writes, and would fail at once.
_TRANSACTION = ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
_SAVEPOINT = ("SAVEPOINT nested", "RELEASE nested", "ROLLBACK TO nested", "RELEASE nested")
_PRIMARY = 0xFF  # the low byte of an extended result code


class Connection:
    """An open database.  `raw` is the connection itself, outside any lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._closed = False
        self.patience = _BUSY_SECONDS  # to write: how long another process may be at it
        self._burst_began = self._last_wrote = float("-inf")
        self.met_damage = False  # whether a page could not be read
        with self.sentences():
            # isolation_level=None: no implicit transactions, `transaction` alone begins one.
            self.raw = driver.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        self._row = driver.row_of(self.raw)
        self._file = _identity(path)

    def query(self, sql: str, values: Values = ()) -> list[Row]:
        """Every row that a statement gives, as dictionaries."""
        with self._lock, self.sentences():
            cursor = self.raw.cursor()
            cursor.row_factory = self._row
            return [dict(row) for row in cursor.execute(sql, _storable(values)).fetchall()]

    def tuples(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """As `query`, in half the time: the columns of each row in order."""
        with self._lock, self.sentences():
            return self.raw.execute(sql, _storable(values)).fetchall()

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one statement; how many rows it changed."""
        with self._lock, self.sentences():
            self._require_file()
            return self._in_turn(sql, _storable(values)).rowcount

    def insert(self, table: str, rows: Iterable[Row], *, ignore: bool = False) -> int:
        """Insert rows of the same keys; how many.  `ignore` leaves out ids already there."""
        rows = list(rows)
        if not rows:
            return 0
        columns = ", ".join(f'"{name}"' for name in rows[0])
        places = ", ".join(f":{name}" for name in rows[0])
        sql = f'INSERT INTO "{table}" ({columns}) VALUES ({places})'
        if ignore:  # not OR IGNORE, which would also swallow a missing value
            sql += " ON CONFLICT (id) DO NOTHING"
        with self.transaction():
            return self.raw.executemany(sql, map(_storable, rows)).rowcount

    def update(self, table: str, row_id: str, fields: Mapping[str, Any]) -> bool:
        """Set columns of the row with this id; whether there is such a row."""
        assert "id" not in fields
        columns = ", ".join(f'"{name}" = :{name}' for name in fields) or "id = id"
        sql = f'UPDATE "{table}" SET {columns} WHERE id = :id'
        return self.execute(sql, {**fields, "id": row_id}) > 0

    def pragma(self, name: str, value: str | int | None = None) -> Any:
        """Read or set a pragma; the first value that it answers, if any."""
        with self._lock, self.sentences():
            setting = "" if value is None else f" = {value}"
            row = self.raw.execute(f"PRAGMA {name}{setting}").fetchone()
            return row[0] if row else None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing.  Other threads wait; nested blocks are savepoints."""
        with self._lock, self.sentences():
            nested = self.raw.in_transaction
            if not nested:
                self._require_file()
            begin, keep, *undo = _SAVEPOINT if nested else _TRANSACTION
            self._in_turn(begin)
            try:
                yield
                self.raw.execute(keep)
            except BaseException:
                # SQLite itself has undone all of it when the disk is full, for one.
                if self.raw.in_transaction:
                    for statement in undo:
                        self.raw.execute(statement)
                raise
            self._last_wrote = time.monotonic()

    def _in_turn(self, sql: str, values: Values = ()) -> sqlite3.Cursor:
        """Run a statement that needs the lock for writing, once no other process has it.

        SQLite itself waits by looking ever less often, ten times a second at last, and so a
        process that wrote without a pause kept others out for five seconds.
        """
        if self.raw.in_transaction:  # it is held
            return self.raw.execute(sql, values)
        self._leave_room()
        give_up = time.monotonic() + self.patience
        self.raw.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    return self.raw.execute(sql, values)
                except sqlite3.OperationalError as error:
                    if not _is_busy(error) or time.monotonic() > give_up:
                        raise
                # By chance, so that two that wait do not look in step.
                time.sleep(random.uniform(0, _LOOK_SECONDS))
        finally:
            self._last_wrote = time.monotonic()
            self.raw.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")

    def _leave_room(self) -> None:
        """Let others write, where one transaction has followed another for a while."""
        now = time.monotonic()
        if now - self._last_wrote > _PAUSE_SECONDS:
            self._burst_began = now
        elif now - self._burst_began > _BURST_SECONDS:
            time.sleep(_PAUSE_SECONDS)
            self._burst_began = time.monotonic()

    def _require_file(self) -> None:
        """Refuse to write into a file that nobody will find again: it was moved or removed."""
        if _identity(self.path) != self._file:
            raise PlumError(
                "{path} was moved or removed while Plum Desktop was open, so nothing can be "
                "stored; put it back and start again.",
                path=self.path,
            )

    def copy_to(self, path: Path) -> None:
        """Write the whole database, as of now, into the empty or missing file `path`."""
        with self._lock, self.sentences():
            target = driver.connect(path)
            try:
                self.raw.backup(target)
                # A copy is one file: without this it would ask for a -wal beside it.
                target.execute("PRAGMA journal_mode = DELETE")
            finally:
                target.close()

    def copy_into(self, other: Connection) -> None:
        """Put this whole database in the place of another's content: one transaction there."""
        with self._lock, other._lock, self.sentences():
            self.raw.backup(other.raw)

    def close(self) -> None:
        """Close; waits for a statement that runs in another thread.  Twice is once."""
        with self._lock:
            self._closed = True
            self.raw.close()

    @contextlib.contextmanager
    def sentences(self) -> Iterator[None]:
        """Turn SQLite's errors into PlumErrors; for use of `raw` itself."""
        try:
            yield
        except sqlite3.Error as error:
            if self._closed:
                raise PlumError("Nothing can be stored any more: it is closing.") from error
            if sentence := sentence_of(error, self.path):
                self.met_damage |= isinstance(sentence, DamagedFile)
                raise sentence from error
            raise


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file a path names; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0)  # absent where Python itself complains


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) & _PRIMARY in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def sentence_of(error: sqlite3.Error, path: Path) -> PlumError | None:
    """What a person is told about an error; None for a defect of ours."""
    if _is_busy(error):
        return Busy("Another Plum Desktop is writing to {path}; try again in a moment.", path=path)
    code = _code(error)
    match code & _PRIMARY:
        case sqlite3.SQLITE_FULL:
            return DiskFull(
                "The disk that holds {parent} is full; free some space and try again.",
                parent=path.parent,
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return damaged(path)
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY:
            return PlumError(
                "{path} cannot be read or written ({error}); check its permissions and its disk.",
                path=path,
                error=error,
            )
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return PlumError("This cannot be stored: what it belongs to has been deleted meanwhile.")
    return None


def damaged(path: Path) -> DamagedFile:
    """The sentence about a database that cannot be read."""
    return DamagedFile(
        "{path} is damaged; close every Plum Desktop and start again: what can be read is saved.",
        path=path,
    )


def _storable(values: Values) -> Values:
    """The same values in text that SQLite takes: UTF-8 has no lone surrogates."""
    if isinstance(values, Mapping):
        return {name: _text(value) for name, value in values.items()}
    return [_text(value) for value in values]


def _text(value: Any) -> Any:
    if not isinstance(value, str) or value.isascii():
        return value
    # Through UTF-16 two halves of one character find each other; a lone one becomes U+FFFD.
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
