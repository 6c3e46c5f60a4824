"""Every shape that the database has had, as migrations.

A step is never edited once released: a change is a new step, with a test that upgrades from
the step before it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID = 0x504C554D  # "PLUM", in the file's header, where `file` looks for it
_SET = "plum"  # what sqlite-utils calls all of them together

Step = Callable[["Database"], None]  # known by its function's name


def applied(raw: sqlite3.Connection) -> list[str]:
    """The names of the steps that a database has had, as sqlite-utils keeps them."""
    table = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    if raw.execute(table).fetchone() is None:
        return []
    names = "SELECT name FROM _sqlite_migrations WHERE migration_set = ?"
    return [name for (name,) in raw.execute(names, [_SET])]


def apply(raw: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Make those of `steps` that a database has not had.

    sqlite-utils is loaded here and not at every start: loading it takes forty times as long as
    opening a database.
    """
    with _absent("numpy", "pandas"):
        from sqlite_utils import Database, Migrations
    migrations = Migrations(_SET)
    for step in steps:
        migrations()(step)
    migrations.apply(Database(raw, execute_plugins=False))


@contextlib.contextmanager
def _absent(*names: str) -> Iterator[None]:
    """Have modules that are not loaded yet pass for not installed.

    It looks for them so as to store their numbers, and we have none.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def m001_first(db: Database) -> None:
    """Chats as message trees, search over them, facts, runs, adapters.

    Every table that a person's order matters in has an integer key: VACUUM keeps it, and
    the search index rests on that of messages.
    """
    for statement in _M001:
        db.execute(statement)


def m002_attachments(db: Database) -> None:
    """Files sent with messages and search over them, drafts, a chat's own temperature."""
    for statement in _M002:
        db.execute(statement)


def m003_forgetting(db: Database) -> None:
    """What is being forgotten, until its last trace is gone; whose words a fact repeats."""
    for statement in _M003:
        db.execute(statement)


def m004_unfinished(db: Database) -> None:
    """Replies that nobody finished are looked for at every start."""
    db.execute(
        "CREATE INDEX messages_unfinished ON messages (id)"
        " WHERE role = 'assistant' AND finish_reason IS NULL"
    )


STEPS: tuple[Step, ...] = (m001_first, m002_attachments, m003_forgetting, m004_unfinished)

_M001 = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    """
    CREATE TABLE chats (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        created REAL NOT NULL,          -- Unix seconds, as every time here
        updated REAL NOT NULL,          -- when the last message came
        folder TEXT,                    -- NULL: in none
        pinned INTEGER NOT NULL DEFAULT 0,
        archived INTEGER NOT NULL DEFAULT 0,
        learn INTEGER NOT NULL DEFAULT 1,
        memory INTEGER NOT NULL DEFAULT 1,
        model TEXT,                     -- NULL: whichever is in use
        persona TEXT,                   -- NULL: the default one
        leaf TEXT,                      -- last message of the shown branch; NULL: no message
        FOREIGN KEY (id, leaf) REFERENCES messages (chat_id, id) DEFERRABLE INITIALLY DEFERRED
    ) STRICT
    """,
    """
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY,     -- grows: a child's is larger than its parent's
        id TEXT NOT NULL UNIQUE,
        chat_id TEXT NOT NULL REFERENCES chats (id),
        parent_id TEXT,                 -- NULL: a first message
        role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
        text TEXT NOT NULL,
        created REAL NOT NULL,
        tokens INTEGER,                 -- NULL: not counted
        finish_reason TEXT,             -- NULL: a user's, or still being written
        UNIQUE (chat_id, id),
        FOREIGN KEY (chat_id, parent_id) REFERENCES messages (chat_id, id)
    ) STRICT
    """,
    "CREATE INDEX messages_of_parent ON messages (chat_id, parent_id)",
    """
    CREATE VIRTUAL TABLE messages_fts USING fts5 (
        text, content = 'messages', content_rowid = 'number',
        tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    )
    """,
    """
    CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages BEGIN
        INSERT INTO messages_fts (rowid, text) VALUES (new.number, new.text);
    END
    """,
    """
    CREATE TRIGGER messages_fts_delete AFTER DELETE ON messages BEGIN
        INSERT INTO messages_fts (messages_fts, rowid, text)
        VALUES ('delete', old.number, old.text);
    END
    """,
    """
    CREATE TRIGGER messages_fts_update AFTER UPDATE OF text ON messages
    WHEN old.text IS NOT new.text BEGIN
        INSERT INTO messages_fts (messages_fts, rowid, text)
        VALUES ('delete', old.number, old.text);
        INSERT INTO messages_fts (rowid, text) VALUES (new.number, new.text);
    END
    """,
    """
    CREATE TABLE facts (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        label INTEGER NOT NULL,         -- 0: never discussed
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        statement TEXT NOT NULL,
        source TEXT NOT NULL,
        state TEXT NOT NULL,
        chat_id TEXT REFERENCES chats (id),     -- NULL: of no chat
        message_id TEXT,                -- NULL: of the chat as a whole
        start INTEGER,                  -- characters of the message's text; NULL: all of it
        "end" INTEGER,
        last_recall REAL,               -- 0 to 1; NULL: never asked
        FOREIGN KEY (chat_id, message_id) REFERENCES messages (chat_id, id)
    ) STRICT
    """,
    "CREATE INDEX facts_of_message ON facts (chat_id, message_id)",
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        created REAL NOT NULL,
        finished REAL,                  -- NULL: not ended
        state TEXT NOT NULL,
        stage TEXT NOT NULL,
        model_sha256 TEXT NOT NULL,
        recipe TEXT NOT NULL,
        chats TEXT NOT NULL,            -- JSON list of ids; a chat may be gone since
        error TEXT,                     -- NULL: none
        report TEXT NOT NULL            -- JSON object
    ) STRICT
    """,
    """
    CREATE TABLE adapters (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        run_id TEXT REFERENCES runs (id),           -- NULL: imported
        parent_id TEXT REFERENCES adapters (id),    -- NULL: trained from the base
        model_sha256 TEXT NOT NULL,
        created REAL NOT NULL,
        state TEXT NOT NULL,
        active INTEGER NOT NULL,
        chats TEXT NOT NULL,            -- JSON list of ids; a chat may be gone since
        report TEXT NOT NULL,           -- JSON object
        CHECK (NOT (active AND state = 'deleted'))
    ) STRICT
    """,
    "CREATE UNIQUE INDEX one_active_adapter ON adapters (model_sha256) WHERE active",
    """
    CREATE TABLE seen (
        adapter_id TEXT NOT NULL REFERENCES adapters (id) ON DELETE CASCADE,
        chat_id TEXT NOT NULL,          -- may be gone since
        leaf TEXT NOT NULL,             -- the last message that it learned
        PRIMARY KEY (adapter_id, chat_id)
    ) STRICT, WITHOUT ROWID
    """,
)

_M002 = (
    "ALTER TABLE chats ADD COLUMN temperature REAL",  # NULL: the setting's
    """
    CREATE TABLE attachments (
        number INTEGER PRIMARY KEY,     -- grows: the order in a message
        message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
        name TEXT NOT NULL,             -- of the file, without its folder
        text TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX attachments_of_message ON attachments (message_id)",
    """
    CREATE VIRTUAL TABLE attachments_fts USING fts5 (
        name, text, content = 'attachments', content_rowid = 'number',
        tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    )
    """,
    """
    CREATE TRIGGER attachments_fts_insert AFTER INSERT ON attachments BEGIN
        INSERT INTO attachments_fts (rowid, name, text) VALUES (new.number, new.name, new.text);
    END
    """,
    """
    CREATE TRIGGER attachments_fts_delete AFTER DELETE ON attachments BEGIN
        INSERT INTO attachments_fts (attachments_fts, rowid, name, text)
        VALUES ('delete', old.number, old.name, old.text);
    END
    """,
    """
    CREATE TABLE drafts (
        chat_id TEXT PRIMARY KEY,       -- empty: of the chat that is not begun yet
        text TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER draft_of_deleted_chat AFTER DELETE ON chats BEGIN
        DELETE FROM drafts WHERE chat_id = old.id;
    END
    """,
)

_M003 = (
    """
    CREATE TABLE forgetting (
        kind TEXT NOT NULL CHECK (kind IN ('chat', 'message', 'fact', 'learned')),
        id TEXT NOT NULL,               -- learned: the chat that adapters are to forget
        PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID
    """,
    # The chat whose words a fact of another chat, or of none, repeats; NULL: its own.
    "ALTER TABLE facts ADD COLUMN origin TEXT",
)
