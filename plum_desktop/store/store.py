"""The store: one open database, and a view of it for each kind of record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from plum_desktop.base.errors import Busy
from plum_desktop.base.sealing import require_open
from plum_desktop.base.types import MessageRef, SearchFilter, SearchHit
from plum_desktop.store import search
from plum_desktop.store.adapters import Adapters
from plum_desktop.store.backups import Backups
from plum_desktop.store.chats import Chats
from plum_desktop.store.connection import damaged
from plum_desktop.store.drafts import Drafts
from plum_desktop.store.facts import Facts
from plum_desktop.store.folders import Folders
from plum_desktop.store.forgetting import Forgetting
from plum_desktop.store.marker import OpenMarker
from plum_desktop.store.opening import check_pages, open_database
from plum_desktop.store.runs import Runs

UNARCHIVED = SearchFilter()


class Store:
    """An open `plum.db`.  Any thread may call any method; several processes may have it open.

    Every method raises Busy when another process writes for too long, DiskFull, DamagedFile,
    or another PlumError with the reason.
    """

    def __init__(self, path: Path, backups: Path) -> None:
        """Open the database, made if missing; upgrade it after a copy to `backups`.

        After an unclean end of whoever had it open, every page is checked first.  Raises
        DamagedFile, Locked, or PlumError for a file that a newer version wrote.
        """
        marker = OpenMarker(path)
        try:
            require_open(path.parent)  # behind the marker, which whoever seals the folder looks for
            self._connection = open_database(path, backups, checked=marker.unclean)
        except BaseException:
            marker.close()
            raise
        marker.settle()
        self._marker = marker
        self.chats = Chats(self._connection)
        self.drafts = Drafts(self._connection)
        self.facts = Facts(self._connection)
        self.folders = Folders(self._connection)
        self.runs = Runs(self._connection)
        self.adapters = Adapters(self._connection)
        self.forgetting = Forgetting(self._connection)
        self.backups = Backups(self._connection, backups)

    def search(
        self, text: str, limit: int = 50, within: SearchFilter = UNARCHIVED
    ) -> list[SearchHit]:
        """Messages that have every word of `text`, the last one perhaps begun; best first."""
        return search.messages(self._connection, text, limit, within)

    def search_titles(
        self, text: str, limit: int = 50, within: SearchFilter = UNARCHIVED
    ) -> list[SearchHit]:
        """Chats with `text` in their title, newest first, as hits without a message."""
        return search.titles(self._connection, text, limit, within)

    def personas(self) -> list[str]:
        """The personas that chats have of their own, the most used first."""
        return search.personas(self._connection)

    def related(self, beginnings: Sequence[str], limit: int) -> list[MessageRef]:
        """Messages that have a word with any of `beginnings`, best match first."""
        return search.related(self._connection, beginnings, limit)

    def count_words(self, beginning: str) -> int:
        """How many messages have a word that begins so."""
        return search.count(self._connection, beginning)

    def count_messages(self) -> int:
        return int(self._connection.query("SELECT count(*) AS n FROM messages")[0]["n"])

    def learned_state(self, model_sha256: str) -> dict[str, str]:
        """What the base model's active adapter has seen: the leaf it learned, by chat id."""
        active = self.adapters.active(model_sha256)
        return self.adapters.seen(active.id) if active else {}

    def transaction(self) -> AbstractContextManager[None]:
        """All calls within are stored together or not at all; other threads wait."""
        return self._connection.transaction()

    @property
    def written(self) -> Path:
        """The file that every change goes into first, by whichever process."""
        path = self._connection.path
        return path.with_name(f"{path.name}-wal")

    def data_version(self) -> int:
        """A number that differs from the last one if another process has changed anything."""
        return int(self._connection.pragma("data_version"))

    def compact(self) -> None:
        """Write the file anew without a trace of what was deleted.

        Raises Busy while another process reads, since its pages may keep the words.
        """
        search.optimize(self._connection)
        self._connection.execute("VACUUM")
        if self._connection.pragma("wal_checkpoint(TRUNCATE)"):
            raise Busy(
                "What was deleted is gone, but another Plum Desktop still uses the file that "
                "held it; close it and try again."
            )

    def check(self) -> None:
        """Look at every page, every search index and what belongs to what.  Raises DamagedFile."""
        with self._connection.sentences():
            check_pages(self._connection, self._connection.path)
            if self._connection.query("PRAGMA foreign_key_check"):
                raise damaged(self._connection.path)

    def close(self) -> None:
        """Close the database; twice is once."""
        self._connection.close()
        self._marker.close(leave=self._connection.met_damage)
