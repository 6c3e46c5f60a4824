"""The store beside the bare sqlite3 module: open, list, search, write, as many chats as wanted.

The peer does by hand what somebody would who needs no more than this: the same pragmas, the
same records out, the plainest statements.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from plum_desktop.app import search
from plum_desktop.app.bench.measure import (
    Bound,
    Line,
    Say,
    in_turns,
    milliseconds,
    of_pairs,
    percentile,
)
from plum_desktop.app.bench.sample import Size, Words, sample_folder
from plum_desktop.base import passphrase, sealing
from plum_desktop.base.files import private_folder
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Chat, SearchHit
from plum_desktop.store import Store, driver

WHOLE = Size(chats=5_000, messages=100, characters=800)  # 500,000 messages, about 1 GB
_BESIDE = Bound(at_most=1.3)
_HITS = 50
_IN_SIGHT = 100  # chats that the window lists before it reads the rest
# A chat goes on for long, and how long a disk takes to have a page differs: a few would tell of
# the first pages alone, which come from the file.
_FEWEST_WRITES = 200
QUERY_WORDS = (1, 2, 3)
_CHAT_COLUMNS = (
    "id, title, created, updated, folder, pinned, archived, learn, memory, model, persona,"
    " temperature, leaf"
)


class Bare:
    """The same file through sqlite3 alone."""

    def __init__(self, path: Path) -> None:
        self._sqlite = sqlite3.connect(path, isolation_level=None)
        for pragma in (
            "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON",
            "temp_store = MEMORY", "foreign_keys = ON",
        ):  # fmt: skip
            self._sqlite.execute(f"PRAGMA {pragma}")
        self._sqlite.execute("SELECT id FROM chats LIMIT 1").fetchall()

    def chats(self, most: int = -1) -> list[Chat]:
        rows = self._sqlite.execute(
            f"SELECT {_CHAT_COLUMNS} FROM chats WHERE archived = 0"
            " ORDER BY pinned DESC, updated DESC, number DESC LIMIT ?",
            [most],
        )
        return [
            Chat(i, t, c, u, f, bool(p), bool(a), bool(le), bool(m), *others)
            for i, t, c, u, f, p, a, le, m, *others in rows.fetchall()
        ]

    def search(self, text: str) -> list[SearchHit]:
        """Titles, messages and files, as ours finds them, the index doing all of it."""
        match = " ".join(f'"{word}"' for word in text.split()) + "*"
        statements = (
            ("""
            SELECT id, '', title, 'user', '', created FROM chats
            WHERE title LIKE '%' || ? || '%' AND archived = 0
            ORDER BY updated DESC, number DESC LIMIT 10
            """, text),
            (f"""
            SELECT messages.chat_id, messages.id, chats.title, messages.role,
                snippet(messages_fts, -1, '', '', '…', 16), messages.created
            FROM messages_fts JOIN messages ON messages.number = messages_fts.rowid
            JOIN chats ON chats.id = messages.chat_id
            WHERE messages_fts MATCH ? AND chats.archived = 0
            ORDER BY messages_fts.rank LIMIT {_HITS}
            """, match),
            (f"""
            SELECT messages.chat_id, messages.id, chats.title, messages.role,
                snippet(attachments_fts, -1, '', '', '…', 16), messages.created
            FROM attachments_fts JOIN attachments ON attachments.number = attachments_fts.rowid
            JOIN messages ON messages.id = attachments.message_id
            JOIN chats ON chats.id = messages.chat_id
            WHERE attachments_fts MATCH ? AND chats.archived = 0
            ORDER BY attachments_fts.rank LIMIT {_HITS}
            """, match),
        )  # fmt: skip
        return [
            SearchHit(*row)
            for statement, wanted in statements
            for row in self._sqlite.execute(statement, [wanted]).fetchall()
        ]

    def write(self, chat_id: str, text: str, created: float) -> None:
        self._sqlite.execute("BEGIN IMMEDIATE")
        parent = self._sqlite.execute("SELECT leaf FROM chats WHERE id = ?", [chat_id]).fetchone()
        message = uuid.uuid4().hex
        self._sqlite.execute(
            "INSERT INTO messages (id, chat_id, parent_id, role, text, created)"
            " VALUES (?, ?, ?, 'user', ?, ?)",
            [message, chat_id, *parent, text, created],
        )
        self._sqlite.execute(
            "UPDATE chats SET leaf = ?, updated = ? WHERE id = ?", [message, created, chat_id]
        )
        self._sqlite.execute("COMMIT")

    def remove(self, chat_id: str) -> None:
        self._sqlite.execute("BEGIN IMMEDIATE")
        self._sqlite.execute("DELETE FROM messages WHERE chat_id = ?", [chat_id])
        self._sqlite.execute("DELETE FROM chats WHERE id = ?", [chat_id])
        self._sqlite.execute("COMMIT")

    def close(self) -> None:
        self._sqlite.close()


def bench(root: Path, size: Size, runs: int, queries: int, say: Say) -> Iterator[Line]:
    """Every measure on a sample of `size`, made below `root` where it is not yet there.

    `runs` of each in turns, but `queries` searches.  What is written is taken away again.
    """
    folder = sample_folder(root, size, lambda share: say(f"Making the sample: {share:.0%}"))
    path, backups = folder.database, folder.backups

    def opened() -> float:
        with contextlib.closing(_Timed(path, backups)) as store:
            return store.milliseconds

    def opened_bare() -> float:
        made: list[Bare] = []
        try:
            return milliseconds(lambda: made.append(Bare(path)))
        finally:
            for one in made:
                one.close()

    say("Opening")
    yield in_turns(
        "open", "ms", opened, opened_bare, runs, wanted=Bound(at_most=300), wanted_ratio=_BESIDE
    )
    store, bare = Store(path, backups), Bare(path)
    try:
        yield from _listing(store, bare, runs, say)
        yield from _searches(store, bare, queries, say)
        yield _writing(store, bare, size, runs, say)
    finally:
        bare.close()
        store.close()


class _Timed:
    """A store, and how long it took to open."""

    def __init__(self, path: Path, backups: Path) -> None:
        made: list[Store] = []
        self.milliseconds = milliseconds(lambda: made.append(Store(path, backups)))
        self.close = made[0].close


def _listing(store: Store, bare: Bare, runs: int, say: Say) -> Iterator[Line]:
    """What the window lists first, and then all of it."""
    say("Listing")
    assert store.chats.list() == bare.chats()
    yield in_turns(
        f"list the first {_IN_SIGHT} chats",
        "ms",
        lambda: milliseconds(lambda: store.chats.list(limit=_IN_SIGHT)),
        lambda: milliseconds(lambda: bare.chats(_IN_SIGHT)),
        runs,
        wanted=Bound(at_most=20),
        wanted_ratio=_BESIDE,
    )
    yield in_turns(
        "list every chat",
        "ms",
        lambda: milliseconds(store.chats.list),
        lambda: milliseconds(bare.chats),
        runs,
        wanted=Bound(at_most=20),
        wanted_ratio=_BESIDE,
    )


def _searches(store: Store, bare: Bare, queries: int, say: Say) -> Iterator[Line]:
    """Words as often as they are used, one to three of them; the last is perhaps only begun."""
    words = Words(2)
    pairs = []
    for number, count in zip(range(queries), itertools.cycle(QUERY_WORDS), strict=False):
        text = " ".join(words.draw(count))
        say(f"Searching: {number + 1} of {queries}")
        pairs.append(
            (
                milliseconds(partial(search.find, store, text)),
                milliseconds(partial(bare.search, text)),
            )
        )
    yield of_pairs("search, median", "ms", pairs, wanted_ratio=_BESIDE)
    ours, there = (percentile(side, 0.95) for side in zip(*pairs, strict=True))
    yield Line(
        "search, 95th percentile", "ms", ours, there, ours / there, len(pairs),
        Bound(at_most=50), _BESIDE,
    )  # fmt: skip


def _writing(store: Store, bare: Bare, size: Size, runs: int, say: Say) -> Line:
    """A message of the usual length, on the disk when the call returns."""
    say("Writing")
    chat = store.chats.create("bench")
    text = " ".join(Words(3).draw(max(1, size.characters // 6)))
    try:
        return in_turns(
            "write one message",
            "ms",
            lambda: milliseconds(lambda: store.chats.add_message(chat.id, "user", text)),
            lambda: milliseconds(lambda: bare.write(chat.id, text, chat.created)),
            max(runs, _FEWEST_WRITES),
            wanted=Bound(at_most=5),
            wanted_ratio=_BESIDE,
        )
    finally:
        bare.remove(chat.id)  # not the store's way, which also rewrites the whole search index


def sealed(root: Path, size: Size, runs: int, queries: int, say: Say) -> Iterator[Line]:
    """The store under a passphrase beside the same one without."""
    plain = sample_folder(root, size, lambda share: say(f"Making the sample: {share:.0%}"))
    say("Encrypting the sample")
    folder = DataFolder(private_folder(root / f"{size.name}-sealed"))
    seal = passphrase.new_seal()
    try:
        driver.export(plain.database, None, folder.database, seal)
        passphrase.write(folder.root, seal, "for measuring")
        sealing.open_folder(folder.root, seal)
        yield from _beside(folder, plain, size, runs, queries, say)
    finally:
        sealing.close_folder(folder.root)
        shutil.rmtree(folder.root)


def _beside(
    folder: DataFolder, plain: DataFolder, size: Size, runs: int, queries: int, say: Say
) -> Iterator[Line]:
    def opened(which: DataFolder) -> float:
        with contextlib.closing(_Timed(which.database, which.backups)) as store:
            return store.milliseconds

    say("Opening")
    yield in_turns(
        "open", "ms", lambda: opened(folder), lambda: opened(plain), runs, wanted_ratio=_BESIDE
    )
    with (
        contextlib.closing(Store(folder.database, folder.backups)) as ours,
        contextlib.closing(Store(plain.database, plain.backups)) as theirs,
    ):
        say("Listing")
        yield in_turns(
            "list every chat",
            "ms",
            lambda: milliseconds(ours.chats.list),
            lambda: milliseconds(theirs.chats.list),
            runs,
            wanted_ratio=_BESIDE,
        )
        words, pairs = Words(2), []
        for number, count in zip(range(queries), itertools.cycle(QUERY_WORDS), strict=False):
            text = " ".join(words.draw(count))
            say(f"Searching: {number + 1} of {queries}")
            sides = [partial(search.find, store, text) for store in (ours, theirs)]
            pairs.append((milliseconds(sides[0]), milliseconds(sides[1])))
        yield of_pairs("search, median", "ms", pairs, wanted_ratio=_BESIDE)
        say("Writing")
        text = " ".join(Words(3).draw(max(1, size.characters // 6)))
        chats = {store: store.chats.create("bench").id for store in (ours, theirs)}

        def write(store: Store) -> float:
            return milliseconds(lambda: store.chats.add_message(chats[store], "user", text))

        yield in_turns(
            "write one message",
            "ms",
            lambda: write(ours),
            lambda: write(theirs),
            max(runs, _FEWEST_WRITES),
            wanted_ratio=_BESIDE,
        )
    with contextlib.closing(Bare(plain.database)) as bare:
        bare.remove(chats[theirs])
