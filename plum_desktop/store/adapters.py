"""Adapters: which were trained on what, which one serves, and what each has seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypedDict, Unpack

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Adapter, AdapterState
from plum_desktop.store.connection import Connection, Row
from plum_desktop.store.lookup import check_fields, resolve, without_number


class AdapterFields(TypedDict, total=False):
    """What `update` may change."""

    state: AdapterState
    report: Mapping[str, Any]


class Adapters:
    """Adapters by id.  At most one is active for each base model, by a unique index."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, adapter: Adapter) -> Adapter:
        """Add an adapter.  Raises PlumError if its run or its parent is not there."""
        row = asdict(adapter)
        row |= {"chats": json.dumps(adapter.chats), "report": json.dumps(adapter.report)}
        self._connection.insert("adapters", [row])
        return adapter

    def get(self, adapter_id: str) -> Adapter:
        """The adapter of this id, or the only one whose id begins so.  Raises PlumError."""
        return _adapter(resolve(self._connection, "adapters", adapter_id, "adapter"))

    def active(self, model_sha256: str) -> Adapter | None:
        """The adapter that serves with this base model; None: the base alone."""
        rows = self._connection.query(
            "SELECT * FROM adapters WHERE model_sha256 = ? AND active", [model_sha256]
        )
        return _adapter(rows[0]) if rows else None

    def activate(self, adapter_id: str | None, model_sha256: str) -> None:
        """Let this adapter serve with its base model in place of another; None: no adapter.

        Raises PlumError for one that is deleted or of another base model.
        """
        with self._connection.transaction():
            self._connection.execute(
                "UPDATE adapters SET active = 0 WHERE model_sha256 = ? AND active", [model_sha256]
            )
            if adapter_id is None:
                return
            adapter = self.get(adapter_id)
            if adapter.model_sha256 != model_sha256:
                raise PlumError(
                    "Adapter {id} was trained on another model; use that model first.",
                    id=adapter.id,
                )
            if adapter.state == "deleted":
                raise PlumError(
                    "Adapter {id} has been deleted; learn its chats again.", id=adapter.id
                )
            self._connection.update("adapters", adapter.id, {"active": True})

    def update(self, adapter_id: str, **fields: Unpack[AdapterFields]) -> None:
        """Change some fields.  A deleted adapter is active no more.  Raises PlumError."""
        check_fields(fields, AdapterFields)
        row: Row = dict(fields)
        if "report" in row:
            row["report"] = json.dumps(row["report"])
        if row.get("state") == "deleted":
            row["active"] = False
        if not self._connection.update("adapters", adapter_id, row):
            raise PlumError("There is no adapter {adapter_id!r}.", adapter_id=adapter_id)

    def seen(self, adapter_id: str) -> dict[str, str]:
        """The last message that the adapter learned of each chat, by chat id."""
        rows = self._connection.query(
            "SELECT chat_id, leaf FROM seen WHERE adapter_id = ?", [adapter_id]
        )
        return {row["chat_id"]: row["leaf"] for row in rows}

    def set_seen(self, adapter_id: str, leaves: Mapping[str, str]) -> None:
        """Replace what the adapter has seen.  Raises PlumError if the adapter is not there."""
        rows = [
            {"adapter_id": adapter_id, "chat_id": chat_id, "leaf": leaf}
            for chat_id, leaf in leaves.items()
        ]
        with self._connection.transaction():
            self._connection.execute("DELETE FROM seen WHERE adapter_id = ?", [adapter_id])
            self._connection.insert("seen", rows)

    def list(self, model_sha256: str | None = None) -> list[Adapter]:
        """Adapters of one base model, or of all, newest first, deleted ones too."""
        rows = self._connection.query(
            "SELECT * FROM adapters WHERE :model IS NULL OR model_sha256 = :model"
            " ORDER BY created DESC, number DESC",
            {"model": model_sha256},
        )
        return [_adapter(row) for row in rows]


def _adapter(row: Row) -> Adapter:
    parsed = {"chats": tuple(json.loads(row["chats"])), "report": json.loads(row["report"])}
    return Adapter(**without_number(row) | {"active": bool(row["active"])} | parsed)
