from __future__ import annotations

import random

import gguf
import numpy as np
import pytest

from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.engine.modelfile import Header, read_header


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A valid GGUF of about 1 kB with every kind of metadata."""
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_uint32("llama.block_count", 1)
    writer.add_float32("llama.rope.freq_base", 1e4)
    writer.add_bool("tokenizer.ggml.add_bos_token", True)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "é"])
    writer.add_array("tokenizer.ggml.scores", [1.0, 2.0])
    writer.add_tensor("token_embd.weight", np.zeros((3, 32), np.float32))
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((4, 8), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_whole_file_is_read(small, starter):
    assert read_header(small) == read_header(starter) == Header("llama", "model")


def test_every_truncation_is_seen(small, tmp_path):
    data = small.read_bytes()
    # GGUFWriter pads the last tensor; without the padding the file is still whole.
    last = max(length for length in range(len(data) - 32, len(data)) if length % 32 == 0)
    path = tmp_path / "cut.gguf"
    for length in range(0, last, 7):
        path.write_bytes(data[:length])
        with pytest.raises(DamagedFile):
            read_header(path)


def test_mutations_are_sentences_at_worst(small, tmp_path):
    data, dice = small.read_bytes(), random.Random(1)
    path, refused = tmp_path / "mutant.gguf", 0
    for _ in range(800):
        mutant = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(4, 500)
            mutant[at] = dice.choice([0, 1, 0x7F, 0xFF, dice.randrange(256)])
        path.write_bytes(mutant)
        try:
            read_header(path)
        except PlumError:
            refused += 1
    assert refused > 200
