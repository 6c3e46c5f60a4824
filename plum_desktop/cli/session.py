"""What a command works on, made when first asked for, and how it speaks: words or JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from plum_desktop.base.errors import PlumError

if TYPE_CHECKING:
    from plum_desktop.app.product import Plum
    from plum_desktop.base.paths import DataFolder

Command = TypeVar("Command", bound=Callable[..., Any])


class Session:
    """One run of the program in a terminal."""

    def __init__(self, data_dir: Path | None) -> None:
        self.data_dir = data_dir  # None: the usual one

    @cached_property
    def folder(self) -> DataFolder:
        """The data folder, made if missing; from here on there is a log."""
        from plum_desktop.base import log
        from plum_desktop.base.paths import open_data_folder

        folder = open_data_folder(self.data_dir)
        log.start(folder.logs, "command")
        return folder

    @cached_property
    def plum(self) -> Plum:
        from plum_desktop.app.product import Plum

        plum = Plum(self.folder)
        if plum.recovered:
            click.echo(f"plum-desktop: {plum.recovered}", err=True)
        return plum

    def close(self) -> None:
        if "plum" in self.__dict__:
            self.plum.backups.look_after()
            self.plum.close()


pass_session = click.make_pass_decorator(Session)


def json_option(command: Command) -> Command:
    """`--json`: the command gets it as `as_json`."""
    text = "Print JSON, one object a line."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


def yes_option(command: Command) -> Command:
    return click.option("--yes", is_flag=True, help="Go ahead without asking.")(command)


def emit(value: Any) -> None:
    """Print one JSON object on a line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def confirm(question: str, yes: bool) -> None:
    """Ask before going on.  Raises PlumError where the answer is no, or nobody is there."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise PlumError("This waits for your word and nobody can answer here; add --yes.")
    if not click.confirm(question, err=True):
        raise PlumError("Nothing was done.")


def table(rows: Iterable[tuple[str, ...]], empty: str) -> None:
    """Print rows in columns as wide as their texts, or say that there are none."""
    rows = list(rows)
    if not rows:
        click.echo(empty)
        return
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def day(seconds: float) -> str:
    """A time as the user's own clock and calendar have it, to the minute."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def one_line(text: str, width: int = 72) -> str:
    """Text for a list: no line breaks, cut to `width`."""
    words = " ".join(text.split())
    return words if len(words) <= width else words[: width - 1].rstrip() + "…"


def duration(seconds: float) -> str:
    """How long something takes, as people say it."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
