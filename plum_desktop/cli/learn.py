"""`plum-desktop learn`: the one button, in a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import megabytes
from plum_desktop.cli.session import (
    Session,
    confirm,
    duration,
    emit,
    json_option,
    one_line,
    pass_session,
    yes_option,
)

if TYPE_CHECKING:
    from plum_desktop.app.backend import Backend
    from plum_desktop.app.job import Job, Outcome, Progress
    from plum_desktop.app.learn import LearnPlan
    from plum_desktop.app.result_card import ResultCard

_TELL_EVERY = 0.05  # of the whole job, where lines are printed


@click.command()
@click.option("--chat", "chat_ids", metavar="ID", multiple=True, help="This chat; repeatable.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the N oldest that wait.")
@click.option("--recipe", type=click.Choice(["default", "paper"]), help="Default: as set.")
@click.option("--backend", type=click.Choice(["auto", "torch", "mlx"]), help="Default: as set.")
@click.option("--dry-run", is_flag=True, help="Say what would be learned, and stop.")
@click.option("--resume", is_flag=True, help="Go on with the job that was interrupted.")
@click.option("--when-due", is_flag=True, help="Only if the schedule says so now; say why.")
@yes_option
@json_option
@pass_session
def learn(
    session: Session,
    chat_ids: tuple[str, ...],
    limit: int | None,
    recipe: str | None,
    backend: Backend | None,
    dry_run: bool,
    resume: bool,
    when_due: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Learn from your chats.  Ctrl-C interrupts; --resume goes on from there."""
    if resume and (chat_ids or limit or dry_run or recipe or backend):
        raise click.UsageError("--resume takes the job as it was; leave out the rest.")
    if when_due and (resume or chat_ids or limit):
        raise click.UsageError("--when-due takes all that is new; leave out the rest.")
    learning = session.plum.learning
    if when_due and not _is_due(session, as_json):
        return
    with display(as_json) as show:
        job: Job
        if resume:
            run = learning.interrupted()
            if run is None:
                raise PlumError("No learning job was interrupted, so there is none to resume.")
            job = learning.resume(run.id, show, _ignore)
        else:
            plan = learning.plan(list(chat_ids) or None, limit, recipe=recipe, backend=backend)
            _print_plan(plan, as_json)
            if plan.refusal:
                raise PlumError(plan.refusal)
            if dry_run:
                return
            confirm("Learn them now?", yes or when_due)
            job = learning.start(plan, show, _ignore)
        outcome = _wait(job)
    _print_outcome(outcome, as_json)


def _is_due(session: Session, as_json: bool) -> bool:
    """Ask the schedule, and print what it says."""
    plum = session.plum
    decision = plum.schedule.look(plum.learning.plan())
    if as_json:
        emit({"event": "schedule", "start": decision.start, "reason": decision.reason})
    else:
        click.echo(decision.reason)
    return decision.start


def _wait(job: Job) -> Outcome:
    """The job's outcome.  Ctrl-C interrupts it: its children end, and it can go on later."""
    try:
        outcome = job.wait()
    except (KeyboardInterrupt, SystemExit):
        job.leave()
        job.wait()
        click.echo("Learning was interrupted; `plum-desktop learn --resume` goes on.", err=True)
        raise
    assert outcome is not None
    return outcome


def _ignore(_: Outcome) -> None:
    """`Job.wait` gives the outcome."""


def _print_plan(plan: LearnPlan, as_json: bool) -> None:
    if as_json:
        emit({
            "event": "plan",
            "chats": plan.chats,
            "left_out": [{"chat": chat.id, "reason": reason} for chat, reason in plan.left_out],
            "seconds": plan.seconds,
            "disk_bytes": plan.disk_bytes,
            "model": plan.model,
            "recipe": plan.recipe,
            "refusal": plan.refusal,
        })  # fmt: skip
        return
    for chat in plan.chats:
        click.echo(f"  {'new    ' if chat.is_new else 'changed'}  {one_line(chat.title)}")
    for left, reason in plan.left_out:
        click.echo(f"  left out: {one_line(left.title, 48)} ({reason})")
    if not plan.refusal:
        count = len(plan.chats)
        click.echo(
            f"{count} chat{'' if count == 1 else 's'}, about {duration(plan.seconds)}, "
            f"{megabytes(plan.disk_bytes)} of disk, on {plan.model} ({plan.recipe})."
        )


def _print_outcome(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        emit({
            "event": "outcome",
            "state": outcome.state,
            "run": outcome.run.id,
            "adapter": outcome.adapter.id if outcome.adapter else None,
            "card": outcome.card,
            "message": outcome.message,
        })  # fmt: skip
    elif outcome.card:
        _print_card(outcome.card)
    if outcome.state == "stopped":
        raise click.Abort
    if outcome.state != "done":
        raise PlumError(outcome.message)
    if not as_json:
        click.echo(outcome.message)


def _print_card(card: ResultCard) -> None:
    from plum_desktop.app.result_card import refusal

    chats = f"{card.chats} chat{'' if card.chats == 1 else 's'}"
    title = f"{chats} not switched on" if card.reasons else f"Learned {chats}"
    click.echo(f"{title}  ({duration(card.seconds)})")
    rows = [
        ("Remembers", card.yes, " questions it was never shown"),
        ("Still remembers", card.old, " from earlier chats"),
        ("Says no rightly", card.no, ""),
    ]
    for name, score, of_what in rows:
        if score:
            told = f"{score.right} of {score.asked}{of_what}  (before: {score.before})"
            click.echo(f"  {name:<19}  {told}")
    click.echo(f"  Otherwise unchanged  {card.unchanged:.0%} of general answers still right")
    if card.reasons:
        click.echo(f"  {refusal(card.reasons)}")


@contextlib.contextmanager
def display(as_json: bool) -> Iterator[Callable[[Progress], None]]:
    """How progress is shown: JSON lines, a bar on a terminal, else a line now and then."""
    if as_json:
        yield lambda progress: emit({"event": "progress", **_fields(progress)})
    elif sys.stdout.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


def _fields(progress: Progress) -> dict[str, object]:
    return {
        "run": progress.run_id,
        "stage": progress.stage,
        "fraction": round(progress.fraction, 4),
        "seconds_left": progress.seconds_left,
        "text": progress.text,
        "loss": progress.loss,
        "state": progress.state,
    }


def _words(progress: Progress) -> str:
    left = f", {duration(progress.seconds_left)} left" if progress.seconds_left else ""
    paused = " (paused)" if progress.state == "paused" else ""
    return f"{progress.text}{paused}{left}"


def _lines() -> Callable[[Progress], None]:
    told_stage, told = "", 0.0

    def show(progress: Progress) -> None:
        nonlocal told_stage, told
        if progress.stage == told_stage and progress.fraction < told + _TELL_EVERY:
            return
        told_stage, told = progress.stage, progress.fraction
        click.echo(f"{progress.stage:8} {progress.fraction:4.0%}  {_words(progress)}")

    return show


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    """A bar that appears with the first progress, so that nothing is asked beneath it."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.fields[stage]:8}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%  {task.description}"),
        transient=True,
    )
    task = bars.add_task("", total=1.0, stage="")

    def show(progress: Progress) -> None:
        bars.start()
        bars.update(
            task, completed=progress.fraction, description=_words(progress), stage=progress.stage
        )

    try:
        yield show
    finally:
        bars.stop()
