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
    duration,
    emit,
    json_option,
    one_line,
    pass_session,
    table,
    yes_option,
)

if TYPE_CHECKING:
    from plum_desktop.app.exchange import ImportReport
    from plum_desktop.app.forget import ForgetPlan
    from plum_desktop.base.types import Chat, SearchHit

MATCH_START, MATCH_END = "\ue000", "\ue001"  # how a snippet marks what matches
PROBLEMS_SHOWN = 10
_GIVEN_UP = "An unfinished learning run holds it and is given up."


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
    if report.grown:
        click.echo(f"Added what is new to {_count(report.grown, 'chat')}.")
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
    """Delete chats and every fact that rests on them, from the backups too.

    What was learned from them stays in memory; `chats forget` takes it out of there as well.
    """
    plum = session.plum
    plan = plum.forgetting.plan(chat_ids)
    what = _named(plan.chats)
    if plan.learned:
        click.echo(f"{_learned(plan)} What was learned stays in memory.", err=True)
    if plan.interrupted:
        click.echo(_GIVEN_UP, err=True)
    confirm(f"Delete {what}?", yes)
    complete = plum.forgetting.delete([chat.id for chat in plan.chats])
    if as_json:
        emit({"deleted": [chat.id for chat in plan.chats], "complete": complete})
        return
    click.echo(f"Deleted {what}.")
    if plan.learned:
        click.echo("What was learned from it is forgotten with `chats forget --deleted`.")
    _say_whether(complete)


@chats.command()
@click.argument("chat_ids", metavar="[CHAT_ID]...", nargs=-1)
@click.option("--message", "message_id", metavar="ID", help="One message and its reply instead.")
@click.option("--deleted", is_flag=True, help="What is still remembered of deleted chats.")
@click.option("--all", "every", is_flag=True, help="Every chat.")
@yes_option
@json_option
@pass_session
def forget(
    session: Session,
    chat_ids: tuple[str, ...],
    message_id: str | None,
    deleted: bool,
    every: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete chats, and everything that was learned with them.

    Rows, search, facts, unfinished learning, backups, and each run's memory that has seen them.
    Newer memories that go with it are named first.
    """
    service = session.plum.forgetting
    if sum([bool(chat_ids), message_id is not None, deleted, every]) != 1:
        raise click.UsageError("Name chats, or give one of --message, --deleted and --all.")
    if every:
        chat_ids = tuple(chat.id for chat in session.plum.store.chats.list(archived=None))
        if not chat_ids:
            raise PlumError("There are no chats.")
    if message_id is not None:
        plan = service.plan_message(message_id)
        what = _count(len(service.deleted_with(message_id)), "message")
    elif deleted:
        plan = service.plan_orphans()
        if not plan.adapters:
            raise PlumError("Nothing is remembered of deleted chats.")
        what = f"what is remembered of {_count(len(plan.learned), 'deleted chat')}"
    else:
        plan = service.plan(chat_ids)
        what = _named(plan.chats)
    _print_plan(plan)
    confirm(f"Forget {what}, for good?", yes)
    if message_id is not None:
        complete = service.delete_message(message_id, learned=True)
    elif deleted:
        complete = service.forget_orphans()
    else:
        complete = service.forget([chat.id for chat in plan.chats])
    if as_json:
        again = [chat.id for chat in plan.relearn]
        emit(
            {
                "forgotten": message_id or [chat.id for chat in plan.chats] or list(plan.learned),
                "adapters_deleted": plan.adapters,
                "serves": plan.serves,
                "learn_again": again,
                "seconds": plan.seconds,
                "complete": complete,
            }
        )
        return
    click.echo(f"Forgot {what}.")
    if plan.relearn:
        click.echo(f"Learn the other {_count(len(plan.relearn), 'chat')} again: plum-desktop learn")
    _say_whether(complete)


def _print_plan(plan: ForgetPlan) -> None:
    """Say what it takes before it is done; on stderr, since it is no result."""
    if not plan.adapters:
        click.echo("Nothing was learned from it.", err=True)
    else:
        serves = "an older memory serves" if plan.serves else "the model serves without memory"
        click.echo(f"{_learned(plan)} Those memories are deleted; {serves} from then on.", err=True)
    if plan.relearn:
        takes = f", about {duration(plan.seconds)}" if plan.seconds else ""
        click.echo(
            f"These go with it and have to be learned again ({len(plan.relearn)}{takes}):", err=True
        )
        for chat in plan.relearn[:PROBLEMS_SHOWN]:
            click.echo(f"  {chat.id[:12]}  {one_line(chat.title)}", err=True)
        if (more := len(plan.relearn) - PROBLEMS_SHOWN) > 0:
            click.echo(f"  and {more} more", err=True)
    if plan.interrupted:
        click.echo(_GIVEN_UP, err=True)


def _learned(plan: ForgetPlan) -> str:
    return f"{_count(len(plan.adapters), 'learning run')} learned with it."


def _named(found: tuple[Chat, ...]) -> str:
    return found[0].title if len(found) == 1 else _count(len(found), "chat")


def _say_whether(complete: bool) -> None:
    if not complete:
        click.echo("Its last traces go as soon as no other Plum Desktop uses the files.", err=True)


def _seconds(day: str | None) -> float | None:
    from plum_desktop.app.search import parse_day

    seconds = parse_day(day) if day else None
    if day and seconds is None:
        raise PlumError("{day!r} is no day; write it as 2026-10-01, 2026-10 or 2026.", day=day)
    return seconds


def _snippet(hit: SearchHit, start: str, end: str) -> str:
    return " ".join(hit.snippet.split()).replace(MATCH_START, start).replace(MATCH_END, end)


def _marks(chat: Chat) -> str:
    marks = {"pinned": chat.pinned, "not learned": not chat.learn, "memory off": not chat.memory}
    return ", ".join(mark for mark, on in marks.items() if on)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
