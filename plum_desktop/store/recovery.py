"""A damaged database: what can still be read goes into a new one, the rest stays aside.

Rows are read key by key around the pages that cannot be read; what they lost comes from the newest
copy, which holds nothing that was forgotten.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import disk_errors
from plum_desktop.base.sealing import seal_of
from plum_desktop.base.sentence import Sentence
from plum_desktop.store import driver
from plum_desktop.store.connection import Connection, Row, damaged
from plum_desktop.store.copies import DAMAGED, listed, new_path, scratch_file
from plum_desktop.store.marker import in_use
from plum_desktop.store.opening import open_database
from plum_desktop.store.schema import APPLICATION_ID

# In the order in which they rest on each other; the first ones have a number as their key.
_NUMBERED = ("chats", "messages", "attachments", "facts", "runs", "adapters")
_KEYED = ("drafts", "seen", "forgetting")
_TABLES = (*_NUMBERED, *_KEYED)
_LEAST_ROW = 16  # bytes: a file has no more rows than that
_LOST_TITLE = "Recovered chat"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of a damaged database."""

    aside: Path
    read: int  # messages that could be read in it
    copied: int  # messages that came from a copy
    copy: str | None  # its name

    @property
    def sentence(self) -> Sentence:
        said = Sentence(
            "The database was damaged; {read} messages could still be read in it.", read=self.read
        )
        kept = Sentence("The damaged file is kept as {path}.", path=self.aside)
        if not self.copied:
            return Sentence.joined(" ", [said, kept])
        more = Sentence(
            "{copied} more came from the backup {copy}.", copied=self.copied, copy=self.copy
        )
        return Sentence.joined(" ", [said, more, kept])


def recover(path: Path, backups: Path) -> Recovered:
    """Put a new database in the place of a damaged one, which is kept in the backups folder.

    Raises DamagedFile while somebody has it open, or for another program's file; PlumError.
    """
    if in_use(path):
        raise damaged(path)
    if _is_foreign(path):
        raise DamagedFile("{path} is not a database of Plum Desktop; move it away.", path=path)
    rest = [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]
    with scratch_file(backups) as scratch, disk_errors(path):
        scratch.unlink()
        new = open_database(scratch, backups, checked=False)
        try:
            new.pragma("foreign_keys", "OFF")
            read, lost = _fill(new, path, _TABLES)
            copied, name = 0, None
            copies = [copy for copy in listed(backups) if copy.restorable]
            if lost and copies:
                with contextlib.suppress(PlumError, sqlite3.Error):
                    copied, name = _fill(new, copies[0].path, lost)[0], copies[0].name
            _mend(new)
            new.pragma("journal_mode", "DELETE")
        finally:
            new.close()
        aside = new_path(backups, DAMAGED)
        os.replace(path, aside)
        for each in rest:
            with contextlib.suppress(FileNotFoundError):
                os.replace(each, aside.with_name(aside.name + each.name[len(path.name) :]))
        os.replace(scratch, path)
    return Recovered(aside, read, copied, name)


def _is_foreign(path: Path) -> bool:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_reader(path)) as raw:
        there = raw.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        mark = raw.execute("PRAGMA application_id").fetchone()[0]
        return bool(there > 0 and mark != APPLICATION_ID)
    return False


def _reader(path: Path) -> sqlite3.Connection:
    raw = driver.connect(path, isolation_level=None)
    raw.row_factory = driver.row_of(raw)
    return raw


def _fill(new: Connection, path: Path, tables: Sequence[str]) -> tuple[int, list[str]]:
    """Add the rows of a file that are not there yet; how many of them are messages, and the
    tables of which not all could be read.
    """
    before, lost = _count(new), []
    with new.transaction():
        for table in tables:
            columns = {row["name"] for row in new.query(f'PRAGMA table_info("{table}")')}
            reading = _Reading(path, table)
            for row in reading:
                kept = {name: row[name] for name in row if name in columns}
                names = ", ".join(f'"{name}"' for name in kept)
                marks = ", ".join(f":{name}" for name in kept)
                with contextlib.suppress(sqlite3.IntegrityError):  # a row of nonsense
                    new.execute(f'INSERT OR IGNORE INTO "{table}" ({names}) VALUES ({marks})', kept)
            if not reading.whole:
                lost.append(table)
    return _count(new) - before, lost


def _count(connection: Connection) -> int:
    return int(connection.query("SELECT count(*) AS n FROM messages")[0]["n"])


class _Reading:
    """The rows of a table that can be read, each once; `whole` afterwards: were these all?"""

    def __init__(self, path: Path, table: str) -> None:
        self.whole = True
        self._path = path
        self._table = table
        self._size = path.stat().st_size

    def __iter__(self) -> Iterator[Row]:
        self._raw = _reader(self._path)
        try:
            yield from self._rows()
        finally:
            self._raw.close()

    def _rows(self) -> Iterator[Row]:
        if self._table in _KEYED:
            yield from self._read("", [])
            return
        # Halves, and halves of them, around what cannot be read.
        spans = [(0, self._last())]
        while spans:
            first, last = spans.pop()
            sound = self.whole
            self.whole = True
            for row in self._read("WHERE number BETWEEN ? AND ? ORDER BY number", [first, last]):
                first = row["number"] + 1
                yield row
            if not self.whole and first < last:
                middle = (first + last) // 2
                spans += [(middle + 1, last), (first, middle)]
            self.whole = self.whole and sound

    def _read(self, rest: str, values: Sequence[int]) -> Iterator[Row]:
        try:
            for row in self._raw.execute(f'SELECT * FROM "{self._table}" {rest}', values):
                yield dict(row)
        except sqlite3.Error:
            self.whole = False
            self._recover()

    def _recover(self) -> None:
        """SQLCipher gives no page any more after one that does not decrypt: open it anew."""
        if seal_of(self._path):
            self._raw.close()
            self._raw = _reader(self._path)

    def _last(self) -> int:
        newest = f'SELECT number FROM "{self._table}" ORDER BY number DESC LIMIT 1'
        with contextlib.suppress(sqlite3.Error):
            row = self._raw.execute(newest).fetchone()
            return int(row[0]) if row else 0
        self._recover()
        if not self._is_there():
            return 0
        return self._size // _LEAST_ROW

    def _is_there(self) -> bool:
        with contextlib.suppress(sqlite3.Error):
            named = "SELECT 1 FROM sqlite_master WHERE name = ?"
            return self._raw.execute(named, [self._table]).fetchone() is not None
        self._recover()
        return False


def _mend(new: Connection) -> None:
    """Make whole what refers to rows that are lost."""
    with new.transaction():
        for statement in _MENDING:
            new.execute(statement, {"title": _LOST_TITLE} if ":title" in statement else ())
        if new.query("PRAGMA foreign_key_check"):
            raise DamagedFile("The database could not be recovered; restore a backup.")


_MENDING = (
    """
    INSERT INTO chats (id, title, created, updated)
    SELECT chat_id, :title, min(created), max(created) FROM messages
    WHERE chat_id NOT IN (SELECT id FROM chats) GROUP BY chat_id
    """,
    # A conversation goes on after what is lost of it.
    """
    UPDATE messages SET parent_id = (
        SELECT before.id FROM messages AS before
        WHERE before.chat_id = messages.chat_id AND before.number < messages.number
        ORDER BY before.number DESC LIMIT 1
    )
    WHERE parent_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM messages AS parent
        WHERE parent.chat_id = messages.chat_id AND parent.id = messages.parent_id
    )
    """,
    """
    UPDATE chats SET leaf = (
        SELECT id FROM messages WHERE chat_id = chats.id ORDER BY number DESC LIMIT 1
    )
    WHERE leaf IS NULL OR leaf NOT IN (SELECT id FROM messages WHERE chat_id = chats.id)
    """,
    "DELETE FROM attachments WHERE message_id NOT IN (SELECT id FROM messages)",
    "DELETE FROM drafts WHERE chat_id <> '' AND chat_id NOT IN (SELECT id FROM chats)",
    """
    DELETE FROM facts WHERE chat_id IS NOT NULL AND (
        chat_id NOT IN (SELECT id FROM chats)
        OR message_id IS NOT NULL AND message_id NOT IN (SELECT id FROM messages)
    )
    """,
    """
    UPDATE adapters SET run_id = NULL
    WHERE run_id IS NOT NULL AND run_id NOT IN (SELECT id FROM runs)
    """,
    """
    UPDATE adapters SET parent_id = NULL
    WHERE parent_id IS NOT NULL AND parent_id NOT IN (SELECT id FROM adapters)
    """,
    "DELETE FROM seen WHERE adapter_id NOT IN (SELECT id FROM adapters)",
)
