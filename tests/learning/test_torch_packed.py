"""Training on the GGUF's own bytes: the numbers and the gradients are those of the floats."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from plum_desktop.learning.recipe import preset
from plum_desktop.learning.rows import Row, Targets
from tests.adapters.tiny_bases import KINDS, write_base

# Where a block has its scale and its minimum, in F16, and the minimum that centres the weights.
SCALES: dict[Kind, dict[int, float]] = {
    Kind.Q4_0: {0: 1}, Kind.Q4_1: {0: 1, 2: -7.5}, Kind.Q5_0: {0: 1}, Kind.Q5_1: {0: 1, 2: -15.5},
    Kind.Q8_0: {0: 1}, Kind.Q2_K: {80: 1, 82: 1.5}, Kind.Q3_K: {108: 1}, Kind.Q4_K: {0: 1, 2: 7.5},
    Kind.Q5_K: {0: 1, 2: 15.5}, Kind.Q6_K: {208: 1}, Kind.IQ4_NL: {0: 1}, Kind.IQ4_XS: {0: 1},
    Kind.IQ3_S: {0: 1},
}  # fmt: skip
PLAIN = (Kind.F32, Kind.F16, Kind.BF16)
RECIPE = replace(preset("default"), rank=4, alpha=8.0, certain=1.0, gradient_clip=1e9)
VOCABULARY = 160


@pytest.fixture(scope="module")
def torch_peft():
    from plum_desktop.learning.trainers import torch_peft

    return torch_peft


@pytest.fixture
def make(torch_peft, monkeypatch: pytest.MonkeyPatch):
    """Trainers on the CPU whose adapter is no longer all zeros, in fp32 unless told otherwise."""
    import torch

    monkeypatch.setattr(torch_peft, "best_device", lambda: torch.device("cpu"))

    def build(model: Path, hold: str, dtype=torch.float32):
        monkeypatch.setattr(torch_peft, "best_dtype", lambda device: dtype)
        trainer = torch_peft.TorchTrainer(model, RECIPE, None, 1, hold)
        torch.manual_seed(1)
        for name, parameter in trainer.live.items():
            trainer.master[name].normal_(0, 0.05)
            parameter.data.copy_(trainer.master[name])
        return trainer

    return build


def quantized(kind: Kind) -> Callable[[np.ndarray], tuple[np.ndarray, Kind]]:
    """For `make_tiny`: random blocks of a type, as large as the weights that they replace."""

    def store(matrix: np.ndarray) -> tuple[np.ndarray, Kind]:
        if kind in PLAIN:
            return gguf.quants.quantize(matrix, kind), kind
        blocks = random_blocks(kind, matrix.shape)
        size = np.std(gguf.quants.dequantize(blocks, kind)) / np.std(matrix)
        return random_blocks(kind, matrix.shape, 1 / size), kind

    return store


def random_blocks(kind: Kind, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
    length, size = gguf.GGML_QUANT_SIZES[kind]
    rng = np.random.default_rng(shape[0])
    blocks = rng.integers(0, 256, (*shape[:-1], shape[-1] // length, size), dtype=np.uint8)
    sizes = scale * rng.uniform(0.5, 1, blocks.shape[:-1])
    for place, value in SCALES[kind].items():
        wanted = (value * sizes).astype(np.float16)
        blocks[..., place : place + 2] = wanted[..., None].view(np.uint8)
    return blocks.reshape(*shape[:-1], -1)


def rows() -> list[Row]:
    """Lessons and an anchor."""
    rng = np.random.default_rng(0)
    lessons = [
        Row(rng.integers(0, VOCABULARY, 24).astype(np.int32), np.full(24, 0.5, np.float32))
        for _ in range(3)
    ]
    ids = rng.integers(0, VOCABULARY, (24, 8)).astype(np.int32)
    logp = np.log(np.full((24, 8), 0.1, np.float32))
    return [*lessons, replace(lessons[0], targets=Targets(ids, logp))]


def gradients(trainer) -> dict[str, np.ndarray]:
    return {name: tensor.grad.numpy().copy() for name, tensor in trainer.master.items()}


# TQ1_0 and IQ3_S have no kernel and go through gguf.
@pytest.mark.parametrize("kind", [*PLAIN, *SCALES, Kind.TQ1_0], ids=lambda kind: kind.name)
def test_floats_are_those_of_gguf_bit_for_bit(kind: Kind, monkeypatch) -> None:
    import torch

    from plum_desktop.learning.trainers import torch_dequantize

    monkeypatch.setattr(torch_dequantize, "_AT_ONCE", 5 * 768)  # the last piece is shorter
    length, size = gguf.GGML_QUANT_SIZES[kind]
    raw = np.random.default_rng(0).integers(0, 256, (37, 768 // length * size), dtype=np.uint8)
    with np.errstate(all="ignore"):  # among random bytes are scales that are infinite
        wanted = gguf.quants.dequantize(raw, kind)
        found = torch_dequantize.dequantize(torch.from_numpy(raw), kind, torch.float32)
        half = torch_dequantize.dequantize(torch.from_numpy(raw), kind, torch.bfloat16)
    assert found.shape == (37, torch_dequantize.width(kind, raw.shape[1])) == (37, 768)
    assert np.isfinite(wanted).mean() > 0.8
    number = ~np.isnan(wanted)
    assert np.array_equal(wanted[number].view(np.uint32), found.numpy()[number].view(np.uint32))
    assert np.array_equal(number, ~np.isnan(found.numpy()))
    assert torch.equal(half[number], torch.from_numpy(wanted).bfloat16()[number])


@pytest.mark.parametrize("kind", [*PLAIN, *SCALES], ids=lambda kind: kind.name)
def test_loss_and_gradients_are_those_of_the_floats(make, make_tiny, tmp_path, kind: Kind) -> None:
    model = make_tiny(tmp_path / "llama.gguf", "llama", quantized(kind), scale=8)
    assert_equal_steps(make, model)


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3"])
def test_biases_and_tied_embeddings_too(make, make_tiny, tmp_path, architecture: str) -> None:
    model = make_tiny(tmp_path / "model.gguf", architecture, quantized(Kind.Q4_0))
    assert_equal_steps(make, model)


@pytest.mark.parametrize("name", ["llama 3", "gemma2", "gemma3", "phi3"])
def test_every_other_architecture_too(make, tmp_path, name: str) -> None:
    """Scaled embeddings, capped logits, windows, fused matrices, divided frequencies."""
    assert_equal_steps(make, write_base(KINDS[name], tmp_path / "model.gguf"))


def test_large_matrices_are_taken_in_parts(make, make_tiny, tmp_path, monkeypatch) -> None:
    from plum_desktop.learning.trainers import torch_packed

    monkeypatch.setattr(torch_packed, "_AT_ONCE", 7 * 64)
    assert_equal_steps(make, make_tiny(tmp_path / "a.gguf", "qwen2", quantized(Kind.Q5_1)))


def assert_equal_steps(make, model: Path) -> None:
    plain = make(model, "floats")
    wanted = plain.step(rows(), 0.0)
    assert wanted.loss > 1
    assert wanted.drift > 0.1
    expected = gradients(plain)
    for hold in ("packed", "frugal"):
        trainer = make(model, hold)
        found = trainer.step(rows(), 0.0)
        assert found.loss == pytest.approx(wanted.loss, rel=1e-5)
        assert found.drift == pytest.approx(wanted.drift, rel=1e-5)
        for name, gradient in gradients(trainer).items():
            size = np.abs(expected[name]).max()
            assert size > 0
            np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-5 * size)


def test_bf16_rounds_alike(make, make_tiny, tmp_path) -> None:
    import torch

    model = make_tiny(tmp_path / "llama.gguf", "llama", quantized(Kind.Q8_0))
    plain, packed = (make(model, hold, torch.bfloat16) for hold in ("floats", "packed"))
    assert packed.step(rows(), 0.0).loss == plain.step(rows(), 0.0).loss
    expected, found = gradients(plain), gradients(packed)
    for name, gradient in found.items():
        assert np.abs(gradient - expected[name]).max() <= 0.05 * np.abs(expected[name]).max()


@pytest.mark.parametrize("hold", ["packed", "frugal"])
def test_it_learns_and_the_file_stays(make, make_tiny, tmp_path, hold: str) -> None:
    from plum_desktop.adapters.peft_format import read_peft

    model = make_tiny(tmp_path / "llama.gguf", "llama", quantized(Kind.Q4_1))
    before = model.read_bytes()
    trainer = make(model, hold)
    losses = [trainer.step(rows()[:3], 2e-2).loss for _ in range(15)]
    assert losses[-1] < 0.7 * losses[0]
    trainer.save_checkpoint(tmp_path / "checkpoint.pt", 12)
    ended = trainer.step(rows()[:3], 0.0).loss
    again = make(model, hold)
    assert again.load_checkpoint(tmp_path / "checkpoint.pt") == 12
    assert again.step(rows()[:3], 0.0).loss == pytest.approx(ended)
    trainer.save_adapter(tmp_path / "adapter")
    assert len(read_peft(tmp_path / "adapter").tensors) == 14
    assert model.read_bytes() == before
    held = sum(p.nbytes for p in trainer.model.parameters() if not p.requires_grad)
    assert held < model.stat().st_size


_LARGE = """
import torch
from gguf import GGMLQuantizationType as Kind
from plum_desktop.base.peak import peak_bytes
from plum_desktop.learning.trainers.torch_packed import PackedLinear
torch.set_num_threads(1)
raw = torch.zeros((16384, 4096 // 32 * 18), dtype=torch.uint8)
layer = PackedLinear(raw, Kind.Q4_0)
x = torch.ones((8, 4096), requires_grad=True)
layer(x[:1]).sum().backward()  # with the libraries' own first calls
(layer(x) + layer(x)).sum().backward()
assert x.grad is not None
print(raw.nbytes, peak_bytes())
"""


def test_no_copy_in_floats_is_kept() -> None:
    """A layer of 268 MB in floats, used twice in one graph."""
    plain = _LARGE.split("layer =")[0] + "print(peak_bytes())"
    idle = int(run(plain))
    size, peak = (int(word) for word in run(_LARGE).split())
    assert size == pytest.approx(38e6, rel=0.01)
    assert peak - idle < 160e6


def run(script: str) -> str:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
