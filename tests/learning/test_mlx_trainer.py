"""The MLX trainer on tiny GGUF files, beside the torch trainer on the same jobs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import ANY

import numpy as np
import pytest

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.lora import CREATED
from plum_desktop.adapters.peft_format import read_peft, write_peft
from plum_desktop.base.errors import Cancelled, DamagedFile, PlumError
from plum_desktop.learning.job import JobFolder, JobSpec
from plum_desktop.learning.packing import pack
from plum_desktop.learning.recipe import Recipe
from plum_desktop.learning.rows import Plan, Row
from plum_desktop.learning.train import train
from plum_desktop.models.header import read_header
from tests.adapters.tiny_bases import KINDS, write_base
from tests.learning import material
from tests.learning.material import RECIPE, Watch, lessons

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mlx_lm") is None, reason="MLX is not installed"
)

ARCHITECTURES = ("llama", "qwen2", "qwen3")
# Of these the tests of adapters have tiny models; the rest is the same for all.
OTHERS = ("llama 3", "gemma2", "gemma3", "phi3")


@pytest.fixture(scope="module")
def bases(
    tmp_path_factory: pytest.TempPathFactory, make_tiny: Callable[..., Path]
) -> dict[str, Path]:
    """Tiny models by architecture, and a llama in the starter's type."""
    import gguf
    from gguf.quants import quantize

    def as_q4_1(matrix: np.ndarray) -> tuple[np.ndarray, gguf.GGMLQuantizationType]:
        return quantize(matrix, kind := gguf.GGMLQuantizationType.Q4_1), kind

    folder = tmp_path_factory.mktemp("tiny")
    made = {name: make_tiny(folder / f"{name}.gguf", name) for name in ARCHITECTURES}
    made |= {name: write_base(KINDS[name], folder / f"{name}.gguf") for name in OTHERS}
    made["quantized"] = make_tiny(folder / "quantized.gguf", "llama", as_q4_1)
    return made


@pytest.fixture
def make_mlx(bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    """MLX trainers, in fp32 unless told otherwise."""
    import mlx.core as mx

    from plum_desktop.learning.trainers import mlx_lora

    def build(
        recipe: Recipe = RECIPE,
        parent: Path | None = None,
        base: str = "llama",
        hold: str | None = "floats",
        dtype=mx.float32,
    ):
        monkeypatch.setattr(mlx_lora, "best_dtype", lambda: dtype)
        return mlx_lora.MlxTrainer(bases[base], recipe, parent, hold=hold)

    return build


@pytest.fixture
def make_torch(bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    """Torch trainers in fp32 on the CPU."""
    import torch

    from plum_desktop.learning.trainers import torch_peft

    monkeypatch.setattr(torch_peft, "best_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch_peft, "best_dtype", lambda device: torch.float32)

    def build(recipe: Recipe = RECIPE, parent: Path | None = None, base: str = "llama"):
        return torch_peft.TorchTrainer(bases[base], recipe, parent, 1)

    return build


def logits(trainer, ids: np.ndarray) -> np.ndarray:
    """(n, vocabulary) of the model as it is trained by now."""
    row = Row(ids.astype(np.int32), np.ones(len(ids), np.float32))
    return np.array(trainer.logits(pack([row]), np.arange(len(ids))))


def anchors(trainer) -> list[Row]:
    return material.anchors(lambda ids: logits(trainer, ids))


def recall(predict: Callable[[np.ndarray], np.ndarray], rows: list[Row]) -> float:
    """The share of the answers' tokens that a greedy reader would say."""
    right = []
    for row in rows:
        said = predict(row.ids).argmax(1)
        right += [said[at - 1] == row.ids[at] for at in np.nonzero(row.weights == 1)[0]]
    return float(np.mean(right))


# Tokens are certain so soon that some are within the test's steps.
SOON = {"certain": 0.2}
# Everything else that a recipe says of a step: decay, clipping, every token counts.
STRICT = {"weight_decay": 0.05, "gradient_clip": 0.1, "certain": 1.0, "anchor_weight": 5.0}


@pytest.mark.parametrize(
    ("base", "changed"),
    [("llama", STRICT), *((base, SOON) for base in (*ARCHITECTURES, *OTHERS))],
)
def test_the_losses_are_those_of_torch(
    make_mlx, make_torch, base: str, changed: dict, tmp_path: Path
) -> None:
    """From the same start, on the same rows: within a two thousandth at each of 24 steps."""
    recipe = replace(RECIPE, **changed)
    start = tmp_path / "start"
    make_torch(recipe, base=base).save_adapter(start)
    ours, theirs = make_mlx(recipe, start, base), make_torch(recipe, start, base)
    still, first = anchors(ours), 0.0
    for step in range(24):
        rows = [*lessons(step % 3, 6), *(still if step % 4 else [])]
        rate = 5e-3 * (1 - step / 30)
        one, other = ours.step(rows, rate), theirs.step(rows, rate)
        assert one.tokens == other.tokens
        assert one.loss == pytest.approx(other.loss, rel=5e-4)
        assert one.drift == pytest.approx(other.drift, rel=2e-3, abs=1e-6)
        first = one.loss if step == 0 else first
    assert one.loss < 0.85 * first  # it learned
    ours.save_adapter(tmp_path / "ours")
    theirs.save_adapter(tmp_path / "theirs")
    mine, torchs = read_peft(tmp_path / "ours"), read_peft(tmp_path / "theirs")
    assert set(mine.tensors) == set(torchs.tensors)
    for module, (a, b) in mine.tensors.items():
        change, other_change = b @ a, torchs.tensors[module][1] @ torchs.tensors[module][0]
        off = np.linalg.norm(change - other_change) / np.linalg.norm(other_change)
        assert off < 0.01, module


def test_both_remember_a_small_job_alike(make_mlx, make_torch) -> None:
    """Each from its own random start."""
    import torch

    ours, theirs = make_mlx(), make_torch()
    still, taught = anchors(ours), [*lessons(0), *lessons(1)]

    def torch_logits(ids: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return theirs.model(torch.from_numpy(ids.astype(np.int64))[None]).logits[0].numpy()

    assert recall(lambda ids: logits(ours, ids), taught) < 0.2
    for _ in range(50):
        ours.step([*taught, *still], 5e-3)
        theirs.step([*taught, *still], 5e-3)
    mine = recall(lambda ids: logits(ours, ids), taught)
    assert mine > 0.9
    assert mine == pytest.approx(recall(torch_logits, taught), abs=0.1)


def test_a_base_that_stays_packed_is_the_same_base(make_mlx) -> None:
    """Its weights are exactly the file's, so only the order of sums differs."""
    import mlx.nn as nn

    whole, packed, frugal = (
        make_mlx(base="quantized", hold=hold) for hold in ("floats", "packed", "frugal")
    )
    kinds = [type(module) for _, module in packed.model.named_modules()]
    assert kinds.count(nn.QuantizedLinear) == 2 * 7 + 1
    assert kinds.count(nn.QuantizedEmbedding) == 1
    still = anchors(whole)
    for _ in range(8):
        one, *others = (each.step([*lessons(), *still], 5e-3) for each in (whole, packed, frugal))
        for other in others:
            assert other.loss == pytest.approx(one.loss, rel=1e-3)
            assert other.drift == pytest.approx(one.drift, rel=5e-3, abs=1e-6)


def test_the_base_is_held_as_memory_allows(make_mlx, monkeypatch) -> None:
    from plum_desktop.learning.trainers import mlx_lora
    from plum_desktop.models.fit import Memory

    for size, hold in ((64 * 10**9, "floats"), (10**8, "frugal")):
        room = Memory(size, size)
        monkeypatch.setattr(mlx_lora, "memory", lambda room=room: room)
        assert make_mlx(hold=None).hold == hold


@pytest.mark.parametrize("hold", ["floats", "packed", "frugal"])
def test_in_half_precision_it_learns_and_the_masters_are_whole(make_mlx, hold: str) -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten

    trainer = make_mlx(dtype=mx.bfloat16, base="quantized", hold=hold)
    frozen = {
        name: np.array(tensor.astype(mx.float32))
        for name, tensor in tree_flatten(trainer.model.parameters())
        if "lora" not in name
    }
    losses = [trainer.step(lessons(), 5e-3).loss for _ in range(15)]
    assert losses[-1] < 0.5 * losses[0]
    assert len(trainer.live) == 2 * 2 * 7  # A and B of seven matrices in each of two layers
    assert {half.dtype for half in trainer.live.values()} == {mx.float32}
    now = dict(tree_flatten(trainer.model.parameters()))
    assert {now[name].dtype for name in now} <= {mx.bfloat16, mx.uint32}
    for name, before in frozen.items():
        np.testing.assert_array_equal(np.array(now[name].astype(mx.float32)), before)
    # Adam's steps of 1e-6 are lost in bf16 and must not be in the adapter.
    before = {name: np.array(half) for name, half in trainer.live.items()}
    trainer.step(lessons(), 1e-6)
    moved = max(np.abs(np.array(h) - before[n]).max() for n, h in trainer.live.items())
    assert 0 < moved < 1e-5


def test_a_token_that_is_certain_pulls_no_more(make_mlx) -> None:
    every, none = (make_mlx(replace(RECIPE, certain=bound)) for bound in (1.0, 1e-9))
    first = every.step(lessons(), 5e-3).loss
    assert none.step(lessons(), 5e-3).loss == pytest.approx(first)  # it is still told
    assert none.step(lessons(), 0.0).loss == pytest.approx(first)
    assert every.step(lessons(), 0.0).loss < 0.99 * first


def test_a_step_of_anchors_alone(make_mlx) -> None:
    trainer = make_mlx()
    only = trainer.step(anchors(trainer), 5e-3)
    assert only.loss == 0.0
    assert only.drift == pytest.approx(0.0, abs=1e-4)  # nothing has moved yet
    assert only.tokens == 4 * 24


def test_a_window_looks_no_further_back_than_it_should() -> None:
    from plum_desktop.learning.trainers.mlx_lora import _PackedCache

    packs = pack(lessons(0, 3))
    all_of_it = np.array(_PackedCache(packs).make_mask(packs.ids.shape[1]))[0, 0]
    near = np.array(_PackedCache(packs).make_mask(packs.ids.shape[1], window_size=4))[0, 0]
    at, real = packs.positions[0], packs.block[0] >= 0
    for place in np.nonzero(real)[0]:
        seen = set(at[all_of_it[place]])
        assert seen == set(range(at[place] + 1))  # its prefix and itself, whatever lies between
        assert set(at[near[place]]) == {position for position in seen if position > at[place] - 4}
    assert all_of_it.any(axis=1).all()


def test_resuming_ends_where_an_uninterrupted_run_does(make_mlx, job: JobFolder) -> None:
    rows = [*lessons(0), *lessons(1), *anchors(make_mlx())]
    Plan(rows, [[0, 1, 8], [4, 5, 9], [2, 3, 10], [6, 7, 11], [0, 7, 8], [1, 6, 9]]).save(job.rows)
    recipe = replace(RECIPE, weight_decay=0.01)
    train(job, lambda: make_mlx(recipe), recipe, Watch())
    whole = read_peft(job.adapter)
    for stop in (2, 3):
        with pytest.raises(Cancelled):
            train(job, lambda: make_mlx(recipe), recipe, Watch(stop))
    result = train(job, lambda: make_mlx(recipe), recipe, Watch())
    assert result.steps == 6
    resumed = read_peft(job.adapter)
    for module, (a, b) in whole.tensors.items():
        np.testing.assert_array_equal(a, resumed.tensors[module][0])
        np.testing.assert_array_equal(b, resumed.tensors[module][1])
        assert np.abs(b).max() > 0


def test_a_damaged_checkpoint_is_a_sentence(make_mlx, tmp_path: Path) -> None:
    path, other = tmp_path / "checkpoint.pt", tmp_path / "other.pt"
    trainer = make_mlx()
    trainer.step(lessons(), 1e-3)
    trainer.save_checkpoint(path, 1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert make_mlx().load_checkpoint(path) == 1
    whole = path.read_bytes()
    make_mlx(replace(RECIPE, rank=2)).save_checkpoint(other, 1)
    for content in (b"", b"no checkpoint", whole[:200], whole[:-9], other.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(DamagedFile, match="discard this job"):
            make_mlx().load_checkpoint(path)


@pytest.mark.parametrize("base", ARCHITECTURES)
def test_the_adapter_is_what_llama_cpp_then_serves(
    make_mlx, bases, base: str, tmp_path: Path, run_script
) -> None:
    trainer = make_mlx(base=base)
    ids = lessons()[0].ids
    untaught = logits(trainer, ids)
    for _ in range(5):
        trainer.step(lessons(), 5e-3)
    folder = tmp_path / "adapter"
    trainer.save_adapter(folder)
    adapter = read_peft(folder)
    assert (adapter.rank, adapter.alpha) == (4, 8.0)
    assert len(adapter.tensors) == 14
    write_gguf(adapter, read_header(bases[base]), folder / "adapter.gguf")
    jobs = [
        {"model": str(bases[base]), "adapter": lora, "ids": ids.tolist(), "out": str(out)}
        for out, lora in (
            (tmp_path / "base.npy", None),
            (tmp_path / "hot.npy", str(folder / "adapter.gguf")),
        )
    ]
    run_script(Path(__file__).parents[1] / "adapters" / "llama_logits.py", jobs)
    plain, hot = (np.load(job["out"]) for job in jobs)
    change, theirs = (logits(trainer, ids) - untaught).ravel(), (hot - plain).ravel()
    assert np.abs(change).mean() > 0.1
    assert change @ theirs / np.linalg.norm(change) / np.linalg.norm(theirs) > 0.999


@pytest.mark.parametrize(("rank", "alpha"), [(4, 8.0), (2, 8.0), (8, 16.0)])
def test_the_next_run_begins_where_the_last_one_ended(make_mlx, tmp_path, rank, alpha) -> None:
    """Also when the recipe has other numbers by then, and the last was torch's."""
    first = make_mlx(replace(RECIPE, rank=rank, alpha=alpha))
    for _ in range(10):
        first.step(lessons(), 5e-3)
    first.save_adapter(tmp_path / "parent")
    ended = first.step(lessons(), 0.0).loss
    assert ended < 0.8 * make_mlx().step(lessons(), 0.0).loss
    following = make_mlx(parent=tmp_path / "parent")
    assert following.step(lessons(), 0.0).loss == pytest.approx(ended, rel=1e-5)


def test_a_parent_that_changes_few_modules_is_taught_in_all(make_mlx, tmp_path: Path) -> None:
    full = make_mlx()
    full.save_adapter(tmp_path / "full")
    adapter = read_peft(tmp_path / "full")
    some = {name: halves for name, halves in adapter.tensors.items() if "q_proj" in name}
    write_peft(replace(adapter, tensors=some), tmp_path / "some")
    trainer = make_mlx(parent=tmp_path / "some")
    trainer.step(lessons(), 5e-3)
    trainer.save_adapter(tmp_path / "more")
    more = read_peft(tmp_path / "more")
    assert len(more.tensors) == 14
    assert all(np.abs(b).max() > 0 for _, b in more.tensors.values())


def test_the_same_seed_begins_with_the_same_adapter(make_mlx) -> None:
    one, other, different = make_mlx(), make_mlx(), make_mlx(replace(RECIPE, seed=5))
    same = [np.array_equal(one.live[name], other.live[name]) for name in one.live]
    assert all(same)
    assert not all(np.array_equal(one.live[name], different.live[name]) for name in one.live)


def test_other_architectures_are_refused(tmp_path: Path, make_tiny) -> None:
    import mlx.core as mx

    from plum_desktop.learning.trainers.mlx_gguf import load_base

    path = make_tiny(tmp_path / "falcon.gguf", "falcon")
    with pytest.raises(PlumError, match="'falcon' cannot learn yet"):
        load_base(path, mx.float32)


def test_a_job_that_asks_for_mlx_is_trained_with_it(
    bases, job: JobFolder, spec: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plum_desktop.learning import worker
    from plum_desktop.learning.trainers import mlx_lora

    made: list[object] = []

    class Counted(mlx_lora.MlxTrainer):
        def __init__(self, *arguments, **named) -> None:
            made.append(arguments)
            super().__init__(*arguments, **named)

    monkeypatch.setattr(mlx_lora, "MlxTrainer", Counted)
    job.write_spec(replace(spec, model=str(bases["llama"]), backend="mlx", recipe=RECIPE))
    Plan(lessons(), [[0, 1], [2, 3], [0, 2]]).save(job.rows)
    request = SimpleNamespace(
        args={"job": str(job.root), "threads": 1},
        progress=lambda *told, **fields: None, check=lambda: None,
    )  # fmt: skip
    result = worker._train(request)
    assert (len(made), result["steps"]) == (1, 3)
    assert job.done("train")
    told = spec.metadata() | {CREATED: ANY}  # a second may have passed
    assert read_peft(job.adapter).metadata == told
