"""The one way in: `plum-desktop _worker …` is a child of ours, anything else a command.

A worker is told apart before a command line, or anything heavy, is imported.
"""

from __future__ import annotations

import signal
import sys

from plum_desktop.base.privacy import keep_to_owner


def main() -> None:
    keep_to_owner()
    if sys.argv[1:2] == ["_worker"]:
        _work(sys.argv[2])
    else:
        from plum_desktop import cli

        cli.main()


def _work(name: str) -> None:
    # Ctrl-C reaches the whole group of a terminal; the parent decides what it means for us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if name == "engine":
        from plum_desktop.engine import worker as engine

        engine.main()
    elif name == "stage":
        from plum_desktop.learning import worker as stage

        stage.main()
    elif name == "peer":
        from plum_desktop.peers import worker as peer

        peer.main()
    elif name == "bare-window":
        from plum_desktop.peers import bare_window

        bare_window.main()
    elif name == "window":
        from plum_desktop.ui import probe

        probe.main()
    else:
        sys.exit(f"There is no worker {name!r}.")


if __name__ == "__main__":
    main()
