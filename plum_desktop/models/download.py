"""Downloading one model file: resumable, verified, and whole or absent under its name.

Not huggingface_hub, which neither verifies the sha256 of what came nor pauses: this is httpx and
the few rules of the Hub.  A HEAD of `…/resolve/…` gives the size (`X-Linked-Size`) and the sha256
(`X-Linked-Etag`); a GET is redirected to a store whose ETag is another one, and that is what a
Range continues under.  Every attempt asks anew, since the addresses of the store run out.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import re
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from plum_desktop import __version__
from plum_desktop.base.errors import Cancelled, DiskFull, PlumError
from plum_desktop.base.files import megabytes, require_free
from plum_desktop.models.fit import DISK_RESERVE
from plum_desktop.models.header import read_header
from plum_desktop.models.part import Origin, Part
from plum_desktop.models.support import why_not_chat

# Addresses of the store are signed, so that whoever reads one in a log could use it.
logging.getLogger("httpx").setLevel(logging.WARNING)

_PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before each further attempt
_LONGEST_WAIT = 60.0  # seconds that a server may ask for; beyond it the download pauses
_HEADWAY = 1 << 20  # bytes after which the attempts are counted anew
_HOPS = 10
_LOOK_AT_DISK = 1 << 26  # bytes between two looks at how full the disk is
_TELL_EVERY = 0.1  # seconds
_MEMORY = 4.0  # seconds over which the rate is smoothed
_TIMEOUT = httpx.Timeout(10.0, pool=None)

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """`total` 0: nobody has said yet.  `checking`: what is there already is being read."""

    done: int  # bytes
    total: int
    rate: float = 0.0  # bytes a second, smoothed
    checking: bool = False

    @property
    def fraction(self) -> float:
        return self.done / self.total if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.done) / self.rate if self.total and self.rate > 0 else None


class Interrupted(PlumError):
    """It could not go on now; what came so far is kept."""


class _Again(Exception):
    """This attempt has failed and another may not.  `wait`: seconds that the server asks for."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


def download(
    url: str,
    target: Path,
    *,
    token: str = "",
    sha256: str = "",
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> str:
    """Bring the model at `url` to `target`, going on with what is there; returns its sha256.

    `sha256` is what the file must have, if that is known.  Setting `stop` ends the work within
    seconds.  Raises Cancelled when stopped, Interrupted or DiskFull with what came so far kept,
    and PlumError for what another attempt cannot mend.
    """
    return _Download(url, target, token, sha256, stop or threading.Event(), on_progress).run()


class _Download:
    def __init__(
        self, url: str, target: Path, token: str, sha256: str, stop: threading.Event,
        on_progress: Callable[[Progress], None],
    ) -> None:  # fmt: skip
        self._url = url
        self._host = urlsplit(url).hostname or url
        self._token = token
        self._pinned = sha256.lower()
        self._stop = stop
        self._tell = on_progress
        self._part = Part(target)
        self._name = target.name
        self._meter = _Meter()

    def run(self) -> str:
        before = self._part.origin
        self._part.open(lambda done: self._on_checked(done, before.size))
        try:
            with httpx.Client(timeout=_TIMEOUT, headers=self._headers()) as client:
                self._fetch_all(client)
            return self._verify()
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise PlumError(
                "{url} is no address to download from ({error}).", url=self._url, error=error
            ) from error
        finally:
            self._part.close()

    def _headers(self) -> dict[str, str]:
        # Compressed, the bytes would be counted and continued in other units than the file's.
        headers = {"User-Agent": f"plum-desktop/{__version__}", "Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _fetch_all(self, client: httpx.Client) -> None:
        failures = 0
        while True:
            had = self._part.length
            try:
                self._attempt(client)
                return
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                raise
            except httpx.ConnectError:
                trouble = _Again(f"{self._host} cannot be reached")
            except httpx.TimeoutException:
                trouble = _Again(f"{self._host} does not answer")
            except httpx.HTTPError:
                trouble = _Again(f"The connection to {self._host} was cut off")
            except _Again as error:
                trouble = error
            failures = 1 if self._part.length >= had + _HEADWAY else failures + 1
            if failures > len(_PAUSES) or trouble.wait > _LONGEST_WAIT:
                raise Interrupted(self._gave_up(trouble))
            self._stop.wait(max(_PAUSES[failures - 1], trouble.wait))
            self._raise_if_stopped()

    def _gave_up(self, trouble: _Again) -> str:
        kept = "what came so far is kept" if self._part.length else "nothing is lost"
        if trouble.wait > _LONGEST_WAIT:
            minutes = math.ceil(trouble.wait / 60)
            return f"{trouble}, and asks to wait {minutes} minutes; {kept}, so go on after that."
        return f"{trouble}; {kept}, so go on when the connection is better."

    def _attempt(self, client: httpx.Client) -> None:
        self._raise_if_stopped()
        now = self._look(client)
        before = self._part.origin
        if before.same_file(now):
            # The etag in the record is of the server that sends, and stays.
            now = dataclasses.replace(now, etag=before.etag or now.etag)
        elif self._part.length:
            self._part.empty()
        if now.size and self._part.length > now.size:
            self._part.empty()
        self._part.note(now)
        self._require_space(now.size)
        if not now.size or self._part.length < now.size:
            self._fetch(client, now)

    def _look(self, client: httpx.Client) -> Origin:
        """What the server says of the file before it sends any of it."""
        response = client.head(self._url)
        for _ in range(_HOPS):
            # The store's address is for a GET; what matters is said before it.
            if "x-linked-etag" in response.headers or response.next_request is None:
                break
            response = client.send(response.next_request)
        else:
            raise PlumError(
                "{host} redirects {name} in a circle; try it later.",
                host=self._host,
                name=self._name,
            )
        if response.status_code in (405, 501):
            # It will not say; then If-Range has to tell whether what is there can go on.
            before = self._part.origin
            return before if before.url == self._url else Origin(self._url, sha256=self._pinned)
        if not response.is_redirect:
            self._check(response)
        etag = response.headers.get("x-linked-etag") or response.headers.get("etag", "")
        digest = etag.removeprefix("W/").strip('"').lower()
        announced = digest if _SHA256.fullmatch(digest) else ""
        if announced and self._pinned and announced != self._pinned:
            raise PlumError(
                "{host} offers another {name} than the one that Plum knows, so nothing was "
                "downloaded; a newer Plum may know it.",
                host=self._host,
                name=self._name,
            )
        size = response.headers.get("x-linked-size", "")
        if not size and not response.is_redirect:
            size = response.headers.get("content-length", "")
        return Origin(
            self._url,
            etag if "x-linked-etag" not in response.headers else "",
            int(size) if size.isdecimal() else 0,
            self._pinned or announced,
        )

    def _fetch(self, client: httpx.Client, origin: Origin) -> None:
        part, had = self._part, self._part.length
        headers = {}
        if had:
            headers["Range"] = f"bytes={had}-"
            if origin.names_bytes:
                headers["If-Range"] = origin.etag
        with client.stream("GET", self._url, headers=headers, follow_redirects=True) as response:
            self._check(response)
            etag = response.headers.get("etag", "")
            if response.status_code == 206:
                moved = not response.headers.get("content-range", "").startswith(f"bytes {had}-")
                if moved or (not origin.sha256 and etag != origin.etag):
                    part.empty()
                    raise _Again(f"{self._host} went on with another file")
            elif had:
                part.empty()
            length = response.headers.get("content-length", "")
            whole = origin.size or (part.length + int(length) if length.isdecimal() else 0)
            part.note(dataclasses.replace(origin, etag=etag, size=whole))
            self._require_space(whole)
            self._receive(response, whole)
        if part.length < whole:
            raise _Again(f"The connection to {self._host} was cut off")

    def _receive(self, response: httpx.Response, whole: int) -> None:
        part = self._part
        looked = part.length
        self._meter.start(part.length)
        for chunk in response.iter_raw():
            self._raise_if_stopped()
            part.append(chunk)
            if whole and part.length > whole:
                part.remove()
                raise PlumError(
                    "{host} sent more than the {whole} that it announced, so what came was "
                    "deleted; try another server.",
                    host=self._host,
                    whole=megabytes(whole),
                )
            if part.length - looked >= _LOOK_AT_DISK:
                looked = part.length
                self._require_space(whole)
            if self._meter.due():
                self._tell(Progress(part.length, whole, self._meter.rate(part.length)))
        self._tell(Progress(part.length, whole, self._meter.rate(part.length)))

    def _check(self, response: httpx.Response) -> None:
        """Raises _Again for what may pass, PlumError for what will not."""
        status, host = response.status_code, self._host
        if status in (200, 206):
            return
        # The Hub answers 401 for what is not there, too.
        missing = response.headers.get("x-error-code", "").endswith("NotFound")
        if status in _BUSY:
            wait = _retry_after(response.headers.get("retry-after", ""))
            raise _Again(f"{host} is too busy to send {self._name}", wait)
        if status == 416:
            self._part.empty()
            raise _Again(f"{host} has no more of {self._name}")
        if missing or status in (404, 410):
            raise PlumError(
                "{host} has no {name} any more; choose another model.", host=host, name=self._name
            )
        if status == 401:
            if self._token:
                raise PlumError(
                    "{host} does not accept the access token for {name}; set one in Settings.",
                    host=host,
                    name=self._name,
                )
            raise PlumError(
                "{host} asks for an access token for {name}; set one in Settings.",
                host=host,
                name=self._name,
            )
        if status == 403:
            raise PlumError(
                "{host} does not let you have {name}; accept its licence on the model's page, "
                "and set your access token in Settings.",
                host=host,
                name=self._name,
            )
        raise PlumError(
            "{host} answered {status} instead of sending {name}; try it later.",
            host=host,
            status=status,
            name=self._name,
        )

    def _verify(self) -> str:
        """The digest of the whole, once it has its name.  Raises PlumError, with nothing left."""
        part = self._part
        self._raise_if_stopped()
        part.flush()
        digest, wanted = part.sha256(), part.origin.sha256
        if wanted and digest != wanted:
            part.remove()
            raise PlumError(
                "What {host} sent is not the {name} that it announced (the sha256 differs), so "
                "it was deleted; download it again.",
                host=self._host,
                name=self._name,
            )
        try:
            usable = why_not_chat(read_header(part.path)) is None
        except PlumError:
            usable = False
        if not usable:
            part.remove()
            raise PlumError(
                "What {host} sent as {name} is no model that can chat, so it was deleted; try "
                "another server.",
                host=self._host,
                name=self._name,
            )
        part.finish()
        return digest

    def _require_space(self, whole: int) -> None:
        if whole:
            missing = whole - self._part.length + DISK_RESERVE
            require_free(self._part.path.parent, missing, f"Downloading {self._name}")
        elif shutil.disk_usage(self._part.path.parent).free < DISK_RESERVE:
            raise DiskFull(
                "The disk is too full to download {name}; free some space.", name=self._name
            )

    def _on_checked(self, done: int, whole: int) -> None:
        self._raise_if_stopped()
        if self._meter.due():
            self._tell(Progress(done, whole, checking=True))

    def _raise_if_stopped(self) -> None:
        if self._stop.is_set():
            raise Cancelled


class _Meter:
    """When to tell, and how fast it goes."""

    def __init__(self) -> None:
        self._told = 0.0
        self._rate = 0.0
        self._at, self._then = 0, 0.0

    def start(self, done: int) -> None:
        self._at, self._then = done, time.monotonic()

    def due(self) -> bool:
        now = time.monotonic()
        if now - self._told < _TELL_EVERY:
            return False
        self._told = now
        return True

    def rate(self, done: int) -> float:
        """Bytes a second, the last seconds counting most."""
        now = time.monotonic()
        span = now - self._then
        if span > 0:
            newest = (done - self._at) / span
            weight = 1 - math.exp(-span / _MEMORY) if self._rate else 1.0
            self._rate += (newest - self._rate) * weight
            self._at, self._then = done, now
        return self._rate


def _retry_after(value: str) -> float:
    """Seconds to wait, of a header that has seconds or a date; 0 where it has neither."""
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
