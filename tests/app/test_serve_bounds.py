"""The server against clients that are slow, many or foreign: real sockets, a reply by hand."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from plum_desktop.app import connections, serve
from plum_desktop.app.serve import Server, make_app
from plum_desktop.engine.client import ChatResult

CHAT = "/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "Hello?"}]}
_PATIENCE = 20.0  # seconds that a test waits for what it expects


def reply(text: str = "Hello.") -> ChatResult:
    return ChatResult(text, "stop", 3, 2, 3, 0.1, 0.2, 0)


@contextmanager
def serving(
    chat: Callable[..., ChatResult], host: str = "127.0.0.1", api_key: str | None = None
) -> Iterator[int]:
    """The port of a server that answers with `chat`."""
    server = Server(make_app(chat, model="m", host=host, api_key=api_key), host, 0)
    thread = threading.Thread(target=server.run)
    thread.start()  # the socket listens already, so nobody need wait for it
    try:
        yield server.port
    finally:
        server.stop()
        thread.join(_PATIENCE)
        assert not thread.is_alive()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)


def heard(client: socket.socket) -> bytes:
    """Everything until the server closes; a TimeoutError if it does not."""
    said = b""
    try:
        while part := client.recv(65536):
            said += part
    except ConnectionResetError:
        pass
    return said


def posted(body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.3)
    monkeypatch.setattr(serve, "BODY_SECONDS", 0.3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("begun", [b"", b"G", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: "])
def test_headers_that_do_not_come_end_the_connection(begun: bytes) -> None:
    with serving(lambda *_, **__: reply()) as port, connected(port) as client:
        client.sendall(begun)
        assert heard(client) == b""


@pytest.mark.usefixtures("impatient")
def test_a_second_request_on_a_connection_is_awaited_no_longer() -> None:
    with serving(lambda *_, **__: reply()) as port, connected(port) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /he")
        said = heard(client)
        assert said.startswith(b"HTTP/1.1 200")
        assert said.count(b"HTTP/1.1") == 1


@pytest.mark.usefixtures("impatient")
def test_a_body_that_does_not_come_is_refused() -> None:
    with serving(lambda *_, **__: reply()) as port, connected(port) as client:
        client.sendall(posted(ASKED)[:-5])
        said = heard(client)
        assert said.startswith(b"HTTP/1.1 408")
        assert b"did not come" in said


@pytest.mark.usefixtures("impatient")
def test_an_answer_may_take_longer_than_a_question() -> None:
    """What is cut is a slow client, not a slow model."""
    go_on = threading.Event()
    threading.Timer(3 * connections.HEAD_SECONDS, go_on.set).start()

    def chat(*_: Any, **__: Any) -> ChatResult:
        assert go_on.wait(_PATIENCE)
        return reply()

    with serving(chat) as port, connected(port) as client:
        client.sendall(posted(ASKED))
        assert heard(client).startswith(b"HTTP/1.1 200")


@pytest.mark.usefixtures("impatient")
def test_a_client_that_does_not_read_is_cut_and_its_answer_stopped() -> None:
    stopped = threading.Event()

    def chat(*_: Any, on_text: Callable[[str], None], cancellation: Any, **__: Any) -> ChatResult:
        for _ in range(40):
            on_text("word " * 200_000)  # more than any system keeps for a reader
        deadline = threading.Event()
        for _ in range(int(_PATIENCE / 0.05)):
            if cancellation.cancelled:
                stopped.set()
                break
            deadline.wait(0.05)
        return reply()

    with serving(chat) as port, connected(port) as client:
        client.sendall(posted({**ASKED, "stream": True}))
        assert stopped.wait(_PATIENCE), "the answer went on for nobody"


def test_more_connections_than_the_limit_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_LIMIT", 3)
    with serving(lambda *_, **__: reply()) as port:
        idle = [connected(port) for _ in range(3)]
        with connected(port) as client:
            assert heard(client) == b""
        for each in idle:
            each.close()
        for _ in range(200):  # until the server has seen them leave
            with connected(port) as client:
                try:
                    client.sendall(
                        b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                    )
                except (BrokenPipeError, ConnectionResetError):
                    continue
                if heard(client).startswith(b"HTTP/1.1 200"):
                    return
        pytest.fail("no place became free")


def test_a_line_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "QUEUE_LIMIT", 1)
    asked, go_on = threading.Event(), threading.Event()

    def chat(*_: Any, **__: Any) -> ChatResult:
        asked.set()
        assert go_on.wait(_PATIENCE)
        return reply()

    with serving(chat) as port, connected(port) as first:
        first.sendall(posted(ASKED))
        assert asked.wait(_PATIENCE)
        second = httpx.post(f"http://127.0.0.1:{port}{CHAT}", json=ASKED, timeout=_PATIENCE)
        assert (second.status_code, second.json()["error"]["type"]) == (503, "server_error")
        go_on.set()
        assert first.recv(15).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "plum.lan:80"}, 200),
        ({"host": ""}, 403),
        ({"host": "plum.lan", "origin": "http://plum.lan:3000"}, 200),
        ({"host": "plum.lan", "origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"authorization": "Bearer wrong"}, 401),
    ],
)
def test_on_every_address_a_page_may_only_ask_where_it_came_from(
    headers: dict[str, str], status: int
) -> None:
    with serving(lambda *_, **__: reply(), "0.0.0.0", "sesame") as port:
        known = {"authorization": "Bearer sesame", **headers}
        done = httpx.get(f"http://127.0.0.1:{port}/v1/models", headers=known, timeout=_PATIENCE)
        assert done.status_code == status
