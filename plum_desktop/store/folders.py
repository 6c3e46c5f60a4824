"""Folders: a path of names, "Work/Clients", that is there as long as a chat is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from plum_desktop.base.errors import PlumError
from plum_desktop.store.connection import Connection

_WITHIN = "folder = :path OR substr(folder, 1, length(:path) + 1) = :path || '/'"


def folder_path(text: str | None) -> str | None:
    """The path in what was typed or imported: no empty names, no space around; None: no folder."""
    names = [" ".join(name.split()) for name in (text or "").split("/")]
    return "/".join(filter(None, names)) or None


def with_parents(path: str) -> list[str]:
    """`Work/Clients`: Work, and Work/Clients."""
    names = path.split("/")
    return ["/".join(names[: at + 1]) for at in range(len(names))]


class Folders:
    """The folders that chats are in.  Moving a chat does not move it in the list."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def paths(self) -> list[str]:
        """Every folder that has a chat, in it or further inside, archived ones too; by name."""
        rows = self._connection.query(
            "SELECT DISTINCT folder FROM chats WHERE folder IS NOT NULL ORDER BY folder"
        )
        paths = {path: None for row in rows for path in with_parents(row["folder"])}
        return sorted(paths, key=lambda path: path.casefold().split("/"))

    def named(self, wanted: str) -> list[str]:
        """The folders that `wanted` names, and those inside them; case does not matter.

        "Clients" names "Work/Clients" as well.
        """
        path = f"/{folder_path(wanted) or ''}/".casefold()
        return [each for each in self.paths() if path in f"/{each}/".casefold()]

    def put(self, folders: Mapping[str, str | None]) -> dict[str, str | None]:
        """Put each chat, by its whole id, into a folder; returns where they were."""
        with self._connection.transaction():
            rows = self._connection.query(
                "SELECT id, folder FROM chats WHERE id IN (SELECT value FROM json_each(?))",
                [json.dumps(list(folders))],
            )
            for row in rows:
                folder = folder_path(folders[row["id"]])
                self._connection.update("chats", row["id"], {"folder": folder})
        return {row["id"]: row["folder"] for row in rows}

    def rename(self, path: str, new: str) -> dict[str, str | None]:
        """Give a folder, and with it those inside it, another path; returns where chats were.

        Raises PlumError for a name that says nothing.
        """
        target = folder_path(new)
        if target is None:
            raise PlumError("A folder needs a name; give it one.")
        return self._move(path, target + "/")

    def remove(self, path: str) -> dict[str, str | None]:
        """Take a folder away: what is in it moves one level up; returns where chats were."""
        parent, slash, _ = path.rpartition("/")
        return self._move(path, parent + slash)

    def _move(self, path: str, start: str) -> dict[str, str | None]:
        """Let `start` stand for `path/` in every folder that begins so."""
        with self._connection.transaction():
            rows = self._connection.query(
                f"SELECT id, folder FROM chats WHERE {_WITHIN}", {"path": path}
            )
            return self.put({row["id"]: start + row["folder"][len(path) + 1 :] for row in rows})
