"""`plum-desktop adapters`: what was learned, run by run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

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
    from plum_desktop.app.adapters import ExportFormat
    from plum_desktop.base.types import Adapter

BASE_SERVES = "The model now serves without memory."


@click.group()
def adapters() -> None:
    """What was learned: each run's adapter."""


@adapters.command("list")
@json_option
@pass_session
def list_adapters(session: Session, as_json: bool) -> None:
    """List the adapters, newest first; the one that serves has a star."""
    found = session.plum.adapters.list()
    if as_json:
        for adapter in found:
            emit(adapter)
        return
    table(map(_row, found), "Nothing was learned yet; `plum-desktop learn` starts.")


@adapters.command()
@click.argument("adapter_id")
@json_option
@pass_session
def activate(session: Session, adapter_id: str, as_json: bool) -> None:
    """Serve this adapter."""
    adapter = session.plum.adapters.activate(adapter_id)
    if as_json:
        emit(adapter)
    else:
        click.echo(f"Adapter {adapter.id} now serves.")


@adapters.command()
@json_option
@pass_session
def rollback(session: Session, as_json: bool) -> None:
    """Undo the last switch: back to the adapter before, or the model itself."""
    adapter = session.plum.adapters.rollback()
    if as_json:
        emit({"active": adapter})
    else:
        click.echo(f"Adapter {adapter.id} now serves." if adapter else BASE_SERVES)


@adapters.command()
@click.argument("adapter_id")
@yes_option
@json_option
@pass_session
def delete(session: Session, adapter_id: str, yes: bool, as_json: bool) -> None:
    """Delete an adapter that does not serve."""
    confirm(f"Delete adapter {adapter_id} and its files?", yes)
    session.plum.adapters.delete(adapter_id)
    if as_json:
        emit({"deleted": adapter_id})
    else:
        click.echo(f"Deleted adapter {adapter_id}.")


@adapters.command()
@click.argument("adapter_id", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["peft", "gguf", "merged"]),
    default="gguf",
    show_default=True,
    help="A PEFT folder, a GGUF LoRA, or the whole model with it merged in.",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    help="Where to; an existing folder gets the file.",
)
@json_option
@pass_session
def export(session: Session, adapter_id: str | None, form: str, path: Path, as_json: bool) -> None:
    """Copy an adapter (the one that serves, if none is named) out of the data folder."""
    service = session.plum.adapters
    made = service.export(adapter_id, cast("ExportFormat", form), path)
    if as_json:
        emit({"path": made, "format": form, "warning": service.EXPORT_WARNING})
    else:
        click.echo(f"Wrote {made}\n{service.EXPORT_WARNING}")


def _row(adapter: Adapter) -> tuple[str, ...]:
    chats = len(adapter.chats)
    return (
        "*" if adapter.active else " ",
        adapter.id,
        day(adapter.created),
        adapter.state,
        f"{chats} chat{'' if chats == 1 else 's'}",
    )
