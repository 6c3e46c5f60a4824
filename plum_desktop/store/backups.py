"""Copies of the whole database in the backups folder: one file each, owner-only."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

from plum_desktop.base.files import disk_errors, require_free
from plum_desktop.store.connection import Connection


def create(connection: Connection, folder: Path, label: str) -> Path:
    """Copy the database, as of now, to `<folder>/plum-<UTC time>-<label>.db`; its path.

    A copy is whole or absent.  Raises DiskFull.
    """
    size = connection.pragma("page_count") * connection.pragma("page_size")
    require_free(folder, size, "A backup of the chats")
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = folder / f"plum-{stamp}-{label}.db"
    with disk_errors(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
        os.close(descriptor)
        try:
            connection.copy_to(Path(name))
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    return path
