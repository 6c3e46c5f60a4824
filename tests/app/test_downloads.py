"""The queue of downloads: one at a time, paused, gone on with, dropped, and seen by the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from plum_desktop.app.downloads import ENV_ENDPOINT, Download, DownloadService
from plum_desktop.app.models import ModelService
from plum_desktop.app.preferences import Preferences
from plum_desktop.base.errors import Busy, DiskFull, PlumError
from plum_desktop.base.files import FileLock
from plum_desktop.base.paths import DataFolder
from plum_desktop.models import download as downloading
from plum_desktop.models import fit
from tests.hub import Hub, serve, tiny_gguf

FIRST, SECOND = "SmolLM2 135M Instruct", "Qwen3 0.6B"


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(downloading, "_PAUSES", (0.01,) * 4)
    with serve(Hub(tiny_gguf(600_000))) as running:
        monkeypatch.setenv(ENV_ENDPOINT, running.url)
        yield running


@pytest.fixture
def seen() -> list[Download]:
    return []


@pytest.fixture
def service(data_folder: DataFolder, seen: list[Download]) -> Iterator[DownloadService]:
    made = DownloadService(data_folder, Preferences(data_folder.settings))
    made.on_change = seen.append
    yield made
    made.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def states(seen: list[Download], name: str) -> list[str]:
    """The states of one download in their order, each once."""
    found = [each.state for each in seen if each.model.name == name]
    return [state for at, state in enumerate(found) if not at or found[at - 1] != state]


def test_a_queue_of_two(
    service: DownloadService, seen: list[Download], data_folder: DataFolder, hub: Hub
) -> None:
    hub.pace = 0.005
    service.start(FIRST)
    service.start(SECOND)
    service.start(FIRST)  # again is no error
    until(lambda: states(seen, SECOND)[-1:] == ["done"])
    assert states(seen, FIRST) == ["waiting", "downloading", "done"]
    assert states(seen, SECOND) == ["waiting", "downloading", "done"]
    ends = [at for at, each in enumerate(seen) if each.state == "done"]
    begins = [at for at, each in enumerate(seen) if each.state == "downloading"]
    assert ends[0] < next(at for at in begins if seen[at].model.name == SECOND)
    assert service.list() == []
    models = ModelService(data_folder, Preferences(data_folder.settings))
    assert "Qwen3-0.6B-Q8_0.gguf" in [model.name for model in models.list()]
    assert models.file("Qwen3-0.6B-Q8_0").sha256 == hub.sha256
    assert SECOND not in [offer.model.name for offer in models.offers()]
    with pytest.raises(PlumError, match="is here already"):
        service.start(FIRST)


def test_pause_and_go_on(service: DownloadService, seen: list[Download], hub: Hub) -> None:
    hub.pace = 0.02
    service.start(FIRST)
    until(lambda: bool(seen) and seen[-1].done > 50_000)
    service.pause(FIRST)
    until(lambda: seen[-1].state == "paused")
    (paused,) = service.list()
    assert paused.error is None
    assert 50_000 < paused.done < paused.total == len(hub.data)
    hub.pace = 0
    service.start(FIRST)
    until(lambda: seen[-1].state == "done")
    assert hub.of("store", "GET")[-1].headers["range"] == f"bytes={paused.done}-"


def test_going_on_before_it_has_stopped(
    service: DownloadService, seen: list[Download], hub: Hub
) -> None:
    hub.pace = 0.1
    service.start(FIRST)
    until(lambda: bool(seen) and seen[-1].done > 0)
    service.pause(FIRST)
    service.start(FIRST)
    hub.pace = 0
    until(lambda: seen[-1].state == "done")


def test_cancelling_leaves_nothing(
    service: DownloadService, seen: list[Download], data_folder: DataFolder, hub: Hub
) -> None:
    hub.pace = 0.02
    service.start(FIRST)
    service.start(SECOND)
    until(lambda: bool(seen) and seen[-1].done > 50_000)
    service.cancel(SECOND)
    service.cancel(FIRST)
    until(lambda: states(seen, FIRST)[-1] == "cancelled")
    assert states(seen, SECOND) == ["waiting", "cancelled"]
    assert list(data_folder.models.iterdir()) == []
    assert service.list() == []


def test_the_next_start_knows_what_was_begun(
    service: DownloadService, seen: list[Download], data_folder: DataFolder, hub: Hub
) -> None:
    hub.pace = 0.02
    service.start(FIRST)
    service.start(SECOND)
    until(lambda: bool(seen) and seen[-1].done > 50_000)
    service.close()
    again = DownloadService(data_folder, Preferences(data_folder.settings))
    first, second = again.list()
    assert (first.model.name, first.state, first.total) == (FIRST, "paused", len(hub.data))
    assert first.done > 50_000
    assert (second.model.name, second.state, second.done) == (SECOND, "paused", 0)
    again.cancel(FIRST)
    again.cancel(SECOND)
    assert again.list() == []


def test_failures_keep_the_queue_going(
    service: DownloadService, seen: list[Download], hub: Hub
) -> None:
    hub.statuses = [(404, {}), (429, {"Retry-After": "3600"})]
    service.start(FIRST)
    service.start(SECOND)
    until(lambda: states(seen, SECOND)[-1:] == ["paused"])
    first, second = service.list()
    assert first.state == "failed"
    assert "any more" in (first.error or "")
    assert "asks to wait 60 minutes" in (second.error or "")
    service.start(SECOND)
    until(lambda: seen[-1].state == "done")


def test_a_defect_ends_no_queue(
    service: DownloadService, seen: list[Download], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = downloading.download
    monkeypatch.setattr(downloading, "download", lambda *_, **__: 1 / 0)
    service.start(FIRST)
    until(lambda: seen[-1].state == "failed")
    assert "ZeroDivisionError" in (seen[-1].error or "")
    monkeypatch.setattr(downloading, "download", real)
    service.start(FIRST)
    until(lambda: seen[-1].state == "done")


def test_two_processes_do_not_write_one_file(
    service: DownloadService, data_folder: DataFolder
) -> None:
    with FileLock(data_folder.download_lock), pytest.raises(Busy, match="Another Plum Desktop"):
        service.fetch(FIRST, lambda _: None)


def test_no_room_is_said_at_once(service: DownloadService, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = fit.shutil.disk_usage("/")._replace(free=10_000)
    monkeypatch.setattr(fit.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFull, match="disk space"):
        service.start(FIRST)
    assert service.list() == []


def test_the_mirror_and_the_token_are_settings(
    service: DownloadService, data_folder: DataFolder, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENV_ENDPOINT)
    preferences = Preferences(data_folder.settings)
    preferences.set("endpoint", hub.url)
    preferences.set("token", "hf_mine")
    assert service.fetch(FIRST, lambda _: None).name == "SmolLM2-135M-Instruct-Q8_0.gguf"
    assert hub.asked[0].headers["authorization"] == "Bearer hf_mine"
