"""The canonical folder: exact round trips, foreign adapters, and refusals in words."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from plum_desktop.adapters.lora import LoraAdapter
from plum_desktop.adapters.peft_format import CONFIG, WEIGHTS, read_peft, write_peft
from plum_desktop.base.errors import DamagedFile, PlumError

Q = "model.layers.0.self_attn.q_proj"
UP = "model.layers.1.mlp.up_proj"


def pair(rank: int, out: int = 6, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rank)
    a = rng.normal(size=(rank, width)).astype(np.float32)
    return a, rng.normal(size=(out, rank)).astype(np.float32)


@pytest.fixture
def adapter() -> LoraAdapter:
    return LoraAdapter(8.0, 2, {Q: pair(2), UP: pair(2)}, {"recipe": "default"})


def edit_config(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **fields}))


def delta(adapter: LoraAdapter, module: str) -> np.ndarray:
    a, b = adapter.tensors[module]
    return adapter.scale * b @ a


def test_round_trip_is_exact(adapter: LoraAdapter, tmp_path: Path) -> None:
    again = read_peft(write_peft(adapter, tmp_path / "new" / "adapter"))
    assert (again.alpha, again.rank, again.metadata) == (8.0, 2, {"recipe": "default"})
    assert set(again.tensors) == {Q, UP}
    for module, halves in adapter.tensors.items():
        for written, read in zip(halves, again.tensors[module], strict=True):
            assert read.dtype == np.float32
            np.testing.assert_array_equal(written, read)


def test_names_and_settings_are_those_of_peft(adapter: LoraAdapter, tmp_path: Path) -> None:
    write_peft(adapter, tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    assert set(weights) == {
        f"base_model.model.{module}.lora_{half}.weight" for module in (Q, UP) for half in "AB"
    }
    config = json.loads((tmp_path / CONFIG).read_text())
    assert (config["r"], config["lora_alpha"]) == (2, 8)
    # not every layer has both, so peft must be given whole paths
    assert config["target_modules"] == sorted([Q, UP])


def test_modules_that_every_layer_has_get_their_short_names(tmp_path: Path) -> None:
    modules = [f"model.layers.{n}.{tail}" for n in range(11) for tail in ("mlp.up_proj", "x.q")]
    write_peft(LoraAdapter(1.0, 2, {module: pair(2) for module in modules}), tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["target_modules"] == ["mlp.up_proj", "x.q"]


def test_a_half_precision_adapter_of_another_tool(tmp_path: Path) -> None:
    a, b = pair(2)
    write_peft(LoraAdapter(8.0, 2, {Q: (a, b)}), tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    save_file({key: value.astype(np.float16) for key, value in weights.items()}, tmp_path / WEIGHTS)
    read_a, _ = read_peft(tmp_path).tensors[Q]
    np.testing.assert_array_equal(read_a, a.astype(np.float16).astype(np.float32))


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    write_peft(LoraAdapter(8.0, 1, {Q: pair(1)}), tmp_path)
    key = f"base_model.model.{Q}.lora_"
    header = json.dumps({
        key + "A.weight": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]},
        key + "B.weight": {"dtype": "BF16", "shape": [1, 1], "data_offsets": [4, 6]},
    }).encode()  # fmt: skip
    data = struct.pack("<3H", 0x3F80, 0xC040, 0x3E00)  # 1.0, -3.0, 0.125
    (tmp_path / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + data)
    a, b = read_peft(tmp_path).tensors[Q]
    assert a.tolist() == [[1.0, -3.0]]
    assert b.tolist() == [[0.125]]


def test_differing_ranks_scales_and_rank_stabilising_are_folded_in(tmp_path: Path) -> None:
    (a4, b4), (a2, b2) = pair(4), pair(2)
    write_peft(LoraAdapter(8.0, 4, {Q: (a4, b4)}), tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    weights[f"base_model.model.{UP}.lora_A.weight"] = a2
    weights[f"base_model.model.{UP}.lora_B.weight"] = b2
    save_file(weights, tmp_path / WEIGHTS)
    edit_config(tmp_path, rank_pattern={"up_proj": 2}, alpha_pattern={r"mlp\.up_proj": 6})
    plain = read_peft(tmp_path)
    np.testing.assert_allclose(delta(plain, Q), 8 / 4 * b4 @ a4, rtol=1e-5)
    np.testing.assert_allclose(delta(plain, UP), 6 / 2 * b2 @ a2, rtol=1e-5)
    edit_config(tmp_path, use_rslora=True)
    stabilised = read_peft(tmp_path)
    np.testing.assert_allclose(delta(stabilised, Q), 8 / math.sqrt(4) * b4 @ a4, rtol=1e-5)
    np.testing.assert_allclose(delta(stabilised, UP), 6 / math.sqrt(2) * b2 @ a2, rtol=1e-5)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"peft_type": "IA3"}, "Plum reads LoRA"),
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "whole retrained modules"),
        ({"bias": "all"}, "biases"),
        ({"init_lora_weights": "pissa_niter_16"}, "PiSSA"),
        ({"init_lora_weights": "lora_ga"}, "changed base model"),
        ({"arrow_config": {"top_k": 3}}, "routing between adapters"),
        ({"lora_alpha": None}, "lora_alpha is None"),
        ({"lora_alpha": 0}, "make no sense"),
        ({"lora_alpha": float("nan")}, "lora_alpha"),
        ({"alpha_pattern": {"(": 3}}, "no pattern"),
    ],
)
def test_what_gguf_cannot_express_is_refused(
    adapter: LoraAdapter, tmp_path: Path, setting: dict[str, Any], words: str
) -> None:
    write_peft(adapter, tmp_path)
    edit_config(tmp_path, **setting)
    with pytest.raises(PlumError, match=words):
        read_peft(tmp_path)


def test_an_embedding_or_half_a_module_is_refused(adapter: LoraAdapter, tmp_path: Path) -> None:
    write_peft(adapter, tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    half = {key: value for key, value in weights.items() if not key.endswith(Q + ".lora_A.weight")}
    save_file(half, tmp_path / WEIGHTS)
    with pytest.raises(DamagedFile, match=f"half of {Q}"):
        read_peft(tmp_path)
    weights["base_model.model.model.embed_tokens.lora_embedding_A"] = np.ones((2, 3), np.float32)
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(PlumError, match="embed_tokens"):
        read_peft(tmp_path)


def test_missing_files_are_named(adapter: LoraAdapter, tmp_path: Path) -> None:
    with pytest.raises(PlumError, match=CONFIG):
        read_peft(tmp_path)
    write_peft(adapter, tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(PlumError, match=WEIGHTS):
        read_peft(tmp_path)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    a, b = pair(2)
    a[0, 0] = np.inf
    with pytest.raises(DamagedFile, match="not finite"):
        LoraAdapter(8.0, 2, {Q: (a, b)})


def test_a_cut_or_mangled_file_is_a_sentence(adapter: LoraAdapter, tmp_path: Path) -> None:
    write_peft(adapter, tmp_path)
    whole = (tmp_path / WEIGHTS).read_bytes()
    rng = np.random.default_rng(5)
    refused = 0
    for trial in range(200):
        mangled = bytearray(whole)
        if trial < 50:
            del mangled[int(rng.integers(0, len(whole))) :]
        else:
            header = 8 + int.from_bytes(whole[:8], "little")
            for _ in range(int(rng.integers(1, 5))):
                mangled[int(rng.integers(0, header))] = int(rng.integers(0, 256))
        (tmp_path / WEIGHTS).write_bytes(mangled)
        try:
            read_peft(tmp_path)
        except PlumError:
            refused += 1
    assert refused > 150


def write_header(folder: Path, entries: dict[str, Any], data: bytes) -> None:
    raw = json.dumps(entries).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(raw)) + raw + data)


def test_bytes_that_several_parts_claim_are_refused(adapter: LoraAdapter, tmp_path: Path) -> None:
    """Else a small file could ask for any amount of memory."""
    write_peft(adapter, tmp_path)
    same = {"dtype": "F32", "shape": [2, 5], "data_offsets": [0, 40]}
    write_header(tmp_path, {f"base_model.model.{Q}.lora_{half}.weight": same for half in "AB"},
                 bytes(40))  # fmt: skip
    with pytest.raises(DamagedFile, match="cut short"):
        read_peft(tmp_path)


@pytest.mark.parametrize("shape", [[10**30, 5], [[2], 5], [2.0, 5], "25", {}])
def test_a_shape_that_is_none(adapter: LoraAdapter, tmp_path: Path, shape: object) -> None:
    write_peft(adapter, tmp_path)
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 40]}
    write_header(tmp_path, {f"base_model.model.{Q}.lora_A.weight": entry}, bytes(40))
    with pytest.raises(DamagedFile):
        read_peft(tmp_path)


@pytest.mark.parametrize(
    "setting",
    [{"lora_alpha": 10**400}, {"r": 3}, {"r": None}, {"rank_pattern": {"q_proj": 1}},
     {"alpha_pattern": {"(": 2}}, {"peft_type": ["LORA\n"] * 1000}],
)  # fmt: skip
def test_settings_that_contradict_the_weights(
    adapter: LoraAdapter, tmp_path: Path, setting: dict[str, Any]
) -> None:
    edit_config(write_peft(adapter, tmp_path), **setting)
    with pytest.raises(PlumError) as caught:
        read_peft(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_settings_nested_without_end(adapter: LoraAdapter, tmp_path: Path) -> None:
    (write_peft(adapter, tmp_path) / CONFIG).write_text("[" * 100_000)
    with pytest.raises(DamagedFile, match="not valid JSON"):
        read_peft(tmp_path)


def test_a_rank_beyond_all_reason_is_refused() -> None:
    wide = np.zeros((5000, 1), np.float32), np.zeros((1, 5000), np.float32)
    with pytest.raises(DamagedFile, match="rank 5000"):
        LoraAdapter(8.0, 5000, {Q: wide})


def test_the_language_part_of_a_model_that_sees(tmp_path: Path) -> None:
    write_peft(LoraAdapter(8.0, 2, {Q: pair(2)}), tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    for prefix in ("model.language_model.", "language_model.model."):
        renamed = {
            key.replace("base_model.model.model.", f"base_model.model.{prefix}"): matrix
            for key, matrix in weights.items()
        }
        assert renamed.keys().isdisjoint(weights)
        save_file(renamed, tmp_path / WEIGHTS)
        assert list(read_peft(tmp_path).tensors) == [Q]


def test_half_the_bits_take_half_the_space(adapter: LoraAdapter, tmp_path: Path) -> None:
    whole = write_peft(adapter, tmp_path / "whole")
    half = write_peft(adapter, tmp_path / "half", half=True)
    weights = [(folder / WEIGHTS).stat().st_size for folder in (whole, half)]
    numbers = sum(matrix.size for halves in adapter.tensors.values() for matrix in halves)
    assert weights[0] - weights[1] == pytest.approx(2 * numbers, abs=32)  # offsets are shorter too
    read = read_peft(half)
    assert (read.rank, read.alpha) == (adapter.rank, adapter.alpha)
    assert read.metadata == adapter.metadata
    for module, halves in adapter.tensors.items():
        for one, other in zip(halves, read.tensors[module], strict=True):
            assert other.dtype == np.float32
            np.testing.assert_allclose(other, one, rtol=2**-11, atol=1e-7)
