"""The store under SQLCipher: what the errors are, what sqlite-utils makes of them, and damage."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlite_utils import Database

from plum_desktop.base import passphrase, sealing
from plum_desktop.base.errors import Busy, DamagedFile, PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.store import Store, driver
from plum_desktop.store.recovery import recover

PAGE = 4096


@pytest.fixture
def sealed(data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataFolder]:
    """A data folder that is sealed and open in this process."""
    monkeypatch.setattr(passphrase, "_KIBIBYTES", 64)
    seal = passphrase.new_seal()
    passphrase.write(data_folder.root, seal, "correct horse")
    sealing.open_folder(data_folder.root, seal)
    yield data_folder
    sealing.close_folder(data_folder.root)


@pytest.fixture
def raw(sealed: DataFolder) -> Iterator[sqlite3.Connection]:
    with closing(driver.connect(sealed.database, isolation_level=None)) as connection:
        yield connection


def test_sqlite_utils_catches_this_drivers_errors(raw: sqlite3.Connection) -> None:
    db = Database(raw, execute_plugins=False)
    db["notes"].insert({"id": 1, "text": "one"}, pk="id")
    # Here it tries, catches OperationalError, adds the column and tries again.
    db["notes"].insert({"id": 2, "text": "two", "more": "three"}, pk="id", alter=True)
    assert [row["more"] for row in db["notes"].rows] == [None, "three"]
    db["notes"].upsert({"id": 2, "text": "2"}, pk="id")
    twice = [{"id": 3, "text": "four"}, {"id": 1, "text": "twice"}]
    with pytest.raises(sqlite3.IntegrityError), db.atomic():
        db["notes"].insert_all(twice)
    assert not raw.in_transaction
    assert [row["id"] for row in db["notes"].rows] == [1, 2]
    db["notes"].enable_fts(["text"])
    with pytest.raises(sqlite3.OperationalError):
        list(db["notes"].search('"', quote=False))
    # A view that cannot be read counts as nothing there, by the same except clause.
    db.conn.execute("CREATE VIEW broken AS SELECT * FROM nowhere")
    with pytest.raises(sqlite3.OperationalError):
        list(db["broken"].rows)


@pytest.mark.parametrize(
    ("statement", "kind", "code"),
    [
        ("SELECT nothing", sqlite3.OperationalError, sqlite3.SQLITE_ERROR),
        ("INSERT INTO a VALUES (NULL)", sqlite3.IntegrityError, sqlite3.SQLITE_CONSTRAINT),
        (
            "INSERT INTO b VALUES (7)",
            sqlite3.IntegrityError,
            sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
        ),
    ],
)
def test_an_error_is_that_of_sqlite3(
    raw: sqlite3.Connection, statement: str, kind: type[sqlite3.Error], code: int
) -> None:
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute("CREATE TABLE a (id TEXT NOT NULL UNIQUE)")
    raw.execute("CREATE TABLE b (id TEXT REFERENCES a (id))")
    with pytest.raises(kind) as caught:
        raw.execute(statement).fetchall()
    assert caught.value.sqlite_errorcode == code


def test_the_stores_sentences_are_the_same(sealed: DataFolder, monkeypatch) -> None:
    monkeypatch.setattr("plum_desktop.store.connection._BUSY_SECONDS", 0.1)
    store = Store(sealed.database, sealed.backups)
    chat = store.chats.create("Gophers")
    with closing(driver.connect(sealed.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy, match="Another Plum Desktop is writing"):
            store.chats.create("More")
        other.execute("ROLLBACK")
    with pytest.raises(PlumError, match="has been deleted meanwhile"):
        store.adapters.set_seen("nobody", {chat.id: "leaf"})
    store.close()
    with pytest.raises(PlumError, match="it is closing"):
        store.chats.create("After")


def test_backups_are_sealed_and_come_back(sealed: DataFolder) -> None:
    store = Store(sealed.database, sealed.backups)
    chat = store.chats.create("Gophers")
    store.chats.add_message(chat.id, "user", "How do I keep gophers away?")
    made = store.backups.create()
    assert b"gophers" not in made.path.read_bytes().lower()
    store.chats.add_message(chat.id, "user", "And moles?")
    store.backups.restore(made)
    assert store.count_messages() == 1
    assert [hit.role for hit in store.search("gopher")] == ["user"]
    store.compact()
    store.check()
    store.close()


def test_a_damaged_sealed_database_is_saved_around_the_damage(sealed: DataFolder) -> None:
    store = Store(sealed.database, sealed.backups)
    with store.transaction():
        for number in range(12):
            chat = store.chats.create(f"Chat {number}")
            for turn in range(20):
                store.chats.add_message(chat.id, "user", f"Turn {turn} of chat {number}. " * 12)
    store.close()
    content = bytearray(sealed.database.read_bytes())
    rng = random.Random(3)
    for page in rng.sample(range(20, len(content) // PAGE), 2):
        content[page * PAGE : (page + 1) * PAGE] = rng.randbytes(PAGE)
    sealed.database.write_bytes(content)
    store = Store(sealed.database, sealed.backups)
    with pytest.raises(DamagedFile):
        store.check()
    store.close()
    # SQLCipher gives nothing more after the first bad page: each needs a new connection.
    assert recover(sealed.database, sealed.backups).read > 190
    assert all(b"chat 1" not in path.read_bytes() for path in sealed.backups.iterdir())
