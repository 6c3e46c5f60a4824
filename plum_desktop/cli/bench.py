"""`plum-desktop bench`: how fast each part is, beside what others would use in its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plum_desktop.cli.session import Session, emit, json_option, pass_session, table

if TYPE_CHECKING:
    from plum_desktop.app.bench.material import Model
    from plum_desktop.app.bench.measure import Line


@click.group()
def bench() -> None:
    """Measure Plum's parts side by side with their peers, as ratios.

    Both sides work in turns; what is told are medians.  What is made for it lies in the data
    folder's cache, and may be deleted.  Your own chats are not touched.
    """


def _runs(default: int):  # noqa: ANN202
    text = "How often each side works."
    return click.option("--runs", type=click.IntRange(min=1), default=default, show_default=True,
                        help=text)  # fmt: skip


def _queries(default: int):  # noqa: ANN202
    return click.option("--queries", type=click.IntRange(min=1), default=default,
                        show_default=True, help="How many searches.")  # fmt: skip


def _sample(session: Session) -> Path:
    folder = session.folder.cache / "bench"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _say(text: str) -> None:
    """A passing word, for whoever sits there."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def _show(name: str, lines: Iterable[Line], as_json: bool) -> None:
    """Print lines: as JSON each as it comes, else as one table."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if as_json:
        emit({"bench": name, "cores": os.cpu_count(), "load": load})
        for line in lines:
            emit({"bench": name, **line.to_dict()})
        return
    found = list(lines)
    _say("")
    head = ("", "ours", "peer", "unit", "ratio", "runs", "wanted", "")
    rows = [
        (
            line.name,
            _number(line.ours),
            _number(line.peer),
            line.unit,
            _number(line.ratio),
            str(line.runs),
            _wanted(line),
            "" if line.holds else "MISSED",
        )
        for line in found
    ]
    table([head, *rows], "")
    busy = "" if load is None else f"; load average {load:.1f} at the start"
    click.echo(f"\n{os.cpu_count()} cores{busy}.  A ratio is ours to the peer's.")


def _wanted(line: Line) -> str:
    bounds = (str(line.wanted), f"{line.wanted_ratio} x" if str(line.wanted_ratio) else "")
    return ", ".join(filter(None, bounds))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _store_size(command):  # noqa: ANN001, ANN202
    for option in (
        click.option("--characters", type=click.IntRange(min=1), default=800, show_default=True,
                     help="In each message."),
        click.option("--messages", type=click.IntRange(min=1), default=100, show_default=True,
                     help="In each chat."),
        click.option("--chats", type=click.IntRange(min=1), default=5_000, show_default=True,
                     help="In the sample."),
    ):  # fmt: skip
        command = option(command)
    return command


@bench.command()
@_store_size
@_runs(15)
@_queries(200)
@click.option("--sealed", is_flag=True, help="Under a passphrase, against the same without one.")
@json_option
@pass_session
def store(
    session: Session, chats: int, messages: int, characters: int, runs: int, queries: int,
    sealed: bool, as_json: bool,
) -> None:  # fmt: skip
    """Open, list, search and write (200 times at least), against the bare sqlite3 module."""
    from plum_desktop.app.bench import store as measured
    from plum_desktop.app.bench.sample import Size

    size = Size(chats, messages, characters)
    measure = measured.sealed if sealed else measured.bench
    _show("store", measure(_sample(session), size, runs, queries, _say), as_json)


@bench.command()
@_store_size
@_runs(7)
@click.option("--idle", type=click.FloatRange(min=0.1), default=20.0, show_default=True,
              help="Seconds over which wake-ups are counted.")  # fmt: skip
@json_option
@pass_session
def startup(
    session: Session, chats: int, messages: int, characters: int, runs: int, idle: float,
    as_json: bool,
) -> None:  # fmt: skip
    """From the command to a usable window, against an empty PySide6 window."""
    from plum_desktop.app.bench import startup as measured
    from plum_desktop.app.bench.sample import Size

    size = Size(chats, messages, characters)
    _show("startup", measured.bench(_sample(session), size, runs, idle, _say), as_json)


def _model(session: Session, threads: int) -> Model:
    from plum_desktop.app.bench.material import Model

    return Model.of(session.plum.models.file(), threads)


_threads = click.option(
    "--threads", type=click.IntRange(min=1), default=2, show_default=True, help="Of each side."
)
_chats_file = click.option(
    "--chats", "chats_file", type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Conversations, one a line as JSON; default: those that ship with the program.",
)  # fmt: skip


def _of_replies(name: str, text: str) -> None:
    """A bench of replies of so many tokens."""

    @bench.command(name, help=text)
    @_threads
    @click.option("--tokens", type=click.IntRange(min=2), default=128, show_default=True,
                  help="Of each reply.")  # fmt: skip
    @_runs(7)
    @json_option
    @pass_session
    def command(session: Session, threads: int, tokens: int, runs: int, as_json: bool) -> None:
        from plum_desktop.app.bench import beside, serve

        measured = {"serve": serve, "beside": beside}[name]
        lines = measured.bench(_sample(session), _model(session, threads), tokens, runs, _say)
        _show(name, lines, as_json)


_of_replies("serve", "Chat through the whole app, against llama-cpp-python's bare loop.")
_of_replies("beside", "Chat while it learns, against chatting alone.")


@bench.command()
@click.option("--gigabytes", type=click.FloatRange(min=0), default=0.0,
              help="On random weights of this size; default: on the model in use.")  # fmt: skip
@_runs(5)
@json_option
@pass_session
def merge(session: Session, gigabytes: float, runs: int, as_json: bool) -> None:
    """Merge an adapter into the model's file, against copying it."""
    from plum_desktop.app.bench import merge as measured

    lines = measured.bench(_sample(session), _model(session, 1), gigabytes, runs, _say)
    _show("merge", lines, as_json)


def _of_conversations(name: str, most: int, text: str) -> None:
    """A bench of what a run makes of conversations, at most so many of them."""

    @bench.command(name, help=text)
    @_threads
    @_chats_file
    @_runs(8)
    @json_option
    @pass_session
    def command(
        session: Session, threads: int, chats_file: Path | None, runs: int, as_json: bool
    ) -> None:
        from plum_desktop.app.bench import augment, train
        from plum_desktop.app.bench.material import conversations

        measured = {"augment": augment, "train": train}[name]
        chats = conversations(chats_file, most)
        lines = measured.bench(_sample(session), _model(session, threads), chats, runs, _say)
        _show(name, lines, as_json)


# A step costs what one conversation's rows cost, so a dozen of them show as much as a hundred.
_of_conversations(
    "train", 12, "Train on what a run would, against transformers' Trainer with peft."
)
_of_conversations(
    "augment", 100,
    "Make lessons, against asking the model for each of them, one request at a time.",
)  # fmt: skip


@bench.command()
@_threads
@_chats_file
@click.option("--peer", "peers", type=click.Choice(["plain", "bf16"]), multiple=True,
              default=("plain", "bf16"), show_default=True,
              help="In fp32, or with bf16 autocast; give it twice for both.")  # fmt: skip
@json_option
@pass_session
def recall(
    session: Session, threads: int, chats_file: Path | None, peers: tuple[str, ...], as_json: bool
) -> None:
    """Train until as much is remembered, against transformers' Trainer with peft."""
    from plum_desktop.app.bench import recall as measured
    from plum_desktop.app.bench.material import conversations

    chats = conversations(chats_file, 8)
    lines = measured.bench(_sample(session), _model(session, threads), chats, peers, _say)
    _show("recall", lines, as_json)


@bench.command()
@click.option("--chats", "sizes", type=click.IntRange(min=1), multiple=True,
              default=(10, 100, 1_000), show_default=True,
              help="Learned before; give it several times.")  # fmt: skip
@_threads
@_queries(60)
@_runs(7)
@json_option
@pass_session
def growth(
    session: Session, sizes: tuple[int, ...], threads: int, queries: int, runs: int, as_json: bool
) -> None:
    """Everything again with more and more chats learned, against the fewest of them."""
    from plum_desktop.app.bench import growth as measured

    lines = measured.bench(
        _sample(session), _model(session, threads), session.plum.models, sorted(set(sizes)),
        runs, queries, _say,
    )  # fmt: skip
    _show("growth", lines, as_json)
