"""Model files come, are found, keep their digest, and go; nothing outside is touched."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from plum_desktop.base.errors import DamagedFile, DiskFull, PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.models import local
from plum_desktop.models.local import (
    STARTER_NAME,
    add_model,
    find_starter,
    list_models,
    remove_model,
    resolve,
)


@pytest.fixture
def folder(data_folder: DataFolder) -> Path:
    return data_folder.models


def test_the_starter_is_there_from_the_start(folder: Path, starter: Path) -> None:
    assert find_starter() == find_starter(folder) == starter
    (model,) = list_models(folder)
    assert (model.name, model.path, model.size) == (STARTER_NAME, starter, starter.stat().st_size)
    assert model.starter
    assert resolve(folder) == resolve(folder, STARTER_NAME) == model


def test_without_a_starter_the_user_is_told_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.importlib.util, "find_spec", lambda name: None)
    assert list_models(folder) == []
    with pytest.raises(PlumError, match="add a GGUF file"):
        resolve(folder)


def test_adding_links_and_takes_no_space(folder: Path, starter: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    os.link(starter, mine) if starter.stat().st_dev == tmp_path.stat().st_dev else mine.write_bytes(
        starter.read_bytes()
    )
    model = add_model(folder, mine)
    assert model.path == folder / "mine.gguf"
    assert model.path.samefile(mine)
    assert add_model(folder, mine) == model  # again is no error
    assert [each.name for each in list_models(folder)] == ["mine.gguf", STARTER_NAME]
    assert resolve(folder, "mine") == model
    mine.unlink()  # what was added stays
    assert model.path.stat().st_size == starter.stat().st_size


def test_a_copy_reports_and_can_be_stopped(folder: Path, starter: Path) -> None:
    seen: list[float] = []
    model = add_model(folder, starter, copy=True, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert not model.path.samefile(starter)
    assert model.path.read_bytes() == starter.read_bytes()
    remove_model(folder, model.name)

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_model(folder, starter, copy=True, on_progress=stop)
    assert list(folder.glob("*")) == list(folder.glob(".*")) == []


def test_where_linking_fails_it_is_copied(
    folder: Path, starter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert add_model(folder, starter).size == starter.stat().st_size


def test_a_full_disk_is_said_first(
    folder: Path, starter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DiskFull("There is no room.")

    monkeypatch.setattr(local, "require_free", full)
    with pytest.raises(DiskFull):
        add_model(folder, starter, copy=True)
    assert not (folder / STARTER_NAME).exists()


def test_what_is_no_model_is_refused(folder: Path, starter: Path, tmp_path: Path) -> None:
    with pytest.raises(PlumError, match="no file"):
        add_model(folder, tmp_path / "none.gguf")
    (tmp_path / "notes.gguf").write_text("GG")
    with pytest.raises(PlumError, match="not a GGUF"):
        add_model(folder, tmp_path / "notes.gguf")
    (tmp_path / "cut.gguf").write_bytes(starter.read_bytes()[:5_000_000])
    with pytest.raises(DamagedFile):
        add_model(folder, tmp_path / "cut.gguf")
    assert [model.name for model in list_models(folder)] == [STARTER_NAME]


def test_another_file_of_the_same_name_is_not_replaced(
    folder: Path, starter: Path, tmp_path: Path
) -> None:
    add_model(folder, starter, copy=True)
    changed = bytearray(starter.read_bytes())
    changed[-1] ^= 1
    (tmp_path / STARTER_NAME).write_bytes(changed)
    with pytest.raises(PlumError, match="another model called"):
        add_model(folder, tmp_path / STARTER_NAME)
    (tmp_path / STARTER_NAME).write_bytes(starter.read_bytes())
    assert add_model(folder, tmp_path / STARTER_NAME).path == folder / STARTER_NAME


def test_the_suffix_is_made_uniform(folder: Path, starter: Path, tmp_path: Path) -> None:
    (tmp_path / "Big.GGUF").write_bytes(starter.read_bytes())
    assert add_model(folder, tmp_path / "Big.GGUF").name == "Big.gguf"


@pytest.mark.parametrize("name", ["../x.gguf", "/etc/passwd", "a/b.gguf", "..", "."])
def test_names_never_become_paths(folder: Path, name: str) -> None:
    with pytest.raises(PlumError, match="not the name of a model"):
        resolve(folder, name)
    with pytest.raises(PlumError, match="not the name of a model"):
        remove_model(folder, name)


def test_an_unknown_name_lists_what_there_is(folder: Path) -> None:
    with pytest.raises(PlumError, match=STARTER_NAME):
        resolve(folder, "other")


def test_the_digest_is_remembered_while_the_file_stays(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "model.gguf"
    path.write_bytes(b"one")
    assert resolve(folder, "model").sha256 == hashlib.sha256(b"one").hexdigest()
    calls: list[Path] = []
    real = local.sha256_of
    monkeypatch.setattr(local, "sha256_of", lambda path: calls.append(path) or real(path))
    assert resolve(folder, "model").sha256 == hashlib.sha256(b"one").hexdigest()
    assert calls == []
    path.write_bytes(b"two")  # as long as before, but written later
    os.utime(path, ns=(1, 1))
    assert resolve(folder, "model").sha256 == hashlib.sha256(b"two").hexdigest()
    assert calls == [path]
    (folder / ".sha256.json").write_text("[not json")
    assert resolve(folder, "model").sha256 == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_has_gone_is_a_sentence(folder: Path) -> None:
    path = folder / "model.gguf"
    path.write_bytes(b"one")
    model = resolve(folder, "model")
    path.unlink()
    with pytest.raises(PlumError, match="cannot be read"):
        _ = model.sha256


def test_removing(folder: Path, starter: Path) -> None:
    (folder / "model.gguf").write_bytes(b"one")
    remove_model(folder, "model")
    assert [model.name for model in list_models(folder)] == [STARTER_NAME]
    with pytest.raises(PlumError, match="came with the program"):
        remove_model(folder, STARTER_NAME)
    assert starter.exists()
