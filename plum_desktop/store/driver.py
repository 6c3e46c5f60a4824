"""Which library opens a database file: Python's sqlite3, or SQLCipher's where the file is sealed.

SQLCipher's has errors of its own.  Here they become those of sqlite3, with their codes: so that
what is said of an error, and what sqlite-utils catches, is the same with either.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from plum_desktop.base.sealing import Seal, seal_of

_CACHE_KIB = 64 * 1024


def connect(path: Path, **options: Any) -> sqlite3.Connection:
    """As sqlite3.connect, of a sealed file too.  Raises sqlite3.Error, whichever library it is."""
    seal = seal_of(path)
    if seal is None:
        plain: sqlite3.Connection = sqlite3.connect(path, **options)
        return plain
    return _connect_sealed(path, seal, **options)


def row_of(connection: sqlite3.Connection) -> Any:
    """The `row_factory` whose rows have names."""
    return getattr(connection, "row_class", sqlite3.Row)


def export(source: Path, sealed: Seal | None, target: Path, seal: Seal | None) -> None:
    """Write the whole database `source` into the missing file `target`, under another key.

    None: not encrypted.  Raises sqlite3.Error.
    """
    with contextlib.closing(_connect_sealed(source, sealed, isolation_level=None)) as raw:
        raw.execute("ATTACH ? AS target KEY ?", [str(target), _key(seal) if seal else ""])
        raw.execute("PRAGMA target.journal_mode = OFF")  # it is whole or thrown away
        raw.execute("PRAGMA target.synchronous = OFF")
        raw.execute("SELECT sqlcipher_export('target')").fetchall()
        for pragma in ("application_id", "user_version"):  # which it leaves out
            value = raw.execute(f"PRAGMA main.{pragma}").fetchone()[0]
            raw.execute(f"PRAGMA target.{pragma} = {value}")
        if raw.execute("PRAGMA target.quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("the copy is not whole")
        raw.execute("DETACH target")


def _connect_sealed(path: Path, seal: Seal | None, **options: Any) -> sqlite3.Connection:
    from sqlcipher3 import dbapi2

    with _translated():
        raw: Any = dbapi2.connect(str(path), factory=_connection_class(), **options)
        raw.execute("PRAGMA cipher_log_level = NONE")  # else of every page, on stderr
        # Of every page that is read; processors have instructions for it, not for SHA-512.
        raw.execute("PRAGMA cipher_default_hmac_algorithm = HMAC_SHA256")
        if seal:
            raw.execute(f'PRAGMA key = "{_key(seal)}"')
            raw.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")  # what is kept is not decrypted again
        return raw  # type: ignore[no-any-return]


def _key(seal: Seal) -> str:
    """A raw key: it is random as it is, and nothing is to be derived from it at every opening."""
    return f"x'{seal.database_key.hex()}'"


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    from sqlcipher3 import dbapi2

    try:
        yield
    except (dbapi2.Error, dbapi2.Warning) as error:
        raise _same(error) from error


def _same(error: Any) -> Exception:
    made: Exception = getattr(sqlite3, type(error).__name__)(*error.args)
    for name in ("sqlite_errorcode", "sqlite_errorname"):
        if hasattr(error, name):
            setattr(made, name, getattr(error, name))
    if str(error).startswith("FOREIGN KEY"):  # it gives no extended codes
        made.sqlite_errorcode = sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY  # type: ignore[attr-defined]
    return made


@functools.cache
def _connection_class() -> Any:
    """SQLCipher's connection, whose errors are ours; imported where it is needed alone."""
    from sqlcipher3 import dbapi2

    def telling(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **named: Any) -> Any:
            try:
                return method(*args, **named)
            except (dbapi2.Error, dbapi2.Warning) as error:
                raise _same(error) from error

        return call

    class Cursor(dbapi2.Cursor):  # type: ignore[misc]
        execute = telling(dbapi2.Cursor.execute)
        executemany = telling(dbapi2.Cursor.executemany)
        executescript = telling(dbapi2.Cursor.executescript)
        fetchone = telling(dbapi2.Cursor.fetchone)
        fetchmany = telling(dbapi2.Cursor.fetchmany)
        fetchall = telling(dbapi2.Cursor.fetchall)
        __next__ = telling(dbapi2.Cursor.__next__)

    made = telling(dbapi2.Connection.cursor)  # it may be closed
    inside = telling(dbapi2.Connection.in_transaction.__get__)

    class Connection(dbapi2.Connection):  # type: ignore[misc]
        row_class = dbapi2.Row

        def cursor(self, factory: type[Any] = Cursor) -> Any:
            return made(self, factory)

        def execute(self, *args: Any) -> Any:
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:
            return self.cursor().executemany(*args)

        def executescript(self, *args: Any) -> Any:
            return self.cursor().executescript(*args)

        @property
        def in_transaction(self) -> Any:
            return inside(self)

        commit = telling(dbapi2.Connection.commit)
        rollback = telling(dbapi2.Connection.rollback)
        backup = telling(dbapi2.Connection.backup)
        close = telling(dbapi2.Connection.close)
        create_function = telling(dbapi2.Connection.create_function)

    return Connection
