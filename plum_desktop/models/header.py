"""Reading a GGUF file's header in plain Python, before any native code sees the file.

Owns what a header says and whether it can be true: every count, size and offset is checked
against the file's real length first, so a lying header costs neither memory nor a crash.
Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import os
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from plum_desktop.base.errors import DamagedFile, PlumError, unreadable
from plum_desktop.base.sentence import Sentence

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32

# ggml type id -> (name, elements a block, bytes a block)
GGML_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}

# general.file_type -> name (llama.cpp's llama_ftype)
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0",
    38: "MXFP4", 39: "NVFP4", 40: "Q1_0",
}  # fmt: skip

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_KEPT_ARRAY = 1024  # longer arrays (vocabularies) are counted, not kept
_LONGEST_KEY = 65535
_LONGEST_TENSOR_NAME = 255
_LONGEST_WORD = 64


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor's place.  `shape` is in numpy order, so a weight matrix is (out, in)."""

    name: str
    shape: tuple[int, ...]
    type: int  # ggml type id
    offset: int  # bytes from the start of the file
    nbytes: int

    @property
    def type_name(self) -> str:
        return GGML_TYPES[self.type][0]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """What a GGUF file says about itself; all of it was checked against the file's length."""

    path: Path
    version: int
    metadata: dict[str, Any]  # scalars, texts, and arrays of up to 1024 items as tuples
    array_lengths: dict[str, int]  # of every array
    tensors: dict[str, TensorInfo]  # in file order
    alignment: int
    metadata_count: int
    metadata_span: tuple[int, int]  # bytes of the file that hold the key-value pairs
    data_offset: int
    file_size: int

    @property
    def architecture(self) -> str:
        """Empty where the file does not say, or says what cannot be one."""
        return self._word("general.architecture")

    @property
    def name(self) -> str:
        return self._text("general.name") or self.path.stem

    @property
    def kind(self) -> str:
        """`model`, or what else the file says it is: `adapter`, `imatrix`, `mmproj` …"""
        return self._word("general.type") or "model"

    @property
    def quantization(self) -> str:
        """The file type's usual name, else the type that most of its bytes have."""
        named = _FILE_TYPES.get(self.integer("general.file_type", -1))
        if named:
            return named
        sizes: Counter[str] = Counter()
        for tensor in self.tensors.values():
            sizes[tensor.type_name] += tensor.nbytes
        return sizes.most_common(1)[0][0] if sizes else ""

    @property
    def licence(self) -> str:
        """Under which the model was given away; empty where the file does not say."""
        return self._word("general.license.name") or self._word("general.license")

    @property
    def context_length(self) -> int:
        """Tokens that the model was made for; 0 where the file does not say."""
        return self.of_architecture("context_length")

    @property
    def block_count(self) -> int:
        return self.of_architecture("block_count")

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors.values())

    @property
    def vocabulary(self) -> int:
        """Tokens in the vocabulary; 0 where the file holds none."""
        return self.array_lengths.get("tokenizer.ggml.tokens", self.of_architecture("vocab_size"))

    @property
    def has_chat_template(self) -> bool:
        return bool(self._text("tokenizer.chat_template"))

    def of_architecture(self, key: str, default: int = 0) -> int:
        """A whole number kept under the architecture's prefix, as `llama.block_count` is."""
        return self.integer(f"{self.architecture}.{key}", default)

    def integer(self, key: str, default: int = 0) -> int:
        """A whole number; an array of equal ones counts as that number."""
        value = self.metadata.get(key)
        if isinstance(value, tuple) and value and len(set(value)) == 1:
            value = value[0]
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def _word(self, key: str) -> str:
        text = self._text(key)
        return text if len(text) <= _LONGEST_WORD and text.isprintable() else ""

    def _text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""


def read_header(path: Path) -> GGUFHeader:
    """Read and check the header of `path`.

    Raises PlumError where the file is missing or of another kind, DamagedFile where it is a
    GGUF file that contradicts itself or ends too early.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            return _Reader(path, stream, size).header()
    except FileNotFoundError:
        raise PlumError("There is no file {path}; choose another model.", path=path) from None
    except IsADirectoryError:
        raise PlumError("{path} is a folder; choose the GGUF file in it.", path=path) from None
    except OSError as error:
        raise unreadable(path, error) from error


class _Reader:
    """A cursor over the header that never trusts a length it has not compared with the file."""

    def __init__(self, path: Path, stream: BinaryIO, size: int) -> None:
        self._path = path
        self._stream = stream
        self._size = size
        self._at = 0

    def header(self) -> GGUFHeader:
        if self._size < 4 or self._take(4) != MAGIC:
            raise PlumError(
                "{name} is not a GGUF model file; choose another one.", name=self._path.name
            )
        version = self._scalar("I")
        if version not in (2, 3):
            if version in (0x02000000, 0x03000000):
                raise PlumError(
                    "{name} is made for big-endian machines; download the usual version of it.",
                    name=self._path.name,
                )
            raise PlumError(
                "{name} has GGUF version {version}, which Plum cannot read; download a newer "
                "version of the model.",
                name=self._path.name,
                version=version,
            )
        tensor_count, metadata_count = self._scalar("Q"), self._scalar("Q")
        self._require(tensor_count * 24 + metadata_count * 13, Sentence("what it lists"))
        start = self._at
        metadata, lengths = self._metadata(metadata_count)
        span = (start, self._at)
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not (type(alignment) is int and 0 < alignment <= 1 << 20) or alignment & (alignment - 1):
            raise self._damaged(f"its alignment is {alignment!r}")
        relative = [self._tensor() for _ in range(tensor_count)]
        data_offset = padded(self._at, alignment)
        return GGUFHeader(
            path=self._path,
            version=version,
            metadata=metadata,
            array_lengths=lengths,
            tensors=self._placed(relative, data_offset, alignment),
            alignment=alignment,
            metadata_count=metadata_count,
            metadata_span=span,
            data_offset=data_offset,
            file_size=self._size,
        )

    def _metadata(self, count: int) -> tuple[dict[str, Any], dict[str, int]]:
        metadata: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        seen: set[str] = set()
        for _ in range(count):
            key = self._name(_LONGEST_KEY)
            if key in seen:
                raise self._damaged(f"the entry {key!r:.80} stands in it twice")
            seen.add(key)
            kind = self._scalar("I")
            if kind == _ARRAY:
                items, lengths[key] = self._array(key)
                if items is not None:
                    metadata[key] = items
            else:
                metadata[key] = self._value(key, kind)
        return metadata, lengths

    def _value(self, key: str, kind: int) -> Any:
        if kind == _STRING:
            return self._take(self._length()).decode("utf-8", "replace")
        if kind not in _SCALARS:
            raise self._damaged(f"the entry {key!r:.80} has the unknown type {kind}")
        return self._scalar(_SCALARS[kind])

    def _array(self, key: str) -> tuple[tuple[Any, ...] | None, int]:
        """The items, or None where they are many, and how many there are."""
        kind, count = self._scalar("I"), self._scalar("Q")
        if kind == _STRING:
            self._require(count * 8, Sentence("the list {key!r:.80}", key=key))
            if count > _KEPT_ARRAY:
                self._skip_texts(count)
                return None, count
        elif kind in _SCALARS:
            total = count * struct.calcsize(_SCALARS[kind])
            self._require(total, Sentence("the list {key!r:.80}", key=key))
            if count > _KEPT_ARRAY:
                self._skip(total)
                return None, count
        else:
            raise self._damaged(f"the list {key!r:.80} has items of the unknown type {kind}")
        return tuple(self._value(key, kind) for _ in range(count)), count

    def _tensor(self) -> TensorInfo:
        """One tensor's entry, its offset still counted from the start of the data."""
        name = self._name(_LONGEST_TENSOR_NAME)
        rank = self._scalar("I")
        if not 1 <= rank <= 4:
            raise self._damaged(f"the tensor {name!r} has {rank} dimensions")
        shape = tuple(self._scalar("Q") for _ in range(rank))[::-1]
        kind, offset = self._scalar("I"), self._scalar("Q")
        if kind not in GGML_TYPES:
            raise PlumError(
                "{name} stores {tensor!r} in a format (number {kind}) that Plum does not know; "
                "choose another quantization of the model.",
                name=self._path.name,
                tensor=name,
                kind=kind,
            )
        _, block, block_bytes = GGML_TYPES[kind]
        elements = math.prod(shape)
        if not 0 < elements < 1 << 62 or shape[-1] % block:
            raise self._damaged(f"the tensor {name!r} has the impossible shape {shape}")
        return TensorInfo(name, shape, kind, offset, elements // block * block_bytes)

    def _placed(
        self, relative: list[TensorInfo], data_offset: int, alignment: int
    ) -> dict[str, TensorInfo]:
        """The tensors with offsets from the file's start, checked to lie end to end within it."""
        tensors: dict[str, TensorInfo] = {}
        expected = 0
        for tensor in relative:
            if tensor.name in tensors:
                raise self._damaged(f"the tensor {tensor.name!r} stands in it twice")
            if tensor.offset != expected:
                raise self._damaged(f"the tensor {tensor.name!r} lies where it cannot")
            if data_offset + tensor.offset + tensor.nbytes > self._size:
                raise self._truncated()
            tensors[tensor.name] = TensorInfo(
                tensor.name, tensor.shape, tensor.type, data_offset + tensor.offset, tensor.nbytes
            )
            expected = padded(tensor.offset + tensor.nbytes, alignment)
        return tensors

    def _name(self, longest: int) -> str:
        length = self._length()
        if length > longest:
            raise self._damaged(f"a name in it is {length} bytes long")
        try:
            name = self._take(length).decode("utf-8")
        except UnicodeDecodeError:
            name = "\0"
        if not name.isprintable():  # it may be told to a person
            raise self._damaged("a name in it is not text")
        return name

    def _length(self) -> int:
        length: int = self._scalar("Q")
        return length

    def _scalar(self, code: str) -> Any:
        layout = "<" + code
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _take(self, count: int) -> bytes:
        self._require(count, Sentence("a text"))
        chunk = self._stream.read(count)
        if len(chunk) != count:
            raise self._truncated()
        self._at += count
        return chunk

    def _skip(self, count: int) -> None:
        self._require(count, Sentence("a list"))
        self._stream.seek(count, os.SEEK_CUR)
        self._at += count

    def _skip_texts(self, count: int) -> None:
        """Pass over a vocabulary: hundreds of thousands of texts, so without a call for each."""
        read, end, at = self._stream.read, self._size, self._at
        for _ in range(count):
            length = int.from_bytes(read(8), "little")
            at += 8 + length
            if at > end:
                raise self._truncated()
            read(length)
        self._at = at

    def _require(self, count: int, what: str) -> None:
        if count > self._size - self._at:
            if self._at < 24:
                raise self._truncated()
            raise DamagedFile(
                "{name} is damaged or cut short: {what} would reach past its end; download or "
                "copy it again.",
                name=self._path.name,
                what=what,
            )

    def _damaged(self, reason: str) -> DamagedFile:
        return DamagedFile(
            "{name} is damaged: {reason}; download or copy it again.",
            name=self._path.name,
            reason=reason,
        )

    def _truncated(self) -> DamagedFile:
        return DamagedFile(
            "{name} is cut short: it is smaller than its own header says; download or copy it "
            "again.",
            name=self._path.name,
        )


def padded(offset: int, alignment: int) -> int:
    """`offset` rounded up to a multiple of `alignment`."""
    return -(-offset // alignment) * alignment
