"""A header is read whole, agrees with gguf's own reader, and never gets away with a lie."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.models.header import GGML_TYPES, read_header

EXTREMES = np.array([0, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1], np.uint64)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A well-formed file with every kind of metadata."""
    path = tmp_path / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Małe")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_float32("plain.float", 0.5)
    writer.add_bool("plain.bool", True)
    writer.add_int64("plain.long", -(2**40))
    writer.add_array("short.list", [1, 2, 3])
    writer.add_array("short.texts", ["a", "ß"])
    writer.add_token_list([f"word {number}" for number in range(2000)])
    writer.add_tensor("one", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor(
        "two",
        gguf.quants.quantize(np.ones((4, 64), np.float32), gguf.GGMLQuantizationType.Q8_0),
        raw_dtype=gguf.GGMLQuantizationType.Q8_0,
    )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_type_table_is_ggufs() -> None:
    theirs = {
        int(kind): (kind.name, block, size) for kind, (block, size) in gguf.GGML_QUANT_SIZES.items()
    }
    assert theirs == GGML_TYPES


def test_the_starter(starter: Path) -> None:
    header = read_header(starter)
    assert (header.architecture, header.kind, header.quantization) == ("llama", "model", "Q4_1")
    assert (header.context_length, header.block_count, header.vocabulary) == (8192, 30, 49152)
    assert header.parameters == 134_515_008
    assert header.licence == "apache-2.0"
    assert header.has_chat_template
    assert "tokenizer.ggml.tokens" not in header.metadata  # counted, not kept
    reader = gguf.GGUFReader(starter)
    assert [tensor.name for tensor in reader.tensors] == list(header.tensors)
    for theirs in reader.tensors:
        ours = header.tensors[theirs.name]
        assert ours.shape == tuple(theirs.shape.tolist()[::-1])
        assert (ours.type, ours.offset, ours.nbytes) == (
            theirs.tensor_type, theirs.data_offset, theirs.n_bytes,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ({"general.license": "other", "general.license.name": "Gemma Terms"}, "Gemma Terms"),
        ({"general.license": "x" * 65}, ""),  # no name, and it stands on a card
        ({"general.license": "mit\n"}, ""),
        ({"general.license": ["mit", "bsd"]}, ""),
    ],
)
def test_a_licence(tmp_path: Path, said: dict[str, object], licence: str) -> None:
    writer = gguf.GGUFWriter(tmp_path / "one.gguf", "llama")
    for key, value in said.items():
        (writer.add_array if isinstance(value, list) else writer.add_string)(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert read_header(tmp_path / "one.gguf").licence == licence


def test_every_kind_of_metadata(small: Path) -> None:
    header = read_header(small)
    assert header.name == "Małe"
    assert header.licence == ""
    assert header.metadata["plain.float"] == 0.5
    assert header.metadata["plain.bool"] is True
    assert header.metadata["plain.long"] == -(2**40)
    assert header.metadata["short.list"] == (1, 2, 3)
    assert header.metadata["short.texts"] == ("a", "ß")
    assert header.vocabulary == 2000
    assert header.quantization == "Q8_0"  # no file type: by most of the bytes
    assert not header.has_chat_template
    assert header.tensors["one"].shape == (2, 3)


def test_no_file_a_folder_or_another_kind_of_file(tmp_path: Path) -> None:
    with pytest.raises(PlumError, match="There is no file"):
        read_header(tmp_path / "none.gguf")
    with pytest.raises(PlumError, match="is a folder"):
        read_header(tmp_path)
    for content in (b"", b"GG", b"PK\3\4 and so on"):
        (tmp_path / "other.gguf").write_bytes(content)
        with pytest.raises(PlumError, match="not a GGUF"):
            read_header(tmp_path / "other.gguf")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_file_that_may_not_be_read(small: Path) -> None:
    small.chmod(0)
    with pytest.raises(PlumError, match="cannot be read"):
        read_header(small)


@pytest.mark.parametrize(
    ("version", "words"), [(1, "version 1"), (99, "version 99"), (0x03000000, "big-endian")]
)
def test_other_versions(small: Path, version: int, words: str) -> None:
    content = bytearray(small.read_bytes())
    content[4:8] = struct.pack("<I", version)
    small.write_bytes(content)
    with pytest.raises(PlumError, match=words):
        read_header(small)


def test_cut_anywhere_it_is_damaged(small: Path) -> None:
    content = small.read_bytes()
    for length in [*range(4, len(content) - 64, 97), len(content) - 33]:
        small.write_bytes(content[:length])
        with pytest.raises(DamagedFile, match="cut short"):
            read_header(small)


def test_the_starter_cut_in_its_weights(starter: Path, tmp_path: Path) -> None:
    with starter.open("rb") as stream:
        (tmp_path / "cut.gguf").write_bytes(stream.read(40_000_000))
    with pytest.raises(DamagedFile, match="cut short"):
        read_header(tmp_path / "cut.gguf")


def test_mutations_are_refused_or_harmless(small: Path) -> None:
    """Whatever bytes change, the answer is a sentence or a header that stays within the file."""
    content = small.read_bytes()
    end = read_header(small).data_offset
    rng = np.random.default_rng(2)
    refused = 0
    for trial in range(600):
        mangled = bytearray(content)
        for _ in range(int(rng.integers(1, 4))):
            place = int(rng.integers(4, end - 8))
            if trial % 3:
                mangled[place] = int(rng.integers(0, 256))
            else:  # a length, a count or an offset out of all bounds
                value = int(rng.choice(EXTREMES))
                mangled[place : place + 8] = struct.pack("<Q", value)
        small.write_bytes(mangled)
        try:
            header = read_header(small)
        except PlumError:
            refused += 1
            continue
        for tensor in header.tensors.values():
            assert tensor.offset + tensor.nbytes <= len(mangled)
    assert 100 < refused < 600


def counts(tensors: int, entries: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, entries)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


@pytest.mark.parametrize(
    "content",
    [
        counts(2**63, 0),
        counts(0, 2**63),
        counts(0, 1) + struct.pack("<Q", 2**64 - 1),
        counts(0, 1) + text("k") + struct.pack("<IQ", 8, 2**63),
        counts(0, 1) + text("k") + struct.pack("<IIQ", 9, 4, 2**62),
        counts(0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 2**61),
        counts(0, 1) + text("k") + struct.pack("<IIQ", 9, 9, 1),
        counts(0, 1) + text("k") + struct.pack("<I", 77),
        counts(0, 2) + 2 * (text("k") + struct.pack("<II", 4, 1)),
        counts(0, 1) + text("general.alignment") + struct.pack("<II", 4, 0),
        counts(0, 1) + text("general.alignment") + struct.pack("<II", 4, 24),
        counts(0, 1) + text("general.alignment") + struct.pack("<IQ", 8, 2) + b"32",
        counts(1, 0) + text("t") + struct.pack("<I", 5),
        counts(1, 0) + text("t") + struct.pack("<IQIQ", 1, 0, 0, 0),
        counts(1, 0) + text("t") + struct.pack("<IQQIQ", 2, 2**40, 2**40, 0, 0),
        counts(1, 0) + text("t") + struct.pack("<IQIQ", 1, 33, 8, 0),
        counts(1, 0) + text("t") + struct.pack("<IQIQ", 1, 4, 0, 2**63),
    ],
)
def test_a_lying_header_costs_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lie.gguf").write_bytes(content + bytes(100))
    with pytest.raises(DamagedFile):
        read_header(tmp_path / "lie.gguf")


def test_an_unknown_tensor_type_names_the_way_out(tmp_path: Path) -> None:
    content = counts(1, 0) + text("t") + struct.pack("<IQIQ", 1, 4, 99, 0) + bytes(100)
    (tmp_path / "new.gguf").write_bytes(content)
    with pytest.raises(PlumError, match="choose another quantization"):
        read_header(tmp_path / "new.gguf")


def test_names_that_could_not_be_told_are_refused(tmp_path: Path) -> None:
    content = counts(1, 0) + text("t\n\0") + struct.pack("<IQIQ", 1, 4, 0, 0) + bytes(100)
    (tmp_path / "odd.gguf").write_bytes(content)
    with pytest.raises(DamagedFile, match="not text"):
        read_header(tmp_path / "odd.gguf")
    odd = counts(0, 1) + text("general.architecture") + struct.pack("<I", 8) + text("ll\nama")
    (tmp_path / "odd.gguf").write_bytes(odd)
    assert read_header(tmp_path / "odd.gguf").architecture == ""
