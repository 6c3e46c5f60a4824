"""`plum-desktop doctor`: what works here, and what does not."""

from __future__ import annotations

import click

from plum_desktop.base.errors import PlumError
from plum_desktop.cli.session import Session, emit, json_option, pass_session

_SIGNS = {"good": "ok  ", "note": "note", "bad": "BAD "}


@click.command()
@click.option(
    "--selftest", is_flag=True, help="Also learn a tiny job with every trainer, and compare."
)
@json_option
@pass_session
def doctor(session: Session, selftest: bool, as_json: bool) -> None:
    """Check this machine, the data folder, the model and the trainer."""
    from plum_desktop.app.doctor import examine

    findings = examine(session.folder)
    if selftest:
        from plum_desktop.app.selftest import run

        findings += run()
    for finding in findings:
        if as_json:
            emit(finding)
        else:
            click.echo(f"{_SIGNS[finding.state]}  {finding.subject}: {finding.text}")
    bad = [finding for finding in findings if finding.state == "bad"]
    if bad:
        raise PlumError(f"{bad[0].subject}: {bad[0].text}")
