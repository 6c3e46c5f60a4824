"""What this computer is doing: plugged in, hot, busy, used by somebody.  Unknown is None.

Every question is answered in a few milliseconds or not at all, and nothing is ever changed.
psutil is loaded with the first: the window opens without.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence

_PATIENCE = 2.0  # seconds for another program's answer
# Of the sensors that psutil names, those of a processor.
_PROCESSOR = re.compile(r"coretemp|k10temp|zenpower|cpu|acpitz|soc|package", re.I)
_X_IDLE = ("xprintidle",)
_IDLE_MONITOR = (
    "gdbus", "call", "--session", "--dest", "org.gnome.Mutter.IdleMonitor",
    "--object-path", "/org/gnome/Mutter/IdleMonitor/Core",
    "--method", "org.gnome.Mutter.IdleMonitor.GetIdletime",
)  # fmt: skip
_SCREEN_SAVER = (
    "gdbus", "call", "--session", "--dest", "org.freedesktop.ScreenSaver",
    "--object-path", "/org/freedesktop/ScreenSaver",
    "--method", "org.freedesktop.ScreenSaver.GetSessionIdleTime",
)  # fmt: skip


def on_power() -> bool | None:
    """Whether it is plugged in; a computer without a battery is."""
    import psutil

    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError, ValueError):  # no such thing on this system
        return None
    if battery is None:
        return True
    return None if battery.power_plugged is None else bool(battery.power_plugged)


def hottest() -> float | None:
    """The hottest part of the processor, degrees Celsius."""
    import psutil

    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError, RuntimeError, ValueError):
        return None
    found = [
        reading.current
        for name, readings in sensors.items()
        if _PROCESSOR.search(name)
        for reading in readings
        if reading.current and 0 < reading.current < 150
    ]
    return max(found, default=None)


def load() -> float | None:
    """The share of the processor that was in use over the last minute, 0..1."""
    import psutil

    try:
        share = psutil.getloadavg()[0] / (psutil.cpu_count() or 1)
    except (AttributeError, OSError):
        return None
    return float(min(1.0, share))


def idle_seconds() -> float | None:
    """Since somebody last used the keyboard or the mouse, in whatever program."""
    if sys.platform == "win32":
        return _windows_idle()
    if sys.platform == "darwin":
        return mac_idle(_said(("ioreg", "-c", "IOHIDSystem", "-d", "4")))
    # Under Wayland, X knows only of the programs that still use it.
    asked = [_IDLE_MONITOR, _SCREEN_SAVER] if os.environ.get("WAYLAND_DISPLAY") else [_X_IDLE]
    return next((idle for one in asked if (idle := linux_idle(_said(one))) is not None), None)


def linux_idle(answer: str | None) -> float | None:
    """From milliseconds: `1234` of xprintidle, `(uint64 1234,)` of the session bus."""
    found = re.fullmatch(r"\(?(?:uint(?:32|64) )?(\d+),?\)?\s*", answer or "")
    return int(found[1]) / 1000 if found else None


def mac_idle(answer: str | None) -> float | None:
    """From `ioreg`, which counts nanoseconds."""
    found = re.search(r'"HIDIdleTime" = (\d+)', answer or "")
    return int(found[1]) / 1e9 if found else None


def _said(command: Sequence[str]) -> str | None:
    """What a program of the system's prints; None where it is missing, fails or hangs."""
    path = shutil.which(command[0])
    if path is None:
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [path, *command[1:]], capture_output=True, text=True, timeout=_PATIENCE, check=False,
            stdin=subprocess.DEVNULL, errors="replace",
        )  # fmt: skip
        return done.stdout if done.returncode == 0 else None
    return None


if sys.platform == "win32":
    import ctypes

    class _LastInput(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint), ("ticks", ctypes.c_uint))

    def _windows_idle() -> float | None:
        last = _LastInput()
        last.size = ctypes.sizeof(last)
        if not ctypes.windll.user32.GetLastInputInfo(ctypes.byref(last)):
            return None
        # Milliseconds in 32 bits, which start anew after 49 days.
        now = ctypes.windll.kernel32.GetTickCount()
        return float((now - last.ticks) & 0xFFFFFFFF) / 1000
else:

    def _windows_idle() -> float | None:
        return None
