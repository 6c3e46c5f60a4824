"""`plum-desktop doctor`: what works here, what does not, and what to do about it."""

from __future__ import annotations

import click

from plum_desktop.base.errors import Locked, PlumError, WrongPassphrase
from plum_desktop.cli.session import Session, emit, json_option, pass_session

_SIGNS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@click.command()
@click.argument("parts", nargs=-1, metavar="[PART]...")
@click.option(
    "--selftest", is_flag=True, help="Also learn a tiny job with every trainer, and compare."
)
@json_option
@pass_session
def doctor(session: Session, parts: tuple[str, ...], selftest: bool, as_json: bool) -> None:
    """Try everything on this machine, and say how to mend what fails.

    PART looks at those parts alone: Program, Memory, "Data folder", Disk, Chats, Model, Trainer,
    Window, Crashes.
    """
    from plum_desktop.app.doctor import examine

    try:
        session.unlock()  # with the folder the log starts
    except (Locked, WrongPassphrase):
        raise
    except PlumError:
        pass  # what is wrong with the folder, the doctor says
    findings = examine(session.data_dir, parts)
    if selftest:
        from plum_desktop.app.selftest import run

        findings += run()
    for finding in findings:
        if as_json:
            emit(finding)
            continue
        click.echo(f"{_SIGNS[finding.state]}  {finding.name}: {finding.what}")
        if finding.fix:
            click.echo(f"      Fix: {finding.fix}")
    if bad := [finding for finding in findings if finding.state == "fail"]:
        raise PlumError("{name}: {what}", name=bad[0].name, what=bad[0].what)
