"""What a process of ours leaves on the disk is its user's alone."""

from __future__ import annotations

import contextlib
import os
import sys


def keep_to_owner() -> None:
    """From now on, in this process and its children: files only the owner can read, no core files.

    Some files are written by libraries, which know nothing of modes; and a core file of a crash
    would hold every word of the chat that was open.
    """
    os.umask(0o077)
    if sys.platform != "win32":
        import resource

        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
