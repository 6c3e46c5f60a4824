"""Downloads from a real server, well-behaved or not: the right bytes, or one clear sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from plum_desktop.base.errors import Cancelled, DiskFull, PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.models import download as downloading
from plum_desktop.models.download import Interrupted, Progress
from plum_desktop.models.part import Origin, Part, parts
from tests.hub import Hub, serve, tiny_gguf

SIZE = 600_000
PATH = "/owner/repo/resolve/main/tiny.gguf"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "_PAUSES", (0.01,) * 4)
    monkeypatch.setattr(downloading, "_TIMEOUT", httpx.Timeout(2.0))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve(Hub(tiny_gguf(SIZE))) as running:
        yield running


@pytest.fixture
def target(data_folder: DataFolder) -> Path:
    return data_folder.models / "tiny.gguf"


@pytest.fixture
def get(hub: Hub, target: Path) -> Callable[..., str]:
    return lambda **more: downloading.download(hub.url + PATH, target, **more)


def nothing_left(target: Path) -> bool:
    return list(target.parent.iterdir()) == []


def begin(hub: Hub, target: Path, count: int, **more: object) -> Part:
    """What an earlier download of `count` bytes left."""
    part = Part(target)
    part.path.write_bytes(hub.data[:count])
    known = {"etag": hub.etag, "size": len(hub.data), "sha256": hub.sha256, **more}
    part.note(Origin(hub.url + PATH, **known))  # type: ignore[arg-type]
    return part


def test_it_comes_whole(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    seen: list[Progress] = []
    assert get(on_progress=seen.append) == hub.sha256
    assert target.read_bytes() == hub.data
    assert list(target.parent.iterdir()) == [target]
    assert (seen[-1].done, seen[-1].total) == (len(hub.data), len(hub.data))
    assert seen[-1].rate > 0
    assert seen[-1].seconds_left == 0
    if sys.platform != "win32":
        assert target.stat().st_mode & 0o777 == 0o600


def test_the_token_stays_with_the_hub(hub: Hub, get: Callable[..., str]) -> None:
    get(token="hf_private")
    assert {each.headers.get("authorization") for each in hub.asked if each.place == "hub"} == {
        "Bearer hf_private"
    }
    assert hub.of("store", "GET")
    assert all("authorization" not in each.headers for each in hub.asked if each.place == "store")
    assert hub.of("store", "HEAD") == []  # what the store signs is for a GET


def test_signed_addresses_do_not_reach_a_log(
    hub: Hub, get: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        get(token="hf_private")
    assert "secret" not in caplog.text
    assert "hf_private" not in caplog.text


def test_cuts_are_gone_on_from(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    hub.cuts = [100_000, 50_000, 1]
    assert get() == hub.sha256
    assert target.read_bytes() == hub.data
    ranges = [each.headers.get("range") for each in hub.of("store", "GET")]
    assert ranges[0] is None
    assert len(ranges) == 4
    assert all(each.headers["if-range"] == hub.etag for each in hub.of("store", "GET")[1:])


def test_too_many_cuts_pause_it_with_what_is_there(
    hub: Hub, target: Path, get: Callable[..., str]
) -> None:
    hub.cuts = [50_000] * 5
    with pytest.raises(Interrupted, match=r"cut off; what came so far is kept"):
        get()
    assert not target.exists()
    kept = Part(target).length
    assert kept > 0
    assert get() == hub.sha256
    assert hub.of("store", "GET")[-1].headers["range"] == f"bytes={kept}-"
    assert target.read_bytes() == hub.data


def test_headway_counts_the_attempts_anew(
    hub: Hub, target: Path, get: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "_HEADWAY", 10_000)
    hub.cuts = [60_000] * 8
    assert get() == hub.sha256


def test_a_server_that_ignores_ranges_sends_it_all(
    hub: Hub, target: Path, get: Callable[..., str]
) -> None:
    hub.ranges = False
    begin(hub, target, 200_000)
    assert get() == hub.sha256
    (asked,) = hub.of("store", "GET")
    assert asked.headers["range"] == "bytes=200000-"
    assert target.read_bytes() == hub.data


def test_another_file_under_the_address_starts_over(
    hub: Hub, target: Path, get: Callable[..., str]
) -> None:
    begin(hub, target, 200_000)
    hub.data, hub.etag = tiny_gguf(SIZE, seed=2), '"store-2"'
    assert get() == hub.sha256
    assert "range" not in hub.of("store", "GET")[0].headers
    assert target.read_bytes() == hub.data


def test_the_store_moving_costs_only_time(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    begin(hub, target, 200_000)
    hub.etag = '"elsewhere"'
    assert get() == hub.sha256
    assert target.read_bytes() == hub.data


@pytest.mark.parametrize("etag", ['W/"weak"', ""])
def test_without_a_strong_etag_the_digest_is_enough(
    hub: Hub, target: Path, get: Callable[..., str], etag: str
) -> None:
    hub.etag = etag
    begin(hub, target, 200_000)
    assert get() == hub.sha256
    (asked,) = hub.of("store", "GET")
    assert asked.headers["range"] == "bytes=200000-"
    assert "if-range" not in asked.headers


def test_a_plain_server_goes_by_its_etag(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    hub.redirects = hub.linked = False
    hub.cuts = [100_000]
    assert get() == hub.sha256
    assert hub.of("hub", "GET")[1].headers["if-range"] == hub.etag
    assert target.read_bytes() == hub.data


@pytest.mark.parametrize("etag", ['W/"weak"', ""])
def test_a_plain_server_that_promises_nothing_starts_over(
    hub: Hub, target: Path, get: Callable[..., str], etag: str
) -> None:
    hub.redirects = hub.linked = False
    hub.etag = etag
    hub.cuts = [100_000]
    assert get() == hub.sha256
    assert "range" not in hub.of("hub", "GET")[1].headers


def test_a_plain_redirect_is_followed_for_its_head(
    hub: Hub, target: Path, get: Callable[..., str]
) -> None:
    hub.linked = False
    hub.redirects = True
    hub.statuses = [(302, {"Location": f"{hub.store_url}/plain"}), (200, {"ETag": hub.etag})]
    assert get(token="hf_private") == hub.sha256
    (head,) = hub.of("store", "HEAD")
    assert "authorization" not in head.headers


def test_a_server_without_head(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    hub.redirects = hub.linked = False
    hub.statuses = [(405, {})] * 2
    hub.cuts = [100_000]
    assert get() == hub.sha256
    assert hub.of("hub", "GET")[1].headers["range"].startswith("bytes=")


def test_an_unsaid_length_ends_where_the_file_does(
    hub: Hub, target: Path, get: Callable[..., str]
) -> None:
    hub.says_length = False
    assert get() == hub.sha256


def test_a_wrong_digest_deletes_what_came(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    hub.linked_sha256 = "0" * 64
    with pytest.raises(PlumError, match="sha256 differs"):
        get()
    assert nothing_left(target)


def test_spoiled_bytes_on_the_disk_are_found(
    hub: Hub, target: Path, get: Callable[..., str]
) -> None:
    part = begin(hub, target, 200_000)
    part.path.write_bytes(bytes(200_000))
    with pytest.raises(PlumError, match="sha256 differs"):
        get()
    assert nothing_left(target)


def test_a_pinned_digest_is_honoured(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    with pytest.raises(PlumError, match="another tiny.gguf than the one that Plum knows"):
        get(sha256="1" * 64)
    assert hub.of("store", "GET") == []
    hub.linked = hub.redirects = False  # nothing is announced: what came is compared
    with pytest.raises(PlumError, match="sha256 differs"):
        get(sha256="1" * 64)
    assert get(sha256=hub.sha256.upper()) == hub.sha256


def test_more_than_announced_is_refused(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    hub.extra = b"more" * 1000
    with pytest.raises(PlumError, match="sent more than"):
        get()
    assert nothing_left(target)


def test_less_than_announced_is_never_whole(
    hub: Hub, target: Path, get: Callable[..., str]
) -> None:
    hub.linked_size = len(hub.data) + 1000
    with pytest.raises(Interrupted):
        get()
    assert not target.exists()


def test_a_part_longer_than_the_whole_starts_over(
    hub: Hub, target: Path, get: Callable[..., str]
) -> None:
    part = begin(hub, target, 0)
    part.path.write_bytes(hub.data + b"x")
    assert get() == hub.sha256


def test_a_part_that_is_whole_is_only_checked(
    hub: Hub, target: Path, get: Callable[..., str]
) -> None:
    begin(hub, target, len(hub.data))
    assert get() == hub.sha256
    assert hub.of("store", "GET") == []


def test_what_is_no_model_is_deleted(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    hub.data = b"<html>Please log in to this network.</html>" * 100
    with pytest.raises(PlumError, match="no model that can chat"):
        get()
    assert nothing_left(target)


@pytest.mark.parametrize(
    ("status", "headers", "token", "words"),
    [
        (401, {}, "", "asks for an access token"),
        (401, {}, "hf_old", "does not accept the access token"),
        (401, {"X-Error-Code": "RepoNotFound"}, "", "has no tiny.gguf any more"),
        (403, {"X-Error-Code": "GatedRepo"}, "hf_mine", "accept its licence"),
        (404, {}, "", "has no tiny.gguf any more"),
        (418, {}, "", "answered 418"),
    ],
)
def test_refusals_are_sentences(
    hub: Hub, target: Path, get: Callable[..., str], status: int, headers: dict[str, str],
    token: str, words: str,
) -> None:  # fmt: skip
    begin(hub, target, 1000)
    hub.statuses = [(status, headers)]
    with pytest.raises(PlumError, match=words) as refused:
        get(token=token)
    assert not isinstance(refused.value, Interrupted)
    assert len(hub.asked) == 1  # asking again would not help
    assert Part(target).length == 1000
    assert token == "" or token not in str(refused.value)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_waited_for(
    hub: Hub, target: Path, get: Callable[..., str], status: int
) -> None:
    hub.statuses = [(status, {"Retry-After": "1"})]
    began = time.monotonic()
    assert get() == hub.sha256
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("said", ["in seconds", "as a date"])
def test_a_long_wait_pauses(hub: Hub, get: Callable[..., str], said: str) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 570))
    later = "600" if said == "in seconds" else date
    hub.statuses = [(429, {"Retry-After": later})]
    with pytest.raises(Interrupted, match=r"asks to wait (9|10) minutes; nothing is lost"):
        get()
    assert len(hub.asked) == 1


def test_a_server_that_stays_busy_pauses(hub: Hub, get: Callable[..., str]) -> None:
    hub.statuses = [(503, {})] * 5
    with pytest.raises(Interrupted, match="too busy"):
        get()
    assert len(hub.asked) == 5


def test_nobody_there(target: Path) -> None:
    with pytest.raises(Interrupted, match=r"127\.0\.0\.1 cannot be reached"):
        downloading.download("http://127.0.0.1:9" + PATH, target)
    with pytest.raises(PlumError, match="no address to download from"):
        downloading.download("ftp://example.org" + PATH, target)


def test_a_silent_server(
    hub: Hub, get: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "_TIMEOUT", httpx.Timeout(0.1))
    hub.silent = True
    with pytest.raises(Interrupted, match="does not answer"):
        get()


def test_redirects_in_a_circle(hub: Hub, get: Callable[..., str]) -> None:
    hub.statuses = [(302, {"Location": hub.url + PATH})] * 20
    with pytest.raises(PlumError, match="in a circle"):
        get()


def test_it_stops_when_told_and_goes_on(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    hub.pace = 0.02
    stop = threading.Event()

    def stop_early(progress: Progress) -> None:
        if progress.done > 50_000:
            stop.set()

    with pytest.raises(Cancelled):
        get(stop=stop, on_progress=stop_early)
    kept = Part(target).length
    assert 50_000 < kept < len(hub.data)
    assert [each.target for each in parts(target.parent)] == [target]
    hub.pace = 0
    assert get() == hub.sha256
    assert hub.of("store", "GET")[-1].headers["range"] == f"bytes={kept}-"


def test_a_full_disk_is_said_before(
    hub: Hub, get: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = downloading.shutil.disk_usage("/")._replace(free=10_000)
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFull, match=r"Downloading tiny\.gguf needs"):
        get()
    assert hub.of("store", "GET") == []


def test_a_disk_that_fills_up_stops_it(
    hub: Hub, target: Path, get: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "_LOOK_AT_DISK", 100_000)
    real = downloading.shutil.disk_usage("/")
    full = real._replace(free=10_000)
    monkeypatch.setattr(
        downloading.shutil, "disk_usage",
        lambda _: full if Part(target).path.stat().st_size > 50_000 else real,
    )  # fmt: skip
    with pytest.raises(DiskFull):
        get()
    assert 50_000 < Part(target).length < len(hub.data)


_CHILD = """
import sys
from pathlib import Path
from plum_desktop.models.download import download
download(sys.argv[1], Path(sys.argv[2]), on_progress=lambda now: print(now.done, flush=True))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_kill_in_the_middle_is_gone_on_from(
    hub: Hub, target: Path, get: Callable[..., str]
) -> None:
    hub.pace = 0.02
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, hub.url + PATH, str(target)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert child.stdout
    while int(child.stdout.readline()) < 100_000:
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    kept = Part(target).length
    assert 0 < kept < len(hub.data)
    hub.pace = 0
    assert get() == hub.sha256
    assert hub.of("store", "GET")[-1].headers["range"] == f"bytes={kept}-"
    assert target.read_bytes() == hub.data


def test_a_damaged_record_starts_over(hub: Hub, target: Path, get: Callable[..., str]) -> None:
    part = begin(hub, target, 1000)
    for text in ("{not json", '{"address": 1}'):
        part.path.with_name(part.path.name + ".json").write_text(text)
        assert part.origin == Origin("")
    assert get() == hub.sha256
