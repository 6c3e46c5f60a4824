"""A file that is not all there yet: `NAME.part`, and `NAME.part.json`, which says what of.

Bytes are only ever appended, so that a process which is killed leaves a part to go on from; what
a power cut may spoil, the digest finds in the end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.files import disk_errors, read_json, write_json

_SUFFIX = ".part"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Origin:
    """What a part is of.  Empty texts and a size of 0 are not known (yet)."""

    url: str
    etag: str = ""  # as the server that sends the bytes words it
    size: int = 0  # bytes of the whole
    sha256: str = ""  # hex, of the whole

    def same_file(self, other: Origin) -> bool:
        """Whether bytes of the one can go on with bytes of the other."""
        if self.sha256 or other.sha256:
            return self.sha256 == other.sha256
        return self.names_bytes and (self.url, self.etag) == (other.url, other.etag)

    @property
    def names_bytes(self) -> bool:
        """Whether the etag is of these very bytes; a weak one is of what they mean."""
        return bool(self.etag) and not self.etag.startswith("W/")


class Part:
    """The part of `target`.  Its file is open between `open` and `close`."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + _SUFFIX)
        self._record = target.with_name(target.name + _SUFFIX + ".json")
        self._stream: IO[bytes] | None = None
        self._digest = hashlib.sha256()

    @property
    def length(self) -> int:
        """Bytes that are there."""
        if self._stream is not None:
            return self._stream.tell()
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def origin(self) -> Origin:
        """What it is of; an empty one where nothing was begun, or nobody knows any more."""
        damaged = (DamagedFile, TypeError)
        with contextlib.suppress(FileNotFoundError, *damaged):
            return Origin(**read_json(self._record))
        return Origin("")

    def note(self, origin: Origin) -> None:
        if origin != self.origin:
            write_json(self._record, dataclasses.asdict(origin))

    def open(self, seen: Callable[[int], None]) -> None:
        """Read what is there for its digest; `seen` gets the bytes read and may raise.

        Raises PlumError where it cannot be written.
        """
        with disk_errors(self.path):
            stream = self.path.open("a+b")
            os.chmod(self.path, 0o600)
        self._stream, self._digest = stream, hashlib.sha256()
        try:
            stream.seek(0)
            while chunk := stream.read(_CHUNK):
                self._digest.update(chunk)
                seen(stream.tell())
        except BaseException:
            self.close()
            raise

    def append(self, chunk: bytes) -> None:
        """Raises DiskFull."""
        assert self._stream
        with disk_errors(self.path):
            self._stream.write(chunk)
        self._digest.update(chunk)

    def empty(self) -> None:
        """Begin again."""
        assert self._stream
        self._stream.seek(0)
        self._stream.truncate()
        self._digest = hashlib.sha256()

    def sha256(self) -> str:
        """Hex digest of what is there."""
        return self._digest.hexdigest()

    def flush(self) -> None:
        """Put everything on the disk.  Raises DiskFull."""
        assert self._stream
        with disk_errors(self.path):
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            with disk_errors(self.path):
                stream.close()

    def finish(self) -> None:
        """Give it the name of the whole."""
        self.close()
        with disk_errors(self.target):
            os.replace(self.path, self.target)
        self._record.unlink(missing_ok=True)

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)


def parts(folder: Path) -> list[Part]:
    """Everything in `folder` that was begun, by name."""
    records = sorted(folder.glob(f"*{_SUFFIX}.json"))
    return [Part(folder / record.name.removesuffix(f"{_SUFFIX}.json")) for record in records]
