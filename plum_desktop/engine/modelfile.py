"""A first look at a GGUF file, before native code sees it.  Pure Python, bounded reads.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plum_desktop.base.errors import DamagedFile, PlumError, unreadable

# Metadata types that have a fixed size, as struct knows them.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES = 1 << 20  # tensors or metadata keys; real files have thousands
_MOST_DIMENSIONS = 4


@dataclass(frozen=True, slots=True)
class Header:
    """What the engine needs to know of a GGUF file before it opens it."""

    architecture: str
    kind: str  # general.type: "model", "adapter", "mmproj", …


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.position = 0

    def scalar(self, code: str) -> int | float | bool:
        (value,) = struct.unpack_from("<" + code, self._data, self.position)
        self.position += struct.calcsize("<" + code)
        return value  # type: ignore[no-any-return]

    def count(self, code: str = "Q") -> int:
        return int(self.scalar(code))

    def skip(self, size: int) -> None:
        self.position += size
        if self.position > len(self._data):
            raise EOFError

    def text(self) -> str:
        size = self.count()
        start = self.position
        self.skip(size)
        return self._data[start : start + size].decode("utf-8", "replace")

    def skip_array(self) -> None:
        kind, length = self.count("I"), self.count()
        if kind in _SCALARS:
            self.skip(struct.calcsize("<" + _SCALARS[kind]) * length)
        elif kind == _STRING:
            for _ in range(length):  # ends early, at the end of the file, if `length` lies
                self.skip(self.count())
        else:
            raise ValueError(kind)


def read_header(path: Path) -> Header:
    """Parse the header of `path` and check that its tensors lie within the file.

    Raises PlumError where there is no such file and DamagedFile where it is not a whole GGUF.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise DamagedFile(
                    "{name} is not a GGUF file; choose a model in that format.", name=path.name
                )
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(data)
    except FileNotFoundError:
        raise PlumError(
            "There is no file {path}; choose another model or adapter.", path=path
        ) from None
    except OSError as error:
        raise unreadable(path, error) from error
    except (EOFError, struct.error):
        raise DamagedFile(
            "{name} is damaged or incomplete; get the file again.", name=path.name
        ) from None
    except (ValueError, OverflowError):
        raise DamagedFile("{name} is damaged; get the file again.", name=path.name) from None


def _parse(data: mmap.mmap) -> Header:
    reader = _Reader(data)
    reader.skip(4)
    version, tensors, entries = reader.count("I"), reader.count(), reader.count()
    if version not in (2, 3) or max(tensors, entries) > _MOST_ENTRIES:
        raise ValueError(version)
    found = {"general.architecture": "", "general.type": "model"}
    alignment = 32
    for _ in range(entries):
        key, kind = reader.text(), reader.count("I")
        if kind == _STRING:
            value = reader.text()
            if key in found:
                found[key] = value
        elif kind == _ARRAY:
            reader.skip_array()
        else:
            if kind not in _SCALARS:
                raise ValueError(kind)
            number = reader.scalar(_SCALARS[kind])
            if key == "general.alignment":
                alignment = int(number)
    if alignment <= 0:
        raise ValueError(alignment)
    end = 0
    for _ in range(tensors):
        reader.skip(reader.count())  # its name
        dimensions = reader.count("I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError(dimensions)
        shape = [reader.count() for _ in range(dimensions)]
        size = _bytes(reader.count("I"), shape)
        end = max(end, reader.count() + size)
    start = -(-reader.position // alignment) * alignment
    if tensors and start + end > len(data):
        raise EOFError
    return Header(found["general.architecture"], found["general.type"])


def _bytes(kind: int, shape: Sequence[int]) -> int:
    """Size of a tensor; 0 for a type that gguf-py does not know, which llama.cpp judges itself."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError):
        return 0
    return math.prod(shape) // int(block) * int(size)
