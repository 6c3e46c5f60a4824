"""A newer version is told, from a real server, well-behaved or not; and nobody is asked unasked."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from plum_desktop import __version__
from plum_desktop.app import releases, updates
from plum_desktop.app.preferences import Preferences
from plum_desktop.app.releases import Release
from plum_desktop.app.updates import WEEK, UpdateService
from plum_desktop.base.errors import Cancelled, PlumError, Unreachable
from plum_desktop.base.paths import DataFolder
from tests.feed import SITE, Feed, release, serve

Ask = Callable[..., Release | None]


@pytest.fixture
def feed() -> Iterator[Feed]:
    with serve(Feed(release("9.1.0"))) as running:
        yield running


@pytest.fixture
def ask(feed: Feed) -> Ask:
    return lambda than="0.1.0", url="": releases.newer(url or feed.url, threading.Event(), than)


@pytest.fixture
def preferences(data_folder: DataFolder) -> Preferences:
    return Preferences(data_folder.settings)


@pytest.fixture
def service(feed: Feed, data_folder: DataFolder, preferences: Preferences) -> UpdateService:
    return UpdateService(data_folder, preferences, feed.url)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time of day, in seconds from now."""
    now = time.time()
    return lambda ahead: monkeypatch.setattr(updates.time, "time", lambda: now + ahead)


def test_a_newer_version_with_its_page_and_its_news(ask: Ask) -> None:
    assert ask() == Release("9.1.0", f"{SITE}v9.1.0", ("## New", "- It sings."))


@pytest.mark.parametrize("version", ["0.1.0", "0.1", "0.0.9", "0.1.0.dev3"])
def test_the_same_and_older_ones_are_not_told(ask: Ask, feed: Feed, version: str) -> None:
    feed.said = release(version, html_url="https://example.org/")  # which then does not matter
    assert ask() is None


@pytest.mark.parametrize("version", ["0.1.1", "0.10", "0.2", "1", "0.1.0.post1"])
def test_versions_are_compared_as_such(ask: Ask, feed: Feed, version: str) -> None:
    feed.said = release(version)
    found = ask("0.1.0")
    assert found
    assert found.version == version


@pytest.mark.parametrize("more", [{"draft": True}, {"prerelease": True}, {"tag_name": "v9.2.0rc1"}])
def test_what_is_not_finished_is_not_told(ask: Ask, feed: Feed, more: dict[str, object]) -> None:
    feed.said = release("9.1.0") | more
    assert ask() is None


def test_nothing_is_said_of_whoever_asks(ask: Ask, feed: Feed) -> None:
    feed.moves = ["/repositories/7/releases/latest"]
    assert ask()
    [(first, headers), (second, again)] = feed.asked
    assert (first, second) == ("/latest", "/repositories/7/releases/latest")
    assert headers == again, "no cookie goes along"
    assert headers.pop("host").startswith("127.0.0.1")
    assert headers == {
        "user-agent": "plum-desktop", "accept": "application/json", "accept-encoding": "identity",
        "connection": "keep-alive",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "No version of Plum Desktop is released yet."),
        (403, "asked too often from your network"), (429, "asked too often from your network"),
        (500, "answered 500 instead"), (204, "answered 204 instead"), (304, "answered 304"),
    ],
)  # fmt: skip
def test_refusals_are_sentences(ask: Ask, feed: Feed, status: int, words: str) -> None:
    feed.status = status
    with pytest.raises(PlumError, match=words):
        ask()
    assert len(feed.asked) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"<html>Log in</html>", b"", b"\xff\xfe\x00", b"[" * 100_000, b"9" * 5000, [], "v9", None,
        7, {}, {"tag_name": None}, {"tag_name": 9}, {"tag_name": ["v9"]},
    ],
)  # fmt: skip
def test_what_is_no_release_is_said(ask: Ask, feed: Feed, said: object) -> None:
    feed.said = said
    with pytest.raises(PlumError, match=r"^127\.0\.0\.1 did not name a version; try it later"):
        ask()


@pytest.mark.parametrize("tag", ["", "latest", "v", "1" * 65, "9\x1b[2J", "9.1.0 beta \u202e"])
def test_an_odd_version_is_said_in_printable_words(ask: Ask, feed: Feed, tag: str) -> None:
    feed.said = release("9") | {"tag_name": tag}
    with pytest.raises(PlumError, match="names a version that Plum cannot read") as refused:
        ask()
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "page",
    [
        "http://github.com/plum-desktop/plum-desktop/releases/tag/v9.1.0",
        "https://example.org/plum-desktop/plum-desktop/releases/tag/v9.1.0",
        "https://github.com.example.org/plum-desktop/plum-desktop/releases/tag/v9.1.0",
        "https://github.com@example.org/plum-desktop/plum-desktop/releases/tag/v9.1.0",
        "https://github.com:8443/plum-desktop/plum-desktop/releases/tag/v9.1.0",
        "https://github.com/else/plum-desktop/releases/tag/v9.1.0",
        "https://github.com/plum-desktop/plum-desktop/releases/tag/../../../../else",
        "https://github.com/plum-desktop/plum-desktop/releases/tag/%2e%2e/else",
        f"{SITE}v9.1.0\n", f"{SITE}v9.1.0?next=x", f"{SITE}{'9' * 70}", "javascript:alert(1)",
        "file:///etc/passwd", "", None, 7, [SITE],
    ],
)  # fmt: skip
def test_a_page_elsewhere_is_not_offered(ask: Ask, feed: Feed, page: object) -> None:
    feed.said = release("9.1.0", html_url=page)
    with pytest.raises(PlumError, match="with a page that is not Plum's, so it is not shown"):
        ask()


def test_the_news_are_plain_text_and_few(ask: Ask, feed: Feed) -> None:
    lines = ["\x1b]0;gone\x07\x1b[31mred", "\u202egnp.exe", "<b>bold</b>", "\ud800", "x" * 5000]
    feed.said = release("9.1.0", body="\n\n".join([*lines, *["more"] * 50]))
    found = ask()
    assert found
    assert found.news[:3] == ("]0;gone  [31mred", "gnp.exe", "<b>bold</b>")
    assert len(found.news) == 8
    assert all(line.isprintable() and len(line) <= 200 for line in found.news)
    for body in (None, 7, ["x"], ""):
        feed.said = release("9.1.0", body=body)
        found = ask()
        assert found
        assert found.news == ()


@pytest.mark.parametrize("headers", [{}, {"Content-Length": str(1 << 40)}])
def test_a_huge_answer_is_not_read(ask: Ask, feed: Feed, headers: dict[str, str]) -> None:
    feed.said = json.dumps(release("9.1.0", body="x" * 40_000_000)).encode()
    feed.headers = headers
    with pytest.raises(PlumError, match="sent more than any release has"):
        ask()


def test_an_answer_that_is_cut_off(ask: Ask, feed: Feed) -> None:
    feed.cut = 20
    with pytest.raises(PlumError, match=r"The connection to 127\.0\.0\.1 was cut off"):
        ask()


def test_what_comes_compressed_all_the_same_is_not_unpacked(ask: Ask, feed: Feed) -> None:
    feed.headers = {"Content-Encoding": "gzip"}
    feed.said = b"\x1f\x8b\x08" + bytes(50)
    with pytest.raises(PlumError, match="did not name a version"):
        ask()


def test_it_does_not_go_to_another_server(ask: Ask, feed: Feed) -> None:
    with serve(Feed(release("9.9.0"))) as other:
        for target in (other.url, "https://example.org/", "//example.org/", "ftp://127.0.0.1/x"):
            feed.moves = [target]
            with pytest.raises(PlumError, match=r"127\.0\.0\.1 leads elsewhere"):
                ask()
        assert other.asked == []
    feed.moves = ["/latest"] * 20
    with pytest.raises(PlumError, match="leads elsewhere"):
        ask()
    assert len(feed.moves) == 16


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/latest", "ftp://127.0.0.1/", "file:///etc/passwd", "latest", "",
        "http://127.0.0.1.example.org/", "http://[", "https//api.github.com",
    ],
)  # fmt: skip
def test_only_https_is_asked_but_for_this_machine(ask: Ask, url: str) -> None:
    with pytest.raises(PlumError, match="is no address to ask for versions"):
        releases.newer(url, threading.Event())
    assert releases.FEED.startswith("https://api.github.com/repos/plum-desktop/plum-desktop/")


def test_nobody_there(ask: Ask) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1 cannot be reached; try it when online"):
        ask(url=f"http://127.0.0.1:{port}/latest")


def test_a_silent_server(ask: Ask, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "_TIMEOUT", httpx.Timeout(0.1))
    feed.silent = True
    with pytest.raises(PlumError, match=r"127\.0\.0\.1 does not answer; try it later"):
        ask()


def test_a_server_that_drips_is_not_waited_for(
    ask: Ask, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "_PATIENCE", 0.3)
    feed.drip = True
    with pytest.raises(PlumError, match="does not answer"):
        ask()


@pytest.mark.parametrize("proxy", ["nonsense://x", "socks5://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_said(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PlumError, match="proxy that this system names cannot be used"):
        ask()


def test_a_look_is_ended_at_once(
    service: UpdateService, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "_TIMEOUT", 60.0)
    monkeypatch.setattr(releases, "_PATIENCE", 60.0)
    feed.silent = True

    def stop_once_asked() -> None:
        while not feed.asked:
            time.sleep(0.01)
        service.stop()

    threading.Thread(target=stop_once_asked, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        service.look()
    assert time.monotonic() - began < 30
    with pytest.raises(Cancelled):
        service.look()
    assert len(feed.asked) == 1


def test_the_address_can_be_another_one(
    feed: Feed, data_folder: DataFolder, preferences: Preferences, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(updates.ENV_FEED, feed.url)
    feed.said = release(__version__)
    assert UpdateService(data_folder, preferences).look() is None
    assert len(feed.asked) == 1


def test_unless_it_is_switched_on_nobody_is_asked(
    service: UpdateService, feed: Feed, preferences: Preferences, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preferences.current.updates == "off"
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a socket"))
    assert service.look_if_due() is None
    assert feed.asked == []


def test_once_a_week_and_no_more(
    service: UpdateService, feed: Feed, preferences: Preferences, clock: Callable[[float], None]
) -> None:
    preferences.set("updates", "on")
    found = service.look_if_due()
    assert found
    assert found.version == "9.1.0"
    for ahead in (-600, 3600, WEEK - 60):
        clock(ahead)
        assert service.look_if_due() is None
    assert len(feed.asked) == 1
    clock(WEEK + 60)
    assert service.look_if_due()
    assert len(feed.asked) == 2


def test_a_look_that_was_asked_for_counts_and_is_never_refused(
    service: UpdateService, feed: Feed, preferences: Preferences
) -> None:
    preferences.set("updates", "on")
    assert service.look()
    assert service.look_if_due() is None
    assert service.look()
    assert len(feed.asked) == 2


def test_a_clock_that_was_wrong_does_not_silence_it(
    service: UpdateService, feed: Feed, preferences: Preferences, clock: Callable[[float], None]
) -> None:
    preferences.set("updates", "on")
    clock(40 * WEEK)
    assert service.look_if_due()
    clock(0)  # set right again
    assert service.look_if_due()
    assert service.look_if_due() is None
    assert len(feed.asked) == 2


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"looked": "x"}', '{"looked": NaN}', '{"looked": -1e400}',
             f'{{"looked": {-(10**400)}}}', f'{{"looked": {10**400}}}'],
)  # fmt: skip
def test_a_spoiled_note_is_as_none(
    service: UpdateService, data_folder: DataFolder, preferences: Preferences, text: str
) -> None:
    preferences.set("updates", "on")
    data_folder.cache.joinpath("updates.json").write_text(text)
    assert service.look_if_due()
    assert service.look_if_due() is None


@pytest.mark.parametrize("status", [403, 404, 500])
def test_by_itself_it_fails_silently_and_waits_for_its_week(
    service: UpdateService, feed: Feed, preferences: Preferences, status: int
) -> None:
    preferences.set("updates", "on")
    feed.status = status
    assert service.look_if_due() is None
    assert service.look_if_due() is None
    assert len(feed.asked) == 1


def test_where_nobody_could_be_asked_it_still_has_to_be_done(
    feed: Feed, data_folder: DataFolder, preferences: Preferences
) -> None:
    preferences.set("updates", "on")
    assert UpdateService(data_folder, preferences, "http://127.0.0.1:9/").look_if_due() is None
    assert UpdateService(data_folder, preferences, feed.url).look_if_due()


def test_a_note_that_cannot_be_kept(
    service: UpdateService, feed: Feed, preferences: Preferences, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(5, "broken")

    preferences.set("updates", "on")
    monkeypatch.setattr(updates, "write_json", full)
    assert service.look_if_due() is None
    assert feed.asked == [], "else it would look at every start"
    assert service.look()
