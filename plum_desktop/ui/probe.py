"""A child that only finds out whether Qt starts here; where it does not, Qt ends the process."""

from __future__ import annotations

import os
import sys
from typing import Any

from plum_desktop.base import wire
from plum_desktop.base.wire import Request


def main() -> None:
    """Answer `probe` until the parent leaves."""
    wire.serve("window", {"probe": _probe}, wire.claim_stdout())


def _probe(_: Request) -> dict[str, Any]:
    """`qt`: its version; `display`: whether there is one."""
    display = not sys.platform.startswith("linux") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if not display:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtCore import qVersion
    from PySide6.QtWidgets import QApplication

    application = QApplication([])
    return {"qt": qVersion(), "display": display, "platform": application.platformName()}
