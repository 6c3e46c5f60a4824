"""`plum-desktop settings`: every setting by name."""

from __future__ import annotations

import dataclasses

import click

from plum_desktop.base.errors import PlumError
from plum_desktop.cli.session import Session, emit, json_option, pass_session


@click.group()
def settings() -> None:
    """Read and change the settings."""


@settings.command()
@click.argument("key", required=False)
@json_option
@pass_session
def get(session: Session, key: str | None, as_json: bool) -> None:
    """Print one setting, or all of them."""
    from plum_desktop.base.settings import Settings

    values = dataclasses.asdict(session.plum.settings)
    if key is not None:
        if key not in values:
            raise PlumError(
                "There is no setting {key!r}; there are {values}.",
                key=key,
                values=", ".join(values),
            )
        values = {key: values[key]}
    if as_json:
        emit(values)
    elif key is not None:
        click.echo(values[key])
    else:
        for field in dataclasses.fields(Settings):
            shown = values[field.name] if values[field.name] != "" else "(empty)"
            if field.metadata["secret"] and values[field.name]:
                shown = "(set)"
            click.echo(f"{field.name} = {shown}\n    {field.metadata['help']}")


@settings.command("set", context_settings={"ignore_unknown_options": True})  # a value of -1
@click.argument("key")
@click.argument("value")
@json_option
@pass_session
def set_value(session: Session, key: str, value: str, as_json: bool) -> None:
    """Change one setting."""
    session.plum.set_setting(key, value)
    stored = dataclasses.asdict(session.plum.settings)[key]
    if as_json:
        emit({key: stored})
    else:
        click.echo(f"{key} = {stored}")
