"""An adapter made elsewhere, brought in for real: worker, engine, gate, merge, switch, undo."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from plum_desktop.adapters.foreign import form_of, read_adapter
from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.lora import BASE_SHA256, LoraAdapter
from plum_desktop.adapters.mlx_format import write_mlx
from plum_desktop.adapters.peft_format import CONFIG, WEIGHTS, read_peft, write_peft
from plum_desktop.app.product import Plum
from plum_desktop.base.errors import Busy, Cancelled, PlumError, WorkerCrashed
from plum_desktop.base.files import FileLock
from plum_desktop.base.types import Adapter
from plum_desktop.learning import gate, stock
from plum_desktop.models.header import read_header

DOWN = "model.layers.{}.mlp.down_proj"


def made_elsewhere(size: float, rank: int = 4, **metadata: str) -> LoraAdapter:
    rng = np.random.default_rng(1)
    tensors = {
        DOWN.format(layer): (
            rng.normal(0, 1 / np.sqrt(1536), (rank, 1536)).astype(np.float32),
            rng.normal(0, size, (576, rank)).astype(np.float32),
        )
        for layer in (8, 20)
    }
    return LoraAdapter(8.0, rank, tensors, metadata)


@pytest.fixture
def short_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    few = stock.canaries()[:3]
    monkeypatch.setattr(gate, "_DRIFT_TEXTS", 2)
    monkeypatch.setattr(stock, "canaries", lambda: few)


def nothing_is_left(plum: Plum) -> bool:
    kept = {adapter.id for adapter in plum.store.adapters.list()}
    folders = {folder.name for folder in plum.folder.adapters.iterdir()}
    return folders == kept and not list(plum.folder.jobs.iterdir())


def test_a_peft_folder_serves_and_is_undone(
    plum: Plum, learn: Callable[..., Adapter], short_gate: None, tmp_path: Path
) -> None:
    before = learn()
    write_peft(made_elsewhere(0.01), tmp_path / "mine")
    told: list[tuple[float, str]] = []
    found = plum.imports.run(tmp_path / "mine" / WEIGHTS, lambda *now: told.append(now))
    adapter = found.adapter
    assert not found.refused
    assert adapter.active
    assert plum.adapters.active() == adapter
    assert (adapter.run_id, adapter.chats) == (None, ())
    assert adapter.report["imported"] == {
        "name": "mine", "form": "peft", "rank": 4, "modules": 2,
    }  # fmt: skip
    assert adapter.report["drift"]["kl"] < 0.08
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    files = plum.folder.adapter(adapter.id)
    metadata = read_peft(files).metadata
    assert metadata[BASE_SHA256] == plum.models.file().sha256
    assert read_header(files / "merged.gguf").tensors
    assert nothing_is_left(plum)
    assert plum.serving.served().model == files / "merged.gguf"
    now = plum.adapters.rollback()
    assert now is not None
    assert now.id == before.id
    assert plum.adapters.activate(adapter.id).active  # and on again


def test_a_gguf_adapter_that_changes_too_much_is_kept_but_does_not_serve(
    plum: Plum, short_gate: None, starter: Path, tmp_path: Path
) -> None:
    path = write_gguf(made_elsewhere(1.0), read_header(starter), tmp_path / "loud.gguf")
    found = plum.imports.run(path)
    assert found.refused
    assert "loud.gguf was not switched on: its other answers changed too much" in found.message
    assert plum.adapters.active() is None
    assert not (plum.folder.adapter(found.adapter.id) / "merged.gguf").exists()
    with pytest.raises(PlumError, match="is refused"):
        plum.adapters.activate(found.adapter.id)
    assert nothing_is_left(plum)


def whole(folder: Path) -> Path:
    return write_peft(made_elsewhere(0.01), folder)


def without_weights(folder: Path) -> Path:
    (whole(folder) / WEIGHTS).unlink()
    return folder


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def of_another_file(folder: Path) -> Path:
    return write_peft(made_elsewhere(0.01, base_sha256="0" * 64), folder)


def of_another_shape(folder: Path) -> Path:
    pair = np.ones((4, 64), np.float32), np.ones((96, 4), np.float32)
    return write_peft(LoraAdapter(8.0, 4, {DOWN.format(0): pair}), folder)


def of_unknown_names(folder: Path) -> Path:
    pair = np.ones((4, 576), np.float32), np.ones((49152, 4), np.float32)
    return write_peft(LoraAdapter(8.0, 4, {"model.layers.0.mlp.lm_head": pair}), folder)


def not_finite(folder: Path) -> Path:
    weights = load_file(whole(folder) / WEIGHTS)
    next(iter(weights.values()))[0, 0] = np.nan
    save_file(weights, folder / WEIGHTS)
    return folder


def of_another_kind(folder: Path) -> Path:
    config = json.loads((whole(folder) / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, "use_dora": True}))
    return folder


def cut(folder: Path) -> Path:
    content = (whole(folder) / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])
    return folder


def a_note(path: Path) -> Path:
    path.write_text("Dear diary")
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (without_weights, f"{WEIGHTS} is missing"),
        (of_another_file, "made for another model file"),
        (of_another_shape, "belongs to another model"),
        (of_unknown_names, "cannot place"),
        (not_finite, "not finite"),
        (of_another_kind, "DoRA"),
        (cut, "cut short"),
    ],
)
def test_what_does_not_fit_is_a_sentence_and_leaves_nothing(
    plum: Plum, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(PlumError, match=words) as caught:
        plum.imports.run(make(tmp_path / "given"))
    assert "\n" not in str(caught.value)
    assert plum.adapters.list() == []
    assert nothing_is_left(plum)


@pytest.mark.parametrize(
    ("make", "words"),
    [(empty, "holds no adapter"), (a_note, "no adapter that Plum can read"), (Path, "There is no")],
)
def test_what_is_no_adapter_at_all(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(PlumError, match=words):
        form_of(make(tmp_path / "given"))


def test_an_mlx_folder_is_read_by_any_of_its_files(tmp_path: Path, starter: Path) -> None:
    adapter = made_elsewhere(0.01)
    folder = write_mlx(adapter, tmp_path / "mlx")
    for given in (folder, *folder.iterdir()):
        assert form_of(given) == ("mlx", folder)
    base = read_header(starter)
    read = read_adapter(folder, base, adapter.metadata.get(BASE_SHA256, "0" * 64))
    assert read.tensors.keys() == adapter.tensors.keys()
    for module, halves in adapter.tensors.items():
        for mine, theirs in zip(halves, read.tensors[module], strict=True):
            assert (mine == theirs).all()


def test_a_model_is_no_adapter(plum: Plum, starter: Path) -> None:
    with pytest.raises(PlumError, match="not a LoRA adapter"):
        plum.imports.run(starter)
    assert nothing_is_left(plum)


def test_nothing_is_brought_in_while_plum_learns(plum: Plum, tmp_path: Path) -> None:
    with FileLock(plum.folder.learning_lock), pytest.raises(Busy, match="learning right now"):
        plum.imports.run(whole(tmp_path / "mine"))


def test_stopping_leaves_nothing(plum: Plum, short_gate: None, tmp_path: Path) -> None:
    stopped = threading.Event()

    def stop(fraction: float, text: str) -> None:
        if text.startswith("Testing") and fraction > 0:
            plum.imports.stop()
            stopped.set()

    with pytest.raises(Cancelled):
        plum.imports.run(whole(tmp_path / "mine"), stop)
    assert stopped.is_set()
    assert plum.adapters.list() == []
    assert nothing_is_left(plum)


def test_an_engine_that_dies_is_a_sentence_and_leaves_nothing(
    plum: Plum, short_gate: None, tmp_path: Path
) -> None:
    def kill(fraction: float, text: str) -> None:
        engine = plum.imports._engine
        if engine and engine.pid and fraction > 0:
            psutil.Process(engine.pid).kill()

    with pytest.raises(WorkerCrashed, match="import engine"):
        plum.imports.run(whole(tmp_path / "mine"), kill)
    assert plum.adapters.list() == []
    assert nothing_is_left(plum)


def test_what_a_killed_import_left_goes_at_the_next(plum: Plum, tmp_path: Path) -> None:
    scratch = plum.folder.jobs / "import-dead"
    shutil.copytree(whole(tmp_path / "mine"), scratch / "adapter")
    shutil.copytree(tmp_path / "mine", plum.folder.adapter("dead"))
    with pytest.raises(PlumError, match="is missing"):
        plum.imports.run(without_weights(tmp_path / "other"))
    assert nothing_is_left(plum)
