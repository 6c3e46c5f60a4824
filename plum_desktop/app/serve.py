"""An OpenAI-compatible server over the engine: small, for this machine, one answer at a time.

Binds to loopback unless a key is set, and checks the Host and Origin headers, so that no web
page can talk to it through the user's browser.  Bodies, the line and patience are bounded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from plum_desktop.app.connections import Connection
from plum_desktop.base.errors import Busy, Cancelled, PlumError, WorkerCrashed
from plum_desktop.base.types import WireMessage
from plum_desktop.engine.client import Cancellation, ChatResult

BODY_LIMIT = 1_000_000  # bytes
BODY_SECONDS = 30.0  # for all of a body to come
QUEUE_LIMIT = 64  # requests in line
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})
_DISCONNECT_POLL = 0.2  # seconds
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class ChatFunction(Protocol):
    """What answers a conversation: `EngineClient.chat`, or something in front of it."""

    def __call__(
        self,
        messages: Sequence[WireMessage],
        *,
        max_tokens: int,
        temperature: float,
        top_p: float,
        seed: int | None,
        stop: Sequence[str],
        on_text: Callable[[str], None],
        cancellation: Cancellation,
    ) -> ChatResult: ...


class _Refusal(Exception):
    """A request that is answered with an error of OpenAI's form."""

    def __init__(self, status: int, message: str, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind

    def body(self) -> dict[str, Any]:
        return {"error": {"message": str(self), "type": self.kind, "param": None, "code": None}}

    def response(self) -> Response:
        return JSONResponse(self.body(), self.status)


def make_app(
    chat: ChatFunction,
    *,
    model: str,
    host: str = "127.0.0.1",
    api_key: str | None = None,
    max_tokens: int = 512,
    temperature: float = 0.7,
) -> Starlette:
    """The server as an ASGI application; `chat` is called in a thread, one call at a time.

    `max_tokens` and `temperature` stand for what a request leaves out.  `host` is the name or
    address that the server is bound to.
    """
    service = _Service(chat, model, max_tokens, temperature)
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", service.completions, methods=["POST"]),
            Route("/v1/models", service.models),
            Route("/health", _health),
        ],
        exception_handlers={_Refusal: _on_refusal, 404: _on_unknown, 405: _on_unknown},
        lifespan=service.lifespan,
    )
    app.add_middleware(_Guard, host=host, api_key=api_key)
    app.state.api_key = api_key
    return app


class Server:
    """`app` on a bound socket.  `run` blocks; `stop` ends it from another thread."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        """Bind to `host` and `port` (0: any free one, then in `self.port`).

        Raises PlumError for a port in use, and for another host than this machine's own
        without a key.
        """
        if not is_loopback(host) and not app.state.api_key:
            raise PlumError(
                "Serving on {host} lets other machines ask what you said; give --api-key too, "
                "or stay on 127.0.0.1.",
                host=host,
            )
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise PlumError(
                "Port {port} of {host} cannot be used ({strerror}); choose another with --port.",
                port=port,
                host=host,
                strerror=error.strerror,
            ) from error
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                access_log=False,
                log_level="warning",
                log_config=None,
                server_header=False,
                http=Connection,
                ws="none",
                timeout_graceful_shutdown=2,
            )
        )

    def run(self) -> None:
        with self._socket:
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        self._server.should_exit = True


def run(app: Starlette, host: str, port: int) -> None:
    """Serve `app` until interrupted.  Raises PlumError as `Server` does."""
    Server(app, host, port).run()


def is_loopback(host: str) -> bool:
    """Whether `host` is a name or address of this machine that no other can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Guard:
    """Lets a request in only with a Host and Origin of this server, and its key."""

    def __init__(self, app: ASGIApp, host: str, api_key: str | None) -> None:
        self._app = app
        self._names = None if host in _ANY_ADDRESS else _LOOPBACK_NAMES | {host.lower()}
        self._key = api_key.encode() if api_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(Request(scope)) if scope["type"] == "http" else None
        app = refusal.response() if refusal else self._app
        await app(scope, receive, send)

    def _refusal(self, request: Request) -> _Refusal | None:
        headers = request.headers
        host = _name_in("//" + headers.get("host", ""))
        if not host or (self._names is not None and host not in self._names):
            return _Refusal(403, "This Host is not served here.")
        if "origin" in headers and not self._may_ask(_name_in(headers["origin"]), host):
            return _Refusal(403, "This Origin is not served here.")
        if self._key and request.url.path != "/health":
            scheme, _, given = headers.get("authorization", "").partition(" ")
            right = secrets.compare_digest(given.strip().encode(), self._key)
            if scheme.lower() != "bearer" or not right:
                return _Refusal(401, "The API key is missing or wrong.", "authentication_error")
        return None

    def _may_ask(self, origin: str | None, host: str) -> bool:
        """Whether a page from `origin` may."""
        # Bound to every address any name may be ours: then a page asks by the one it came from.
        return origin == host if self._names is None else origin in self._names


def _name_in(address: str) -> str | None:
    """The host's name in an address, in lower case; None where there is none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Ask:
    """A chat request that has been checked."""

    messages: list[WireMessage]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    stop: list[str]
    stream: bool
    include_usage: bool


class _Service:
    """The endpoints, and the one thread behind them that the requests line up for."""

    def __init__(self, chat: ChatFunction, model: str, max_tokens: int, temperature: float) -> None:
        self._chat = chat
        self._model = model
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._started = int(time.time())
        self._thread = ThreadPoolExecutor(1, "serve")
        self._open: set[Cancellation] = set()

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        for cancellation in self._open:
            cancellation.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def models(self, _: Request) -> Response:
        model = {
            "id": self._model,
            "object": "model",
            "created": self._started,
            "owned_by": "plum-desktop",
        }
        return JSONResponse({"object": "list", "data": [model]})

    async def completions(self, request: Request) -> Response:
        ask = self._parse(await _body(request))
        if len(self._open) >= QUEUE_LIMIT:
            raise _Refusal(503, "Too many requests are waiting; try again later.", "server_error")
        head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": self._model,
        }
        if ask.stream:
            return StreamingResponse(
                self._stream(ask, request, head), media_type="text/event-stream"
            )
        async for event in self._events(ask, request):
            if isinstance(event, ChatResult):
                return JSONResponse(_completion(event, head))
        return Response(status_code=499)  # the client has left; nobody reads this

    async def _stream(
        self, ask: _Ask, request: Request, head: dict[str, Any]
    ) -> AsyncIterator[str]:
        def chunk(delta: dict[str, str], reason: str | None = None, **more: Any) -> str:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
            return _line({**head, "object": "chat.completion.chunk", "choices": [choice], **more})

        yield chunk({"role": "assistant", "content": ""})
        try:
            async for event in self._events(ask, request):
                if isinstance(event, str):
                    yield chunk({"content": event})
                    continue
                yield chunk({}, event.finish_reason)
                if ask.include_usage:
                    usage = _usage(event)
                    end = {"object": "chat.completion.chunk", "choices": [], "usage": usage}
                    yield _line({**head, **end})
        except _Refusal as refusal:
            yield _line(refusal.body())
        yield "data: [DONE]\n\n"

    async def _events(self, ask: _Ask, request: Request) -> AsyncIterator[str | ChatResult]:
        """Pieces of the reply, then its result; ends without one when the client has left."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[str | ChatResult | Exception] = asyncio.Queue()
        cancellation = Cancellation()

        def tell(event: str | ChatResult | Exception) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        def work() -> None:
            try:
                result = self._chat(
                    ask.messages,
                    max_tokens=ask.max_tokens,
                    temperature=ask.temperature,
                    top_p=ask.top_p,
                    seed=ask.seed,
                    stop=ask.stop,
                    on_text=tell,
                    cancellation=cancellation,
                )
                tell(result)
            except Exception as error:  # noqa: BLE001  raised where it is heard
                tell(error)

        self._open.add(cancellation)
        try:
            self._thread.submit(work)
            while True:
                try:
                    event = await asyncio.wait_for(events.get(), _DISCONNECT_POLL)
                except TimeoutError:
                    if await request.is_disconnected():
                        return
                    continue
                if isinstance(event, Exception):
                    raise _refusal_of(event)
                yield event
                if isinstance(event, ChatResult):
                    return
        finally:
            self._open.discard(cancellation)
            cancellation.cancel()

    def _parse(self, body: Any) -> _Ask:
        if not isinstance(body, dict):
            raise _Refusal(400, "The body is not a JSON object.")
        if body.get("n") not in (None, 1):
            raise _Refusal(400, "n: only one answer a request.")
        stop = body.get("stop")
        words = [stop] if isinstance(stop, str) else stop or []
        if not isinstance(words, list) or not all(isinstance(w, str) and w for w in words):
            raise _Refusal(400, "stop: a text or a list of texts.")
        limit = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
        options = body.get("stream_options")
        return _Ask(
            messages=_messages(body.get("messages")),
            max_tokens=int(_number(body, limit, self._max_tokens, 1, 1 << 20, whole=True)),
            temperature=_number(body, "temperature", self._temperature, 0, 2),
            top_p=_number(body, "top_p", 0.95, 0, 1),
            seed=int(_number(body, "seed", -1, -(1 << 63), 1 << 63, whole=True))
            if body.get("seed") is not None
            else None,
            stop=words,
            stream=body.get("stream") is True,
            include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        )


def _number(
    body: dict[str, Any], key: str, default: float, low: float, high: float, whole: bool = False
) -> float:
    value = body.get(key)
    if value is None:
        return default
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise _Refusal(400, f"{key}: a {'whole ' if whole else ''}number from {low} to {high}.")
    return value


def _messages(value: Any) -> list[WireMessage]:
    if not isinstance(value, list) or not value:
        raise _Refusal(400, "messages: a list with at least one message.")
    messages: list[WireMessage] = []
    for number, item in enumerate(value):
        role = _ROLES.get(str(item.get("role"))) if isinstance(item, dict) else None
        text = _text(item.get("content")) if isinstance(item, dict) else None
        if role is None or text is None:
            raise _Refusal(
                400,
                f"messages[{number}]: an object with a role (system, user or assistant) and a "
                "text as content.",
            )
        messages.append({"role": role, "content": text})  # type: ignore[typeddict-item]
    return messages


def _text(content: Any) -> str | None:
    """The text of a message's content, which may come in parts; None where it is not text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return None
    texts = [part.get("text") for part in content if part.get("type") == "text"]
    if len(texts) < len(content) or not all(isinstance(text, str) for text in texts):
        return None
    return "".join(texts)


async def _body(request: Request) -> Any:
    """The request's JSON.  Raises _Refusal where it is too large or is none."""
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                data += part
                if len(data) > BODY_LIMIT:
                    raise _Refusal(413, f"The request is larger than {BODY_LIMIT} bytes.")
    except TimeoutError:
        raise _Refusal(408, f"The request did not come within {BODY_SECONDS:g} s.") from None
    except ClientDisconnect:
        raise _Refusal(400, "The request broke off.") from None  # nobody reads this
    try:
        return json.loads(bytes(data))
    except (ValueError, RecursionError):
        raise _Refusal(400, "The body is not valid JSON.") from None


def _refusal_of(error: Exception) -> _Refusal:
    if isinstance(error, (Cancelled, WorkerCrashed, Busy)):
        return _Refusal(503, str(error) or "The answer was stopped.", "server_error")
    if isinstance(error, PlumError):
        return _Refusal(400, str(error))
    raise error


def _usage(result: ChatResult) -> dict[str, Any]:
    return {
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
        "total_tokens": result.prompt_tokens + result.completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": result.prompt_tokens - result.evaluated_tokens,
        },
    }


def _completion(result: ChatResult, head: dict[str, Any]) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": result.text},
        "logprobs": None,
        "finish_reason": result.finish_reason,
    }
    return {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(result)}


def _line(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _on_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, _Refusal)
    return error.response()


async def _on_unknown(request: Request, _: Exception) -> Response:
    return _Refusal(404, f"There is no {request.method} {request.url.path} here.").response()
