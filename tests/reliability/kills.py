"""Kills a scripted life at random moments, and looks at what is left each time.

What was seen is remembered over all lives on the folder, so that a message is still looked for
hundreds of kills later.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from plum_desktop.app.doctor import examine
from plum_desktop.app.product import Plum
from plum_desktop.base.paths import open_data_folder
from plum_desktop.store import opening
from tests.reliability import life

# The window while it lives or while it opens and migrates, a child, or nobody: all only sleep.
Victim = Literal["window", "opening", "engine", "stage", "nobody"]
VICTIMS: dict[Victim, float] = {
    "window": 0.4, "opening": 0.15, "engine": 0.2, "stage": 0.2, "nobody": 0.05,
}  # fmt: skip
_ROOT = Path(__file__).parents[2]
_PATIENCE = 180.0  # seconds for what must come at all; a busy machine is slow
_LEAVING = 60.0  # seconds in which children of a killed parent must have gone
# A reply is saved twice a second: what was seen before that is there.
_MOST_LOST = 2.0  # seconds of a growing reply, with a machine's hiccups


@dataclass
class Seen:
    """What the person saw, by chat; and what was under way when the process ended."""

    questions: dict[str, set[str]] = field(default_factory=dict)
    replies: dict[str, dict[str, str]] = field(default_factory=dict)  # ended ones, as shown
    growing: dict[str, tuple[str, list[tuple[float, str]]]] = field(default_factory=dict)
    brought: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    run: str | None = None  # that runs
    doing: dict[str, Any] = field(default_factory=dict)
    lost: float = 0.0  # the most of a growing reply that a kill took, seconds

    def hear(self, said: dict[str, Any]) -> None:
        what = said["what"]
        if what.endswith("ing"):
            self.doing = said
        match what:
            case "asked":
                self.questions.setdefault(said["chat"], set()).add(said["text"])
            case "grew":
                chat, grown = self.growing.setdefault(said["id"], (said["chat"], []))
                grown.append((said["at"], said["text"]))
            case "done":
                self.growing.pop(said["id"], None)
                self.replies.setdefault(said["chat"], {})[said["id"]] = said["text"]
                self.doing = {}
            case "refused":
                # A reply that failed is kept with all that was seen of it.
                for message, (chat, grown) in self.growing.items():
                    self.replies.setdefault(chat, {})[message] = grown[-1][1]
                self.growing.clear()
                self.doing = {}
            case "imported":
                self.brought.update(said["ids"])
                for chat, text in zip(said["ids"], said["texts"], strict=True):
                    self.questions.setdefault(chat, set()).add(text)
                self.doing = {}
            case "deleted":
                self.forget(said["chat"])
                self.deleted.add(said["chat"])
                self.doing = {}
            case "dropped":
                self.dropped.add(said["adapter"])
            case "started" | "resumed":
                self.run = said["run"]
            case "ended" if said["state"] != "failed":
                self.run = None

    def forget(self, chat: str) -> None:
        self.questions.pop(chat, None)
        self.replies.pop(chat, None)
        self.brought.discard(chat)


class Process:
    """A life under way."""

    def __init__(self, root: Path, seed: int, steps: int, seen: Seen) -> None:
        self.seen = seen
        self.happened: Counter[str] = Counter()
        self.sentences: Counter[str] = Counter()
        self.stage = ""
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        command = [sys.executable, "-m", "tests.reliability.life", str(root), str(seed), str(steps)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=_ROOT, env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )  # fmt: skip
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.endswith(b"\n"):  # else the kill came while it was said
                self._said.put(json.loads(line))
        self._said.put(None)

    def hear(self, timeout: float) -> bool:
        """Take in the next thing said; False where nothing is, or the process has ended."""
        try:
            said = self._said.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return False
        if said is None:
            self._said.put(None)
            return False
        what = said["what"]
        assert what != "defect", said["text"]
        self.happened[what] += 1
        if what == "stage":
            self.stage = said["stage"]
        elif what in ("refused", "ended"):
            self.sentences[said["text"]] += 1
        self.seen.hear(said)
        return True

    def hear_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self.hear(left) and not self.alive:
                return

    def await_(self, *whats: str) -> None:
        """Until one of these is said once more."""
        before = sum(self.happened[what] for what in whats)
        end = time.monotonic() + _PATIENCE
        while sum(self.happened[what] for what in whats) == before:
            heard = self.hear(end - time.monotonic())
            assert heard, f"no {whats} within {_PATIENCE:g} s; {self._words()}"

    def _words(self) -> str:
        if self.alive:
            return f"it lives and last said {dict(self.happened)}"
        return f"it ended with {self._process.returncode}: {self._error()}"

    def _error(self) -> str:
        assert self._process.stderr
        return self._process.stderr.read().decode()[-2000:]

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def children(self, kind: str) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.pid).children():
            try:
                if child.cmdline()[-2:] == ["_worker", kind]:
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def kill(self) -> None:
        """Kill it, and see its children leave."""
        children = psutil.Process(self.pid).children(recursive=True)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        _, alive = psutil.wait_procs(children, timeout=_LEAVING)
        assert not alive, f"children outlived their parent: {[c.cmdline() for c in alive]}"
        self._drain()

    def sleep(self, seconds: float) -> None:
        """Stop everything where it is for a while, as a lid that is closed does."""
        everything = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        for each in everything:
            each.suspend()
        time.sleep(seconds)
        for each in reversed(everything):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.resume()

    def quit(self) -> None:
        """Have it end what it learns, and close."""
        assert self._process.stdin
        self._process.stdin.write(b"quit\n")
        self._process.stdin.flush()
        while not self.happened["closed"]:
            assert self.hear(_PATIENCE), f"it does not close; {self._words()}"
        assert self._process.wait(_PATIENCE) == 0, self._error()
        self._drain()

    def _drain(self) -> None:
        self._reader.join(_PATIENCE)
        while self.hear(0.0):
            pass
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream
            stream.close()


class Kills:
    """A data folder, the lives on it, and what was found."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.rng = random.Random(seed)
        self.seen = Seen()
        self.counts: Counter[str] = Counter()
        self.stages: Counter[str] = Counter()
        self.resumed = 0
        self._steps = 0
        self._life: Process | None = None

    def one(self, victim: Victim, most_seconds: float) -> None:
        """Let it live for a random while, kill `victim`, and look at what is left."""
        if victim == "opening":
            self._end_life()
            self._steps += 1
            opening.STEPS = life.with_steps(self._steps)  # for those who look here
            started = self._start()
            started.await_("opening")
            started.hear_for(self.rng.uniform(0, 0.3))
            self._kill_window(started, victim)
            return
        alive = self._living()
        alive.hear_for(self.rng.uniform(0, most_seconds))
        if victim == "window":
            self._kill_window(alive, victim)
            return
        if victim == "nobody":
            alive.sleep(self.rng.uniform(0, most_seconds))
            self.counts[victim] += 1
            alive.await_("done", "stopped")
            return
        end = time.monotonic() + _PATIENCE / 6
        while not (children := alive.children(victim)) and time.monotonic() < end:
            alive.hear(0.05)
        if not children:  # nothing to learn just now
            self._kill_window(alive, "window")
            return
        stage = alive.stage
        self.rng.choice(children).kill()
        self.counts[victim] += 1
        self.stages[stage] += victim == "stage"
        alive.await_("done", "stopped")
        if victim == "stage" and self.seen.run:
            alive.await_("ended", "resumed", "stage")
        self._doctor()

    def finish(self) -> None:
        """The last life ends what it learns and closes; then everything is looked at again."""
        alive = self._living()
        alive.await_("done")
        alive.quit()
        assert self.seen.run is None, "the job did not come to its end"
        self._life = None
        self._look()
        logs = b"".join(path.read_bytes() for path in (self.root / "logs").iterdir())
        assert logs, "nothing was logged"
        assert life.PLANTED.encode() not in logs

    def _start(self) -> Process:
        self._life = Process(self.root, self.rng.getrandbits(32), self._steps, self.seen)
        return self._life

    def _living(self) -> Process:
        """The life under way, or a new one, which goes on with the job of the one before."""
        if self._life:
            return self._life
        waiting = self.seen.run
        alive = self._start()
        alive.await_("open")
        if waiting:
            if not alive.happened["resumed"] and self.seen.run:
                alive.await_("resumed")
            self.resumed += 1
        return alive

    def _end_life(self) -> None:
        if self._life:
            self._kill_window(self._life, "window")

    def _kill_window(self, alive: Process, victim: Victim) -> None:
        stage = alive.stage if self.seen.run else ""
        alive.kill()
        self._life = None
        self.counts[victim] += 1
        self.stages[stage] += bool(stage)
        self._doctor()
        self._look()

    def _doctor(self) -> None:
        found = examine(self.root, ("Data folder", "Chats"))
        bad = [each.what for each in found if each.state == "fail"]
        assert bad == []

    def _look(self) -> None:
        """With nobody on the folder: the database, every message seen, what serves."""
        with closing(sqlite3.connect(self.root / "plum.db")) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
            for index in ("messages_fts", "attachments_fts"):
                raw.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")
        plum = Plum(open_data_folder(self.root))
        try:
            self._look_at_chats(plum)
            active = plum.adapters.active()
            assert plum.serving.served().model.is_file()
            assert active is None or active.state == "ready"
            known = {each.id for each in plum.adapters.list()}
            run = plum.learning.interrupted()
            if self.seen.run and run is None:  # it ended, and the kill came before it was said
                assert plum.store.runs.get(self.seen.run).state in ("done", "refused")
                self.seen.run = None
            waiting = {run.id} if run else set()
            for path in plum.folder.jobs.iterdir():
                # A start that was killed before its run was stored has no word of a chat yet.
                bare = {each.name for each in path.iterdir()} <= {"job.json"}
                assert path.name in waiting or bare, "a job folder keeps the words of chats"
            assert {path.name for path in plum.folder.adapters.iterdir()} <= known | waiting
            assert not known & self.seen.dropped
        finally:
            plum.close()

    def _look_at_chats(self, plum: Plum) -> None:
        seen = self.seen
        there = {chat.id for chat in plum.store.chats.list(archived=None)}
        doing = seen.doing
        if doing.get("what") == "deleting" and doing["chat"] not in there:
            seen.forget(doing["chat"])
        if doing.get("what") == "importing":
            brought = there & set(doing["ids"])
            assert len(brought) in (0, len(doing["ids"])), "half an import is there"
        seen.doing = {}
        assert not there & seen.deleted, "a deleted chat is back"
        assert seen.brought <= there
        for chat, questions in seen.questions.items():
            said = {each.text for each in plum.store.chats.tree(chat) if each.role == "user"}
            assert questions <= said, f"lost: {questions - said}"
        for chat, replies in seen.replies.items():
            stored = {each.id: each.text for each in plum.store.chats.tree(chat)}
            for message, text in replies.items():
                assert stored[message] == text
        for message, (chat, grown) in seen.growing.items():
            if chat not in there:
                continue
            text = plum.store.chats.message(message).text
            last = grown[-1]
            assert last[1].startswith(text) or text.startswith(last[1])
            missing = [at for at, shown in grown if not text.startswith(shown)]
            if missing:
                seen.lost = max(seen.lost, last[0] - missing[0])
            seen.replies.setdefault(chat, {})[message] = text
        seen.growing.clear()
        assert seen.lost < _MOST_LOST, "more of a growing reply is gone than it may"


def draw(rng: random.Random, points: int) -> list[Victim]:
    return rng.choices(list(VICTIMS), list(VICTIMS.values()), k=points)
