"""Whether there is a newer version: asked when somebody asks, or once a week if that is wanted.

Without either, nobody is asked and no connection is made.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from plum_desktop.app.preferences import Preferences
from plum_desktop.base.errors import Cancelled, DamagedFile, PlumError, Unreachable
from plum_desktop.base.files import read_json, write_json
from plum_desktop.base.paths import DataFolder

if TYPE_CHECKING:
    from plum_desktop.app.releases import Release

ENV_FEED = "PLUM_RELEASES"
DAY = 24 * 3600  # seconds
WEEK = 7 * DAY

log = logging.getLogger(__name__)


class UpdateService:
    """Looks, one look at a time, and remembers when; the newer version is not remembered."""

    def __init__(self, folder: DataFolder, preferences: Preferences, feed: str = "") -> None:
        """`feed`: another address to ask, as $PLUM_RELEASES names one."""
        self._folder = folder
        self._preferences = preferences
        self._feed = feed
        self._one = threading.Lock()
        self._ended = threading.Event()  # of the look under way
        self._stopped = False

    def look(self) -> Release | None:
        """The newer version, or None.  Raises PlumError, Cancelled once it was stopped."""
        with self._one:
            found = self._ask()
            try:
                self._note(time.time())
            except (PlumError, OSError):  # then the next weekly look comes too soon, and no harm
                log.info("the time of the look could not be kept")
            return found

    def look_if_due(self) -> Release | None:
        """The newer version, if looking is switched on and a week has passed since the last look.

        Failures are for the log alone.  Raises Cancelled once it was stopped.
        """
        with self._one:
            if self._preferences.current.updates != "on" or not self._due():
                return None
            before = self._last()
            try:
                # First, so that no failure makes the looks more frequent.
                self._note(time.time())
                try:
                    return self._ask()
                except Unreachable:
                    self._note(before)  # nobody was asked, so that is still to be done
                    raise
            except (PlumError, OSError) as error:
                log.info("no look for a new version: %s", error)
                return None

    def stop(self) -> None:
        """End the look under way, and have no other begin."""
        self._stopped = True
        self._ended.set()

    def _ask(self) -> Release | None:
        # Here, since the start of the window needs nothing that speaks to the network.
        from plum_desktop.app import releases

        ended = self._ended = threading.Event()
        if self._stopped:  # after the event is in place, so that stop() finds one of the two
            raise Cancelled
        return releases.newer(self._feed or os.environ.get(ENV_FEED) or releases.FEED, ended)

    def _due(self) -> bool:
        # A last look in the future is one of a clock that was wrong, which must not silence this;
        # a clock that is set right by some minutes is no reason to look again.
        last = self._last()
        return not last - DAY <= time.time() < last + WEEK

    def _last(self) -> float:
        """When it looked last; 0: never, or nobody knows."""
        try:
            looked = read_json(self._file())["looked"]
        except (OSError, DamagedFile, LookupError, TypeError):
            return 0
        return looked if isinstance(looked, int | float) else 0

    def _note(self, when: float) -> None:
        write_json(self._file(), {"looked": when})

    def _file(self) -> Path:
        # In the cache, as this is no word of the user's: `update` needs no passphrase.
        return self._folder.cache / "updates.json"
