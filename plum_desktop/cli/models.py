"""`plum-desktop models`: the GGUF files to chat with, and those to download."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plum_desktop.base.files import megabytes
from plum_desktop.cli.session import (
    Session,
    confirm,
    duration,
    emit,
    json_option,
    pass_session,
    yes_option,
)

if TYPE_CHECKING:
    from plum_desktop.app.models import ModelInfo, Offer
    from plum_desktop.models.download import Progress

_TELL_EVERY = 0.05  # of the whole file, where lines are printed


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
        click.echo("There is no model yet; `plum-desktop models catalog` lists what to download.")


@models.command("catalog")
@click.option("--fits", is_flag=True, help="Only those that fit this machine.")
@click.option("--learns", is_flag=True, help="Only those that can learn here.")
@json_option
@pass_session
def list_catalog(session: Session, fits: bool, learns: bool, as_json: bool) -> None:
    """List the models that can be downloaded."""
    begun = {each.model.name: each for each in session.plum.downloads.list()}
    offers = [
        offer
        for offer in session.plum.models.offers()
        if (offer.fit == "fits" or not fits) and (offer.can_learn or not learns)
    ]
    for offer in offers:
        there = begun.get(offer.model.name)
        if as_json:
            done = there.done if there else 0
            emit({**dataclasses.asdict(offer), "downloaded_bytes": done})
        else:
            _print_offer(offer, f"{there.fraction:.0%} is here" if there else "")
    if not offers and not as_json:
        click.echo("There is nothing more to download.")


@models.command()
@click.argument("name")
@json_option
@pass_session
def download(session: Session, name: str, as_json: bool) -> None:
    """Download a model of the catalog.  Ctrl-C interrupts; the same command goes on."""
    with _shown(as_json) as show:
        try:
            file = session.plum.downloads.fetch(name, show)
        except (KeyboardInterrupt, SystemExit):
            click.echo("The download was interrupted; the same command goes on.", err=True)
            raise
    model = next(each for each in session.plum.models.list() if each.name == file.name)
    if as_json:
        emit({"event": "done", **dataclasses.asdict(model)})
    else:
        _print(model)
        click.echo(f"`plum-desktop models use {file.path.stem}` chats with it.")


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
    if model.licence:
        facts.append(f"licence {model.licence}")
    click.echo(f"{'*' if model.in_use else ' '} {model.name}")
    click.echo(f"    {', '.join(fact for fact in facts if fact)}")
    if model.why_not:
        click.echo(f"    {model.why_not}")


def _print_offer(offer: Offer, begun: str) -> None:
    model = offer.model
    facts = [f"about {megabytes(model.approximate_size)}", model.quantization, model.licence]
    facts.append({"fits": "fits in memory", "slow": "slow here"}.get(offer.fit, offer.fit))
    if offer.can_learn:
        seconds = offer.learn_seconds
        facts.append(f"learns a chat in about {duration(seconds)}" if seconds else "can learn")
    else:
        facts.append("cannot learn")
    click.echo(f"{model.name}{f'  ({begun})' if begun else ''}")
    click.echo(f"    {model.good_for}")
    click.echo(f"    {', '.join(facts)}")
    for reason in ("" if offer.fit == "fits" else offer.fit_reason, offer.why_not):
        if reason:
            click.echo(f"    {reason}")


@contextlib.contextmanager
def _shown(as_json: bool) -> Iterator[Callable[[Progress], None]]:
    """How progress is shown: JSON lines, a bar on a terminal, else a line now and then."""
    if as_json:
        yield _every_step(lambda now: emit({"event": "progress", **dataclasses.asdict(now)}))
    elif sys.stdout.isatty():
        with _bar() as show:
            yield show
    else:
        yield _every_step(lambda now: click.echo(f"{now.fraction:4.0%}  {_words(now)}"))


def _words(now: Progress) -> str:
    if now.checking:
        return f"checking the {megabytes(now.done)} that are here"
    left = f", {duration(now.seconds_left)} left" if now.seconds_left else ""
    size = f"{megabytes(now.done)} of {megabytes(now.total)}" if now.total else megabytes(now.done)
    return f"{size}, {now.rate / 1e6:.1f} MB/s{left}"


def _every_step(show: Callable[[Progress], None]) -> Callable[[Progress], None]:
    told = -1.0

    def maybe(now: Progress) -> None:
        nonlocal told
        if now.fraction >= told + _TELL_EVERY or now.done == now.total or now.fraction < told:
            told = now.fraction
            show(now)

    return maybe


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        BarColumn(), TextColumn("{task.percentage:3.0f}%  {task.description}"), transient=True
    )
    task = bars.add_task("", total=1.0)

    def show(now: Progress) -> None:
        bars.start()
        bars.update(task, completed=now.fraction, description=_words(now))

    try:
        yield show
    finally:
        bars.stop()
