"""What the project's releases feed names as the newest version, or one sentence why nobody knows.

It is asked for one address, and told no more than this program's name: no version, no system, no
cookie, nothing that tells one user from another.  What it answers is believed as far as a version
and a page of the project's own; nothing is downloaded.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from dataclasses import dataclass
from typing import Any

import httpx
from packaging.version import InvalidVersion, Version

from plum_desktop import __version__
from plum_desktop.base.errors import Cancelled, PlumError, Unreachable

# At its usual level it would log each address that is asked.
logging.getLogger("httpx").setLevel(logging.WARNING)

FEED = "https://api.github.com/repos/plum-desktop/plum-desktop/releases/latest"

# Nothing that a browser would read as another place: no dots in a row, no %, no second host.
_PAGE = re.compile(
    r"https://github\.com/plum-desktop/plum-desktop/releases/tag/[0-9A-Za-z][0-9A-Za-z._+-]{0,63}"
)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Not compressed: what comes is bounded as it comes.
_HEADERS = {
    "User-Agent": "plum-desktop", "Accept": "application/json", "Accept-Encoding": "identity",
}  # fmt: skip
_TIMEOUT = httpx.Timeout(5.0)  # of one step
_PATIENCE = 15.0  # seconds for the whole: a name's look-up has no limit, and a step may drip
_MOST = 1 << 20  # bytes of an answer; a release with many files has some 50,000
_HOPS = 4  # of a project that has moved, on the same server
_LONGEST_TAG = 64  # characters
_NEWS_LINES, _NEWS_WIDTH = 8, 200


@dataclass(frozen=True, slots=True)
class Release:
    """A version that is newer than this one."""

    version: str
    page: str  # where it is told of, and can be had
    news: tuple[str, ...]  # the first lines of what is new, in printable characters


def newer(feed: str, ended: threading.Event, than: str = __version__) -> Release | None:
    """Ask `feed` for a release newer than `than`; None: there is none.

    It takes at most some seconds, or until `ended` is set.  Raises Unreachable where nobody was
    asked, Cancelled where `ended` was set, and PlumError.
    """
    answers: list[Release | Exception | None] = []

    def ask() -> None:
        try:
            answers.append(_understood(_fetched(feed), _address(feed).host, Version(than)))
        except Exception as error:  # noqa: BLE001 raised where it is waited for
            answers.append(error)
        ended.set()

    # Left behind where it takes too long: it holds nothing, and ends with the process.
    threading.Thread(target=ask, name="update", daemon=True).start()
    in_time = ended.wait(_PATIENCE)
    if not answers:
        if in_time:
            raise Cancelled
        raise _silent(_address(feed).host)
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]


def _address(url: str) -> httpx.URL:
    """Raises PlumError where `url` is neither https nor of this machine."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme == "https" or (address.scheme == "http" and address.host in _LOOPBACK):
        return address
    raise PlumError("{url} is no address to ask for versions; it must begin with https.", url=url)


def _silent(host: str) -> PlumError:
    return PlumError("{host} does not answer; try it later.", host=host)


def _fetched(feed: str) -> bytes:
    address = _address(feed)
    host = address.host
    try:
        for _ in range(_HOPS):
            # Each time with a client of its own, so that no cookie goes along.
            with httpx.stream("GET", address, headers=_HEADERS, timeout=_TIMEOUT) as response:
                if response.next_request is None:
                    return _body(response, host)
                onward = response.next_request.url
            if (onward.scheme, onward.netloc) != (address.scheme, address.netloc):
                break  # a network that wants a log-in first, as a rule
            address = onward
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise Unreachable("{host} cannot be reached; try it when online.", host=host) from error
    except httpx.TimeoutException as error:
        raise _silent(host) from error
    except httpx.HTTPError as error:
        raise PlumError("The connection to {host} was cut off; try it again.", host=host) from error
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise PlumError(
            "The proxy that this system names cannot be used ({error}).", error=error
        ) from error
    raise PlumError(
        "{host} leads elsewhere, which was not followed; try it from another network.", host=host
    )


def _body(response: httpx.Response, host: str) -> bytes:
    status = response.status_code
    if status == 404:
        raise PlumError("No version of Plum Desktop is released yet.")
    if status in (403, 429):  # the first is what the hub of this project says
        raise PlumError(
            "{host} was asked too often from your network; try it again in an hour.", host=host
        )
    if status != 200:
        raise PlumError(
            "{host} answered {status} instead of naming the newest version; try it later.",
            host=host,
            status=status,
        )
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > _MOST:
            raise PlumError(
                "{host} sent more than any release has, so it was not read; try it later.",
                host=host,
            )
    return bytes(body)


def _understood(body: bytes, host: str, current: Version) -> Release | None:
    try:
        said: Any = json.loads(body)
        tag = said["tag_name"]
        if not isinstance(tag, str):
            raise TypeError(tag)
        version = Version(tag if len(tag) <= _LONGEST_TAG else "")
    except InvalidVersion as error:
        raise PlumError(
            "{host} names a version that Plum cannot read ({tag!r}).",
            host=host,
            tag=tag[:_LONGEST_TAG],
        ) from error
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise PlumError(
            "{host} did not name a version; try it later, or from another network.", host=host
        ) from error
    unfinished = said.get("draft") or said.get("prerelease") or version.is_prerelease
    if unfinished or version <= current:
        return None
    page = said.get("html_url")
    if not isinstance(page, str) or not _PAGE.fullmatch(page):
        raise PlumError(
            "{host} names version {version} with a page that is not Plum's, so it is not shown.",
            host=host,
            version=version,
        )
    return Release(str(version), page, _news(said.get("body")))


def _news(body: object) -> tuple[str, ...]:
    """Its first lines, without what a terminal would obey or hide: anybody's text, until read."""
    if not isinstance(body, str):
        return ()
    cleaned = (
        "".join(letter if letter.isprintable() else " " for letter in line).strip()
        for line in body.splitlines()
    )
    lines = [line[:_NEWS_WIDTH] for line in cleaned if line]
    return tuple(lines[:_NEWS_LINES])
