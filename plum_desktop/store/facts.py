"""Facts: what was, or will be, taught."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import TypedDict, Unpack

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Fact, FactState
from plum_desktop.store.connection import Connection, Row
from plum_desktop.store.lookup import check_fields, resolve, without_number

_COLUMNS = ", ".join(field.name for field in fields(Fact))


class FactFields(TypedDict, total=False):
    """What `update` may change."""

    state: FactState
    statement: str
    subject: str
    last_recall: float | None
    origin: str | None


class Facts:
    """Facts by id.  Raises PlumError for one that is not there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, facts: Iterable[Fact]) -> int:
        """Add facts, all or none; how many are new.

        One whose id is there stays as it is, so that a resumed run may add its facts again.
        Raises PlumError if a fact's chat has been deleted.
        """
        return self._connection.insert("facts", map(asdict, facts), ignore=True)

    def get(self, fact_id: str) -> Fact:
        """The fact of this id, or the only one whose id begins so."""
        return _fact(resolve(self._connection, "facts", fact_id, "fact"))

    def update(self, fact_id: str, **fields: Unpack[FactFields]) -> None:
        """Change some fields."""
        check_fields(fields, FactFields)
        if not self._connection.update("facts", fact_id, fields):
            raise PlumError("There is no fact {fact_id!r}.", fact_id=fact_id)

    def of_chat(self, chat_id: str | None) -> list[Fact]:
        """Facts that rest on a chat or were made beside it, in the order they were added.

        None: those of no chat, which the user told by themselves.
        """
        return self._select("chat_id IS :chat", {"chat": chat_id})

    def delete_of_chat(self, chat_id: str | None, *, label: bool | None = None) -> int:
        """Delete them, or only those of one label; how many."""
        return self._connection.execute(
            "DELETE FROM facts WHERE chat_id IS :chat AND (:label IS NULL OR label = :label)",
            {"chat": chat_id, "label": label},
        )

    def delete(self, fact_id: str) -> None:
        """Delete one fact."""
        if not self._connection.execute("DELETE FROM facts WHERE id = ?", [fact_id]):
            raise PlumError("There is no fact {fact_id!r}.", fact_id=fact_id)

    def delete_all(self) -> int:
        """Delete every fact; how many."""
        return self._connection.execute("DELETE FROM facts")

    def counts(self) -> dict[FactState, int]:
        """How many facts are in each state that any is in."""
        rows = self._connection.query("SELECT state, count(*) AS n FROM facts GROUP BY state")
        return {row["state"]: row["n"] for row in rows}

    def _select(self, where: str, values: Row) -> list[Fact]:
        rows = self._connection.tuples(  # a thousand learned chats have 200,000
            f"SELECT {_COLUMNS} FROM facts WHERE {where} ORDER BY number", values
        )
        return [Fact(fact_id, bool(label), *rest) for fact_id, label, *rest in rows]

    def list(self, *, label: bool | None = None, state: FactState | None = None) -> list[Fact]:
        """Facts in the order they were added; None: of any label, in any state."""
        return self._select(
            "(:label IS NULL OR label = :label) AND (:state IS NULL OR state = :state)",
            {"label": label, "state": state},
        )


def _fact(row: Row) -> Fact:
    return Fact(**without_number(row) | {"label": bool(row["label"])})
