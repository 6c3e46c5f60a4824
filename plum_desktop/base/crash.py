"""What is kept of a crash: kinds of errors, files, lines and functions, never a word of a chat."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import platform
import sys
import threading
import traceback
from datetime import datetime
from pathlib import Path
from typing import IO

from plum_desktop import __version__
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import write_text

log = logging.getLogger(__name__)

KEPT = "crash.txt"  # among the logs
_MOST = 64_000  # characters that are kept; the newest
_PACKAGE = Path(__file__).parents[2]


class CrashFile:
    """`crash.txt` among the logs, and what the interpreter writes as it dies (`fault.txt`).

    `report` is what earlier starts left, empty if nothing; it is read when this is made.  Nothing
    here raises: who looks after a crash must not make another.
    """

    def __init__(self, logs: Path) -> None:
        self._kept, self._fault = logs / KEPT, logs / "fault.txt"
        self._seen = logs / "crash-seen.txt"
        self._stream: IO[bytes] | None = None
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._take_fault()
        self.report = _read(self._kept)

    def watch(self) -> None:
        """Have the interpreter write where every thread stood, should it die."""
        try:
            self._stream = self._fault.open("wb")
            faulthandler.enable(self._stream, all_threads=True)
        except (OSError, ValueError):
            log.warning("a crash would leave no report: %s cannot be written", self._fault.name)

    def close(self) -> None:
        """The end of a start that did not crash."""
        if self._stream:
            faulthandler.disable()
            self._stream.close()
            self._stream = None
            with contextlib.suppress(OSError):
                if self._fault.stat().st_size == 0:
                    self._fault.unlink()

    def keep(self, error: BaseException) -> None:
        """Keep what nobody caught, once for each place it came from."""
        text = described(error)
        with self._lock:
            if text not in self._known:
                self._known.add(text)
                self._append(text, datetime.now().astimezone())

    def put_away(self) -> None:
        """It was seen: it stays in the logs and is not offered again."""
        with self._lock, contextlib.suppress(OSError):
            self._kept.replace(self._seen)

    def delete(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._kept.unlink(missing_ok=True)
            self._seen.unlink(missing_ok=True)

    def _take_fault(self) -> None:
        if text := _read(self._fault).strip():
            # Where a package lies would tell the user's name.
            text = text.replace(str(_PACKAGE) + os.sep, "").replace(str(Path.home()), "~")
            when = datetime.fromtimestamp(self._fault.stat().st_mtime).astimezone()
            self._append(text, when)
        with contextlib.suppress(OSError):
            self._fault.unlink(missing_ok=True)

    def _append(self, text: str, when: datetime) -> None:
        head = (
            f"{when:%Y-%m-%d %H:%M}  Plum Desktop {__version__}, "
            f"Python {platform.python_version()}, {sys.platform}"
        )
        try:
            write_text(self._kept, f"{_read(self._kept)}{head}\n{text}\n\n"[-_MOST:])
        except (OSError, PlumError):
            log.warning("the report of a crash could not be kept")


def described(error: BaseException) -> str:
    """Kinds and places of an error and of what led to it; not its message, nor any value."""
    parts: list[str] = []
    found: BaseException | None = error
    while found is not None:
        frames = traceback.walk_tb(found.__traceback__)
        places = [
            f"  {_short(frame.f_code.co_filename)}:{line} in {frame.f_code.co_qualname}"
            for frame, line in frames
        ]
        parts.insert(0, "\n".join([type(found).__qualname__, *places]))
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return "\nwhich led to\n".join(parts)


def _short(file: str) -> str:
    path = Path(file)
    if path.is_relative_to(_PACKAGE):
        return path.relative_to(_PACKAGE).as_posix()
    return "/".join(path.parts[-3:])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
