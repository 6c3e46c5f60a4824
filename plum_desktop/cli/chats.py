"""`plum-desktop chats`: bringing chats in, finding them, taking them out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click

from plum_desktop.base.errors import PlumError
from plum_desktop.cli.session import (
    Session,
    confirm,
    day,
    emit,
    json_option,
    one_line,
    pass_session,
    table,
    yes_option,
)

if TYPE_CHECKING:
    from plum_desktop.app.exchange import ImportReport
    from plum_desktop.base.types import Chat, SearchHit

MATCH_START, MATCH_END = "\ue000", "\ue001"  # how a snippet marks what matches
PROBLEMS_SHOWN = 10


@click.group()
def chats() -> None:
    """Your chats."""


@chats.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@pass_session
def import_chats(session: Session, file: Path, as_json: bool) -> None:
    """Bring in chats that ChatGPT, Claude or Plum exported, or JSON lines.

    FILE is the archive that ChatGPT or Claude sent, the conversations.json in it, what `chats
    export` wrote, or one conversation a line:
    {"id", "title"?, "created"?, "messages": [{"role", "content"}]}
    """
    from plum_desktop.app.exchange import import_file

    report = import_file(session.plum.store, file)
    if as_json:
        emit(report)
    else:
        _print_report(report)


def _print_report(report: ImportReport) -> None:
    click.echo(f"Added {_count(report.added, 'chat')}.")
    if report.skipped:
        click.echo(f"Left out {_count(report.skipped, 'chat')} that were there already.")
    for problem in report.problems[:PROBLEMS_SHOWN]:
        click.echo(f"Left out: {problem}")
    if more := len(report.problems) - PROBLEMS_SHOWN:
        click.echo(f"Left out: {more} more." if more > 0 else "", nl=more > 0)


@chats.command("list")
@click.option("--archived", is_flag=True, help="The archived ones.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many.")
@json_option
@pass_session
def list_chats(session: Session, archived: bool, limit: int | None, as_json: bool) -> None:
    """List the chats, newest first."""
    found = session.plum.store.chats.list(archived=archived, limit=limit)
    if as_json:
        for chat in found:
            emit(chat)
        return
    table(
        ((chat.id[:12], day(chat.created), _marks(chat), one_line(chat.title)) for chat in found),
        "There are no chats yet; `plum-desktop chat` begins one.",
    )


@chats.command()
@click.argument("chat_id")
@json_option
@pass_session
def show(session: Session, chat_id: str, as_json: bool) -> None:
    """Show a chat as it reads now."""
    store = session.plum.store
    chat = store.chats.get(chat_id)
    messages = store.chats.branch(chat.id)
    if as_json:
        emit({**dataclasses.asdict(chat), "messages": messages})
        return
    click.echo(f"{chat.title}  ({chat.id}, {day(chat.created)})")
    for message in messages:
        click.echo(f"\n{message.role}:\n{message.text}")
        for file in message.attachments:
            click.echo(f"[File: {file.name}]")


@chats.command()
@click.argument("text", default="")
@click.option("--in", "folder", metavar="FOLDER", help="In this folder and those inside it.")
@click.option("--after", metavar="DAY", help="Not before this day, month or year.")
@click.option("--before", metavar="DAY", help="Before this day, month or year.")
@click.option("--persona", metavar="WORDS", help="Where the chat's own persona says this.")
@click.option("--archived", is_flag=True, help="Archived chats too.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@json_option
@pass_session
def search(
    session: Session,
    text: str,
    folder: str | None,
    after: str | None,
    before: str | None,
    persona: str | None,
    archived: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Find messages by their words, or chats where there are only filters.

    Filters can be typed into TEXT too: in:Work after:2026-10-01 before:2026-11 is:archived
    persona:teacher
    """
    from plum_desktop.app.search import parse
    from plum_desktop.base.types import SearchFilter

    words, within = parse(
        text,
        SearchFilter(
            after=_seconds(after),
            before=_seconds(before),
            folder=folder,
            persona=persona,
            archived=None if archived else False,
        ),
    )
    store = session.plum.store
    if words or within == SearchFilter():
        hits = store.search(words, limit, within)
    else:
        hits = store.search_titles("", limit, within)
    if as_json:
        for hit in hits:
            emit(dataclasses.replace(hit, snippet=_snippet(hit, "", "")))
        return
    for hit in hits:
        click.echo(f"{hit.chat_id[:12]}  {one_line(hit.title)}")
        if hit.message_id:
            bold, plain = click.style("", bold=True, reset=False), click.style("", reset=True)
            click.echo(f"    {hit.role}: {_snippet(hit, bold, plain)}")
    if not hits:
        click.echo("Nothing matches.")


@chats.command()
@click.argument("chat_ids", metavar="[CHAT_ID]...", nargs=-1)
@click.option("-o", "--output", "path", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "markdown", "jsonl"]),
    default="jsonl",
    show_default=True,
    help="jsonl: the shown branches, to train on; json: everything; both can be imported.",
)
@json_option
@pass_session
def export(
    session: Session, chat_ids: tuple[str, ...], path: Path | None, form: str, as_json: bool
) -> None:
    """Write chats (all of them, if none is named) to a file or to the terminal."""
    from plum_desktop.app.exchange import export_chats

    kind = cast("Literal['json', 'markdown', 'jsonl']", form)
    text = export_chats(session.plum.store, list(chat_ids) or None, path, kind)
    if text is not None:
        click.echo(text, nl=not text.endswith("\n"))
    elif as_json:
        emit({"path": path, "format": form})
    else:
        click.echo(f"Wrote {path}")


@chats.command()
@click.argument("chat_ids", metavar="CHAT_ID...", nargs=-1, required=True)
@yes_option
@json_option
@pass_session
def delete(session: Session, chat_ids: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Delete chats and every fact that rests on them.

    What an adapter has learned from them it still knows.
    """
    store = session.plum.store
    found = [store.chats.get(chat_id) for chat_id in chat_ids]
    what = found[0].title if len(found) == 1 else _count(len(found), "chat")
    confirm(f"Delete {what}?", yes)
    store.chats.delete(*(chat.id for chat in found))
    store.compact()
    if as_json:
        emit({"deleted": [chat.id for chat in found]})
    else:
        click.echo(f"Deleted {what}.")


def _seconds(day: str | None) -> float | None:
    from plum_desktop.app.search import parse_day

    seconds = parse_day(day) if day else None
    if day and seconds is None:
        raise PlumError(f"{day!r} is no day; write it as 2026-10-01, 2026-10 or 2026.")
    return seconds


def _snippet(hit: SearchHit, start: str, end: str) -> str:
    return " ".join(hit.snippet.split()).replace(MATCH_START, start).replace(MATCH_END, end)


def _marks(chat: Chat) -> str:
    marks = {"pinned": chat.pinned, "not learned": not chat.learn, "memory off": not chat.memory}
    return ", ".join(mark for mark, on in marks.items() if on)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
