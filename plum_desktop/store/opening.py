"""Opening the database: is it ours, is it whole, is it of this version or to be upgraded."""

from __future__ import annotations

import os
from pathlib import Path

from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import disk_errors
from plum_desktop.store import search
from plum_desktop.store.connection import Connection, damaged
from plum_desktop.store.copies import copy
from plum_desktop.store.schema import APPLICATION_ID, STEPS, applied, apply

# Bytes.  Up to here the whole check takes a second at most; at 1 GB it takes twelve, most of them
# for the words of the search index, and its pages alone one.
_CHECKED_WHOLE = 64 * 2**20


def open_database(path: Path, backup_folder: Path, *, checked: bool) -> Connection:
    """Open `path`, made if missing, in the newest shape.  `checked` looks at every page first.

    Raises DamagedFile for what is no database of ours, PlumError for a newer one.  Before
    an upgrade the file is copied to `backup_folder`; an upgrade is done wholly or not at all.
    """
    with disk_errors(path):
        # Made here, so that nobody else may read it; SQLite gives -wal and -shm the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = Connection(path)
    try:
        with connection.sentences():
            recognise(connection, path)
            configure(connection)
            if checked:
                if path.stat().st_size > _CHECKED_WHOLE:
                    check_structure(connection, path)
                else:
                    check_pages(connection, path)
            upgrade(connection, backup_folder)
            connection.pragma("foreign_keys", "ON")  # only now: an upgrade may rebuild tables
    except BaseException:
        connection.close()
        raise
    return connection


def recognise(connection: Connection, path: Path) -> None:
    """Refuse a file of another program or a newer version, before anything is written.

    `path` is what the sentence calls it.
    """
    if connection.pragma("schema_version") == 0:  # reads the header; 0: nothing in it yet
        return
    if connection.pragma("application_id") != APPLICATION_ID:
        raise DamagedFile("{path} is not a database of Plum Desktop; move it away.", path=path)
    known = [step.__name__ for step in STEPS]
    if newer := set(applied(connection.raw)).difference(known):
        raise PlumError(
            "{path} was written by a newer Plum Desktop ({newer}); update this one.",
            path=path,
            newer=max(newer),
        )


def configure(connection: Connection, journal: str = "WAL") -> None:
    connection.pragma("journal_mode", journal)
    connection.pragma("synchronous", "FULL")  # a power cut loses no word that was saved
    connection.pragma("secure_delete", "ON")
    connection.pragma("temp_store", "MEMORY")  # no word of a chat in the system's temporary folder


def check_structure(connection: Connection, path: Path) -> None:
    """Look at every page, but not at what indexes say of the rows.  Raises DamagedFile."""
    if connection.pragma("quick_check(1)") != "ok":
        raise damaged(path)


def check_pages(connection: Connection, path: Path) -> None:
    """Look at every page and every index.  A search index that disagrees is made anew.

    Raises DamagedFile.
    """
    if connection.pragma("integrity_check(1)") != "ok":
        raise damaged(path)
    if connection.pragma("application_id") != APPLICATION_ID:
        return  # the process ended before the first step
    for index in search.indexes(connection):
        try:
            # rank 1: against what it is an index of, not only the index in itself.
            connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")
        except DamagedFile:
            connection.execute(f"INSERT INTO {index} ({index}) VALUES ('rebuild')")


def upgrade(connection: Connection, backup_folder: Path | None) -> None:
    """Bring the database to the newest shape, wholly or not at all, after a copy was made.

    None: it is a copy itself.
    """
    done = applied(connection.raw)
    pending = [step.__name__ for step in STEPS if step.__name__ not in done]
    if not pending:
        return
    if backup_folder and done:
        copy(connection, backup_folder, f"before-{pending[0]}")
    with connection.transaction():  # and looks again, in case another process was faster
        apply(connection.raw, STEPS)
        if connection.query("PRAGMA foreign_key_check"):
            raise damaged(connection.path)
