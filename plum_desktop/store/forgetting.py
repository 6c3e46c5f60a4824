"""Forgetting: which rows go, in the database and in every copy of it, and what is still to do.

Works on every shape that the database has had, since backups keep theirs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from plum_desktop.base.types import NO_CHAT, UNTITLED
from plum_desktop.store.connection import Connection, Row

_KINDS = ("chat", "message", "fact", "learned")  # in the order of Doomed's fields
_WORD = re.compile(r"\w+")
_IN = "IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Doomed:
    """Ids of what is to leave no trace."""

    chats: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()  # chats that no adapter may have seen


class Forgetting:
    """What is being forgotten in this database.

    It is written down together with the deletion, so that what a kill or another process kept
    from being finished (files, copies, free pages) is finished later.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, doomed: Doomed, usable: Callable[[str], bool]) -> set[str]:
        """Delete the rows, and write down that the rest is to follow; ids of stale adapters.

        `usable` says of an adapter whether its files are there, so that it could serve.
        """
        rows = [
            {"kind": kind, "id": each}
            for kind, ids in zip(_KINDS, astuple(doomed), strict=True)
            for each in ids
        ]
        with self._connection.transaction():
            for row in rows:
                self._connection.execute(
                    "INSERT OR IGNORE INTO forgetting (kind, id) VALUES (:kind, :id)", row
                )
            return erase(self._connection, doomed, usable)

    def stale(self, chats: Iterable[str]) -> set[str]:
        """Ids of the adapters that forgetting these chats deletes."""
        return stale(self._connection, chats)

    def clean_ancestor(
        self, adapter_id: str, gone: set[str], usable: Callable[[str], bool]
    ) -> str | None:
        """The nearest ancestor that can serve and is not among `gone`; None: the base."""
        return clean_ancestor(self._connection, adapter_id, gone, usable)

    def retire(self, gone: set[str], usable: Callable[[str], bool]) -> None:
        """Mark adapters as deleted; where one served, its nearest ancestor that can does."""
        with self._connection.transaction():
            _retire(self._connection, gone, usable)

    def pending(self) -> Doomed | None:
        """What was begun and is not finished; None: nothing."""
        rows = self._connection.query("SELECT kind, id FROM forgetting")
        if not rows:
            return None
        ids = [tuple(row["id"] for row in rows if row["kind"] == kind) for kind in _KINDS]
        return Doomed(*ids)

    def end(self, doomed: Doomed) -> None:
        """The last trace is gone."""
        with self._connection.transaction():
            for kind, ids in zip(_KINDS, astuple(doomed), strict=True):
                self._connection.execute(
                    f"DELETE FROM forgetting WHERE kind = ? AND id {_IN}", [kind, json.dumps(ids)]
                )
        self._connection.pragma("wal_checkpoint(TRUNCATE)")


def stale(connection: Connection, chats: Iterable[str]) -> set[str]:
    """Ids of the adapters that saw any of these chats, or words of them, or come from one that did.

    Deleted ones are left out.
    """
    wanted = set(chats)
    if not wanted:
        return set()
    if "origin" in _columns(connection, "facts"):
        wanted |= {
            row["chat_id"] or NO_CHAT
            for row in connection.query(
                f"SELECT DISTINCT chat_id FROM facts WHERE origin {_IN}", [json.dumps([*wanted])]
            )
        }
    saw = {
        row["adapter_id"]
        for row in connection.query(
            f"SELECT adapter_id FROM seen WHERE chat_id {_IN}", [json.dumps([*wanted])]
        )
    }
    found: set[str] = set()
    # Oldest first: a parent is there before what was trained from it.
    for row in connection.query("SELECT id, parent_id, chats, state FROM adapters ORDER BY number"):
        if row["parent_id"] in found or row["id"] in saw or wanted & set(json.loads(row["chats"])):
            found.add(row["id"])
    deleted = connection.query("SELECT id FROM adapters WHERE state = 'deleted'")
    return found - {row["id"] for row in deleted}


def clean_ancestor(
    connection: Connection, adapter_id: str, gone: set[str], usable: Callable[[str], bool]
) -> str | None:
    """The nearest ancestor that can serve and is not among `gone`; None: the base."""
    rows = connection.query("SELECT id, parent_id, state FROM adapters")
    adapters = {row["id"]: row for row in rows}
    parent = adapters[adapter_id]["parent_id"]
    while parent and (parent in gone or adapters[parent]["state"] != "ready" or not usable(parent)):
        parent = adapters[parent]["parent_id"]
    return None if parent is None else str(parent)


def erase(
    connection: Connection, doomed: Doomed, usable: Callable[[str], bool] = lambda _: True
) -> set[str]:
    """Delete every row about `doomed`, in one transaction; ids of the adapters that are stale.

    What they served is served by their newest clean ancestor, or the base.  Pages and the search
    index keep words until the file is written anew.
    """
    with connection.transaction():
        gone = stale(connection, doomed.learned)
        _tidy_reports(connection, gone, doomed)
        _retire(connection, gone, usable)
        if doomed.learned:
            _unlearn(connection, doomed.learned)
        if doomed.messages:
            _delete_messages(connection, set(doomed.messages))
        for chat_id in doomed.chats:
            # What it took back of what others said holds again; the ids are of corrections.py.
            connection.execute(
                """
                UPDATE facts SET state = 'waiting' WHERE state = 'contradicted' AND id IN (
                    SELECT substr(id, length(:chat) + 3) FROM facts
                    WHERE chat_id = :chat AND kind = 'former'
                )
                """,
                {"chat": chat_id},
            )
            if "origin" in _columns(connection, "facts"):
                connection.execute("DELETE FROM facts WHERE origin = ?", [chat_id])
            connection.execute("DELETE FROM facts WHERE chat_id = ?", [chat_id])
            connection.execute("DELETE FROM messages WHERE chat_id = ?", [chat_id])
            connection.execute("DELETE FROM chats WHERE id = ?", [chat_id])
        connection.execute(f"DELETE FROM facts WHERE id {_IN}", [json.dumps(doomed.facts)])
    return gone


def _retire(connection: Connection, gone: set[str], usable: Callable[[str], bool]) -> None:
    """Mark adapters as deleted; where one was active, the newest clean ancestor is."""
    ids = json.dumps([*gone])
    active = connection.query(
        f"SELECT id, model_sha256 FROM adapters WHERE active AND id {_IN}", [ids]
    )
    connection.execute(f"UPDATE adapters SET active = 0, state = 'deleted' WHERE id {_IN}", [ids])
    connection.execute(f"DELETE FROM seen WHERE adapter_id {_IN}", [ids])
    for row in active:
        if ancestor := clean_ancestor(connection, row["id"], gone, usable):
            connection.execute("UPDATE adapters SET active = 1 WHERE id = ?", [ancestor])


def _unlearn(connection: Connection, chats: Iterable[str]) -> None:
    """No list names the chats any more, and what no active adapter has seen waits again."""
    named = json.dumps([*chats])
    connection.execute(f"DELETE FROM seen WHERE chat_id {_IN}", [named])
    connection.execute(
        """
        UPDATE facts SET state = 'waiting', last_recall = NULL
        WHERE state IN ('learned', 'weak') AND coalesce(chat_id, ?) NOT IN (
            SELECT chat_id FROM seen JOIN adapters ON adapters.id = adapter_id WHERE active
        )
        """,
        [NO_CHAT],
    )


def _tidy_reports(connection: Connection, gone: set[str], doomed: Doomed) -> None:
    """Leave numbers alone in the reports of what learned a doomed chat."""
    chats = {*doomed.chats, *doomed.learned}
    runs = {
        row["run_id"]
        for row in connection.query(
            f"SELECT run_id FROM adapters WHERE run_id IS NOT NULL AND id {_IN}",
            [json.dumps([*gone])],
        )
    }
    for table, affected in (("runs", runs), ("adapters", gone)):
        for row in connection.query(f"SELECT id, chats, report FROM {table}"):
            named = json.loads(row["chats"])
            if row["id"] not in affected and chats.isdisjoint(named):
                continue
            left = [chat_id for chat_id in named if chat_id not in doomed.learned]
            report = json.dumps(_without_words(json.loads(row["report"])))
            connection.update(table, row["id"], {"chats": json.dumps(left), "report": report})
            if table == "runs":
                connection.execute("UPDATE runs SET error = NULL WHERE id = ?", [row["id"]])


def _without_words(value: Any) -> Any:
    """A report's numbers, under names of ours; the gate's own reasons, which quote nobody."""
    if isinstance(value, dict):
        return {
            key: each if key == "reasons" else _without_words(each)
            for key, each in value.items()
            if key != "by_fact" and _WORD.fullmatch(key) and not isinstance(each, str)
        }
    if isinstance(value, list):
        return [_without_words(each) for each in value if not isinstance(each, str)]
    return value


def _delete_messages(connection: Connection, doomed: set[str]) -> None:
    """Delete messages; what was said after them moves up to the nearest one that stays."""
    named = json.dumps([*doomed])
    chats = connection.query(
        f"SELECT * FROM chats WHERE id IN (SELECT chat_id FROM messages WHERE id {_IN})", [named]
    )
    for chat in chats:
        messages = connection.query(
            "SELECT id, parent_id, text FROM messages WHERE chat_id = ? ORDER BY number",
            [chat["id"]],
        )
        parents = {row["id"]: row["parent_id"] for row in messages}
        left = [row for row in messages if row["id"] not in doomed]

        def kept(message_id: str | None, parents: Mapping[str, str | None] = parents) -> str | None:
            while message_id in doomed:
                message_id = parents[message_id]
            return message_id

        for row in left:
            if row["parent_id"] in doomed:
                row["parent_id"] = kept(row["parent_id"])
                connection.update("messages", row["id"], {"parent_id": row["parent_id"]})
        # What is told of the chat as a whole may repeat them, too.
        connection.execute(
            f"DELETE FROM facts WHERE chat_id = ? AND (message_id IS NULL OR message_id {_IN})",
            [chat["id"], named],
        )
        changed: Row = {}
        if chat["leaf"] in doomed:
            changed["leaf"] = _newest_below(kept(chat["leaf"]), left)
        said = _words(row["text"] for row in messages if row["id"] in doomed)
        if _words([chat["title"]]) & said - _words(row["text"] for row in left):
            changed["title"] = UNTITLED
        connection.update("chats", chat["id"], changed)
        connection.execute(
            f"DELETE FROM messages WHERE chat_id = ? AND id {_IN}", [chat["id"], named]
        )


def _newest_below(message_id: str | None, messages: list[Row]) -> str | None:
    """The last of `messages`, parents first, that is `message_id` or below it; None: of all."""
    below = {message_id}
    newest = message_id
    for row in messages:
        if row["id"] == message_id or row["parent_id"] in below:
            below.add(row["id"])
            newest = row["id"]
    return newest


def _words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in _WORD.findall(text.casefold())}


def _columns(connection: Connection, table: str) -> set[str]:
    return {row["name"] for row in connection.query(f"PRAGMA table_info({table})")}
