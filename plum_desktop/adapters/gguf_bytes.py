"""Writing GGUF: the bytes before the tensors' data.  Reading is in `models.header`."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from plum_desktop.models.header import MAGIC, padded

_VERSION = 3
_UINT32, _FLOAT32, _STRING = 4, 6, 8  # GGUF value types


@dataclass(frozen=True, slots=True)
class PlacedTensor:
    """One line of the tensor list.  `offset` counts from the start of the data."""

    name: str
    shape: tuple[int, ...]  # numpy order
    type: int
    offset: int


def text_entry(key: str, value: str) -> bytes:
    return _text(key) + struct.pack("<I", _STRING) + _text(value)


def float_entry(key: str, value: float) -> bytes:
    return _text(key) + struct.pack("<If", _FLOAT32, value)


def whole_entry(key: str, value: int) -> bytes:
    return _text(key) + struct.pack("<II", _UINT32, value)


def preamble(
    entry_count: int, entries: bytes, tensors: Iterable[PlacedTensor], alignment: int
) -> bytes:
    """Everything before the data, padded; its length does not depend on types or offsets."""
    listed = list(tensors)
    parts = [MAGIC, struct.pack("<IQQ", _VERSION, len(listed), entry_count), entries]
    for tensor in listed:
        sides = tensor.shape[::-1]
        parts.append(_text(tensor.name))
        parts.append(struct.pack(f"<I{len(sides)}Q", len(sides), *sides))
        parts.append(struct.pack("<IQ", tensor.type, tensor.offset))
    head = b"".join(parts)
    return head.ljust(padded(len(head), alignment), b"\0")


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded
