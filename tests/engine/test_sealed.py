"""The engine on a sealed adapter: the child gets the key, and no plain file stays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.lora import LoraAdapter
from plum_desktop.base import passphrase, sealing
from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.files import open_file
from plum_desktop.base.paths import DataFolder
from plum_desktop.engine.client import EngineClient
from plum_desktop.models.header import read_header
from tests.reliability import tiny


@pytest.fixture
def sealed(data_folder: DataFolder) -> Iterator[DataFolder]:
    sealing.open_folder(data_folder.root, passphrase.new_seal())
    yield data_folder
    sealing.close_folder(data_folder.root)


def logits(engine: EngineClient, out: Path) -> np.ndarray:
    engine.logits([[1, 2, 3, 4]], out)
    with open_file(out) as stream:
        return np.load(stream)


def test_a_sealed_adapter_serves_as_the_plain_one(
    sealed: DataFolder, tmp_path: Path, starter: Path
) -> None:
    model = tiny.write_model(tmp_path / "tiny.gguf", starter)
    rng = np.random.default_rng(3)
    halves = [rng.normal(0, 1, shape).astype(np.float32) for shape in ((4, 96), (64, 4))]
    adapter = LoraAdapter(8.0, 4, {"model.layers.1.mlp.down_proj": (halves[0], halves[1])})
    hidden = sealed.adapters / "adapter.gguf"
    plain = tmp_path / "plain.gguf"
    for path in (hidden, plain):
        write_gguf(adapter, read_header(model), path)
    assert hidden.read_bytes().startswith(sealing.MAGIC)
    with contextlib.closing(EngineClient()) as engine:
        engine.load(model, n_ctx=64, threads=1)
        base = logits(engine, tmp_path / "out.npy")
        engine.set_adapter(plain)
        expected = logits(engine, tmp_path / "out.npy")
        engine.set_adapter(hidden)
        found = logits(engine, sealed.jobs / "out.npy")  # the engine seals what it writes
        assert (sealed.jobs / "out.npy").read_bytes().startswith(sealing.MAGIC)
        assert np.array_equal(found, expected)
        assert not np.allclose(found, base)
        left = [path for path in sealed.root.rglob("*") if path.is_file()]
        assert not [path for path in left if path.read_bytes().startswith(b"GGUF")]
        hidden.write_bytes(hidden.read_bytes()[:-1])
        with pytest.raises(DamagedFile, match="is damaged"):
            engine.set_adapter(hidden)
        assert np.array_equal(logits(engine, tmp_path / "out.npy"), expected)
