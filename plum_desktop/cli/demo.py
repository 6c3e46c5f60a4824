"""`plum-desktop demo`: the main job on invented chats."""

from __future__ import annotations

import click

from plum_desktop.cli.session import Session, json_option, pass_session


@click.command()
@click.option("--seed", type=click.IntRange(min=0), help="Invent the same chats again.")
@json_option
@pass_session
def demo(session: Session, seed: int | None, as_json: bool) -> None:
    """Invent chats, ask about them, learn them, ask again, export."""
    from plum_desktop.app.demo import run_demo

    run_demo(session.folder, seed, as_json)
