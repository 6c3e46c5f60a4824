"""One rotating log file a process kind.  Nothing of a chat ever goes into it."""

from __future__ import annotations

import logging
import logging.handlers
import os
import traceback
from pathlib import Path
from types import TracebackType


def start(folder: Path, name: str, level: int = logging.INFO) -> None:
    """Write this process's log to `<folder>/<name>.log`; five old files are kept."""
    handler = logging.handlers.RotatingFileHandler(
        folder / f"{name}.log", maxBytes=1_000_000, backupCount=5, encoding="utf-8", delay=True
    )
    handler.setFormatter(
        _Formatter(f"%(asctime)s {os.getpid()} %(levelname)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)


class _Formatter(logging.Formatter):
    """Tells where an exception came from and its kind, never its message: that may quote a chat."""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another formatter's, kept on the record
        text = super().format(record)
        record.exc_text = None
        return text

    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        parts: list[str] = []
        error = ei[1]
        while error is not None:
            where = "".join(traceback.format_tb(error.__traceback__))
            parts.insert(0, f"{where}{type(error).__qualname__}")
            error = error.__cause__ or error.__context__
        return "\nwhich led to\n".join(parts)
