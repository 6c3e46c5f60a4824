"""`plum-desktop memory`: looking at what was taught, and leaving facts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from plum_desktop.cli.session import (
    Session,
    confirm,
    emit,
    json_option,
    one_line,
    pass_session,
    table,
    yes_option,
)

if TYPE_CHECKING:
    from plum_desktop.base.types import Fact


@click.group()
def memory() -> None:
    """What was, or will be, taught from your chats."""


@memory.command("list")
@click.option("--chat", "chat_id", metavar="ID", help="Only what rests on this chat.")
@json_option
@pass_session
def list_facts(session: Session, chat_id: str | None, as_json: bool) -> None:
    """List the facts, each with its state and how well it is remembered."""
    facts = session.plum.memory.list(chat_id)
    if as_json:
        for fact in facts:
            emit(fact)
        return
    table(
        ((fact.id[:8], fact.state, _recall(fact), one_line(fact.statement)) for fact in facts),
        "Nothing was taught yet; `plum-desktop learn` starts.",
    )


@memory.command()
@click.argument("fact_id")
@json_option
@pass_session
def show(session: Session, fact_id: str, as_json: bool) -> None:
    """Show one fact and the words it rests on."""
    plum = session.plum
    fact = plum.memory.get(fact_id)
    words = plum.memory.words_behind(fact)
    if as_json:
        emit({"fact": fact, "words": words})
        return
    click.echo(fact.statement)
    click.echo(f"  {fact.state}, recall {_recall(fact)}, by {fact.source}")
    if fact.chat_id:
        click.echo(f"  from the chat {plum.store.chats.get(fact.chat_id).title} ({fact.chat_id})")
    if words:
        click.echo(f"  {words}")


@memory.command()
@click.argument("fact_id")
@click.option("--undo", is_flag=True, help="Let it be taught again.")
@json_option
@pass_session
def exclude(session: Session, fact_id: str, undo: bool, as_json: bool) -> None:
    """Leave a fact out of every later run."""
    service = session.plum.memory
    fact = service.include(fact_id) if undo else service.exclude(fact_id)
    if as_json:
        emit(fact)
    elif undo:
        click.echo(f"It may be taught again: {fact.statement}")
    else:
        click.echo(f"It will not be taught again: {fact.statement}")


@memory.command()
@click.argument("text")
@json_option
@pass_session
def add(session: Session, text: str, as_json: bool) -> None:
    """Tell Plum a fact of your own, outside every chat."""
    fact = session.plum.memory.add(text)
    if as_json:
        emit(fact)
    else:
        click.echo(f"The next run learns it: {fact.statement}")


@memory.command()
@click.argument("fact_id")
@click.argument("text")
@json_option
@pass_session
def edit(session: Session, fact_id: str, text: str, as_json: bool) -> None:
    """Have other words taught in the place of a fact."""
    fact = session.plum.memory.edit(fact_id, text)
    if as_json:
        emit(fact)
    else:
        click.echo(f"The next run learns it: {fact.statement}")


@memory.command()
@click.argument("fact_id", required=False)
@click.option("--everything", is_flag=True, help="All facts, and everything that was learned.")
@yes_option
@json_option
@pass_session
def forget(
    session: Session, fact_id: str | None, everything: bool, yes: bool, as_json: bool
) -> None:
    """Never teach a fact again, or delete all that was learned.  Chats stay."""
    service = session.plum.memory
    if everything == (fact_id is not None):
        raise click.UsageError("Name one fact, or give --everything.")
    if fact_id is not None:
        statement = service.get(fact_id).statement
        service.forget(fact_id)
        said = f"It will not be taught again: {statement}"
    else:
        confirm("Delete everything that was learned, for good?", yes)
        service.forget_everything()
        said = "Everything that was learned is deleted; your chats are still here."
    if as_json:
        emit({"forgotten": fact_id or "everything"})
    else:
        click.echo(said)


def _recall(fact: Fact) -> str:
    return "-" if fact.last_recall is None else f"{fact.last_recall:.0%}"
