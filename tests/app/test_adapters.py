from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plum_desktop.adapters.mlx_format import read_mlx
from plum_desktop.adapters.peft_format import read_peft
from plum_desktop.app.product import Plum
from plum_desktop.base.errors import DiskFull, PlumError
from plum_desktop.base.types import Adapter
from plum_desktop.models.header import read_header

Learn = Callable[..., Adapter]


def test_rollback_goes_to_the_parent_then_to_the_base(plum: Plum, learn: Learn) -> None:
    first = learn()
    second = learn(parent=first)
    assert plum.adapters.active() == second
    now = plum.adapters.rollback()
    assert now is not None
    assert now.id == first.id
    assert plum.store.adapters.get(second.id).state == "undone"
    assert plum.adapters.rollback() is None
    assert plum.adapters.active() is None
    with pytest.raises(PlumError, match="nothing to undo"):
        plum.adapters.rollback()


def test_rollback_passes_over_an_ancestor_without_files(plum: Plum, learn: Learn) -> None:
    first = learn()
    second = learn(parent=first)
    learn(parent=second)
    (plum.folder.adapter(second.id) / "adapter.gguf").unlink()
    now = plum.adapters.rollback()
    assert now is not None
    assert now.id == first.id


def test_an_undone_adapter_can_be_switched_on_again(plum: Plum, learn: Learn) -> None:
    adapter = learn()
    plum.adapters.rollback()
    again = plum.adapters.activate(adapter.id[:8])
    assert again.active
    assert again.state == "ready"


def test_what_cannot_serve_is_not_switched_on(plum: Plum, learn: Learn) -> None:
    refused = learn(state="refused")
    with pytest.raises(PlumError, match="is refused and cannot be switched on"):
        plum.adapters.activate(refused.id)
    foreign = Adapter("foreign-1", None, None, "0" * 64, 1.0, "ready", False, ())
    plum.store.adapters.add(foreign)
    with pytest.raises(PlumError, match="on another model"):
        plum.adapters.activate(foreign.id)
    gone = learn()
    plum.adapters.deactivate()
    (plum.folder.adapter(gone.id) / "adapter.gguf").unlink()
    with pytest.raises(PlumError, match="files of adapter .* are gone"):
        plum.adapters.activate(gone.id)
    assert plum.adapters.active() is None


def test_delete_spares_the_one_that_serves(plum: Plum, learn: Learn) -> None:
    adapter = learn()
    with pytest.raises(PlumError, match="is serving"):
        plum.adapters.delete(adapter.id)
    plum.adapters.deactivate()
    plum.adapters.delete(adapter.id)
    assert not plum.folder.adapter(adapter.id).exists()
    assert plum.adapters.list() == []


def test_exports_are_the_files_as_they_are(plum: Plum, learn: Learn, tmp_path: Path) -> None:
    adapter = learn()
    folder = plum.folder.adapter(adapter.id)
    peft = plum.adapters.export(None, "peft", tmp_path / "peft")
    assert {file.name for file in peft.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors",
    }  # fmt: skip
    lora = plum.adapters.export(adapter.id, "gguf", tmp_path / "mine.gguf")
    assert lora.read_bytes() == (folder / "adapter.gguf").read_bytes()
    shares: list[float] = []
    (tmp_path / "there").mkdir()
    merged = plum.adapters.export(None, "merged", tmp_path / "there", shares.append)
    assert merged.parent == tmp_path / "there"
    assert merged.read_bytes() == (folder / "merged.gguf").read_bytes()
    assert shares[-1] == 1.0


def test_a_merged_export_in_a_larger_type(plum: Plum, learn: Learn, tmp_path: Path) -> None:
    adapter = learn()
    served = plum.folder.adapter(adapter.id) / "merged.gguf"
    larger = plum.adapters.export(None, "merged", tmp_path / "f16.gguf", at_least="F16")
    types = [
        {name: tensor.type_name for name, tensor in read_header(path).tensors.items()}
        for path in (served, larger)
    ]
    changed = {name for name, kind in types[0].items() if kind != types[1][name]}
    assert {types[1][name] for name in changed} == {"F16"}
    assert {types[0][name] for name in changed} == {"Q8_0"}
    assert larger.stat().st_size > served.stat().st_size
    plum.store.adapters.add(Adapter("foreign-1", None, None, "0" * 64, 1.0, "ready", False, ()))
    plum.folder.adapter("foreign-1").mkdir()
    (plum.folder.adapter("foreign-1") / "merged.gguf").touch()
    with pytest.raises(PlumError, match="on another model"):
        plum.adapters.export("foreign-1", "merged", tmp_path / "x.gguf", at_least="F16")


def test_the_mlx_folder_holds_the_same_adapter(plum: Plum, learn: Learn, tmp_path: Path) -> None:
    adapter = learn()
    folder = plum.adapters.export(None, "mlx", tmp_path / "mlx")
    assert {file.name for file in folder.iterdir()} == {
        "adapter_config.json", "adapters.safetensors",
    }  # fmt: skip
    ours, theirs = read_peft(plum.folder.adapter(adapter.id)), read_mlx(folder)
    assert (ours.alpha, ours.rank, set(ours.tensors)) == (
        theirs.alpha, theirs.rank, set(theirs.tensors),
    )  # fmt: skip
    for module, halves in ours.tensors.items():
        assert all(map(np.array_equal, halves, theirs.tensors[module]))
    with pytest.raises(PlumError, match="already exists"):
        plum.adapters.export(None, "mlx", folder)


def test_an_export_replaces_nothing(plum: Plum, learn: Learn, tmp_path: Path) -> None:
    with pytest.raises(PlumError, match="nothing to export"):
        plum.adapters.export(None, "gguf", tmp_path / "x.gguf")
    learn()
    (tmp_path / "x.gguf").write_text("mine")
    with pytest.raises(PlumError, match="already exists"):
        plum.adapters.export(None, "gguf", tmp_path / "x.gguf")
    assert (tmp_path / "x.gguf").read_text() == "mine"
    with pytest.raises(PlumError, match="already exists"):
        plum.adapters.export(None, "peft", tmp_path)


def test_an_export_that_does_not_fit_is_said_first(
    plum: Plum, learn: Learn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn()

    class Nothing:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Nothing)
    with pytest.raises(DiskFull, match="The export needs"):
        plum.adapters.export(None, "merged", tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()
