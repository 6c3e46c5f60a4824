"""A child that only finds out whether Qt starts here; where it does not, Qt ends the process."""

from __future__ import annotations

import os
import sys
from typing import Any

from plum_desktop.base import wire
from plum_desktop.base.errors import PlumError
from plum_desktop.base.wire import Request


def main() -> None:
    """Answer `probe` until the parent leaves."""
    wire.serve("window", {"probe": _probe}, wire.claim_stdout())


def _probe(_: Request) -> dict[str, Any]:
    """`qt`: its version; `display`: whether there is one.

    Raises PlumError, with the library, where the system lacks one that Qt needs.
    """
    display = not sys.platform.startswith("linux") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if not display:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        from PySide6.QtCore import qVersion
        from PySide6.QtWidgets import QApplication
    except ImportError as error:  # "libEGL.so.1: cannot open shared object file: No such …"
        raise PlumError("It lacks {error}.", error=str(error).partition(":")[0]) from error

    application = QApplication([])
    return {"qt": qVersion(), "display": display, "platform": application.platformName()}
