"""The merged file: what was learned is in it, everything else is as it was."""

from __future__ import annotations

import errno
import os
import tracemalloc
from pathlib import Path

import gguf
import numpy as np
import pytest

from plum_desktop.adapters import merge as merging
from plum_desktop.adapters.lora import LoraAdapter
from plum_desktop.adapters.merge import KEPT_SHARE, delta_norms, merge
from plum_desktop.adapters.names import kind_of, placed
from plum_desktop.base import files
from plum_desktop.base.errors import Cancelled, DamagedFile, DiskFull, PlumError
from plum_desktop.models.header import GGML_TYPES, read_header
from plum_desktop.models.support import MERGED_FROM, why_not


def weights(path: Path, names: set[str]) -> dict[str, np.ndarray]:
    """Tensors as gguf itself reads them."""
    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(
            tensor.shape[::-1]
        )
        for tensor in gguf.GGUFReader(path).tensors
        if tensor.name in names
    }


def stored_as(kind: gguf.GGMLQuantizationType):
    """A `store` for tiny models: quantized, or for types gguf cannot write, made-up blocks."""

    def store(matrix: np.ndarray) -> tuple[np.ndarray, gguf.GGMLQuantizationType]:
        try:
            return gguf.quants.quantize(matrix, kind), kind
        except NotImplementedError:
            block, size = gguf.GGML_QUANT_SIZES[kind]
            rng = np.random.default_rng(matrix.size)
            # bytes below 0x3C: every half-precision scale among them is finite and positive
            shape = (len(matrix), matrix.shape[1] // block * size)
            return rng.integers(1, 0x3C, shape, np.uint8), kind

    return store


def test_the_starters_change_is_kept_as_reported(compared) -> None:
    case = compared["starter"]
    changed = placed(case.adapter, read_header(case.base))
    assert {tensor.name for tensor in case.report.tensors} == set(changed)
    checked = case.report.tensors[::11]  # in a few layers, each kind once or more
    assert len({tensor.name.split(".", 2)[2] for tensor in checked}) == 7
    names = {tensor.name for tensor in checked}
    base, merged = weights(case.base, names), weights(case.merged, names)
    for tensor in checked:
        a, b = changed[tensor.name]
        wanted = (case.adapter.scale * (b @ a)).astype(np.float64)
        effect = merged[tensor.name].astype(np.float64) - base[tensor.name]
        kept = float((effect * wanted).sum() / (wanted**2).sum())
        assert kept >= KEPT_SHARE
        assert kept == pytest.approx(tensor.kept, abs=1e-4)
        size = np.linalg.norm(wanted) / np.linalg.norm(base[tensor.name])
        assert tensor.delta == pytest.approx(size, rel=1e-3)
    assert case.report.least_kept == min(tensor.kept for tensor in case.report.tensors)
    assert {tensor.type for tensor in case.report.tensors} == {"Q8_0"}


def test_the_rest_of_the_starter_is_copied_byte_for_byte(compared) -> None:
    case = compared["starter"]
    base, merged = read_header(case.base), read_header(case.merged)
    old, new = case.base.read_bytes(), case.merged.read_bytes()
    touched = {tensor.name for tensor in case.report.tensors}
    assert list(base.tensors) == list(merged.tensors)
    assert case.report.copied == len(base.tensors) - len(touched) > 0
    for name, info in base.tensors.items():
        if name not in touched:
            now = merged.tensors[name]
            assert (now.shape, now.type) == (info.shape, info.type)
            assert (
                new[now.offset : now.offset + now.nbytes]
                == old[info.offset : info.offset + info.nbytes]
            )
    start, end = base.metadata_span
    assert old[start:end] == new[start:end]  # vocabulary, template and all
    assert merged.metadata_count == base.metadata_count + 1
    assert merged.metadata[MERGED_FROM] == "0" * 64
    assert len(new) == case.report.size == merged.file_size


def test_a_small_change_takes_the_smallest_type_that_keeps_it(make_tiny, tmp_path: Path) -> None:
    """On a Q8_0 base: a large change stays Q8_0, a small one needs F16, a tiny one F32."""
    store = stored_as(gguf.GGMLQuantizationType.Q8_0)
    base = make_tiny(tmp_path / "base.gguf", "llama", store)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(1, 64)), rng.normal(size=(96, 1))
    sizes = {"Q8_0": 0.1, "F16": 1e-4, "F32": 1e-7}
    tensors = {
        f"model.layers.{layer}.mlp.{part}": (a.astype("f4"), (b * size).astype("f4"))
        for (layer, part), size in zip(
            ((0, "gate_proj"), (0, "up_proj"), (1, "up_proj")), sizes.values(), strict=True
        )
    }
    report = merge(base, LoraAdapter(1.0, 1, tensors), tmp_path / "merged.gguf")
    assert [tensor.type for tensor in report.tensors] == list(sizes)
    assert report.least_kept >= KEPT_SHARE
    merged = read_header(tmp_path / "merged.gguf")
    assert [merged.tensors[t.name].type_name for t in report.tensors] == list(sizes)
    larger = merge(
        base, LoraAdapter(1.0, 1, tensors), tmp_path / "larger.gguf", at_least="F16"
    )  # fmt: skip
    assert [tensor.type for tensor in larger.tensors] == ["F16", "F16", "F32"]
    assert larger.least_kept >= report.least_kept >= KEPT_SHARE


@pytest.mark.parametrize(
    "kind",
    [kind for kind in gguf.quants._type_traits if kind.name != "NVFP4"]
    + [gguf.GGMLQuantizationType.F16],
    ids=lambda kind: kind.name,
)
def test_every_type_that_gguf_reads_can_be_merged(kind, make_tiny, tmp_path: Path) -> None:
    # eight times as wide: the K types come in rows of 256
    base = make_tiny(tmp_path / "base.gguf", "llama", stored_as(kind), scale=8)
    header = read_header(base)
    assert kind.name in GGML_TYPES[int(kind)]
    name = "blk.0.ffn_up.weight"
    before = weights(base, {name})[name]
    rng = np.random.default_rng(1)
    out, width = before.shape
    a = rng.normal(0, 1 / np.sqrt(width), (2, width)).astype(np.float32)
    b = rng.normal(0, 0.03 * np.linalg.norm(before) / np.sqrt(out), (out, 2)).astype(np.float32)
    adapter = LoraAdapter(2.0, 2, {"model.layers.0.mlp.up_proj": (a, b)})
    (report,) = merge(base, adapter, tmp_path / "merged.gguf").tensors
    wanted = (b @ a).astype(np.float64)
    effect = weights(tmp_path / "merged.gguf", {name})[name] - before.astype(np.float64)
    assert (effect * wanted).sum() / (wanted**2).sum() >= KEPT_SHARE
    assert report.base_type == header.tensors[name].type_name == kind.name


def test_an_unquantized_base_loses_no_precision(compared) -> None:
    case = compared["qwen2"]
    assert {tensor.type for tensor in case.report.tensors} == {"F32"}
    assert max(tensor.noise for tensor in case.report.tensors) < 1e-4


def test_a_change_of_nothing_is_a_copy(make_tiny, make_adapter, tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "base.gguf", "qwen2")
    adapter = make_adapter(read_header(base))
    silent = {module: (a, np.zeros_like(b)) for module, (a, b) in adapter.tensors.items()}
    report = merge(base, LoraAdapter(8.0, 4, silent), tmp_path / "merged.gguf")
    assert report.tensors == ()
    header = read_header(tmp_path / "merged.gguf")
    data = base.read_bytes()[read_header(base).data_offset :]
    assert (tmp_path / "merged.gguf").read_bytes()[header.data_offset :] == data


def test_a_change_in_one_row_alone_is_kept(make_tiny, tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "base.gguf", "llama", stored_as(gguf.GGMLQuantizationType.Q4_0))
    a, b = np.ones((1, 64), np.float32), np.zeros((96, 1), np.float32)
    b[41] = 0.01
    adapter = LoraAdapter(1.0, 1, {"model.layers.0.mlp.up_proj": (a, b)})
    (report,) = merge(base, adapter, tmp_path / "merged.gguf").tensors
    assert report.kept >= KEPT_SHARE


def test_delta_norms_are_means_over_layers(make_tiny, make_adapter, tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "base.gguf", "llama")
    adapter = make_adapter(read_header(base))
    report = merge(base, adapter, tmp_path / "merged.gguf")
    norms = delta_norms(adapter, base)
    assert set(norms) == {kind_of(module) for module in adapter.tensors}
    ups = [tensor.delta for tensor in report.tensors if "ffn_up" in tensor.name]
    assert norms["up_proj"] == pytest.approx(sum(ups) / 2, rel=1e-4)


def test_never_twice_and_never_onto_the_base(make_tiny, make_adapter, tmp_path: Path) -> None:
    base, once = make_tiny(tmp_path / "base.gguf", "llama"), tmp_path / "once.gguf"
    adapter = make_adapter(read_header(base))
    merge(base, adapter, once)
    with pytest.raises(PlumError, match="already has memories"):
        merge(once, adapter, tmp_path / "twice.gguf")
    before = base.read_bytes()
    with pytest.raises(PlumError, match="overwrite its base"):
        merge(base, adapter, base)
    assert base.read_bytes() == before


def test_a_merged_model_chats_but_does_not_learn(compared) -> None:
    assert why_not(read_header(compared["starter"].base)) is None
    assert "already has memories" in (why_not(read_header(compared["starter"].merged)) or "")


def test_an_adapter_of_another_base_writes_nothing(
    make_tiny, make_adapter, starter: Path, tmp_path: Path
) -> None:
    other = make_tiny(tmp_path / "base.gguf", "llama")
    with pytest.raises(PlumError, match="belongs to another model"):
        merge(starter, make_adapter(read_header(other)), tmp_path / "merged.gguf")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["base.gguf"]


def test_stopping_leaves_nothing_and_the_old_file_whole(
    make_tiny, make_adapter, tmp_path: Path
) -> None:
    base, out = make_tiny(tmp_path / "base.gguf", "llama"), tmp_path / "merged.gguf"
    out.write_text("the merge of last week")
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) > 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        merge(base, make_adapter(read_header(base)), out, check=check)
    assert out.read_text() == "the merge of last week"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "base.gguf", "merged.gguf",
    ]  # fmt: skip


def test_what_a_killed_merge_left_is_removed(make_tiny, make_adapter, tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "base.gguf", "llama")
    (tmp_path / ".merged.gguf.x7a9").write_bytes(bytes(1000))
    (tmp_path / ".other.gguf.x7a9").write_bytes(bytes(1000))
    merge(base, make_adapter(read_header(base)), tmp_path / "merged.gguf")
    left = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert left == [".other.gguf.x7a9", "base.gguf", "merged.gguf"]


def test_progress_only_rises_and_ends_at_one(make_tiny, make_adapter, tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "base.gguf", "llama")
    seen: list[float] = []
    merge(
        base, make_adapter(read_header(base)), tmp_path / "merged.gguf",
        progress=lambda fraction, text: seen.append(fraction),
    )  # fmt: skip
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1, abs=0.01)
    assert max(seen) <= 1


def test_a_full_disk_is_said_before_anything_is_written(
    make_tiny, make_adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_tiny(tmp_path / "base.gguf", "llama")

    class Usage:
        free = base.stat().st_size // 2

    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(DiskFull, match="needs"):
        merge(base, make_adapter(read_header(base)), tmp_path / "merged.gguf")
    assert not (tmp_path / "merged.gguf").exists()


def test_a_disk_that_fills_on_the_way_leaves_nothing(
    make_tiny, make_adapter, tmp_path: Path
) -> None:
    base = make_tiny(tmp_path / "base.gguf", "llama")

    def full(fraction: float, text: str) -> None:
        if fraction > 0.5:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFull):
        merge(base, make_adapter(read_header(base)), tmp_path / "merged.gguf", progress=full)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["base.gguf"]


def test_what_the_disk_refuses_on_the_way_is_not_taken_for_written(
    make_tiny, make_adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system tells of it once, to whoever flushes first; the last flush of all says well done."""
    base = make_tiny(tmp_path / "base.gguf", "llama")
    flushed: list[int] = []

    def once(file: int) -> None:
        flushed.append(file)
        if len(flushed) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(merging, "_FLUSHED", 1)
    monkeypatch.setattr(os, "fsync", once)
    with pytest.raises(DiskFull):
        merge(base, make_adapter(read_header(base)), tmp_path / "merged.gguf")
    assert flushed
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["base.gguf"]


def test_numbers_beyond_measure_are_refused(make_tiny, tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "base.gguf", "llama")
    a, b = np.full((1, 64), 1e30, np.float32), np.full((96, 1), 1e30, np.float32)
    adapter = LoraAdapter(1.0, 1, {"model.layers.0.mlp.up_proj": (a, b)})
    with pytest.raises(DamagedFile, match="not finite"):
        merge(base, adapter, tmp_path / "merged.gguf")
    assert not (tmp_path / "merged.gguf").exists()


def test_memory_does_not_grow_with_the_model(
    make_tiny, make_adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Peak memory is that of a few blocks, far below the file's size."""
    monkeypatch.setattr("plum_desktop.adapters.merge._BLOCK", 1 << 14)
    monkeypatch.setattr("plum_desktop.adapters.merge._COPY", 1 << 16)
    base = make_tiny(tmp_path / "base.gguf", "llama", scale=12)
    adapter = make_adapter(read_header(base))
    merge(
        make_tiny(tmp_path / "small.gguf", "llama"),
        make_adapter(read_header(tmp_path / "small.gguf")),
        tmp_path / "warm.gguf",
    )
    tracemalloc.start()
    merge(base, adapter, tmp_path / "merged.gguf")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert base.stat().st_size > 36_000_000
    assert peak < 6_000_000
