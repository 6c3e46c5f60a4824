"""One client's connection to the server, which is cut where the client is too slow.

uvicorn bounds none of this by itself: a client that sends its headers a byte at a time, or reads
nothing of its answer, would hold its place for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_LIMIT = 100  # open at a time, whatever they do
HEAD_SECONDS = 10.0  # for the first line and the headers
STALLED_SECONDS = 30.0  # without reading what is sent


class Connection(H11Protocol):
    """uvicorn's, with an end to its patience."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asking: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_LIMIT:
            transport.abort()
        self._asking = self._later(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            _stop(self._asking)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        _stop(self._asking)
        self._asking = self._later(HEAD_SECONDS)  # for the next request

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self._later(STALLED_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        _stop(self._reading)

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._asking)
        _stop(self._reading)
        super().connection_lost(exc)

    def _later(self, seconds: float) -> asyncio.TimerHandle:
        # Not close(), which would wait for what is still to be sent.
        abort: Callable[[], None] = self.transport.abort
        return self.loop.call_later(seconds, abort)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()
