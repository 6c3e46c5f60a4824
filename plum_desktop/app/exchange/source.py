"""The records in a file: lines of JSON, a list in JSON, or such a list in an archive.

One record at a time is in memory, and none that is longer than a chat can be.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from plum_desktop.base.errors import PlumError, unreadable

_LONGEST = 64 << 20  # bytes of a line, characters of a conversation
_CHUNK = 1 << 20  # characters
_HEAD = 4096
_ARCHIVED = re.compile(r"conversations([-_]\d+)?\.json")
_OURS = re.compile(
    r'\s*\{\s*"format"\s*:\s*"plum-desktop chats"\s*,\s*"version"\s*:\s*(\d+)\s*,\s*"chats"\s*:\s*'
)
_VERSION = 1
_BETWEEN = re.compile(r"[\s,]*")
_NO_JSON = "it is not valid JSON."
_NOTHING_AFTER = "it is not valid JSON, and nothing after it can be read."


@dataclass(frozen=True, slots=True)
class Item:
    """One record of a file, or why it is none."""

    place: str  # "Line 3"
    record: Any = None
    problem: str | None = None
    lined: bool = False


def items(path: Path) -> Iterator[Item]:
    """Every record of a file.  Raises PlumError where the file cannot be read to its end."""
    with _sentences(path):
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
        if head.startswith(b"PK\x03\x04"):
            yield from _of_archive(path)
            return
        with path.open("rb") as stream:
            yield from _of_stream(stream, head, path.name)


def _of_archive(path: Path) -> Iterator[Item]:
    with zipfile.ZipFile(path) as archive:
        names = [
            name for name in archive.namelist() if _ARCHIVED.fullmatch(PurePosixPath(name).name)
        ]
        if not names:
            raise PlumError(
                "{name} has no conversations.json; give the archive that ChatGPT or Claude sent "
                "you, as it is.",
                name=path.name,
            )
        first = 1
        for name in sorted(names):
            with archive.open(name) as stream:
                for item in _elements(stream, first):
                    first += 1
                    yield item


def _of_stream(stream: IO[bytes], head: bytes, name: str) -> Iterator[Item]:
    start = head.decode("utf-8-sig", "ignore")
    if ours := _OURS.match(start):
        if int(ours[1]) > _VERSION:
            raise PlumError(
                "{name} was written by a newer Plum Desktop; update this one first.", name=name
            )
        yield from _elements(stream, 1, ours.end())
    elif start.lstrip().startswith("["):
        yield from _elements(stream, 1)
    elif start.lstrip().startswith("{") and (record := _only_record(stream)) is not None:
        inner = record.get("chats")
        for number, each in enumerate(inner if isinstance(inner, list) else [record], 1):
            yield Item(f"Conversation {number}", each)
    else:
        stream.seek(0)
        yield from _lines(stream, name)


def _only_record(stream: IO[bytes]) -> Any:
    """The one object that a file is; None where each line is one."""
    first = _object(stream.readline(_LONGEST))
    if first is not None:
        return first if "chats" in first else None
    stream.seek(0)
    return _object(stream.read(_LONGEST))


def _object(data: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        record = json.loads(data.decode("utf-8-sig"))
        return record if isinstance(record, dict) else None
    return None


def _elements(stream: IO[bytes], first: int, start: int = 0) -> Iterator[Item]:
    """The elements of the list that follows `start` characters, numbered from `first`."""
    decoder = json.JSONDecoder()
    with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        text.read(start)
        buffer = text.read(_CHUNK)
        at = buffer.find("[") + 1
        for number in itertools.count(first):
            while True:
                at = _skipped(buffer, at)
                if buffer.startswith("]", at):
                    return
                try:
                    record, at = decoder.raw_decode(buffer, at)
                    break
                except (ValueError, RecursionError):
                    # Perhaps it only ends later; twice as much each time, so that a long one
                    # is not begun again and again.
                    left = len(buffer) - at
                    more = text.read(max(_CHUNK, left)) if left < _LONGEST else ""
                    if not more:
                        yield Item(f"Conversation {number}", problem=_NOTHING_AFTER)
                        return
                    buffer, at = buffer[at:] + more, 0
            yield Item(f"Conversation {number}", record)


def _skipped(text: str, at: int) -> int:
    """Where what follows the space and commas at `at` begins."""
    between = _BETWEEN.match(text, at)
    return between.end() if between else at


def _lines(stream: IO[bytes], name: str) -> Iterator[Item]:
    """The lines that are not blank, with their numbers from 1."""
    for number in itertools.count(1):
        line = stream.readline(_LONGEST)
        if not line:
            return
        if len(line) == _LONGEST:
            raise PlumError(
                "{name} is no JSON Lines file: line {number} has no end.", name=name, number=number
            )
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        if not text.strip():
            continue
        try:
            yield Item(f"Line {number}", json.loads(text), lined=True)
        except (ValueError, RecursionError):
            yield Item(f"Line {number}", problem=_NO_JSON, lined=True)


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """What can be wrong with the file as such."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise PlumError(
            "{name} is not UTF-8 text; save it as UTF-8 first.", name=path.name
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise PlumError(
            "{name} cannot be unpacked; unpack it yourself and give conversations.json.",
            name=path.name,
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
