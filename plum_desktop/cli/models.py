"""`plum-desktop models`: the GGUF files to chat with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from plum_desktop.base.files import megabytes
from plum_desktop.cli.session import Session, confirm, emit, json_option, pass_session, yes_option

if TYPE_CHECKING:
    from plum_desktop.app.models import ModelInfo


@click.group()
def models() -> None:
    """The models on this machine."""


@models.command("list")
@json_option
@pass_session
def list_models(session: Session, as_json: bool) -> None:
    """List the models; the one in use has a star."""
    found = session.plum.models.list()
    if as_json:
        for model in found:
            emit(model)
        return
    for model in found:
        _print(model)
    if not found:
        click.echo("There is no model yet; `plum-desktop models add FILE.gguf` brings one in.")


@models.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@pass_session
def add(session: Session, file: Path, as_json: bool) -> None:
    """Bring a GGUF file into the data folder."""
    model = session.plum.models.add(file)
    if as_json:
        emit(model)
    else:
        _print(model)


@models.command()
@click.argument("name")
@json_option
@pass_session
def use(session: Session, name: str, as_json: bool) -> None:
    """Chat and learn with this model from now on."""
    session.plum.models.use(name)
    model = session.plum.models.current()
    if as_json:
        emit(model)
    elif model:
        _print(model)


@models.command()
@click.argument("name")
@yes_option
@json_option
@pass_session
def remove(session: Session, name: str, yes: bool, as_json: bool) -> None:
    """Delete a model's file."""
    confirm(f"Delete {name} from the data folder?", yes)
    session.plum.models.remove(name)
    if as_json:
        emit({"removed": name})
    else:
        click.echo(f"Removed {name}.")


def _print(model: ModelInfo) -> None:
    facts = [megabytes(model.size), model.architecture, model.quantization]
    if model.context:
        facts.append(f"context {model.context:,}")
    facts.append({"fits": "fits in memory", "slow": "slow here"}.get(model.fit, model.fit))
    facts.append("can learn" if model.can_learn else "cannot learn")
    click.echo(f"{'*' if model.in_use else ' '} {model.name}")
    click.echo(f"    {', '.join(fact for fact in facts if fact)}")
    if model.why_not:
        click.echo(f"    {model.why_not}")
