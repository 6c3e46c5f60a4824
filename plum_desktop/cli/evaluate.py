"""`plum-desktop eval`: the judge, built in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plum_desktop.base.errors import PlumError
from plum_desktop.cli.chat import memory_option
from plum_desktop.cli.session import Session, emit, json_option, pass_session

if TYPE_CHECKING:
    from plum_desktop.app.evaluate import Mark
    from plum_desktop.app.serving import MemoryMode


@click.command("eval")
@click.argument("questions", type=click.Path(dir_okay=False, path_type=Path))
@memory_option
@click.option("--kinds", default="yes,no,open", show_default=True, help="Which kinds to ask.")
@click.option("--limit", type=click.IntRange(min=0), default=0, help="First N conversations only.")
@click.option(
    "--answers",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write each question, answer and mark to this file.",
)
@json_option
@pass_session
def evaluate(
    session: Session,
    questions: Path,
    memory: MemoryMode | None,
    kinds: str,
    limit: int,
    answers: Path | None,
    as_json: bool,
) -> None:
    """Ask every question of a JSON-lines file and mark the answers."""
    from plum_desktop.app.evaluate import KINDS, judge, read_questions
    from plum_desktop.base.files import write_json_lines

    wanted = {kind.strip() for kind in kinds.split(",")}
    if unknown := wanted - set(KINDS):
        raise click.BadParameter(f"{unknown.pop()!r} is not one of {', '.join(KINDS)}.")
    asked = read_questions(questions, kinds=wanted, limit=limit or None)
    if not asked:
        raise PlumError("{questions} holds no question of these kinds.", questions=questions)
    done = 0

    def show(_: Mark) -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty():
            click.echo(f"\r{done}/{len(asked)}", nl=done == len(asked), err=True)

    chats = session.plum.chats

    def ask(question: str, max_tokens: int) -> str:
        return chats.ask(
            [{"role": "user", "content": question}], memory, max_tokens, temperature=0.0
        )

    marks, report = judge(asked, ask, show)
    if answers:
        write_json_lines(answers, [mark.to_dict() for mark in marks])
    if as_json:
        emit(report)
        return
    for name, value in report.items():
        click.echo(f"{name:16} {value}")
