"""Learning runs: one row for each press of the button, whatever became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypedDict, Unpack

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import UNFINISHED, Run, RunState
from plum_desktop.store.connection import Connection, Row
from plum_desktop.store.lookup import check_fields, resolve, without_number


class RunFields(TypedDict, total=False):
    """What `update` may change."""

    state: RunState
    stage: str
    finished: float | None
    error: str | None
    report: Mapping[str, Any]


class Runs:
    """Runs by id.  Raises PlumError for one that is not there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, run: Run) -> Run:
        """Add a run."""
        row = asdict(run) | {"chats": json.dumps(run.chats), "report": json.dumps(run.report)}
        self._connection.insert("runs", [row])
        return run

    def get(self, run_id: str) -> Run:
        """The run of this id, or the only one whose id begins so."""
        return _run(resolve(self._connection, "runs", run_id, "run"))

    def update(self, run_id: str, **fields: Unpack[RunFields]) -> None:
        """Change some fields."""
        check_fields(fields, RunFields)
        row: Row = dict(fields)
        if "report" in row:
            row["report"] = json.dumps(row["report"])
        if not self._connection.update("runs", run_id, row):
            raise PlumError("There is no run {run_id!r}.", run_id=run_id)

    def unfinished(self) -> Run | None:
        """The newest run that runs, pauses or was interrupted; whether it lives is not known."""
        rows = self._connection.query(
            "SELECT * FROM runs WHERE state IN (SELECT value FROM json_each(?))"
            " ORDER BY created DESC, number DESC LIMIT 1",
            [json.dumps(UNFINISHED)],
        )
        return _run(rows[0]) if rows else None

    def list(self) -> list[Run]:
        """Every run, newest first."""
        rows = self._connection.query("SELECT * FROM runs ORDER BY created DESC, number DESC")
        return [_run(row) for row in rows]


def _run(row: Row) -> Run:
    parsed = {"chats": tuple(json.loads(row["chats"])), "report": json.loads(row["report"])}
    return Run(**without_number(row) | parsed)
