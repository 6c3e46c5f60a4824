"""`plum-desktop backup`: copies of the chats, and putting one back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from plum_desktop.base.files import megabytes
from plum_desktop.cli.session import (
    Session,
    confirm,
    day,
    emit,
    json_option,
    pass_session,
    table,
    yes_option,
)

if TYPE_CHECKING:
    from plum_desktop.store.copies import Backup


@click.group()
def backup() -> None:
    """Backups of your chats: one a day by itself, and when you ask for one."""


@backup.command()
@json_option
@pass_session
def create(session: Session, as_json: bool) -> None:
    """Make a backup now; it stays until you delete its file."""
    made = session.plum.backups.create()
    if as_json:
        emit(_as_row(made))
    else:
        click.echo(f"Wrote {made.path}")


@backup.command("list")
@json_option
@pass_session
def list_backups(session: Session, as_json: bool) -> None:
    """List the backups, newest first."""
    found = session.plum.backups.list()
    if as_json:
        for each in found:
            emit(_as_row(each))
        return
    table(
        ((each.name, day(each.created), megabytes(each.size), each.label) for each in found),
        "There are no backups yet; `plum-desktop backup create` makes one.",
    )


@backup.command()
@click.argument("name")
@yes_option
@json_option
@pass_session
def restore(session: Session, name: str, yes: bool, as_json: bool) -> None:
    """Put a backup (its NAME, or latest) in the place of the chats that are here now.

    A backup is made of these first.
    """
    service = session.plum.backups
    chosen = service.get(name)
    confirm(f"Put back the chats as they were on {day(chosen.created)}?", yes)
    before = service.restore(chosen.name)
    if as_json:
        emit({"restored": chosen.name, "before": before.name})
    else:
        click.echo(f"Restored {chosen.name}; what was here is kept as {before.name}.")


def _as_row(backup: Backup) -> dict[str, Any]:
    return {"name": backup.name, **dataclasses.asdict(backup)}
