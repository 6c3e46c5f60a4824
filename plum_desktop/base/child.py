"""The parent's end of the wire: one child process, its calls, and how it ended in words."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from plum_desktop.base import errors, sealing
from plum_desktop.base.errors import Cancelled, PlumError, WorkerCrashed
from plum_desktop.base.wire import PROTOCOL

Event = dict[str, Any]
log = logging.getLogger(__name__)

_ENDINGS = ("finished", "cancelled", "failed")
_STDERR_LINES = 40
# Threads of a native library that wait must not spin: where two pools share the cores (a chat
# beside a learning run), spinning makes both take several times as long, with no bound.
_PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}


class Call:
    """One request under way.  Iterate it for its events, or `wait` for its result."""

    def __init__(self, child: Child, request_id: int, op: str) -> None:
        self._child = child
        self._events: queue.Queue[Event] = queue.Queue()
        self.id = request_id
        self.op = op

    def cancel(self) -> None:
        """Ask the child to stop this request; it ends with Cancelled soon after."""
        self._child.send({"id": self.id, "op": "cancel"})

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Events in order, the one that ends the request last.

        Raises TimeoutError when `timeout` seconds pass in silence.
        """
        while True:
            try:
                event = self._events.get(timeout=timeout)
            except queue.Empty:
                raise TimeoutError(f"{self.op} said nothing for {timeout:g} s") from None
            yield event
            if event["event"] in _ENDINGS:
                return

    def wait(
        self, on_event: Callable[[Event], None] | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """Block until the request ends and return its result.

        Raises Cancelled, the child's own PlumError, or WorkerCrashed.
        """
        for event in self.events(timeout):
            if event["event"] == "finished":
                result: dict[str, Any] = event["result"]
                return result
            if event["event"] == "cancelled":
                raise Cancelled
            if event["event"] == "failed":
                raise _error_of(event)
            if on_event:
                on_event(event)
        raise AssertionError("a request ends with an ending event")

    def deliver(self, event: Event) -> None:
        self._events.put(event)


def _error_of(event: Event) -> PlumError:
    kind = getattr(errors, event.get("type", ""), PlumError)
    if not (isinstance(kind, type) and issubclass(kind, PlumError)):
        kind = PlumError
    template = event["template"] if "template" in event else event["error"]
    return kind(template, **event.get("values", {}))


class Child:
    """A worker process of ours.  Thread-safe; `on_exit` is called on the reader thread."""

    def __init__(
        self,
        command: list[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        low_priority: bool = False,
        on_exit: Callable[[WorkerCrashed], None] | None = None,
    ) -> None:
        """Start `command`.  `name` stands in messages; `low_priority` lowers it for the system."""
        self.name = name
        self._ids = itertools.count(1)
        self._calls: dict[int, Call] = {}
        self._lock = threading.Lock()
        self._stopping = self._resting = False
        self._ended = False  # set, under the lock, when open calls are failed
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._on_exit = on_exit
        flags, group = 0, None
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW
            if low_priority:
                flags |= subprocess.BELOW_NORMAL_PRIORITY_CLASS
        else:
            # Of its own: the system ends a group that is held still where its parent has died.
            group = 0
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**_PATIENT_THREADS, **os.environ, **(env or {})},
                creationflags=flags,
                process_group=group,
            )
        except OSError as error:
            raise PlumError(
                "The {name} could not be started ({strerror}).", name=name, strerror=error.strerror
            ) from error
        if low_priority and sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, 10)
        self._errors = threading.Thread(target=self._drain, name=f"{name} stderr", daemon=True)
        self._reader = threading.Thread(target=self._read, name=f"{name} reader", daemon=True)
        self._errors.start()
        self._reader.start()
        # Over the pipe: others can read a command line and an environment.
        for root, seal in sealing.opened().items():
            self.send({"op": "unseal", "root": str(root), "key": seal.key.hex()})

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def begin(self, op: str, **args: Any) -> Call:
        """Send a request and return at once.  A dead child's call ends with WorkerCrashed."""
        call = Call(self, next(self._ids), op)
        with self._lock:
            self._calls[call.id] = call
        self.send({"id": call.id, "op": op, "args": args})
        if self._ended:
            self._fail_open_calls()
        return call

    def call(
        self,
        op: str,
        *,
        on_event: Callable[[Event], None] | None = None,
        timeout: float | None = None,
        **args: Any,
    ) -> dict[str, Any]:
        """Send a request and wait for its result; raises as `Call.wait` does."""
        return self.begin(op, **args).wait(on_event, timeout)

    def send(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        assert self._process.stdin is not None
        with self._lock, contextlib.suppress(OSError, ValueError):
            # A broken pipe is seen, and said, by the reader thread.
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def rest(self) -> None:
        """Let it compute nothing until `go_on`, at once.

        On Windows, where nothing would end one that is held still when its parent dies, it gets
        what nobody else wants.
        """
        self._hold(True)

    def go_on(self) -> None:
        """End a `rest`; nothing where there is none."""
        if self._resting:
            self._hold(False)

    def _hold(self, still: bool) -> None:
        self._resting = still
        if sys.platform == "win32":
            import psutil

            with contextlib.suppress(psutil.Error):
                psutil.Process(self.pid).nice(
                    psutil.IDLE_PRIORITY_CLASS if still else psutil.BELOW_NORMAL_PRIORITY_CLASS
                )
        else:
            with contextlib.suppress(OSError):
                self._process.send_signal(signal.SIGSTOP if still else signal.SIGCONT)

    def stop(self, grace: float = 3.0) -> None:
        """End the child: close its stdin, wait, terminate, wait, kill."""
        self._stopping = True
        self.go_on()
        self._close_stdin()
        for end in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(grace)
                break
            except subprocess.TimeoutExpired:
                end()
        self._process.wait()
        self._reader.join(grace)

    def _close_stdin(self) -> None:
        assert self._process.stdin is not None
        with self._lock, contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                try:
                    event = json.loads(line)
                    if event["event"] == "hello" and event["protocol"] != PROTOCOL:
                        log.error("%s speaks protocol %s", self.name, event["protocol"])
                        self._process.kill()
                        break
                    with self._lock:
                        ended = event["event"] in _ENDINGS
                        call = (self._calls.pop if ended else self._calls.get)(event["id"], None)
                except (ValueError, KeyError, TypeError):
                    log.error("%s sent a line that is not an event", self.name)
                    continue
                if call:
                    call.deliver(event)
        self._process.wait()
        self._close_stdin()
        self._errors.join(1.0)
        self._fail_open_calls()
        if self._on_exit and not self._stopping:
            self._on_exit(self._crash())

    def _drain(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                self._stderr.append(line.decode("utf-8", "replace").rstrip())

    @property
    def stderr_tail(self) -> str:
        """The last lines that native libraries printed; for a developer's eyes."""
        return "\n".join(self._stderr)

    def _crash(self) -> WorkerCrashed:
        code = self._process.returncode
        if code and code < 0:
            return WorkerCrashed(
                "The {name} was ended by signal {signal} before it answered; please try again.",
                name=self.name,
                signal=-code,
            )
        return WorkerCrashed(
            "The {name} ended with status {code} before it answered; please try again.",
            name=self.name,
            code=code,
        )

    def _fail_open_calls(self) -> None:
        with self._lock:
            self._ended = True
            open_calls, self._calls = list(self._calls.values()), {}
        crash = {"event": "failed", "error": self._crash().sentence, "type": "WorkerCrashed"}
        for call in open_calls:
            call.deliver({"id": call.id, **crash})
