"""`plum-desktop passphrase`: everything that you said, encrypted on the disk."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import click

from plum_desktop.cli.session import Session, confirm, emit, json_option, pass_session, yes_option

_LOST = (
    "Nobody can open your chats without the passphrase, and there is no way to have it back.  "
    "Go on?"
)


@click.group()
def passphrase() -> None:
    """Encrypt chats, backups and what was learned with a passphrase of yours.

    docs/security.md says what this protects and what it does not.
    """


@passphrase.command("set")
@yes_option
@json_option
@pass_session
def set_passphrase(session: Session, yes: bool, as_json: bool) -> None:
    """Put everything under a passphrase.  No other Plum Desktop may be open."""
    from plum_desktop.app import turning

    turning.refuse_to_turn_on(session.folder)
    confirm(_LOST, yes)
    words = session.new_passphrase()
    with _bar("Encrypting") as progress:
        turning.turn_on(session.folder, words, progress)
    _say(session, as_json, "Everything is encrypted now; Plum will ask for the passphrase.")


@passphrase.command()
@json_option
@pass_session
def change(session: Session, as_json: bool) -> None:
    """Choose another passphrase."""
    from plum_desktop.app import turning

    turning.require_on(session.folder)
    old = session.passphrase("Passphrase until now")
    turning.unlock(session.folder, old)  # says at once if it is wrong
    turning.change(session.folder, old, session.new_passphrase())
    _say(session, as_json, "The new passphrase opens it from now on.")


@passphrase.command()
@json_option
@pass_session
def remove(session: Session, as_json: bool) -> None:
    """Decrypt everything for good.  No other Plum Desktop may be open."""
    from plum_desktop.app import turning

    turning.require_on(session.folder)
    words = session.passphrase()
    with _bar("Decrypting") as progress:
        turning.turn_off(session.folder, words, progress)
    _say(session, as_json, "Nothing is encrypted any more.")


@passphrase.command("keychain")
@click.argument("state", type=click.Choice(["on", "off"]))
@json_option
@pass_session
def keep_key(session: Session, state: str, as_json: bool) -> None:
    """Keep the key in the system's keychain, so that Plum opens without asking; or no longer.

    Whoever is logged in as you opens it then.
    """
    from plum_desktop.app import keychain, turning

    turning.require_on(session.folder)
    if state == "off":
        keychain.turn_off(session.folder)
        _say(session, as_json, "Plum asks for the passphrase.")
        return
    turning.unlock(session.folder, session.passphrase())
    keychain.turn_on(session.folder)
    _say(session, as_json, "The keychain has the key; on this computer Plum opens without asking.")


@passphrase.command()
@json_option
@pass_session
def status(session: Session, as_json: bool) -> None:
    """Say whether there is a passphrase."""
    from plum_desktop.app import keychain, turning

    on = turning.is_on(session.folder)
    text = "Everything is under a passphrase." if on else "There is no passphrase."
    if on and keychain.is_on(session.folder):
        text += "  The keychain has the key."
    _say(session, as_json, text)


def _say(session: Session, as_json: bool, text: str) -> None:
    from plum_desktop.app import keychain, turning

    if as_json:
        on = turning.is_on(session.folder)
        emit({"passphrase": on, "keychain": on and keychain.is_on(session.folder)})
    else:
        click.echo(text)


@contextlib.contextmanager
def _bar(text: str) -> Iterator[Callable[[float], None]]:
    with click.progressbar(length=1000, label=text, file=sys.stderr) as bar:
        done = 0

        def progress(share: float) -> None:
            nonlocal done
            bar.update(round(1000 * share) - done)
            done = round(1000 * share)

        yield progress
