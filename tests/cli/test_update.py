from __future__ import annotations

from collections.abc import Iterator

import pytest

from plum_desktop import __version__
from plum_desktop.app import turning
from plum_desktop.app.updates import ENV_FEED
from plum_desktop.base.paths import DataFolder
from tests.feed import SITE, Feed, release, serve


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    with serve(Feed(release("9.1.0"))) as running:
        monkeypatch.setenv(ENV_FEED, running.url)
        yield running


def test_a_newer_version_with_what_is_new(run, feed: Feed) -> None:
    feed.said = release("9.1.0", body="# News\n\n- It \x1b[31msings.\n")
    ran = run("update")
    assert ran.status == 0
    assert ran.out.splitlines() == [
        f"Version 9.1.0 is out: {SITE}v9.1.0", "    # News", "    - It  [31msings.",
    ]  # fmt: skip
    row = run("update", "--json").row
    assert row["version"] == __version__
    assert row["newer"] == {
        "version": "9.1.0", "page": f"{SITE}v9.1.0", "news": ["# News", "- It  [31msings."],
    }  # fmt: skip


def test_the_newest_version(run, feed: Feed) -> None:
    feed.said = release(__version__)
    assert run("update").out == f"You have the newest version, {__version__}.\n"
    assert run("update", "--json").row == {"version": __version__, "newer": None}


def test_a_failure_is_1_and_one_line(run, feed: Feed) -> None:
    feed.status = 404
    ran = run("update", "--json")
    assert ran.status == 1
    assert (ran.out, ran.err) == ("", "plum-desktop: No version of Plum Desktop is released yet.\n")


def test_it_needs_no_passphrase_and_opens_no_chats(
    run, feed: Feed, data_folder: DataFolder
) -> None:
    data_folder.root.joinpath("sealed.json").write_text("{}")
    assert turning.is_on(data_folder)
    assert run("update").status == 0
    assert not data_folder.database.exists()
