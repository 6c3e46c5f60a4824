"""Finding one row by its id or the beginning of it, and the record in a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plum_desktop.base.errors import PlumError
from plum_desktop.store.connection import Connection, Row

_SHORTEST_PREFIX = 4
_LAST_CHARACTER = "\U0010ffff"


def resolve(connection: Connection, table: str, wanted: str, noun: str) -> Row:
    """The row of this id, else the only one whose id begins so (4 letters or more).

    Raises PlumError, with `noun` for what there is none or more than one of.
    """
    if rows := connection.query(f'SELECT * FROM "{table}" WHERE id = ?', [wanted]):
        return rows[0]
    if len(wanted) >= _SHORTEST_PREFIX:
        rows = connection.query(
            f'SELECT * FROM "{table}" WHERE id >= ? AND id < ? LIMIT 2',
            [wanted, wanted + _LAST_CHARACTER],
        )
        if len(rows) == 1:
            return rows[0]
        if rows:
            raise PlumError(
                "More than one {noun}'s id begins with {wanted!r}; give more of it.",
                noun=noun,
                wanted=wanted,
            )
    raise PlumError("There is no {noun} {wanted!r}.", noun=noun, wanted=wanted)


def check_fields(fields: Mapping[str, Any], allowed: type) -> None:
    """Raise TypeError for a field that the TypedDict `allowed` does not have."""
    if unknown := fields.keys() - allowed.__annotations__:
        raise TypeError(f"cannot be changed: {', '.join(sorted(unknown))}")


def without_number(row: Row) -> Row:
    """A row as its record has it: the table's own key is the store's alone."""
    return {name: value for name, value in row.items() if name != "number"}
