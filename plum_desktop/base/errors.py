"""The errors that a person may see.

Every message is one sentence that says what happened and, where something can be done,
what to do.  Anything that is not a `PlumError` is a defect of ours.
"""


class PlumError(Exception):
    """A refusal or a failure in words meant for the user.  Commands exit with 1."""


class DiskFull(PlumError):
    """There is not enough free space; nothing was changed."""


class DamagedFile(PlumError):
    """A file (model, adapter, database, import) cannot be read as what it claims to be."""


class Busy(PlumError):
    """Another process holds what is needed (a learning job, a window)."""


class WorkerCrashed(PlumError):
    """A child process ended without answering."""


class Cancelled(Exception):
    """The user stopped the work.  Not a failure, hence not a `PlumError`."""
