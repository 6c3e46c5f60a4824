"""`plum-desktop chat`: a conversation in the terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from typing import TYPE_CHECKING

import click

from plum_desktop.cli.session import Session, emit, json_option, pass_session

if TYPE_CHECKING:
    from plum_desktop.app.product import Plum
    from plum_desktop.app.serving import MemoryMode
    from plum_desktop.base.types import Chat, Message

memory_option = click.option(
    "--memory", type=click.Choice(["merged", "adapter", "off", "retrieval", "hybrid"]),
    help="The merged model, the adapter on the base, or the base; retrieval and hybrid put "
    "excerpts of stored chats before a question, for the base and for what was learned; default: "
    "as the window would.",
)  # fmt: skip


@click.command()
@click.option("--once", metavar="TEXT", help="Send one message, print the reply, leave.")
@click.option("--chat", "chat_id", metavar="ID", help="Go on with this chat; default: a new one.")
@memory_option
@json_option
@pass_session
def chat(
    session: Session,
    once: str | None,
    chat_id: str | None,
    memory: MemoryMode | None,
    as_json: bool,
) -> None:
    """Chat.  Ctrl-C stops a reply, Ctrl-D leaves."""
    plum = session.plum
    if once is not None:
        _say(plum, _chat(plum, chat_id), once, memory, as_json)
        return
    if chat_id is not None:
        plum.store.chats.get(chat_id)  # refuse an unknown one before the first word is typed
    begun: Chat | None = None
    while (text := _read(prompt=not as_json)) is not None:
        if text.strip():
            begun = begun or _chat(plum, chat_id)
            try:
                _say(plum, begun, text, memory, as_json)
            except KeyboardInterrupt:
                if not sys.stdin.isatty():
                    raise


def _chat(plum: Plum, chat_id: str | None) -> Chat:
    return plum.store.chats.get(chat_id) if chat_id else plum.store.chats.create()


def _read(prompt: bool) -> str | None:
    """A line from the user; None at the end."""
    with contextlib.suppress(ImportError):  # lines that can be edited, where the system has it
        import readline  # noqa: F401
    try:
        return input("you  > " if prompt and sys.stdin.isatty() else "")
    except EOFError:
        return None


def _say(plum: Plum, chat: Chat, text: str, memory: MemoryMode | None, as_json: bool) -> None:
    printed = 0

    def show(_: str, said: str) -> None:
        nonlocal printed
        click.echo(said[printed:], nl=False)
        printed = len(said)

    if as_json:
        emit(_row(plum.chats.send(chat.id, text, memory=memory)))
        return
    if sys.stdout.isatty():
        click.echo("plum > ", nl=False)
    try:
        plum.chats.send(chat.id, text, show, memory=memory)
    finally:
        if printed:
            click.echo()


def _row(message: Message) -> dict[str, object]:
    return {
        key: value
        for key, value in dataclasses.asdict(message).items()
        if key in ("id", "chat_id", "text", "tokens", "finish_reason")
    }
