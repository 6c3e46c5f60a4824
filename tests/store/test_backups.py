"""Copies: made once a day, rotated, changed with what is forgotten, put back."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plum_desktop.base.errors import Busy, DamagedFile, PlumError
from plum_desktop.base.files import FileLock
from plum_desktop.base.paths import DataFolder
from plum_desktop.store import Store, copies
from plum_desktop.store.forgetting import Doomed, erase
from tests.store.test_opening import ROWS, NewStep, a_newer_version, database_at  # noqa: F401 a fixture

OpenStore = Callable[[], Store]


def titles(store: Store) -> list[str]:
    return sorted(chat.title for chat in store.chats.list(archived=None))


def test_one_a_day_and_none_of_nothing(store: Store, data_folder: DataFolder) -> None:
    assert store.backups.daily() is None
    store.chats.create("Tea")
    made = store.backups.daily()
    assert made is not None
    assert made.label == "daily"
    assert made.size == made.path.stat().st_size
    if sys.platform != "win32":
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert store.backups.daily() is None
    yesterday = datetime.now(UTC) - timedelta(days=1, hours=1)
    made.path.rename(data_folder.backups / f"plum-{yesterday:%Y%m%d-%H%M%S}-daily.db")
    assert store.backups.daily() is not None
    assert len(store.backups.list()) == 2


def test_a_week_of_days_and_a_month_of_weeks_stay(store: Store, data_folder: DataFolder) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday
    for age in range(60):
        name = f"plum-{now - timedelta(days=age):%Y%m%d-%H%M%S}-daily.db"
        (data_folder.backups / name).touch()
    (data_folder.backups / f"plum-{now - timedelta(hours=2):%Y%m%d-%H%M%S}-daily.db").touch()
    for age in range(5):
        stamp = f"{now - timedelta(days=age):%Y%m%d-%H%M%S}"
        (data_folder.backups / f"plum-{stamp}-before-restore.db").touch()
        (data_folder.backups / f"plum-{stamp}-kept.db").touch()
    (data_folder.backups / "notes.txt").touch()
    (data_folder.backups / "plum-20269999-999999-daily.db").touch()  # no day of ours
    store.backups.rotate()
    left = store.backups.list()
    days = [
        datetime.fromtimestamp(each.created, UTC).strftime("%m-%d")
        for each in left
        if each.label == "daily"
    ]
    # Of the seven days the newest each, and the newest of four earlier weeks.
    assert days == [
        "11-21", "11-20", "11-19", "11-18", "11-17", "11-16", "11-15", "11-14", "11-08", "11-01",
        "10-25",
    ]  # fmt: skip
    assert sum(each.label == "kept" for each in left) == 5  # the user's own
    assert sum(each.label == "before-restore" for each in left) == 3
    assert (data_folder.backups / "notes.txt").exists()
    assert (data_folder.backups / "plum-20269999-999999-daily.db").exists()


def test_a_copy_is_put_back_and_what_was_there_is_kept(
    store: Store, open_store: OpenStore, data_folder: DataFolder
) -> None:
    store.chats.add_message(store.chats.create("Tea").id, "user", "Green tea?")
    made = store.backups.create()
    store.chats.create("Coffee")
    other = open_store()  # has it open all the while
    version = other.data_version()
    before = store.backups.restore(store.backups.get(made.name))
    assert titles(store) == ["Tea"] == titles(other)
    assert other.data_version() != version
    assert [hit.title for hit in other.search("green")] == ["Tea"]
    assert store._connection.pragma("journal_mode") == "wal"
    store.chats.create("Water")
    assert titles(other) == ["Tea", "Water"]
    assert before.label == "before-restore"
    store.backups.restore(store.backups.get("latest"))
    assert titles(store) == ["Coffee", "Tea"]
    assert not list(data_folder.backups.glob(".plum*"))


def test_an_older_copy_is_brought_to_todays_shape(store: Store, data_folder: DataFolder) -> None:
    database_at(data_folder.backups / "plum-20200101-000000-kept.db", "m001_first",
                ROWS["m001_first"])  # fmt: skip
    store.backups.restore(store.backups.get("plum-20200101-000000-kept"))
    assert titles(store) == ["Nothing yet", "Tea"]
    store.drafts.set("c1", "A thought")  # a table of a later step
    assert [hit.message_id for hit in store.search("tea")] == ["m1"]


@pytest.mark.usefixtures("a_newer_version")
def test_what_cannot_be_restored_changes_nothing(
    open_store: OpenStore, data_folder: DataFolder, a_newer_version: NewStep,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    newer = open_store()
    newer.chats.create("From tomorrow")
    newer.backups.create()
    newer.close()
    data_folder.database.unlink()
    monkeypatch.undo()
    store = open_store()
    store.chats.create("Tea")
    with pytest.raises(PlumError, match="newer Plum Desktop"):
        store.backups.restore(store.backups.get("latest"))
    made = store.backups.create()
    content = bytearray(made.path.read_bytes())
    for page in range(4096 * 2, len(content) - 4096, 4096 * 2):
        content[page : page + 900] = b"\xff" * 900
    made.path.write_bytes(content)
    with pytest.raises(DamagedFile, match=made.name):
        store.backups.restore(made)
    made.path.write_bytes(b"no database")
    with pytest.raises(DamagedFile):
        store.backups.restore(made)
    with pytest.raises(PlumError, match="no backup 'none'"):
        store.backups.get("none")
    assert titles(store) == ["Tea"]
    assert not list(data_folder.backups.glob(".plum*"))


def test_no_copy_is_made_while_copies_are_rewritten(
    store: Store, data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = store.chats.create("Tea")
    monkeypatch.setattr(copies, "_PATIENCE", 0.2)
    with FileLock(data_folder.backups.with_suffix(".lock")):
        with pytest.raises(Busy, match="making a backup"):
            store.backups.create()
        with pytest.raises(Busy):
            store.backups.rewrite(lambda _: None)
    assert store.backups.list() == []
    monkeypatch.setattr(copies, "_PATIENCE", 30)
    copying, go_on = threading.Event(), threading.Event()
    whole = type(store._connection).copy_to

    def slow(connection, path: Path) -> None:
        whole(connection, path)
        copying.set()
        go_on.wait(10)

    monkeypatch.setattr(type(store._connection), "copy_to", slow)
    maker = threading.Thread(target=store.backups.create)
    maker.start()
    assert copying.wait(10)
    doomed = Doomed(chats=(chat.id,))
    forgetter = threading.Thread(
        target=store.backups.rewrite, args=[lambda copy: erase(copy, doomed)]
    )
    forgetter.start()
    go_on.set()
    maker.join()
    forgetter.join()
    # The copy that was under way is rewritten like the others.
    [made] = store.backups.list()
    with closing(sqlite3.connect(made.path)) as raw:
        assert raw.execute("SELECT count(*) FROM chats").fetchone() == (0,)


def test_what_cannot_be_rewritten_is_deleted(store: Store, data_folder: DataFolder) -> None:
    chat = store.chats.create("Tea")
    made = store.backups.create()
    (data_folder.backups / "plum-20200101-000000-daily.db").touch()
    (data_folder.backups / "plum-20200102-000000-daily.db").write_bytes(b"Tea" * 999)
    (data_folder.backups / "plum-20200103-000000-damaged.db").write_bytes(b"Tea" * 999)
    with closing(sqlite3.connect(data_folder.backups / "plum-20200104-000000-kept.db")) as raw:
        raw.execute("CREATE TABLE chats (id)")
    store.backups.rewrite(lambda copy: erase(copy, Doomed(chats=(chat.id,))))
    assert [each.path for each in store.backups.list()] == [made.path]


def test_a_kill_while_copying_leaves_no_half(
    store: Store, data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.chats.create("Tea")
    made = store.backups.create()
    content = made.path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError):
        store.backups.create()
    with pytest.raises(OSError):
        store.backups.rewrite(lambda copy: erase(copy, Doomed(chats=(store.chats.list()[0].id,))))
    assert [path.name for path in data_folder.backups.iterdir()] == [made.path.name]
    assert made.path.read_bytes() == content
