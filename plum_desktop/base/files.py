"""Files that are whole or absent, owner-only, and locks that the system drops with a process."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from plum_desktop.base.errors import Busy, DamagedFile, DiskFull, PlumError
from plum_desktop.base.sealing import open_file as open_file
from plum_desktop.base.sealing import seal_of

_CHUNK = 1 << 20


def private_folder(path: Path) -> Path:
    """Make `path` (0700) if missing and return it.  Raises PlumError where that fails."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PlumError(
            "The folder {path} cannot be made ({strerror}); choose another with --data-dir.",
            path=path,
            strerror=error.strerror,
        ) from error
    return path


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the system's write errors about `path` into sentences."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                "The disk that holds {parent} is full; free some space and try again.",
                parent=path.parent,
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise PlumError(
                "{path} cannot be written ({strerror}); check its permissions.",
                path=path,
                strerror=error.strerror,
            ) from error
        raise


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path`; on success it replaces `path`, else it is removed.

    The data is on the disk before the name changes, so a power cut leaves the old file or
    the new one.  In a sealed folder only sealed bytes reach the disk.  Raises DiskFull or
    PlumError.
    """
    seal = seal_of(path)
    with disk_errors(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                if seal is None:
                    yield stream
                else:
                    plain = io.BytesIO()
                    yield plain
                    plain.seek(0)
                    seal.seal(plain, stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def write_text(path: Path, text: str) -> None:
    with atomic_write(path) as stream:
        stream.write(text.encode())


def read_bytes(path: Path) -> bytes:
    """A file's bytes, also of a sealed one.  Raises OSError, DamagedFile."""
    with open_file(path) as stream:
        return stream.read()


def read_text(path: Path) -> str:
    """A file of UTF-8.  Raises OSError, DamagedFile; ValueError where it is none."""
    return read_bytes(path).decode("utf-8")


def append_line(path: Path, line: str) -> None:
    """Add a line to a file of UTF-8, made if missing.  A sealed one is written anew."""
    if seal_of(path) is None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
        return
    write_text(path, (read_text(path) if path.exists() else "") + line + "\n")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1))


def read_json(path: Path) -> Any:
    """The JSON value in `path`.  Raises DamagedFile; FileNotFoundError passes through."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DamagedFile("{path} is damaged: it is not valid JSON.", path=path) from error


def write_json_lines(path: Path, rows: Iterator[Any] | list[Any]) -> None:
    with atomic_write(path) as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def read_json_lines(path: Path) -> list[Any]:
    """One value a line.  Raises DamagedFile; FileNotFoundError passes through."""
    rows = []
    with open_file(path) as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                try:
                    rows.append(json.loads(line))
                except ValueError as error:
                    raise DamagedFile(
                        "{path} is damaged at line {number}.", path=path, number=number
                    ) from error
    return rows


def sha256_of(path: Path, *, progress: Callable[[int], None] | None = None) -> str:
    """Hex digest of a file; `progress` gets the bytes read so far."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if progress:
                progress(done)
    return digest.hexdigest()


def require_free(folder: Path, needed: int, purpose: str) -> None:
    """Raise DiskFull unless `folder`'s disk has `needed` bytes free, before work begins."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(
            "{purpose} needs {needed} of disk space and only {free} is free on the disk of "
            "{folder}; free some space and try again.",
            purpose=purpose,
            needed=megabytes(needed),
            free=megabytes(free),
            folder=folder,
        )


def megabytes(count: int) -> str:
    """A size as people read it, in decimal units."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"


class FileLock:
    """An advisory lock on a file.  The system releases it when the process ends, however."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: IO[bytes] | None = None

    def try_acquire(self) -> bool:
        """Take the lock if nobody holds it; True when it is ours."""
        if self._stream is not None:
            return True
        stream = self.path.open("a+b")
        try:
            _lock(stream)
        except OSError:
            stream.close()
            return False
        self._stream = stream
        return True

    def acquire(self, refusal: str) -> None:
        """Take the lock or raise Busy with `refusal`."""
        if not self.try_acquire():
            raise Busy(refusal)

    def release(self) -> None:
        if self._stream is not None:
            self._stream.close()  # closing drops the lock on every system
            self._stream = None

    def held_by_someone(self) -> bool:
        """Whether any process, this one included, holds the lock now."""
        if self._stream is not None:
            return True
        if not self.path.exists() or not self.try_acquire():
            return self.path.exists()
        self.release()
        return False

    def __enter__(self) -> FileLock:
        self.acquire(f"{self.path.name} is held by another Plum Desktop.")
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: IO[bytes]) -> None:
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(stream: IO[bytes]) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
