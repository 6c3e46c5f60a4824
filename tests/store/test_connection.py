"""Transactions, threads, other processes, and SQLite's errors as sentences."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import pytest

import plum_desktop
from plum_desktop.base.errors import Busy, DiskFull, PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.store import Store

OpenStore = Callable[[], Store]


class Writer(NamedTuple):
    process: subprocess.Popen[str]
    stored: IO[str]  # the id of each message, once it is stored


WRITER = """
import sys
from plum_desktop.base.paths import open_data_folder
from plum_desktop.store import Store

folder = open_data_folder()
store = Store(folder.database, folder.backups)
chat = store.chats.create("being written")
for number in range(10_000):
    message = store.chats.add_message(chat.id, "user", f"word{number} " * 50)
    store.chats.grow_message(message.id, f"word{number} " * 60)
    print(message.id, flush=True)
"""


@contextlib.contextmanager
def a_writer() -> Iterator[Writer]:
    """A process that writes and does nothing else; killed in the middle of that."""
    root = str(Path(plum_desktop.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", WRITER],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    ) as process:
        assert process.stdout is not None
        try:
            yield Writer(process, process.stdout)
        finally:
            process.kill()


@pytest.fixture
def another(data_folder: DataFolder, store: Store) -> Iterator[sqlite3.Connection]:
    """Another program's connection, in a transaction; `store` waits for it only briefly."""
    store._connection.patience = 0.05
    other = sqlite3.connect(data_folder.database)
    yield other
    other.close()


def test_a_killed_writer_loses_nothing_that_was_stored(
    data_folder: DataFolder, open_store: OpenStore
) -> None:
    with a_writer() as writer:
        stored = [writer.stored.readline().strip() for _ in range(150)]
        writer.process.kill()  # SIGKILL, in the middle of whatever it does
        stored += writer.stored.read().split()
    assert writer.process.returncode != 0
    assert list(data_folder.root.glob(".plum.db.open-*"))  # left behind, hence checked now

    store = open_store()
    (chat,) = store.chats.list()
    branch = [message.id for message in store.chats.branch(chat.id)]
    assert branch[: len(stored)] == stored
    assert len(branch) <= len(stored) + 1  # one may be stored and not yet told
    assert store.chats.message(stored[149]).text == "word149 " * 60
    assert [hit.message_id for hit in store.search("word149")] == [stored[149]]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP")
def test_what_another_process_writes_is_noticed_and_read(open_store: OpenStore) -> None:
    store = open_store()
    before = store.data_version()
    store.chats.create("mine")
    assert store.data_version() == before  # one's own changes are no news
    with a_writer() as writer:
        message_id = writer.stored.readline().strip()
        writer.process.send_signal(signal.SIGSTOP)
        assert store.data_version() != before
        assert store.chats.message(message_id).text == "word0 " * 60


def test_two_processes_write_in_turn(open_store: OpenStore) -> None:
    store = open_store()
    with a_writer() as writer:
        writer.stored.readline()
        chat = store.chats.create()
        for number in range(50):
            store.chats.add_message(chat.id, "user", str(number))
        assert writer.process.poll() is None
    assert len(store.chats.branch(chat.id)) == 50


def test_one_that_writes_without_a_pause_leaves_others_their_turn(open_store: OpenStore) -> None:
    """SQLite alone looks ten times a second, and hardly ever meets the moment between."""
    store, other = open_store(), open_store()
    writing, ended = threading.Event(), threading.Event()

    def write() -> None:
        while not ended.is_set():
            with other.transaction():
                other.chats.create()
                writing.set()
                time.sleep(0.06)  # a slow disk

    writer = threading.Thread(target=write)
    writer.start()
    try:
        writing.wait()
        for _ in range(3):
            store.chats.create("mine")
    finally:
        ended.set()
        writer.join()
    assert [chat.title for chat in store.chats.list()].count("mine") == 3


def test_many_may_open_a_new_database_at_once(open_store: OpenStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: open_store(), range(8)))
    chat = stores[0].chats.create()
    assert all(store.chats.get(chat.id) == chat for store in stores)


def test_threads_share_one_store(store: Store) -> None:
    chats = [store.chats.create() for _ in range(4)]

    def write(chat_id: str) -> None:
        for number in range(40):
            store.chats.add_message(chat_id, "user", f"word{number}")
            store.search("word")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [chat.id for chat in chats]))
    for chat in chats:
        texts = [message.text for message in store.chats.branch(chat.id)]
        assert texts == [f"word{number}" for number in range(40)]


def test_other_threads_wait_for_a_transaction_and_see_none_of_it_undone(store: Store) -> None:
    entered, seen = threading.Event(), []

    def read() -> None:
        entered.wait()
        seen.extend(store.chats.list())

    reader = threading.Thread(target=read)
    reader.start()

    def fail() -> None:
        with store.transaction():
            store.chats.create("never was")
            entered.set()
            reader.join(0.1)
            assert reader.is_alive()
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        fail()
    reader.join()
    assert seen == []


def test_an_inner_transaction_can_fail_alone(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            store.chats.create(chat_id="inner")
            raise RuntimeError("no")

    with store.transaction():
        store.chats.create(chat_id="outer")
        with pytest.raises(RuntimeError):
            fail()
    assert [chat.id for chat in store.chats.list()] == ["outer"]


def test_a_long_transaction_of_another_process_is_a_sentence(
    store: Store, another: sqlite3.Connection
) -> None:
    another.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy, match="Another Plum Desktop is writing"):
        store.chats.create()
    assert store.chats.list() == []  # reading goes on
    another.rollback()
    store.chats.create()


def test_compacting_says_if_another_process_still_holds_the_old_pages(
    store: Store, another: sqlite3.Connection
) -> None:
    chat = store.chats.create()
    another.execute("BEGIN")
    another.execute("SELECT * FROM chats").fetchall()
    store.chats.delete(chat.id)
    with pytest.raises(Busy, match="still uses the file"):
        store.compact()
    another.rollback()
    store.compact()


def test_a_full_disk_is_a_sentence_and_loses_nothing(store: Store) -> None:
    chat = store.chats.create()
    store.chats.add_message(chat.id, "user", "before")
    pages = store._connection.pragma("page_count")
    store._connection.pragma("max_page_count", pages + 2)
    with pytest.raises(DiskFull, match="is full; free some space"):
        store.chats.add_message(chat.id, "user", "x" * 100_000)
    with store.transaction(), pytest.raises(DiskFull):
        store.chats.add_message(chat.id, "user", "x" * 100_000)
    assert [message.text for message in store.chats.branch(chat.id)] == ["before"]
    store._connection.pragma("max_page_count", 1_000_000)
    store.chats.add_message(chat.id, "user", "after")


def test_a_closed_store_is_a_sentence(store: Store) -> None:
    chat = store.chats.create()
    store.close()
    with pytest.raises(PlumError, match="is closing"):
        store.chats.add_message(chat.id, "user", "too late")
    with pytest.raises(PlumError, match="is closing"):
        store.data_version()


def test_a_defect_of_ours_stays_one(store: Store) -> None:
    store.chats.create(chat_id="c1")
    with pytest.raises(sqlite3.IntegrityError):
        store.chats.create(chat_id="c1")
    with pytest.raises(sqlite3.OperationalError):
        store._connection.execute("NOT SQL")
