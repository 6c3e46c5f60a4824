"""The settings in use: one file, read again when another process has changed it."""

from __future__ import annotations

from pathlib import Path

from plum_desktop.base import settings as stored
from plum_desktop.base.settings import Settings


class Preferences:
    """The one holder of the settings in a process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: int | None = None
        self._settings = Settings()

    @property
    def current(self) -> Settings:
        """The settings as the file has them now."""
        stamp = self._file_stamp()
        if stamp != self._stamp:
            self._settings, self._stamp = stored.load(self._path), stamp
        return self._settings

    def set(self, key: str, value: object) -> None:
        """Check, convert and save one setting.  Raises PlumError."""
        changed = stored.change(self.current, key, value)
        stored.save(self._path, changed)
        self._settings = changed
        self._stamp = self._file_stamp()

    def _file_stamp(self) -> int | None:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None
