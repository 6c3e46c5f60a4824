"""From the command to a window that can be used, beside an empty PySide6 window; then idling.

The window is the real one, started as a user starts it, on a sample store.  It is usable once
its chats are listed and drawn, which it says in the log.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import psutil

from plum_desktop.app.bench.measure import Bound, Line, Say, alone, in_turns, of_pairs
from plum_desktop.app.bench.sample import Size, sample_folder
from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import DataFolder, program_command, worker_command

USABLE = "the window is usable"  # what ui.application logs
_PATIENCE = 120.0  # seconds
_LOOK = 0.001
_SETTLES = 10.0  # seconds after which nothing is left of the start
_HELP_RUNS = 11
_VOLUNTARY = re.compile(r"^voluntary_ctxt_switches:\s*(\d+)", re.MULTILINE)


def bench(root: Path, size: Size, runs: int, idle_seconds: float, say: Say) -> Iterator[Line]:
    """Starts, idle memory and wake-ups with a sample of `size`; `runs` starts of each.

    Raises PlumError where a window does not come.
    """
    folder = sample_folder(root, size, lambda share: say(f"Making the sample: {share:.0%}"))

    def ours() -> float:
        with window(folder) as (_, seconds):
            return seconds

    def bare() -> float:
        with _bare_window() as (_, seconds):
            return seconds

    say("Starting windows")
    yield in_turns("start to a usable window", "s", ours, bare, runs, wanted_ratio=Bound(at_most=5))
    with window(folder) as (full, _), _bare_window() as (empty, _):
        say(f"Idling for {_SETTLES + idle_seconds:.0f} s")
        time.sleep(_SETTLES)
        before = [_switches(process) for process in (full, empty)]
        time.sleep(idle_seconds)
        woken = [
            (_switches(process) - earlier) / idle_seconds
            for process, earlier in zip((full, empty), before, strict=True)
        ]
        memory = [process.memory_info().rss / 1e6 for process in (full, empty)]
    yield of_pairs("idle memory", "MB", [(memory[0], memory[1])], wanted_ratio=Bound(at_most=2))
    # Both have a caret that blinks, once a second on and once off.
    yield Line("idle wake-ups", "a second", woken[0], woken[1])
    say("Asking for help")
    yield alone(
        "plum-desktop --help", "ms", _help_milliseconds, _HELP_RUNS, wanted=Bound(at_most=150)
    )


@contextlib.contextmanager
def window(folder: DataFolder) -> Iterator[tuple[psutil.Process, float]]:
    """The program's window on `folder`, and how many seconds it took until it was usable."""
    log = folder.logs / "command.log"
    log.unlink(missing_ok=True)

    def usable(_: IO[bytes]) -> bool:
        return log.exists() and USABLE in log.read_text("utf-8", "replace")

    with _started(program_command("--data-dir", str(folder.root)), usable) as found:
        yield found


@contextlib.contextmanager
def _bare_window() -> Iterator[tuple[psutil.Process, float]]:
    with _started(worker_command("bare-window"), lambda out: bool(out.readline())) as found:
        yield found


@contextlib.contextmanager
def _started(
    command: list[str], usable: Callable[[IO[bytes]], bool]
) -> Iterator[tuple[psutil.Process, float]]:
    """A process that opens a window, once that is usable; it is ended at the end."""
    began = time.perf_counter()
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
    )
    try:
        assert child.stdout
        while not usable(child.stdout):
            if child.poll() is not None or time.perf_counter() - began > _PATIENCE:
                raise PlumError("The window did not open; start `plum-desktop` to see why.")
            time.sleep(_LOOK)
        yield psutil.Process(child.pid), time.perf_counter() - began
    finally:
        child.terminate()
        try:
            child.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def _environment() -> dict[str, str]:
    """Ours, as a user has it: with Qt's own screen in memory where there is none."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    there = sys.platform != "linux" or any(map(kept.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    return kept if there else {"QT_QPA_PLATFORM": "offscreen", **kept}


def _switches(process: psutil.Process) -> int:
    """How often the threads of a process gave up the processor, hence woke up again."""
    tasks = Path(f"/proc/{process.pid}/task")
    if not tasks.exists():
        return int(process.num_ctx_switches().voluntary)
    counts = (_VOLUNTARY.search(path.read_text()) for path in tasks.glob("*/status"))
    return sum(int(count[1]) for count in counts if count)


def _help_milliseconds() -> float:
    began = time.perf_counter()
    subprocess.run(
        program_command("--help"), stdout=subprocess.DEVNULL, check=True, env=_environment()
    )
    return (time.perf_counter() - began) * 1000
