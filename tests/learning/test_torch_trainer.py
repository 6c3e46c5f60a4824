"""The torch trainer on a tiny GGUF: what it learns, what it leaves alone, what it writes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.peft_format import read_peft, write_peft
from plum_desktop.base.errors import Cancelled, DamagedFile
from plum_desktop.learning.packing import pack
from plum_desktop.learning.recipe import Recipe
from plum_desktop.learning.rows import Plan, Row
from plum_desktop.learning.train import train
from plum_desktop.models.header import read_header
from tests.adapters.tiny_bases import KINDS, write_base
from tests.learning import material
from tests.learning.material import RECIPE, Watch, lessons


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, make_tiny: Callable[..., Path]) -> Path:
    return make_tiny(tmp_path_factory.mktemp("tiny") / "llama.gguf", "llama")


@pytest.fixture(scope="module")
def torch_peft():
    from plum_desktop.learning.trainers import torch_peft

    return torch_peft


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Nothing here may look anything up; libraries may swallow an error, so it is counted too."""
    tried: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        tried.append(arguments)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tried


@pytest.fixture
def make(torch_peft, base: Path, monkeypatch: pytest.MonkeyPatch):
    """Trainers on the tiny base, in fp32 on the CPU unless told otherwise."""
    import torch

    monkeypatch.setattr(torch_peft, "best_device", lambda: torch.device("cpu"))

    def build(
        recipe: Recipe = RECIPE, parent: Path | None = None, dtype=torch.float32, threads: int = 1
    ):
        monkeypatch.setattr(torch_peft, "best_dtype", lambda device: dtype)
        return torch_peft.TorchTrainer(base, recipe, parent, threads)

    return build


def anchors(trainer) -> list[Row]:
    """Random text with what `trainer`'s model says of it now."""
    import torch

    def logits(ids: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return trainer.model(torch.from_numpy(ids)[None]).logits[0].float().numpy()

    return material.anchors(logits)


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_the_loss_falls_and_the_base_stays(make, kind: str) -> None:
    import torch

    trainer = make(dtype=getattr(torch, kind))
    frozen = {n: p for n, p in trainer.model.named_parameters() if not p.requires_grad}
    before = {name: tensor.clone() for name, tensor in frozen.items()}
    losses = [trainer.step(lessons(), 5e-3).loss for _ in range(15)]
    assert losses[-1] < 0.5 * losses[0]
    assert len(trainer.live) == 2 * 2 * 7  # A and B of seven matrices in each of two layers
    assert {tensor.dtype for tensor in trainer.master.values()} == {torch.float32}
    assert {p.dtype for p in trainer.model.parameters()} == {getattr(torch, kind)}
    assert all(parameter.grad is None for parameter in frozen.values())
    assert all(torch.equal(tensor, before[name]) for name, tensor in frozen.items())
    assert all(
        torch.equal(parameter, trainer.master[name].to(parameter.dtype))
        for name, parameter in trainer.live.items()
    )


def test_small_updates_add_up_in_the_masters(make) -> None:
    """Adam's steps of 1e-6 are lost in bf16 and must not be in the adapter."""
    import torch

    trainer = make(dtype=torch.bfloat16)
    before = {name: tensor.clone() for name, tensor in trainer.master.items()}
    trainer.step(lessons(), 1e-6)
    moved = [(trainer.master[name] - tensor).abs().max().item() for name, tensor in before.items()]
    assert max(moved) == pytest.approx(1e-6, rel=0.1)
    trainer.step(lessons(), 1e-6)
    moved = [(trainer.master[name] - tensor).abs().max().item() for name, tensor in before.items()]
    assert max(moved) == pytest.approx(2e-6, rel=0.1)


def test_a_step_reports_what_it_saw(make) -> None:
    trainer = make()
    held = anchors(trainer)
    both = trainer.step([*lessons(), *held], 0.0)
    assert both.drift == pytest.approx(0.0, abs=1e-4)  # nothing has moved yet
    assert both.tokens == 11 + 4 * 11 + 4 * 24  # what the rows share is read once
    assert both.loss == pytest.approx(trainer.step(lessons(), 0.0).loss, rel=1e-5)
    only = trainer.step(held, 0.0)
    assert (only.loss, only.tokens) == (0.0, 4 * 24)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_among_others_is_as_alone_in_every_architecture(
    torch_peft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import torch

    from plum_desktop.learning.trainers.torch_gguf import load_base

    monkeypatch.setattr(torch_peft, "best_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch_peft, "best_dtype", lambda device: torch.float32)
    path = write_base(KINDS[kind], tmp_path / "base.gguf")
    rng = np.random.default_rng(2)
    start = rng.integers(3, 90, 12)
    rows = [
        Row(np.concatenate([start, rng.integers(3, 90, more)]).astype(np.int32),
            np.repeat(np.float32([0, 1]), [11, more + 1]))
        for more in (9, 30, 17)
    ]  # fmt: skip
    trainer = torch_peft.TorchTrainer(path, RECIPE, None, 1, "floats")
    plain = load_base(path, torch.float32)
    packs = pack(rows, None)
    with torch.no_grad():
        packed = trainer._logits(trainer._hidden(packs), packs.source)
        alone = {}
        for row in rows:
            whole = plain(torch.from_numpy(row.ids.astype(np.int64))[None]).logits[0]
            alone |= {tuple(row.ids[: at + 1]): logits for at, logits in enumerate(whole)}
    seen = packs.visible()[0]
    for logits, place in zip(packed, packs.source, strict=True):
        at = np.nonzero(seen[place])[0]
        key = tuple(packs.ids[0, at[np.argsort(packs.positions[0, at])]].astype(np.int32))
        torch.testing.assert_close(logits, alone[key], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("threads", [2, 3])
def test_a_step_in_shares_is_the_step_of_the_whole(make, threads: int) -> None:
    import torch

    one, several = make(), make(threads=threads)
    rows = [*lessons(0), *lessons(1), *anchors(one)]
    for _ in range(3):
        whole, shared = one.step(rows, 1e-3), several.step(rows, 1e-3)
        assert shared.loss == pytest.approx(whole.loss, rel=1e-4)
        assert shared.drift == pytest.approx(whole.drift, rel=1e-3, abs=1e-6)
    for name, tensor in one.master.items():
        # Adam's first steps are as long for the smallest gradient, whose sign may be a rounding.
        off = (several.master[name] - tensor).abs()
        assert off.mean() < 0.01 * 3e-3, name
    # More of them than rows.
    torch.testing.assert_close(
        several.step(rows[:1], 0.0).loss, one.step(rows[:1], 0.0).loss, rtol=1e-3, atol=1e-5
    )
    # One in which nothing is taught, the longest row.
    silent = Row(np.arange(60, dtype=np.int32), np.zeros(60, np.float32))
    told, alone = several.step([silent, *lessons(0)], 0.0), one.step(lessons(0), 0.0)
    assert told.loss == pytest.approx(alone.loss, rel=1e-3)


def test_a_token_that_is_certain_pulls_no_more(make) -> None:
    every, none = (make(replace(RECIPE, certain=bound)) for bound in (1.0, 1e-9))
    first = every.step(lessons(), 5e-3).loss
    assert none.step(lessons(), 5e-3).loss == pytest.approx(first)  # it is still told
    assert none.step(lessons(), 0.0).loss == pytest.approx(first)
    assert every.step(lessons(), 0.0).loss < 0.99 * first
    # Between the two, what is still uncertain is learned.
    some = make(replace(RECIPE, certain=0.9))
    assert [some.step(lessons(), 5e-3).loss for _ in range(12)][-1] < 0.6 * first


def test_anchors_hold_the_rest_still(make) -> None:
    drifts = {}
    for held in (False, True):
        trainer = make()
        still = anchors(trainer)
        for _ in range(15):
            result = trainer.step([*lessons(), *(still if held else [])], 5e-3)
        drifts[held] = trainer.step(still, 0.0).drift
        assert result.loss < 2.0  # it learns with anchors too
    assert drifts[False] > 0.05
    assert drifts[True] < 0.5 * drifts[False]


def test_what_no_lesson_asks_for_any_more_fades(make, tmp_path: Path) -> None:
    """Taught other lessons with weight decay, an adapter ends nearer to the base."""
    first = make()
    still = anchors(first)
    for _ in range(15):
        first.step(lessons(), 5e-3)
    first.save_adapter(tmp_path)
    drifts, losses = [], []
    for decay in (0.0, 10.0):
        trainer = make(replace(RECIPE, weight_decay=decay), tmp_path)
        losses.append([trainer.step(lessons(1), 5e-3).loss for _ in range(15)])
        drifts.append(trainer.step(still, 0.0).drift)
    assert drifts[1] < 0.9 * drifts[0]
    assert losses[1][-1] < 0.5 * losses[1][0]


def test_resuming_ends_where_an_uninterrupted_run_does(make, job, torch_peft) -> None:
    import torch

    rows = [*lessons(0), *lessons(1), *anchors(make())]
    Plan(rows, [[0, 1, 8], [4, 5, 9], [2, 3, 10], [6, 7, 11], [0, 7, 8], [1, 6, 9]]).save(job.rows)
    train(job, lambda: make(dtype=torch.bfloat16), RECIPE, Watch())
    whole = read_peft(job.adapter)
    for stop in (2, 3):
        with pytest.raises(Cancelled):
            train(job, lambda: make(dtype=torch.bfloat16), RECIPE, Watch(stop))
    torch.manual_seed(99)  # nothing may hang on the state of the generator
    result = train(job, lambda: make(dtype=torch.bfloat16), RECIPE, Watch())
    assert result.steps == 6
    resumed = read_peft(job.adapter)
    for module, (a, b) in whole.tensors.items():
        np.testing.assert_array_equal(a, resumed.tensors[module][0])
        np.testing.assert_array_equal(b, resumed.tensors[module][1])
        assert np.abs(b).max() > 0


def test_a_damaged_checkpoint_is_a_sentence(make, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    trainer = make()
    trainer.step(lessons(), 1e-3)
    trainer.save_checkpoint(path, 1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]
    whole = path.read_bytes()
    other = tmp_path / "other.pt"
    make(replace(RECIPE, rank=2)).save_checkpoint(other, 1)
    damaged = (b"", b"no checkpoint", whole[:200], whole[: len(whole) // 2], other.read_bytes())
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(DamagedFile, match="discard this job"):
            make().load_checkpoint(path)


def test_the_adapter_is_what_was_trained_in_both_forms(
    make, base, tmp_path, run_script, no_network
) -> None:
    import torch

    trainer = make()
    for _ in range(5):
        trainer.step(lessons(), 5e-3)
    folder = tmp_path / "adapter"
    trainer.save_adapter(folder)
    adapter = read_peft(folder)
    assert (adapter.rank, adapter.alpha) == (4, 8.0)
    assert len(adapter.tensors) == 14
    for module, (a, b) in adapter.tensors.items():
        name = f"base_model.model.{module}.lora_{{}}.default.weight"
        assert np.array_equal(a, trainer.master[name.format("A")].numpy())
        assert np.array_equal(b, trainer.master[name.format("B")].numpy())
    assert no_network == []
    trainer.step(lessons(), 5e-3)  # training may go on behind it
    # The worker writes it again with metadata, and as llama.cpp loads it.
    write_peft(adapter.with_metadata({"recipe": "default"}), folder)
    write_gguf(adapter, read_header(base), folder / "adapter.gguf")
    ids = lessons()[0].ids.tolist()
    jobs = [
        {"model": str(base), "adapter": adapter_path, "ids": ids, "out": str(tmp_path / name)}
        for name, adapter_path in (("base.npy", None), ("hot.npy", str(folder / "adapter.gguf")))
    ]
    run_script(Path(__file__).parents[1] / "adapters" / "llama_logits.py", jobs)
    plain, hot = (np.load(job["out"]) for job in jobs)
    fresh = make(parent=folder)
    with torch.no_grad():
        taught = fresh.model(torch.tensor([ids])).logits[0].numpy()
        with fresh.model.disable_adapter():
            untaught = fresh.model(torch.tensor([ids])).logits[0].numpy()
    change, theirs = (taught - untaught).ravel(), (hot - plain).ravel()
    assert np.abs(change).mean() > 0.1
    cosine = change @ theirs / np.linalg.norm(change) / np.linalg.norm(theirs)
    assert cosine > 0.999


@pytest.mark.parametrize(("rank", "alpha"), [(4, 8.0), (4, 16.0), (2, 8.0), (8, 8.0)])
def test_the_next_run_begins_where_the_last_one_ended(make, tmp_path, rank, alpha) -> None:
    """Also when the recipe has other numbers by then."""
    first = make(replace(RECIPE, rank=rank, alpha=alpha))
    for _ in range(10):
        first.step(lessons(), 5e-3)
    first.save_adapter(tmp_path / "parent")
    ended = first.step(lessons(), 0.0).loss
    untaught = make().step(lessons(), 0.0).loss
    assert ended < 0.8 * untaught
    following = make(parent=tmp_path / "parent")
    assert following.step(lessons(), 0.0).loss == pytest.approx(ended, rel=1e-3)
    losses = [following.step(lessons(), 5e-3).loss for _ in range(5)]
    assert losses[-1] < ended
    following.save_adapter(tmp_path / "child")
    assert read_peft(tmp_path / "child")


def test_the_same_seed_begins_with_the_same_adapter(make) -> None:
    import torch

    one, other = make(), make()
    assert all(torch.equal(one.master[name], other.master[name]) for name in one.master)
    different = make(replace(RECIPE, seed=5))
    assert not all(torch.equal(one.master[name], different.master[name]) for name in one.master)
