"""The worker's end of the wire: JSON, one object a line, requests in, events out.

A request is `{"id": 1, "op": "name", "args": {…}}`; `{"id": 1, "op": "cancel"}` asks to stop
it; `{"op": "unseal", "root": "…", "key": "…"}` is the key of a sealed data folder, for whatever
comes behind it.  Events are `{"id": 1, "event": "…", …}`; exactly one of `finished`, `cancelled`
and `failed` ends a request.  The first line a worker prints is `hello`, with the protocol number.
Requests run one after the other on the main thread; a reader thread takes in cancellations
while they run, and leaves the process at once when stdin ends, since then the parent is dead.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from plum_desktop.base import sealing
from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.base.sentence import Sentence

PROTOCOL = 1

log = logging.getLogger(__name__)


class Request:
    """One request as its handler sees it.  `args` is whatever the parent sent."""

    def __init__(self, request_id: int, op: str, args: dict[str, Any], out: _Output) -> None:
        self.id = request_id
        self.op = op
        self.args = args
        self.cancelled = threading.Event()
        self._out = out

    def emit(self, event: str, **fields: Any) -> None:
        """Send an event that does not end the request."""
        self._out.send({"id": self.id, "event": event, **fields})

    def progress(self, fraction: float, text: str = "", **fields: Any) -> None:
        """Say how far the work is: `fraction` in 0..1, `text` for people."""
        self.emit("progress", fraction=round(fraction, 4), text=text, **fields)

    def check(self) -> None:
        """Raise Cancelled if the parent has asked for it.  Call it often."""
        if self.cancelled.is_set():
            raise Cancelled


Handler = Callable[[Request], Mapping[str, Any] | None]


class _Output:
    """stdout, kept for the protocol alone; whole lines, from any thread."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


def claim_stdout() -> IO[bytes]:
    """Keep stdout for the protocol and send every other print, native ones too, to stderr.

    Call it before any native library is imported.
    """
    kept = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return kept


def serve(worker: str, handlers: Mapping[str, Handler], stdout: IO[bytes]) -> None:
    """Answer requests until stdin ends.  `stdout` comes from `claim_stdout`."""
    out = _Output(stdout)
    pending: queue.Queue[Request] = queue.Queue()
    live: dict[int, Request] = {}

    def read() -> None:
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if message["op"] == "unseal":
                sealing.open_folder(
                    Path(message["root"]), sealing.Seal(bytes.fromhex(message["key"]))
                )
                continue
            if message["op"] == "cancel":
                if request := live.get(message["id"]):
                    request.cancelled.set()
                continue
            request = Request(message["id"], message["op"], message.get("args", {}), out)
            live[request.id] = request
            pending.put(request)
        os._exit(0)  # the parent is gone: whatever the main thread computes is for nobody

    hello = {"event": "hello", "protocol": PROTOCOL, "worker": worker, "pid": os.getpid()}
    out.send({"id": 0, **hello})
    threading.Thread(target=read, name="wire", daemon=True).start()
    while True:
        request = pending.get()
        out.send(_answer(request, handlers))
        live.pop(request.id, None)


def _answer(request: Request, handlers: Mapping[str, Handler]) -> dict[str, Any]:
    """Run one request and return the event that ends it."""
    try:
        request.check()
        handler = handlers.get(request.op)
        if handler is None:
            raise PlumError("This worker does not know the request {op!r}.", op=request.op)
        result = handler(request)
        return {"id": request.id, "event": "finished", "result": dict(result or {})}
    except Cancelled:
        return {"id": request.id, "event": "cancelled"}
    except PlumError as error:
        return _failed(request, error.sentence, type(error).__name__)
    except MemoryError:
        return _failed(
            request,
            Sentence("There is not enough memory for this; close other programs and try again."),
            "PlumError",
        )
    except Exception as error:
        log.exception("request %s failed", request.op)
        words = Sentence(
            "Something went wrong inside Plum ({kind} in {op}); the log has the details.",
            kind=type(error).__name__,
            op=request.op,
        )
        return _failed(request, words, "Bug")


def _failed(request: Request, sentence: Sentence, kind: str) -> dict[str, Any]:
    event = {"id": request.id, "event": "failed", "error": sentence, "type": kind}
    if sentence.values:  # what it was made of, for whoever says it in another language
        plain = {
            name: value if isinstance(value, (int, float)) else str(value)
            for name, value in sentence.values.items()
        }
        event |= {"template": sentence.template, "values": plain}
    return event
