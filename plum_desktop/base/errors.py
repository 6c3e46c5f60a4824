"""The errors that a person may see.

Every message is one sentence that says what happened and, where something can be done,
what to do.  Anything that is not a `PlumError` is a defect of ours.
"""

from __future__ import annotations

from pathlib import Path

from plum_desktop.base.sentence import Sentence


class PlumError(Exception):
    """A refusal or a failure in words meant for the user.  Commands exit with 1.

    Made as a `Sentence` is: PlumError("{name} is in use.", name=file.name).
    """

    def __init__(self, template: str = "", /, **values: object) -> None:
        self.sentence = Sentence(template, **values)
        super().__init__(self.sentence)


class DiskFull(PlumError):
    """There is not enough free space; nothing was changed."""


class DamagedFile(PlumError):
    """A file (model, adapter, database, import) cannot be read as what it claims to be."""


class Busy(PlumError):
    """Another process holds what is needed (a learning job, a window)."""


class Locked(PlumError):
    """The data folder is sealed, and this process has not been given its passphrase."""


class WrongPassphrase(PlumError):
    """The data folder's key does not open with it."""


class Unreachable(PlumError):
    """The other end of a connection cannot be reached, so it was told nothing."""


class WorkerCrashed(PlumError):
    """A child process ended without answering."""


class Cancelled(Exception):
    """The user stopped the work.  Not a failure, hence not a `PlumError`."""


def unreadable(file: Path | str, error: OSError) -> PlumError:
    """What the system says of a file that it cannot read, as a sentence."""
    return PlumError("{path} cannot be read ({strerror}).", path=file, strerror=error.strerror)
