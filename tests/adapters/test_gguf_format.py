"""The GGUF form: exact round trips, what gguf reads in it, and refusals in words."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from plum_desktop.adapters.gguf_format import read_gguf, write_gguf
from plum_desktop.adapters.lora import LoraAdapter, require_base
from plum_desktop.adapters.names import adaptable_modules, module_name, tensor_name
from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.models.header import GGUFHeader, read_header
from tests.adapters.tiny_bases import KINDS, write_base


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, GGUFHeader]:
    folder = tmp_path_factory.mktemp("bases")
    return {
        name: read_header(write_base(kind, folder / f"{name}.gguf")) for name, kind in KINDS.items()
    }


@pytest.mark.parametrize("name", KINDS)
def test_round_trip_is_exact(bases, make_adapter, tmp_path: Path, name: str) -> None:
    adapter = make_adapter(bases[name])
    again = read_gguf(write_gguf(adapter, bases[name], tmp_path / "adapter.gguf"), bases[name])
    assert (again.alpha, again.rank) == (adapter.alpha, adapter.rank)
    assert dict(again.metadata) == dict(adapter.metadata)
    assert set(again.tensors) == set(adapter.tensors)
    for module, halves in adapter.tensors.items():
        for written, read in zip(halves, again.tensors[module], strict=True):
            np.testing.assert_array_equal(written, read)


def test_gguf_itself_reads_the_file(bases, make_adapter, tmp_path: Path) -> None:
    base, adapter = bases["llama"], make_adapter(bases["llama"])
    reader = gguf.GGUFReader(write_gguf(adapter, base, tmp_path / "adapter.gguf"))
    assert reader.get_field("general.architecture").contents() == "llama"
    assert reader.get_field("general.type").contents() == "adapter"
    assert reader.get_field("adapter.lora.alpha").contents() == adapter.alpha
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    assert len(tensors) == 2 * len(adapter.tensors)
    a, b = adapter.tensors["model.layers.1.self_attn.k_proj"]
    np.testing.assert_array_equal(tensors["blk.1.attn_k.weight.lora_a"], a)
    # two key heads of sixteen rows: the halves of each head are interleaved
    rows = [head * 16 + half * 8 + row for head in (0, 1) for row in range(8) for half in (0, 1)]
    np.testing.assert_array_equal(tensors["blk.1.attn_k.weight.lora_b"], b[rows])
    a, b = adapter.tensors["model.layers.1.self_attn.v_proj"]
    np.testing.assert_array_equal(tensors["blk.1.attn_v.weight.lora_b"], b)


def test_names_go_both_ways(bases) -> None:
    for name, base in bases.items():
        modules = adaptable_modules(base)
        assert len(modules) == KINDS[name].layers * (4 if KINDS[name].fused else 7)
        for module in modules:
            tensor = tensor_name(base.architecture, module)
            assert module_name(base.architecture, tensor) == module


@pytest.mark.parametrize(
    "module", ["lm_head", "model.embed_tokens", "model.layers.0.mlp", "model.layers.x.mlp.up_proj"]
)
def test_a_module_without_a_place_is_refused(module: str) -> None:
    with pytest.raises(PlumError, match="cannot place"):
        tensor_name("llama", module)


def test_an_unproven_architecture_is_refused() -> None:
    with pytest.raises(PlumError, match="bloom"):
        tensor_name("bloom", "model.layers.0.mlp.up_proj")


def test_an_adapter_of_another_base_is_refused(
    bases, make_adapter, starter: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(bases["llama"])
    with pytest.raises(PlumError, match="belongs to another model"):
        write_gguf(adapter, read_header(starter), tmp_path / "adapter.gguf")
    assert list(tmp_path.iterdir()) == []
    path = write_gguf(adapter, bases["llama"], tmp_path / "adapter.gguf")
    with pytest.raises(PlumError, match="belongs to another model"):
        read_gguf(path, read_header(starter))
    with pytest.raises(PlumError, match="a llama model"):
        read_gguf(path, bases["qwen2"])
    too_deep = {"model.layers.9.mlp.up_proj": adapter.tensors["model.layers.0.mlp.up_proj"]}
    with pytest.raises(PlumError, match="has no such part"):
        write_gguf(LoraAdapter(8.0, 4, too_deep), bases["llama"], tmp_path / "deep.gguf")


def test_the_base_named_in_the_metadata_must_be_the_base(bases, make_adapter) -> None:
    adapter = make_adapter(bases["llama"])
    require_base(adapter, "0" * 64)
    require_base(LoraAdapter(8.0, 4, adapter.tensors), "1" * 64)  # it does not say
    with pytest.raises(PlumError, match="another model file"):
        require_base(adapter, "1" * 64)


def foreign(path: Path, tensors: dict[str, np.ndarray], alpha: float | None = 16.0) -> Path:
    """A LoRA as another tool would write it."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    if alpha is not None:
        writer.add_float32("adapter.lora.alpha", alpha)
    for name, data in tensors.items():
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_half_precision_adapter_without_alpha(bases, tmp_path: Path) -> None:
    a, b = np.ones((2, 64), np.float16), np.full((96, 2), 0.5, np.float16)
    path = foreign(
        tmp_path / "a.gguf",
        {"blk.0.ffn_up.weight.lora_a": a, "blk.0.ffn_up.weight.lora_b": b},
        alpha=None,
    )
    adapter = read_gguf(path, bases["llama"])
    read_a, read_b = adapter.tensors["model.layers.0.mlp.up_proj"]
    np.testing.assert_allclose(adapter.scale * read_b @ read_a, b @ a)  # used as it is


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"blk.0.ffn_up.weight.lora_a": (2, 64)}, "half of blk.0.ffn_up.weight"),
        ({"blk.0.ffn_up.weight": (96, 64)}, "cannot place"),
        ({"token_embd.weight.lora_a": (2, 64), "token_embd.weight.lora_b": (160, 2)}, "place"),
        ({"blk.0.ffn_up.weight.lora_a": (64,)}, "not a matrix"),
        ({"blk.0.attn_q.weight.lora_a": (2, 64), "blk.0.attn_q.weight.lora_b": (61, 2)}, "another"),
        ({"blk.0.ffn_up.weight.lora_a": (3, 64), "blk.0.ffn_up.weight.lora_b": (96, 2)}, "fit"),
    ],
)
def test_a_foreign_file_that_makes_no_sense(
    bases, tmp_path: Path, tensors: dict[str, tuple[int, ...]], words: str
) -> None:
    data = {name: np.ones(shape, np.float32) for name, shape in tensors.items()}
    with pytest.raises(PlumError, match=words):
        read_gguf(foreign(tmp_path / "a.gguf", data), bases["llama"])


def test_a_model_is_not_an_adapter(bases) -> None:
    with pytest.raises(PlumError, match="not a LoRA adapter"):
        read_gguf(bases["llama"].path, bases["llama"])


def test_a_mangled_adapter_never_gets_through_unnoticed(
    bases, make_adapter, tmp_path: Path
) -> None:
    """Any change of the header is refused or leaves an adapter that fits the base."""
    base = bases["llama"]
    path = write_gguf(make_adapter(base), base, tmp_path / "adapter.gguf")
    whole = path.read_bytes()
    end = read_header(path).data_offset
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(200):
        mangled = bytearray(whole)
        for _ in range(int(rng.integers(1, 4))):
            mangled[int(rng.integers(0, end))] = int(rng.integers(0, 256))
        path.write_bytes(mangled)
        try:
            adapter = read_gguf(path, base)
        except PlumError:
            refused += 1
        else:
            assert isinstance(adapter, LoraAdapter)
    assert refused > 120
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedFile, match="cut short"):
        read_gguf(path, base)
