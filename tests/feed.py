"""A releases feed on this machine, which answers as it is told to."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SITE = "https://github.com/plum-desktop/plum-desktop/releases/tag/"


def release(version: str, **more: Any) -> dict[str, Any]:
    """What the feed says of a version, as far as anybody reads it."""
    return {
        "tag_name": f"v{version}", "html_url": f"{SITE}v{version}", "draft": False,
        "prerelease": False, "body": "## New\r\n\r\n- It sings.\r\n", **more,
    }  # fmt: skip


@dataclass
class Feed:
    """What it says, and how badly.  Change anything while it runs."""

    said: Any = None  # JSON, or bytes as they stand
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    moves: list[str] = field(default_factory=list)  # where each next request is sent on to
    cut: int | None = None  # bytes of the body after which it hangs up
    drip: bool = False  # a byte now and then, without end
    silent: bool = False
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # path, headers
    url: str = ""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has gone, as some tests have them do; else it prints where that was."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def serve(feed: Feed) -> Iterator[Feed]:
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            feed.asked.append(
                (self.path, {key.lower(): value for key, value in self.headers.items()})
            )
            with contextlib.suppress(ConnectionError):
                self._answer()

        def _answer(self) -> None:
            if feed.silent:
                over.wait()
                return
            body = feed.said if isinstance(feed.said, bytes) else json.dumps(feed.said).encode()
            self.send_response(302 if feed.moves else feed.status)
            if feed.moves:
                self.send_header("Location", feed.moves.pop(0))
                self.send_header("Set-Cookie", "who=you")
            for key, value in {"Content-Length": str(len(body)), **feed.headers}.items():
                self.send_header(key, value)
            self.end_headers()
            while feed.drip and not over.wait(0.02):
                self.wfile.write(b" ")
            self.wfile.write(body[: feed.cut])

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    feed.url = f"http://127.0.0.1:{server.server_address[1]}/latest"
    try:
        yield feed
    finally:
        over.set()
        server.shutdown()
        server.server_close()
