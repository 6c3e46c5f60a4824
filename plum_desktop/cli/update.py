"""`plum-desktop update`: whether there is a newer version, and where."""

from __future__ import annotations

import click

from plum_desktop import __version__
from plum_desktop.cli.session import Session, emit, json_option, pass_session


@click.command()
@json_option
@pass_session
def update(session: Session, as_json: bool) -> None:
    """Ask github.com for a newer version.  Nothing is downloaded or installed."""
    from plum_desktop.app.preferences import Preferences
    from plum_desktop.app.updates import UpdateService

    # Not of `session.plum`: this needs no database, and so no passphrase.
    updates = UpdateService(session.folder, Preferences(session.folder.settings))
    found = updates.look()
    if as_json:
        emit({"version": __version__, "newer": found})
    elif found is None:
        click.echo(f"You have the newest version, {__version__}.")
    else:
        click.echo(f"Version {found.version} is out: {found.page}")
        for line in found.news:
            click.echo(f"    {line}")
