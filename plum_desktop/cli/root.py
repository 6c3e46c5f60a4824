"""The root command, and what every way of ending means."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
from pathlib import Path
from typing import Any

import click

from plum_desktop import __version__
from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.cli.adapters import adapters
from plum_desktop.cli.backup import backup
from plum_desktop.cli.bench import bench
from plum_desktop.cli.chat import chat
from plum_desktop.cli.chats import chats
from plum_desktop.cli.demo import demo
from plum_desktop.cli.doctor import doctor
from plum_desktop.cli.evaluate import evaluate
from plum_desktop.cli.learn import learn
from plum_desktop.cli.memory import memory
from plum_desktop.cli.models import models
from plum_desktop.cli.passphrase import passphrase
from plum_desktop.cli.serve import serve
from plum_desktop.cli.session import Session
from plum_desktop.cli.settings import settings
from plum_desktop.cli.update import update

_M_ARENA_MAX = -8  # malloc.h

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

log = logging.getLogger(__name__)


class _Root(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read the output has gone: `plum-desktop … | head`.  To click, a failure.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE


@click.group(
    cls=_Root,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="plum-desktop", message="%(prog)s %(version)s")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where chats, models and what was learned are kept.",
)
@click.option(
    "--passphrase-fd",
    type=click.IntRange(0),
    metavar="N",
    help="Read the passphrase from this file descriptor instead of asking for it.",
)
@click.pass_context
def root(context: click.Context, data_dir: Path | None, passphrase_fd: int | None) -> None:
    """A private assistant that learns from its own chats, on this machine alone.

    With no command it opens the window.
    """
    context.obj = session = Session(data_dir, passphrase_fd)
    context.call_on_close(session.close)
    if context.invoked_subcommand is None:
        _open_window(session)


for command in (
    demo, chat, chats, learn, memory, adapters, models, serve, evaluate, bench, backup, passphrase,
    settings, update, doctor,
):  # fmt: skip
    root.add_command(command)


def _open_window(session: Session) -> None:
    if sys.platform.startswith("linux") and not _linux_display():
        raise PlumError(
            "There is no display to open a window on; `plum-desktop --help` lists what works "
            "without one."
        )
    share_one_heap()
    # What is imported stays; looking for garbage among it took 17 ms.  The window collects later.
    gc.disable()
    # First what has no Qt: once Qt is there, it reads the source of every module that comes.
    import markdown_it  # noqa: F401
    import pygments.lexers  # noqa: F401

    from plum_desktop.app import product  # noqa: F401

    try:
        from plum_desktop.ui.application import run as run_window
    except ImportError as error:  # a library of the system's that Qt needs
        raise PlumError(
            "The window's toolkit Qt cannot be loaded ({error}); `plum-desktop doctor Window` "
            "says what to do, and every command works without it.",
            error=error,
        ) from error

    gc.freeze()
    status = run_window(session.folder)
    if status:
        raise click.exceptions.Exit(status)


def share_one_heap() -> None:
    """glibc gives every thread a heap of its own, and what one is done with no other takes: 2 MB
    of an idle window.
    """
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _linux_display() -> bool:
    """Whether Qt has somewhere to draw; the offscreen platform counts, tests use it."""
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit status.  Never raises, never a traceback."""
    try:
        return root.main(arguments, prog_name="plum-desktop", standalone_mode=False) or DONE
    except click.UsageError as error:
        error.show()
        return WRONG_USAGE
    except click.ClickException as error:
        error.show()
        return FAILED
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort, Cancelled):
        click.echo(err=True)
        return INTERRUPTED
    except PlumError as error:
        click.echo(f"plum-desktop: {error}", err=True)
        return FAILED
    except Exception as error:
        log.exception("a command failed")
        click.echo(
            f"plum-desktop: something went wrong inside Plum ({type(error).__name__}); the log in "
            "the data folder has the details.",
            err=True,
        )
        return FAILED
