"""A worker is held still at once, and ends where who holds it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from plum_desktop.app.giving_way import giving_way
from plum_desktop.base.child import Child
from plum_desktop.base.sentence import Sentence

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="is given what is left over there")

BUSY = [sys.executable, "-c", "while True: pass"]  # it would not notice that its parent left
CHATTING, PAUSED = Sentence("a reply is written"), Sentence("paused")
PARENT = f"""
import time
from plum_desktop.base.child import Child
child = Child({BUSY!r}, name="worker")
child.rest()
print(child.pid, flush=True)
time.sleep(600)
"""
SAME_GROUP = """
import subprocess, sys, time
from plum_desktop.base.paths import worker_command
worker = subprocess.Popen(
    worker_command("stage"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
worker.stdout.readline()  # its hello
print(worker.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def worker() -> Iterator[Child]:
    child = Child(BUSY, name="worker")
    yield child
    child.stop(grace=0.1)


def until(met: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def still(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def test_it_is_still_while_there_is_a_reason(worker: Child) -> None:
    why: list[Sentence] = []
    told: list[Sentence | None] = []
    with giving_way(worker, lambda: why[-1] if why else None, told.append):
        why.append(CHATTING)
        until(lambda: still(worker.pid))
        before = psutil.Process(worker.pid).cpu_times().user
        why.append(PAUSED)
        until(lambda: told == [CHATTING, PAUSED])
        assert still(worker.pid)
        assert psutil.Process(worker.pid).cpu_times().user == before
        why.clear()
        until(lambda: told == [CHATTING, PAUSED, None])
        until(lambda: psutil.Process(worker.pid).cpu_times().user > before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_it_goes_on_whatever_goes_wrong(worker: Child) -> None:
    def fails(_: Sentence | None) -> None:
        raise ZeroDivisionError

    with giving_way(worker, lambda: CHATTING, lambda _: None):
        until(lambda: still(worker.pid))
    assert not still(worker.pid)
    with giving_way(worker, lambda: CHATTING, fails):
        time.sleep(0.2)
    assert not still(worker.pid)


def test_one_that_is_held_still_is_ended(worker: Child) -> None:
    worker.rest()
    until(lambda: still(worker.pid))
    worker.stop(grace=0.2)
    assert not worker.alive
    worker.rest()  # as late as that, nothing
    worker.go_on()


def test_it_ends_with_a_parent_that_is_killed_while_it_is_still() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    until(lambda: still(child.pid))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs([child], timeout=30)
    assert not alive


@pytest.mark.skipif(sys.platform != "linux", reason="no other system ends it in that moment")
def test_it_ends_with_a_parent_that_is_killed_before_the_stop_is_complete() -> None:
    """A group that is not orphaned stands for one that was not still yet: nobody wakes either."""
    parent = subprocess.Popen([sys.executable, "-c", SAME_GROUP], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    worker = psutil.Process(int(parent.stdout.readline()))
    worker.suspend()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    try:
        worker.wait(10)
    finally:
        if worker.is_running():
            worker.kill()
