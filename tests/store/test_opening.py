"""Opening: what is refused, what is checked, what is upgraded after a copy was made."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.store import Store, opening, schema
from plum_desktop.store.forgetting import Doomed

OpenStore = Callable[[], Store]
NewStep = Callable[[schema.Step], None]

# What each released step's database may hold, as raw SQL: a new step needs an entry here.
ROWS = {
    "m001_first": """
        BEGIN;
        INSERT INTO chats (id, title, created, updated, pinned, leaf) VALUES
            ('c1', 'Tea', 1, 3, 1, 'm2'), ('c2', 'Nothing yet', 2, 2, 0, NULL);
        INSERT INTO messages (id, chat_id, parent_id, role, text, created, tokens, finish_reason)
            VALUES ('m1', 'c1', NULL, 'user', 'Green tea?', 1, NULL, NULL),
                ('m2', 'c1', 'm1', 'assistant', 'Yes, please.', 3, 4, 'stop');
        INSERT INTO facts (id, label, kind, subject, statement, source, state, chat_id,
            message_id, start, "end", last_recall) VALUES
            ('f1', 1, 'asked', 'tea', 'You asked for tea.', 'rule', 'learned', 'c1', 'm1', 6, 9, 1),
            ('f2', 0, 'topic', 'coffee', 'Not coffee.', 'model', 'waiting', NULL, NULL, NULL, NULL,
                NULL);
        INSERT INTO runs (id, created, finished, state, stage, model_sha256, recipe, chats, report)
            VALUES ('r1', 4, 5, 'done', 'switch', 'm', 'default', '["c1"]', '{"recall": 1.0}');
        INSERT INTO adapters (id, run_id, parent_id, model_sha256, created, state, active, chats,
            report) VALUES ('a1', 'r1', NULL, 'm', 5, 'ready', 1, '["c1"]', '{}');
        INSERT INTO seen (adapter_id, chat_id, leaf) VALUES ('a1', 'c1', 'm2');
        COMMIT;
    """,
}
ROWS["m002_attachments"] = (
    ROWS["m001_first"]
    + """
        BEGIN;
        UPDATE chats SET temperature = 0.2 WHERE id = 'c1';
        INSERT INTO attachments (message_id, name, text) VALUES ('m1', 'a.txt', 'Dried leaves.');
        INSERT INTO drafts (chat_id, text) VALUES ('', 'Half a'), ('c1', 'thought');
        COMMIT;
    """
)
ROWS["m003_forgetting"] = (
    ROWS["m002_attachments"]
    + """
        BEGIN;
        UPDATE facts SET origin = 'c1' WHERE id = 'f2';
        INSERT INTO forgetting (kind, id) VALUES ('chat', 'c0');
        COMMIT;
    """
)
ROWS["m004_unfinished"] = (
    ROWS["m003_forgetting"]
    + """
        INSERT INTO messages (id, chat_id, parent_id, role, text, created)
            VALUES ('m3', 'c1', 'm1', 'assistant', 'Perhaps', 4);
    """
)
NEWEST = list(ROWS)[-1]


def database_at(path: Path, step: str, rows: str = "") -> None:
    """A database as the version wrote it whose newest step was `step`."""
    with closing(sqlite3.connect(path)) as raw:
        schema.apply(raw, schema.STEPS[: list(ROWS).index(step) + 1])
        raw.executescript(rows)


@pytest.fixture
def a_newer_version(monkeypatch: pytest.MonkeyPatch) -> NewStep:
    """A version with one more step, which adds a column; gives it further ones."""

    def add(step: schema.Step) -> None:
        monkeypatch.setattr(opening, "STEPS", (*opening.STEPS, step))

    @add
    def m999_colour(db: Database) -> None:
        db.execute("ALTER TABLE chats ADD COLUMN colour TEXT")

    return add


def columns(path: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(path)) as raw:
        return [row[1] for row in raw.execute(f"PRAGMA table_info({table})")]


def backups(folder: DataFolder) -> list[Path]:
    return sorted(folder.backups.iterdir())


def test_a_new_database_is_for_its_owner_alone(store: Store, data_folder: DataFolder) -> None:
    store.chats.create()
    files = [path for path in data_folder.root.iterdir() if path.name.startswith("plum.db")]
    assert {path.name for path in files} == {"plum.db", "plum.db-wal", "plum.db-shm"}
    if sys.platform != "win32":
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert backups(data_folder) == []


def test_a_new_database_has_exactly_this_shape(store: Store, data_folder: DataFolder) -> None:
    with closing(sqlite3.connect(data_folder.database)) as raw:
        names = {
            (kind, name)
            for kind, name in raw.execute("SELECT type, name FROM sqlite_master")
            if not name.startswith(("sqlite_", "_sqlite_", "idx__sqlite"))
            and not (kind == "table" and "_fts_" in name)
        }
        assert raw.execute("PRAGMA application_id").fetchone()[0].to_bytes(4, "big") == b"PLUM"
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert names == {
        ("table", "chats"),
        ("table", "messages"),
        ("table", "messages_fts"),
        ("table", "facts"),
        ("table", "runs"),
        ("table", "adapters"),
        ("table", "seen"),
        ("table", "attachments"),
        ("table", "attachments_fts"),
        ("table", "drafts"),
        ("table", "forgetting"),
        ("index", "messages_of_parent"),
        ("index", "messages_unfinished"),
        ("index", "attachments_of_message"),
        ("index", "facts_of_message"),
        ("index", "one_active_adapter"),
        ("trigger", "messages_fts_insert"),
        ("trigger", "messages_fts_delete"),
        ("trigger", "messages_fts_update"),
        ("trigger", "attachments_fts_insert"),
        ("trigger", "attachments_fts_delete"),
        ("trigger", "draft_of_deleted_chat"),
    }
    assert columns(data_folder.database, "messages") == [
        "number",
        "id",
        "chat_id",
        "parent_id",
        "role",
        "text",
        "created",
        "tokens",
        "finish_reason",
    ]


def test_every_setting_that_privacy_rests_on_is_on(store: Store) -> None:
    for name, value in (
        ("secure_delete", 1),
        ("foreign_keys", 1),
        ("journal_mode", "wal"),
        ("temp_store", 2),
        ("synchronous", 2),
    ):
        assert store._connection.pragma(name) == value, name


def test_every_step_has_rows_to_upgrade() -> None:
    assert list(ROWS) == [step.__name__ for step in schema.STEPS]


@pytest.mark.parametrize("step", ROWS)
@pytest.mark.parametrize("with_rows", [False, True])
def test_every_older_shape_upgrades(
    data_folder: DataFolder, open_store: OpenStore, step: str, with_rows: bool
) -> None:
    database_at(data_folder.database, step, ROWS[step] if with_rows else "")
    store = open_store()
    if not with_rows:
        assert store.chats.list() == []
        return
    assert [chat.id for chat in store.chats.list()] == ["c1", "c2"]
    assert [message.text for message in store.chats.branch("c1")] == ["Green tea?", "Yes, please."]
    assert [hit.message_id for hit in store.search("tea")] == ["m1"]
    assert store.facts.counts() == {"learned": 1, "waiting": 1}
    assert store.runs.get("r1").report == {"recall": 1.0}
    assert store.learned_state("m") == {"c1": "m2"}
    sent_files = step != "m001_first"
    assert [hit.message_id for hit in store.search("leaves")] == ["m1"] * sent_files
    assert store.chats.get("c1").temperature == (0.2 if sent_files else None)
    assert store.drafts.get("c1") == ("thought" if sent_files else "")
    pending = store.forgetting.pending()
    assert pending == (Doomed(chats=("c0",)) if step >= "m003_forgetting" else None)
    assert store.chats.close_interrupted() == (step >= "m004_unfinished")
    store.chats.delete("c1")
    assert store.search("tea") == []
    assert store.search("leaves") == []


def test_an_upgrade_copies_the_file_first(
    data_folder: DataFolder, open_store: OpenStore, a_newer_version: NewStep
) -> None:
    database_at(data_folder.database, NEWEST, ROWS[NEWEST])
    open_store().close()
    assert "colour" in columns(data_folder.database, "chats")
    (copy,) = backups(data_folder)
    assert copy.name.startswith("plum-")
    assert copy.name.endswith("-before-m999_colour.db")
    assert "colour" not in columns(copy, "chats")
    assert "colour" not in columns(copy, "messages")
    if sys.platform != "win32":
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as raw:
        assert raw.execute("SELECT count(*) FROM messages").fetchone() == (3,)
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    open_store()
    assert backups(data_folder) == [copy]  # nothing to upgrade: no other copy


def test_a_step_that_fails_changes_nothing_and_stays_pending(
    data_folder: DataFolder,
    open_store: OpenStore,
    a_newer_version: NewStep,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database_at(data_folder.database, NEWEST, ROWS[NEWEST])

    @a_newer_version
    def m999_fails(db: Database) -> None:
        db.execute("DELETE FROM messages")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        open_store()
    assert "colour" not in columns(data_folder.database, "chats")  # the step before it, too
    with monkeypatch.context() as older:
        older.setattr(opening, "STEPS", schema.STEPS)
        store = open_store()
        assert len(store.chats.branch("c1")) == 2
        assert store.chats.get("c1").title == "Tea"
        store.close()


def test_an_upgrade_that_breaks_a_reference_is_undone(
    data_folder: DataFolder, open_store: OpenStore, a_newer_version: NewStep
) -> None:
    database_at(data_folder.database, NEWEST, ROWS[NEWEST])

    @a_newer_version
    def m999_orphans(db: Database) -> None:
        db.execute("DELETE FROM runs")

    with pytest.raises(DamagedFile):
        open_store()
    with closing(sqlite3.connect(data_folder.database)) as raw:
        assert raw.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_a_file_of_a_newer_version_is_refused_and_left_alone(
    data_folder: DataFolder,
    open_store: OpenStore,
    a_newer_version: NewStep,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_store().close()
    before = data_folder.database.read_bytes()
    monkeypatch.setattr(opening, "STEPS", schema.STEPS)
    with pytest.raises(PlumError, match=r"newer Plum Desktop \(m999_colour\); update"):
        open_store()
    assert data_folder.database.read_bytes() == before
    assert backups(data_folder) == []


def test_another_programs_database_is_refused_and_left_alone(
    data_folder: DataFolder, open_store: OpenStore
) -> None:
    with closing(sqlite3.connect(data_folder.database)) as raw:
        raw.execute("CREATE TABLE chats (id)")
    before = data_folder.database.read_bytes()
    with pytest.raises(DamagedFile, match="not a database of Plum Desktop"):
        open_store()
    assert data_folder.database.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database", b"\x00" * 5000, os.urandom(9000)])
def test_a_file_that_is_no_database_is_a_sentence(
    data_folder: DataFolder, open_store: OpenStore, content: bytes
) -> None:
    data_folder.database.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"plum\.db is damaged"):
        open_store()
    assert data_folder.database.read_bytes() == content


def test_an_empty_file_is_a_new_database(data_folder: DataFolder, open_store: OpenStore) -> None:
    data_folder.database.touch()
    open_store().chats.create()


def test_a_database_that_is_cut_short_is_a_sentence(
    data_folder: DataFolder, open_store: OpenStore
) -> None:
    full_of_text(open_store)
    data_folder.database.write_bytes(data_folder.database.read_bytes()[:20_000])
    with pytest.raises(DamagedFile):
        use_everything(open_store())


def test_a_clean_end_leaves_no_marker_and_is_not_checked(
    data_folder: DataFolder, open_store: OpenStore, checks: list[Path]
) -> None:
    store = open_store()
    assert markers(data_folder)
    store.close()
    store.close()
    assert markers(data_folder) == []
    open_store()
    open_store()  # beside one that is open and alive
    assert checks == []


def test_an_unclean_end_is_checked_once(
    data_folder: DataFolder, open_store: OpenStore, checks: list[Path]
) -> None:
    full_of_text(open_store)
    leave_uncleanly(data_folder)
    open_store().close()
    assert checks == [data_folder.database]
    open_store()
    assert len(checks) == 1


def test_damage_after_an_unclean_end_is_found_before_it_is_used(
    data_folder: DataFolder, open_store: OpenStore
) -> None:
    full_of_text(open_store)
    damage_pages(data_folder.database)
    leave_uncleanly(data_folder)
    for _ in range(2):  # and again: it has not gone away
        with pytest.raises(DamagedFile, match="start again"):
            open_store()


def test_damage_of_a_large_file_is_found_without_looking_at_every_word(
    data_folder: DataFolder,
    open_store: OpenStore,
    checks: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full_of_text(open_store)
    monkeypatch.setattr(opening, "_CHECKED_WHOLE", 4096)
    leave_uncleanly(data_folder)
    open_store().close()
    damage_pages(data_folder.database)
    leave_uncleanly(data_folder)
    with pytest.raises(DamagedFile, match="start again"):
        open_store()
    assert checks == []


def test_damage_met_while_in_use_is_a_sentence(
    data_folder: DataFolder, open_store: OpenStore
) -> None:
    full_of_text(open_store)
    damage_pages(data_folder.database)
    with pytest.raises(DamagedFile):
        use_everything(open_store())


def test_a_search_index_that_disagrees_is_made_anew(
    data_folder: DataFolder, open_store: OpenStore
) -> None:
    full_of_text(open_store)
    with closing(sqlite3.connect(data_folder.database)) as raw:
        raw.execute("INSERT INTO messages_fts (messages_fts) VALUES ('delete-all')")
        raw.commit()
    leave_uncleanly(data_folder)
    assert len(open_store().search("sentence", limit=500)) == 200


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom permissions bind"
)
def test_a_file_that_may_not_be_read_is_a_sentence(
    data_folder: DataFolder, open_store: OpenStore
) -> None:
    data_folder.database.touch(mode=0o000)
    with pytest.raises(PlumError, match="check its permissions"):
        open_store()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The databases whose pages were all looked at."""
    looked_at: list[Path] = []
    check = opening.check_pages

    def note(connection: opening.Connection, path: Path) -> None:
        looked_at.append(path)
        check(connection, path)

    monkeypatch.setattr(opening, "check_pages", note)
    return looked_at


def full_of_text(open_store: OpenStore) -> None:
    store = open_store()
    chat = store.chats.create()
    with store.transaction():
        for number in range(200):
            store.chats.add_message(chat.id, "user", f"A sentence, number {number}. " * 20)
    store.close()


def use_everything(store: Store) -> None:
    for chat in store.chats.list():
        store.chats.branch(chat.id)
        store.chats.delete(chat.id)
    store.compact()


def damage_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for page in range(4096 * 8, len(content) - 4096, 4096 * 4):
        content[page : page + 600] = b"\xff" * 600
    path.write_bytes(content)


def leave_uncleanly(folder: DataFolder) -> None:
    """What a killed process leaves: a marker that nobody holds."""
    (folder.root / ".plum.db.open-0123").touch()


def markers(folder: DataFolder) -> list[Path]:
    return list(folder.root.glob(".plum.db.open-*"))


def test_unfinished_replies_are_found_without_reading_every_message(store: Store) -> None:
    connection = store.chats._connection
    plan = connection.query(
        "EXPLAIN QUERY PLAN UPDATE messages SET finish_reason = 'failed'"
        " WHERE role = 'assistant' AND finish_reason IS NULL"
    )
    assert any("messages_unfinished" in row["detail"] for row in plan)
