"""The most memory that this process has had."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak_bytes() -> int:
    """Of this process alone, since its program began.

    Not `ru_maxrss` on Linux: a process begins with its parent's there, so that a worker started by
    a large window had at least the window's memory.
    """
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)[0]) * 1024
