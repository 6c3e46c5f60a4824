"""One engine a module on the starter model, and adapters with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from plum_desktop.engine.client import EngineClient

LoraWriter = Callable[..., Path]


@pytest.fixture(scope="module")
def engine(starter: Path) -> Iterator[EngineClient]:
    client = EngineClient()
    client.load(starter, n_ctx=1024, threads=1)
    yield client
    client.close()


@pytest.fixture
def write_lora(tmp_path: Path) -> LoraWriter:
    """Writes a GGUF LoRA that fits the starter model unless told otherwise."""

    def write(
        name: str,
        seed: int,
        *,
        architecture: str = "llama",
        width: int = 576,
        layers: range = range(30),
    ) -> Path:
        random = np.random.default_rng(seed)
        path = tmp_path / name
        writer = gguf.GGUFWriter(str(path), architecture)
        writer.add_string("general.type", "adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", 4.0)
        for layer in layers:
            for tensor, rows in (("attn_q", width), ("attn_v", 192)):
                a = random.normal(0, 0.05, (4, width)).astype(np.float32)
                b = random.normal(0, 0.1, (rows, 4)).astype(np.float32)
                writer.add_tensor(f"blk.{layer}.{tensor}.weight.lora_a", a)
                writer.add_tensor(f"blk.{layer}.{tensor}.weight.lora_b", b)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write
