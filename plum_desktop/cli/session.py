"""What a command works on, made when first asked for, and how it speaks: words or JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from plum_desktop.base.errors import Locked, PlumError

if TYPE_CHECKING:
    from plum_desktop.app.product import Plum
    from plum_desktop.base.paths import DataFolder

Command = TypeVar("Command", bound=Callable[..., Any])


class Session:
    """One run of the program in a terminal."""

    def __init__(self, data_dir: Path | None, passphrase_fd: int | None = None) -> None:
        self.data_dir = data_dir  # None: the usual one
        self._passphrase_fd = passphrase_fd  # where a passphrase is read, a line each
        self._lines: IO[str] | None = None

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

        self.unlock()
        plum = Plum(self.folder)
        if plum.recovered:
            click.echo(f"plum-desktop: {plum.recovered}", err=True)
        return plum

    def unlock(self) -> None:
        """Ask the keychain or the user for the passphrase, where there is one and none was given.

        Raises WrongPassphrase, or Locked where nobody can be asked.
        """
        from plum_desktop.app import keychain, turning

        if not turning.is_on(self.folder) or turning.is_unlocked(self.folder):
            return
        if self._passphrase_fd is not None or not keychain.unlock(self.folder):
            turning.unlock(self.folder, self.passphrase())

    def passphrase(self, text: str = "Passphrase") -> str:
        """The passphrase: from the descriptor that was named, else from the terminal."""
        if self._passphrase_fd is not None:
            if self._lines is None:
                self._lines = _opened(self._passphrase_fd)
            return self._lines.readline().rstrip("\r\n")
        if not sys.stdin.isatty():
            raise Locked(
                "The passphrase is needed and nobody can be asked here; give it with "
                "--passphrase-fd."
            )
        said: str = click.prompt(text, hide_input=True, err=True)
        return said

    def new_passphrase(self) -> str:
        """A passphrase that is to be set; typed twice.  Raises PlumError."""
        from plum_desktop.app import turning

        words = self.passphrase("New passphrase")
        turning.check(words)
        if self._passphrase_fd is None and self.passphrase("The same again") != words:
            raise PlumError("The two passphrases differ; nothing was done.")
        return words

    def close(self) -> None:
        if self._lines:
            self._lines.close()
        if "plum" in self.__dict__:
            self.plum.backups.look_after()
            self.plum.close()


pass_session = click.make_pass_decorator(Session)


def _opened(descriptor: int) -> IO[str]:
    try:
        return open(descriptor, encoding="utf-8")
    except OSError as error:
        raise PlumError(
            "No passphrase can be read from descriptor {descriptor} ({strerror}).",
            descriptor=descriptor,
            strerror=error.strerror,
        ) from error


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
