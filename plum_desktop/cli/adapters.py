"""`plum-desktop adapters`: what was learned, run by run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from plum_desktop.base.errors import PlumError
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
    from plum_desktop.app.adapters import ExportFormat, MergedType
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


@adapters.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@yes_option
@json_option
@pass_session
def import_adapter(session: Session, path: Path, yes: bool, as_json: bool) -> None:
    """Bring in an adapter made elsewhere: a PEFT folder, or a GGUF LoRA.

    It must be of the model in use.  It is tested as one learned here is, and serves if it passes;
    `rollback` undoes it.
    """
    service = session.plum.imports
    confirm(f"{service.WARNING} Bring in {path.name}?", yes)
    told = ""

    def show(fraction: float, text: str) -> None:
        nonlocal told
        if as_json:
            emit({"event": "progress", "fraction": round(fraction, 4), "text": text})
        elif text != told:
            click.echo(f"{fraction:4.0%}  {text}")
        told = text

    found = service.run(path, show)
    if as_json:
        emit({"event": "done", "adapter": found.adapter, "message": found.message})
    if found.refused:
        raise PlumError(found.message)
    if not as_json:
        click.echo(found.message)


@adapters.command()
@click.argument("adapter_id", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["peft", "gguf", "mlx", "merged"]),
    default="gguf",
    show_default=True,
    help="A PEFT folder, a GGUF LoRA, an MLX folder, or the whole model with it merged in.",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    help="Where to; an existing folder gets the file.",
)
@click.option(
    "--type",
    "at_least",
    type=click.Choice(["Q8_0", "F16", "F32"], case_sensitive=False),
    help="Merge anew, and write what changed as this or a larger type; default: as it serves, the "
    "smallest that keeps what was learned.",
)
@json_option
@pass_session
def export(
    session: Session,
    adapter_id: str | None,
    form: str,
    path: Path,
    at_least: str | None,
    as_json: bool,
) -> None:
    """Copy an adapter (the one that serves, if none is named) out of the data folder."""
    if at_least and form != "merged":
        raise PlumError("--type is for --format merged alone; leave it out.")
    service = session.plum.adapters
    wanted = cast("MergedType | None", at_least)
    made = service.export(adapter_id, cast("ExportFormat", form), path, at_least=wanted)
    if as_json:
        emit({"path": made, "format": form, "warning": service.EXPORT_WARNING})
    else:
        click.echo(f"Wrote {made}\n{service.EXPORT_WARNING}")


def _row(adapter: Adapter) -> tuple[str, ...]:
    chats = len(adapter.chats)
    imported = adapter.report.get("imported")
    return (
        "*" if adapter.active else " ",
        adapter.id,
        day(adapter.created),
        adapter.state,
        f"from {imported['name']}" if imported else f"{chats} chat{'' if chats == 1 else 's'}",
    )
