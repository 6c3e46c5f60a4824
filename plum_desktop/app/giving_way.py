"""Who computes for long gives way: a worker is held still while there is a reason to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from plum_desktop.base.child import Child
from plum_desktop.base.sentence import Sentence

_LOOK = 0.05  # seconds: a chat that begins waits for no more than this


@contextlib.contextmanager
def giving_way(
    child: Child,
    reason: Callable[[], Sentence | None],
    on_change: Callable[[Sentence | None], None],
) -> Iterator[None]:
    """Hold `child` still while `reason` gives one; `on_change` is told of each, None at its end.

    Both are called on a thread of its own.  The worker need not know: a step of training, which
    nothing could interrupt on a GPU, takes seconds.
    """
    over = threading.Event()

    def watch() -> None:
        before = None
        try:
            while not over.wait(_LOOK):
                now = reason()
                if now == before:
                    continue
                if now is None:
                    child.go_on()
                elif before is None:
                    child.rest()
                on_change(now)
                before = now
        finally:
            child.go_on()

    watching = threading.Thread(target=watch, name=f"{child.name} rests", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
