from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from plum_desktop.app.estimate import Estimates
from plum_desktop.app.models import ModelService
from plum_desktop.app.preferences import Preferences
from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.models.catalog import catalog
from plum_desktop.models.fit import Memory

GB = 10**9


@pytest.fixture
def models(data_folder: DataFolder) -> ModelService:
    return ModelService(data_folder, Preferences(data_folder.settings))


def test_the_starter_is_there_in_use_and_can_learn(models: ModelService, starter: Path) -> None:
    (only,) = models.list()
    assert only.starter
    assert only.in_use
    assert only.can_learn
    assert only.why_not is None
    assert only.architecture == "llama"
    assert only.quantization == "Q4_1"
    assert only.licence == "apache-2.0"
    assert only.context == 8192
    assert only.size == starter.stat().st_size
    assert models.current() == only


def test_add_use_and_remove(models: ModelService, starter: Path, tmp_path: Path) -> None:
    source = tmp_path / "mine.gguf"
    os.symlink(starter, source)
    assert models.add(source).name == "mine.gguf"
    assert models.use("mine").in_use
    assert models.file().name == "mine.gguf"
    of_catalog = tmp_path / catalog()[1].file  # whose licence we know by its whole name
    os.symlink(starter, of_catalog)
    assert models.add(of_catalog).licence == catalog()[1].licence
    models.remove(of_catalog.name)
    with pytest.raises(PlumError, match="in use; choose another"):
        models.remove("mine.gguf")
    models.use(starter.name)
    models.remove("mine.gguf")
    assert [model.name for model in models.list()] == [starter.name]
    assert starter.exists()


def test_a_damaged_file_is_listed_with_its_reason(
    models: ModelService, data_folder: DataFolder, starter: Path
) -> None:
    (data_folder.models / "cut.gguf").write_bytes(starter.read_bytes()[:5000])
    cut = next(model for model in models.list() if model.name == "cut.gguf")
    assert not cut.can_learn
    assert cut.why_not
    assert "cut.gguf" in cut.why_not
    with pytest.raises(DamagedFile):
        models.use("cut.gguf")
    assert models.file().starter


def test_what_is_no_model_is_refused(models: ModelService, tmp_path: Path) -> None:
    (tmp_path / "note.gguf").write_text("hello")
    with pytest.raises(PlumError, match="GGUF"):
        models.add(tmp_path / "note.gguf")
    with pytest.raises(PlumError):
        models.add(tmp_path / "missing.gguf")
    with pytest.raises(PlumError, match="no model called"):
        models.use("nothing")


def test_a_chosen_model_that_has_gone_is_no_crash(
    models: ModelService, data_folder: DataFolder, starter: Path, tmp_path: Path
) -> None:
    source = tmp_path / "mine.gguf"
    os.symlink(starter, source)
    models.add(source)
    models.use("mine")
    (data_folder.models / "mine.gguf").unlink()
    assert models.current() is None
    with pytest.raises(PlumError, match="no model called"):
        models.file()


def test_what_a_model_would_do_here(
    models: ModelService, data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plum_desktop.app.models.memory", lambda: Memory(8 * GB, 6 * GB))
    assert models.list()[0].learn_seconds is None  # its file was not read yet
    offers = {offer.model.name: offer for offer in models.offers()}
    small, large = offers["SmolLM2 360M Instruct"], offers["Mistral 7B Instruct v0.3"]
    assert small.fit == "fits"
    assert "this computer has 8.0 GB" in small.fit_reason
    assert small.can_learn
    assert large.fit == "slow"
    assert "Learning on it needs" in (large.why_not or "")
    assert large.learn_seconds is None
    assert "rope_factors_long" in (offers["Phi-3.5 mini Instruct"].why_not or "")

    (starter,) = models.list()
    assert starter.fit_reason.startswith("Needs ")
    # In proportion to its size, and in 6 GB less fast than the starter, whose floats they hold.
    expected = starter.learn_seconds * small.model.approximate_size / starter.size
    assert expected * 1.1 < small.learn_seconds < expected * 2.8
    monkeypatch.setattr("plum_desktop.app.models.memory", lambda: Memory(64 * GB, 60 * GB))
    (again,) = (offer for offer in models.offers() if offer.model == small.model)
    assert again.learn_seconds == pytest.approx(expected)
    Estimates(data_folder, models.file(), "torch").learn({"train": 100.0})
    assert models.list()[0].learn_seconds > starter.learn_seconds


def test_no_room_on_the_disk_is_no_fit(
    models: ModelService, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1_000_000_000)
    monkeypatch.setattr("plum_desktop.models.fit.shutil.disk_usage", lambda _: usage)
    offers = {offer.model.name: offer for offer in models.offers()}
    assert offers["SmolLM2 135M Instruct"].fit == "fits"
    assert offers["Qwen3 1.7B"].fit == "will not fit"
    assert "disk space" in offers["Qwen3 1.7B"].fit_reason
