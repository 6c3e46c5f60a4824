from __future__ import annotations

import json
import re
import threading
import time

import httpx
import pytest

from plum_desktop.app.serve import Server, is_loopback, make_app
from plum_desktop.base.errors import PlumError
from plum_desktop.engine.client import EngineClient

HELLO = [{"role": "user", "content": "Name three colours."}]
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def engine(starter):
    client = EngineClient()
    client.load(starter, n_ctx=1024, threads=1)
    yield client
    client.close()


def serving(app):
    """`app` on a port of its own; yields an HTTP client, and stops it at the end."""
    server = Server(app, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        for _ in range(100):
            try:
                assert client.get("/health").json() == {"status": "ok"}
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield client
    server.stop()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def client(engine):
    yield from serving(make_app(engine.chat, model="starter"))


@pytest.fixture
def locked(engine):
    yield from serving(make_app(engine.chat, model="starter", api_key="sesame"))


def ask(client, messages=HELLO, **body):
    body = {"messages": messages, "temperature": 0, "max_tokens": 12, **body}
    return client.post(CHAT, json=body)


def test_answer_is_the_engines(client, engine):
    engine.chat(HELLO, max_tokens=12, temperature=0)  # so that both others go on from the cache
    expected = engine.chat(HELLO, max_tokens=12, temperature=0)
    reply = ask(client, model="whatever").json()
    assert reply["object"] == "chat.completion"
    assert reply["choices"][0]["message"] == {"role": "assistant", "content": expected.text}
    assert reply["choices"][0]["finish_reason"] == "length"
    usage = reply["usage"]
    assert usage["prompt_tokens"] == expected.prompt_tokens
    assert usage["total_tokens"] == expected.prompt_tokens + 12
    assert usage["prompt_tokens_details"]["cached_tokens"] == expected.prompt_tokens - 1


def test_stream_says_the_same(client):
    whole = ask(client).json()["choices"][0]["message"]["content"]
    body = {"messages": HELLO, "temperature": 0, "max_tokens": 12, "stream": True}
    body["stream_options"] = {"include_usage": True}
    with client.stream("POST", CHAT, json=body) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in reply.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    *chunks, usage = map(json.loads, lines)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == whole
    assert len(chunks) > 5
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 12


def test_options_reach_the_engine(client, engine):
    whole = ask(client).json()["choices"][0]["message"]["content"]
    word = whole.split()[2]
    cut = ask(client, stop=word).json()["choices"][0]
    assert cut["message"]["content"] == whole[: whole.index(word)]
    assert cut["finish_reason"] == "stop"
    warm = [
        ask(client, temperature=2, seed=seed).json()["choices"][0]["message"]["content"]
        for seed in (1, 1, 2)
    ]
    assert warm[0] == warm[1] != warm[2]
    parts = [{"role": "user", "content": [{"type": "text", "text": HELLO[0]["content"]}]}]
    assert ask(client, parts).json()["choices"][0]["message"]["content"] == whole
    persona = [{"role": "system", "content": "You are a pirate."}, *HELLO]
    assert ask(client, persona).json()["usage"]["prompt_tokens"] == engine.count(persona)
    short = ask(client, max_tokens=None, max_completion_tokens=3).json()
    assert short["usage"]["completion_tokens"] == 3


def test_models(client):
    listed = client.get("/v1/models").json()
    assert [model["id"] for model in listed["data"]] == ["starter"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, r"messages\[0\]"),
        ({"messages": [{"role": "user", "content": 3}]}, r"messages\[0\]"),
        ({"messages": [*HELLO, {"role": "user"}]}, r"messages\[1\]"),
        ({"messages": HELLO, "temperature": "hot"}, "temperature"),
        ({"messages": HELLO, "temperature": 9}, "temperature"),
        ({"messages": HELLO, "max_tokens": 0}, "max_tokens"),
        ({"messages": HELLO, "max_tokens": True}, "max_tokens"),
        ({"messages": HELLO, "n": 2}, "one answer"),
        ({"messages": HELLO, "stop": [1]}, "stop"),
        ([], "object"),
    ],
)
def test_bad_requests_are_explained(client, body, words):
    reply = client.post(CHAT, json=body)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert re.search(words, error["message"])


def test_bad_bodies_are_explained(client):
    assert client.post(CHAT, content=b"{not json").status_code == 400
    assert client.post(CHAT, content=b"[" * 100_000).status_code == 400
    assert client.post(CHAT, content=b" " * 1_000_001).status_code == 413
    assert client.get("/v1/nothing").json()["error"]["message"].startswith("There is no GET")
    assert client.get(CHAT).status_code == 404


def test_engines_refusals_are_errors_of_the_same_form(client):
    messages = [{"role": "system", "content": "word " * 3000}, *HELLO]
    reply = ask(client, messages)
    assert reply.status_code == 400
    assert "persona" in reply.json()["error"]["message"]
    streamed = ask(client, messages, stream=True)
    assert "persona" in json.loads(streamed.text.split("data: ")[2])["error"]["message"]
    assert streamed.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example:80"}, 403),
        ({"host": ""}, 403),
        ({"host": "localhost:1234"}, 200),
        ({"host": "[::1]:1234"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[bad"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
    ],
)
def test_only_this_machines_names_are_served(client, headers, status):
    assert client.get("/v1/models", headers=headers).status_code == status


def test_key_is_asked_for(locked):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic sesame"}):
        reply = locked.get("/v1/models", headers=headers)
        assert reply.status_code == 401
        assert reply.json()["error"]["type"] == "authentication_error"
    right = {"authorization": "Bearer sesame"}
    assert locked.get("/v1/models", headers=right).status_code == 200
    assert locked.get("/health").status_code == 200


def test_other_machines_are_served_only_with_a_key(engine):
    with pytest.raises(PlumError, match="--api-key"):
        Server(make_app(engine.chat, model="m", host="0.0.0.0"), "0.0.0.0", 0)
    assert is_loopback("localhost")
    assert is_loopback("::1")
    assert not is_loopback("example.org")


def test_port_in_use_is_a_sentence(client, engine):
    with pytest.raises(PlumError, match="choose another"):
        Server(make_app(engine.chat, model="m"), "127.0.0.1", client.base_url.port)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_its_answer(client, engine, stream):
    long = [{"role": "user", "content": "word " * 700}]
    began = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        client.post(CHAT, json={"messages": long, "max_tokens": 300, "stream": stream}, timeout=0.3)
    # The next one is answered although the first had most of its work left.
    assert ask(client, max_tokens=2).status_code == 200
    both = time.monotonic() - began
    began = time.monotonic()
    other = [{"role": "user", "content": "other " * 700}]
    assert ask(client, messages=other, max_tokens=2).status_code == 200
    assert both < (time.monotonic() - began) / 2, "the first was read to its end"


def test_requests_are_answered_one_after_the_other(client):
    replies = []
    threads = [
        threading.Thread(target=lambda: replies.append(ask(client, max_tokens=6).status_code))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert replies == [200] * 5
