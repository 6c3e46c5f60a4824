"""A model hub on this machine: a server in Hugging Face's layout, and the store it redirects to."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def tiny_gguf(size: int, seed: int = 1) -> bytes:
    """A GGUF file of about `size` bytes that says it is a chat model."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    def entry(key: str, value: str) -> bytes:
        return text(key) + struct.pack("<I", 8) + text(value)

    entries = entry("general.architecture", "llama") + entry("tokenizer.ggml.model", "gpt2")
    numbers = size // 4
    tensor = text("token_embd.weight") + struct.pack("<IQIQ", 1, numbers, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + entries + tensor
    head += bytes(-len(head) % 32)
    block = hashlib.sha256(str(seed).encode()).digest()
    body = block * (numbers * 4 // len(block) + 1)
    return head + body[: numbers * 4]


@dataclass
class Asked:
    """One request as it came."""

    place: str  # hub, store
    method: str
    headers: dict[str, str]


@dataclass
class Hub:
    """What it serves, and how badly.  Change anything while it runs."""

    data: bytes
    etag: str = '"store-1"'
    linked: bool = True  # whether it says X-Linked-Size and X-Linked-Etag
    linked_size: int | None = None  # None: the truth
    linked_sha256: str | None = None
    redirects: bool = True  # to the store
    ranges: bool = True
    says_length: bool = True
    extra: bytes = b""  # sent after the data, the length unsaid
    cuts: list[int] = field(default_factory=list)  # bytes after which each next GET is cut
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # for each next HEAD
    pace: float = 0.0  # seconds before each 16 KiB
    silent: bool = False  # sends no byte
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    store_url: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def of(self, place: str, method: str) -> list[Asked]:
        return [each for each in self.asked if (each.place, each.method) == (place, method)]


@contextlib.contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    over = threading.Event()
    servers = []
    for place in ("hub", "store"):
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub, place, over))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
    hub.url, hub.store_url = (f"http://127.0.0.1:{each.server_address[1]}" for each in servers)
    try:
        yield hub
    finally:
        over.set()
        for server in servers:
            server.shutdown()
            server.server_close()


def _handler(hub: Hub, place: str, over: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._note()
            if hub.statuses:
                return self._end(*hub.statuses.pop(0))
            return self._redirect() if hub.redirects else self._whole_head()

        def do_GET(self) -> None:
            self._note()
            if place == "hub" and hub.redirects:
                self._redirect()
            else:
                with contextlib.suppress(ConnectionError):
                    self._send()

        def _note(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            hub.asked.append(Asked(place, self.command, headers))

        def _end(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": "0", **headers}.items():
                self.send_header(key, value)
            self.end_headers()

        def _redirect(self) -> None:
            headers = {"Location": f"{hub.store_url}/signed?key=secret"}
            if hub.linked:
                headers["X-Linked-Size"] = str(hub.linked_size or len(hub.data))
                headers["X-Linked-Etag"] = f'"{hub.linked_sha256 or hub.sha256}"'
            self._end(302, headers)

        def _whole_head(self) -> None:
            headers = {"ETag": hub.etag} if hub.etag else {}
            self._end(200, {**headers, "Content-Length": str(len(hub.data))})

        def _send(self) -> None:
            data, etag, start = hub.data, hub.etag, 0
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if asked and hub.ranges and self.headers.get("If-Range", etag) == etag:
                start = int(asked[1])
            if start >= len(data):
                return self._end(416, {"Content-Range": f"bytes */{len(data)}"})
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            if etag:
                self.send_header("ETag", etag)
            body = data[start:]
            if hub.says_length and not hub.extra:
                self.send_header("Content-Length", str(len(body)))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.flush()
            cut = hub.cuts.pop(0) if hub.cuts else None
            body = (body + hub.extra)[:cut]
            while hub.silent and not over.wait(0.02):
                pass
            for at in range(0, len(body), 1 << 14):
                if hub.pace and not over.is_set():
                    time.sleep(hub.pace)
                self.wfile.write(body[at : at + (1 << 14)])
            if cut is not None:
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            return None

    return Handler
