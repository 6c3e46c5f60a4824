"""The MLX folder: exact round trips, refusals in words, and one behaviour in mlx-lm and peft."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from plum_desktop.adapters.lora import LoraAdapter
from plum_desktop.adapters.mlx_format import CONFIG, WEIGHTS, read_mlx, write_mlx
from plum_desktop.adapters.peft_format import read_peft, write_peft
from plum_desktop.base.errors import DamagedFile, PlumError

Q = "model.layers.0.self_attn.q_proj"
UP = "model.layers.1.mlp.up_proj"

# model type -> settings beside `SIZES`; phi3 has its q, k and v in one matrix, as its gate and up.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": False},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"head_dim": 24, "tie_word_embeddings": False},
    "gemma2": {"head_dim": 24, "query_pre_attn_scalar": 24, "sliding_window": 64},
    "gemma3_text": {
        "head_dim": 24, "query_pre_attn_scalar": 24, "sliding_window": 16,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "phi3": {"tie_word_embeddings": False, "pad_token_id": 0},
}  # fmt: skip
SIZES = {
    "vocab_size": 160, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
}  # fmt: skip
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FUSED = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")


def pair(rank: int, out: int = 6, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rank)
    a = rng.normal(size=(rank, width)).astype(np.float32)
    return a, rng.normal(size=(out, rank)).astype(np.float32)


@pytest.fixture
def adapter() -> LoraAdapter:
    return LoraAdapter(8.0, 2, {Q: pair(2), UP: pair(2)}, {"recipe": "default"})


def same(one: LoraAdapter, other: LoraAdapter) -> bool:
    return (
        (one.alpha, one.rank, one.metadata) == (other.alpha, other.rank, other.metadata)
        and set(one.tensors) == set(other.tensors)
        and all(
            np.array_equal(left, right)
            for module, halves in one.tensors.items()
            for left, right in zip(halves, other.tensors[module], strict=True)
        )
    )


# 10 / 3 * 3 and 0.7 / 7 * 7 are not what they were, in floating point.
@pytest.mark.parametrize(("alpha", "rank"), [(8.0, 2), (10.0, 3), (0.7, 7), (-4.0, 1)])
def test_round_trip_through_both_forms_is_exact(tmp_path: Path, alpha: float, rank: int) -> None:
    adapter = LoraAdapter(alpha, rank, {Q: pair(rank), UP: pair(rank)}, {"base_sha256": "0" * 64})
    again = read_mlx(write_mlx(adapter, tmp_path / "new" / "mlx"))
    assert same(adapter, again)
    assert same(adapter, read_peft(write_peft(again, tmp_path / "peft")))


def test_names_shapes_and_settings_are_those_of_mlx_lm(
    adapter: LoraAdapter, tmp_path: Path
) -> None:
    write_mlx(adapter, tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    assert {name: matrix.shape for name, matrix in weights.items()} == {
        f"{module}.lora_{half}": shape
        for module in (Q, UP)
        for half, shape in (("a", (5, 2)), ("b", (2, 6)))
    }
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["lora_parameters"]["scale"] == 4.0
    # not every layer has both, so mlx-lm must be given whole paths
    assert (config["num_layers"], config["lora_parameters"]["keys"]) == (2, sorted([Q, UP]))


def test_modules_that_every_layer_has_get_their_short_names(tmp_path: Path) -> None:
    modules = [f"model.layers.{n}.{tail}" for n in range(11) for tail in ("mlp.up_proj", "x.q")]
    write_mlx(LoraAdapter(1.0, 2, {module: pair(2) for module in modules}), tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert (config["num_layers"], config["lora_parameters"]["keys"]) == (11, ["mlp.up_proj", "x.q"])


def test_an_adapter_that_mlx_lm_trained(tmp_path: Path) -> None:
    """It writes no metadata, and its half precision is widened."""
    a, b = (half.astype(np.float16) for half in pair(2))
    save_file({f"{Q}.lora_a": a.T.copy(), f"{Q}.lora_b": b.T.copy()}, tmp_path / WEIGHTS)
    (tmp_path / CONFIG).write_text(
        json.dumps({
            "fine_tune_type": "lora",
            "num_layers": 16,
            "lora_parameters": {"rank": 2, "dropout": 0.0, "scale": 20.0},
            "data": "somewhere",
        })
    )  # fmt: skip
    adapter = read_mlx(tmp_path)
    assert (adapter.alpha, adapter.rank) == (40.0, 2)
    np.testing.assert_array_equal(adapter.tensors[Q][0], a.astype(np.float32))
    np.testing.assert_array_equal(adapter.tensors[Q][1], b.astype(np.float32))


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda folder: (folder / CONFIG).unlink(), PlumError, "adapter_config.json is missing"),
        (lambda folder: (folder / WEIGHTS).unlink(), PlumError, "adapters.safetensors is missing"),
        (lambda folder: (folder / CONFIG).write_text("[]"), DamagedFile, "no settings"),
        (lambda folder: edit(folder, fine_tune_type="dora"), PlumError, "kind 'dora'"),
        (lambda folder: edit(folder, lora_parameters={"rank": 2}), DamagedFile, "scale is None"),
        (lambda folder: edit(folder, lora_parameters={"scale": "x"}), DamagedFile, "scale is 'x'"),
        (lambda folder: rename(folder, f"{Q}.m"), PlumError, "cannot place"),
        (lambda folder: rename(folder, f"{UP}2.lora_a"), DamagedFile, "half of"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"abc"), DamagedFile, "cut short"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(adapter, tmp_path: Path, spoil, error, words: str) -> None:
    write_mlx(adapter, tmp_path)
    spoil(tmp_path)
    with pytest.raises(error, match=words):
        read_mlx(tmp_path)


def edit(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **fields}))


def rename(folder: Path, name: str) -> None:
    """The tensor of `Q` that is called lora_a gets another name."""
    weights = load_file(folder / WEIGHTS)
    weights[name] = weights.pop(f"{Q}.lora_a")
    save_file(weights, folder / WEIGHTS)


@pytest.mark.skipif(importlib.util.find_spec("mlx_lm") is None, reason="MLX is not installed")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("whole", [True, False])
def test_mlx_lm_loads_it_and_says_what_peft_says(family: str, whole: bool, tmp_path: Path) -> None:
    """`whole`: every layer's modules; else some, which need their whole paths."""
    import mlx.core as mx
    import peft
    import torch
    from mlx_lm.tuner.utils import load_adapters
    from mlx_lm.utils import load_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(3)
    config = AutoConfig.for_model(family, **SIZES, **FAMILIES[family])
    config._attn_implementation = "eager"
    base = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, parameter in base.named_parameters():
            if parameter.ndim == 2:  # as large as a trained model's, so that attention is not flat
                parameter.normal_(0, 2 / np.sqrt(parameter.shape[1]))
            elif "norm" in name:
                parameter.normal_(0 if family.startswith("gemma") else 1, 0.2)
    model_folder = tmp_path / "model"
    base.save_pretrained(model_folder)
    # transformers 5 nests these, and mlx-lm would take its own defaults.
    settings = json.loads((model_folder / "config.json").read_text())
    if family == "gemma3_text":
        settings |= {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "sliding_window_pattern": 2}
    else:
        settings["rope_theta"] = config.rope_parameters["rope_theta"]
    (model_folder / "config.json").write_text(json.dumps(settings))

    rng = np.random.default_rng(0)
    tensors = {}
    for name, module in base.named_modules():
        if name.rsplit(".", 1)[-1] in (FUSED if family == "phi3" else PROJECTIONS):
            if not whole and ("layers.0" in name or "o_proj" in name):
                continue
            out, width = module.weight.shape
            a = rng.normal(0, 1 / np.sqrt(width), (4, width)).astype(np.float32)
            tensors[name] = (a, rng.normal(0, 0.1, (out, 4)).astype(np.float32))
    adapter = LoraAdapter(8.0, 4, tensors)
    ids = list(range(10, 50))
    found: dict[str, np.ndarray] = {}
    with torch.no_grad():
        found["torch_base"] = base(torch.tensor([ids])).logits[0].numpy()
        taught = peft.PeftModel.from_pretrained(base, write_peft(adapter, tmp_path / "peft"))
        found["torch"] = taught.eval()(torch.tensor([ids])).logits[0].numpy()
    model, _ = load_model(model_folder)
    found["mlx_base"] = np.array(model(mx.array([ids]))[0])
    model = load_adapters(model, str(write_mlx(adapter, tmp_path / "mlx")))
    found["mlx"] = np.array(model(mx.array([ids]))[0])

    change = found["torch"] - found["torch_base"]
    assert np.abs(change).mean() > 0.05  # the adapter does something
    np.testing.assert_allclose(found["mlx_base"], found["torch_base"], atol=2e-3)
    np.testing.assert_allclose(found["mlx"], found["torch"], atol=2e-3)
