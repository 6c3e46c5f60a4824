"""Every command of the terminal.  A module a group; heavy imports only inside the commands."""

from __future__ import annotations


def main() -> None:
    """Run the command line and leave with 0 done, 1 refused or failed, 2 wrong usage, 130."""
    import signal

    from plum_desktop.cli.root import INTERRUPTED, run

    def leave(*_: object) -> None:
        raise SystemExit(INTERRUPTED)

    # Told to end, a command still closes its database and its children.
    signal.signal(signal.SIGTERM, leave)
    raise SystemExit(run())
