"""A database that was really damaged: what can be read is saved, the rest is kept aside."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from plum_desktop.app.product import Plum
from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.paths import DataFolder
from plum_desktop.store import Store
from plum_desktop.store.forgetting import Doomed, erase
from plum_desktop.store.recovery import recover

CHATS, TURNS = 25, 20
PAGE = 4096


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    store = Store(folder / "plum.db", folder)
    with store.transaction():
        for number in range(CHATS):
            chat = store.chats.create(f"Chat {number}", created=float(number))
            for turn in range(TURNS):
                text = f"Turn {turn} of chat {number}. " * 12
                role = "assistant" if turn % 2 else "user"
                store.chats.add_message(chat.id, role, text, created=number + turn / 100)
    store.close()
    return folder / "plum.db"


@pytest.fixture
def full(data_folder: DataFolder, made: Path) -> DataFolder:
    """A closed database of many chats."""
    shutil.copy(made, data_folder.database)
    return data_folder


def damage(path: Path, pages: list[int]) -> None:
    content = bytearray(path.read_bytes())
    rng = random.Random(5)
    for page in pages:
        content[page * PAGE : (page + 1) * PAGE] = rng.randbytes(PAGE)
    path.write_bytes(content)


def pages_of(path: Path, table: str) -> list[int]:
    """Numbers, from 0, of the pages that hold a table's rows, found by their text."""
    content = path.read_bytes()
    return [
        at
        for at in range(1, len(content) // PAGE)
        if content[at * PAGE] == 0x0D and table.encode() in content[at * PAGE : (at + 1) * PAGE]
    ]


def leave_uncleanly(folder: DataFolder) -> None:
    (folder.root / ".plum.db.open-0123").touch()


def everything(store: Store) -> list[tuple[str, int]]:
    """Every chat with how many messages it shows; reads every row and searches."""
    found = [(chat.title, len(store.chats.branch(chat.id))) for chat in store.chats.list()]
    assert store._connection.pragma("integrity_check") == "ok"
    assert not store._connection.query("PRAGMA foreign_key_check")
    return found


def test_rows_of_pages_that_can_be_read_are_saved(full: DataFolder) -> None:
    broken = pages_of(full.database, "Turn ")
    assert len(broken) > 30
    damage(full.database, broken[5::10])
    before = full.database.read_bytes()
    leave_uncleanly(full)
    plum = Plum(full)
    assert plum.recovered is not None
    assert "could still be read" in plum.recovered
    [aside] = full.backups.glob("*-damaged.db")
    assert str(aside) in plum.recovered
    assert aside.read_bytes() == before
    found = everything(plum.store)
    messages = plum.store.count_messages()
    lost = CHATS * TURNS - messages
    assert 0 < lost <= len(broken[5::10]) * 15
    assert len(found) == CHATS
    # What is left of a chat hangs together.
    assert sum(count for _, count in found) == messages
    assert len(plum.store.search("chat 7", limit=100)) > 5
    plum.close()
    again = Plum(full)
    assert again.recovered is None
    again.close()


def test_what_is_lost_comes_from_the_newest_copy(full: DataFolder) -> None:
    store = Store(full.database, full.backups)
    copy = store.backups.create("daily")
    late = store.chats.create("After the copy", created=999.0)
    store.chats.add_message(late.id, "user", "Something new.")
    gone = store.chats.list()[5]
    store.chats.delete(gone.id)
    store.close()
    reopened = Store(full.database, full.backups)
    reopened.backups.rewrite(lambda each: erase(each, Doomed(chats=(gone.id,))))
    reopened.close()
    # Where the newest message stands hangs on how the rewriting laid the pages out.
    kept = pages_of(full.database, "Something new.")
    damage(full.database, [at for at in pages_of(full.database, "Turn ")[::3] if at not in kept])
    told = recover(full.database, full.backups)
    assert told.copy == copy.name
    assert told.copied > 100
    assert f"{told.copied} more came from the backup {copy.name}" in told.sentence
    store = Store(full.database, full.backups)
    found = dict(everything(store))
    assert len(found) == CHATS
    assert found.pop("After the copy") == 1
    assert set(found.values()) == {TURNS}
    assert gone.title not in found  # what was deleted does not come back
    store.close()


@pytest.mark.parametrize("content", [b"not a database", os.urandom(9000), b"\0" * 5000])
def test_a_file_that_is_no_database_any_more(full: DataFolder, content: bytes) -> None:
    store = Store(full.database, full.backups)
    store.backups.create("daily")
    store.close()
    full.database.write_bytes(content)
    told = recover(full.database, full.backups)
    assert (told.read, told.copied) == (0, CHATS * TURNS)
    assert told.aside.read_bytes() == content
    store = Store(full.database, full.backups)
    assert len(everything(store)) == CHATS
    store.close()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_was_cut_short(full: DataFolder, share: float) -> None:
    content = full.database.read_bytes()
    full.database.write_bytes(content[: int(len(content) * share)])
    leave_uncleanly(full)
    plum = Plum(full)
    everything(plum.store)
    assert plum.recovered
    plum.close()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_pages_are_hit_it_opens_whole(full: DataFolder, seed: int) -> None:
    size = full.database.stat().st_size // PAGE
    damage(full.database, random.Random(seed).sample(range(size), 12))  # the header's, too
    leave_uncleanly(full)
    plum = Plum(full)
    everything(plum.store)
    plum.store.chats.create("It goes on")
    plum.close()


def test_damage_met_while_in_use_is_mended_at_the_next_start(full: DataFolder) -> None:
    damage(full.database, pages_of(full.database, "Turn ")[::4])
    plum = Plum(full)  # a clean end: nothing is checked at the start
    with pytest.raises(DamagedFile, match="start again"):
        [plum.store.chats.branch(chat.id) for chat in plum.store.chats.list()]
    plum.close()
    again = Plum(full)
    assert again.recovered
    everything(again.store)
    again.close()


def test_nothing_is_replaced_under_another_process(full: DataFolder) -> None:
    code = (
        "import sys, pathlib; from plum_desktop.store import Store\n"
        "store = Store(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(full.database), str(full.backups)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    try:
        with pytest.raises(DamagedFile, match="close every Plum Desktop"):
            recover(full.database, full.backups)
    finally:
        other.communicate()
    assert not list(full.backups.iterdir())


def test_another_programs_database_is_left_alone(data_folder: DataFolder) -> None:
    with closing(sqlite3.connect(data_folder.database)) as raw:
        raw.execute("CREATE TABLE chats (id)")
    before = data_folder.database.read_bytes()
    with pytest.raises(DamagedFile, match="not a database of Plum Desktop"):
        Plum(data_folder)
    assert data_folder.database.read_bytes() == before
