"""A scripted life of one process on a data folder, to be killed at any moment.

`python -m tests.reliability.life FOLDER SEED STEPS` talks, edits, imports, deletes, switches and
learns until its stdin says `quit`.  What a person would have seen, and what was about to be done,
it says on stdout, a JSON object a line.  STEPS more migrations are made at its start.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from plum_desktop.app.exchange import import_file
from plum_desktop.app.job import Job, Outcome, Progress
from plum_desktop.app.product import Plum
from plum_desktop.base import log
from plum_desktop.base.errors import Busy, Cancelled, PlumError
from plum_desktop.base.files import FileLock
from plum_desktop.base.paths import open_data_folder
from plum_desktop.base.privacy import keep_to_owner
from plum_desktop.store import opening, schema
from tests.reliability import tiny

PLANTED = "Quixabelle"  # somebody whom every chat is about
_NAMES = ("Ines", "Otto", "Mira", "Jonas", "Thea", "Emil", "Runa", "Lars")
_CITIES = ("Bergen", "Porto", "Gdansk", "Cadiz", "Turku", "Trieste", "Ghent", "Split")
_THINGS = ("parrots", "bicycles", "clocks", "violins", "kites", "telescopes", "lemon trees")
_MOST_CHATS, _MOST_ADAPTERS = 8, 4

_said = threading.Lock()


def tell(what: str, **more: Any) -> None:
    line = json.dumps({"what": what, "at": time.monotonic(), **more}) + "\n"
    with _said:
        os.write(1, line.encode())


def with_steps(count: int) -> tuple[schema.Step, ...]:
    """The migrations of a version with so many more, each of which copies every message."""
    return (*schema.STEPS, *map(_copying, range(count)))


def _copying(number: int) -> schema.Step:
    def step(db: Database) -> None:
        if number:
            db.execute(f"DROP TABLE copied_{number - 1}")
        db.execute(f"CREATE TABLE copied_{number} AS SELECT * FROM messages")

    step.__name__ = f"m9{number:03}_copied"
    return step


class Life:
    def __init__(self, plum: Plum, seed: int) -> None:
        self.plum = plum
        self.rng = random.Random(seed)
        self.stop = threading.Event()
        self._count = 0
        self._learned = threading.Thread(target=self._learn, name="learner", daemon=True)

    def run(self) -> None:
        self.plum.store.chats.close_interrupted()
        tell("open")
        threading.Thread(target=self._listen, daemon=True).start()
        self._learned.start()
        acts = (
            (self.say, 6), (self.again, 1), (self.edit, 1), (self.stop_early, 1),
            (self.bring_in, 1), (self.delete, 2), (self.switch, 1), (self.drop, 1),
        )  # fmt: skip
        kinds, weights = zip(*acts, strict=True)
        while not self.stop.is_set():
            (act,) = self.rng.choices(kinds, weights)
            try:
                act()
            except Cancelled:
                tell("stopped")
            except PlumError as error:
                tell("refused", act=act.__name__, text=str(error))
            # Learning gives way to whoever is answered, so somebody who never stops never learns.
            self.stop.wait(self.rng.uniform(0, 1))
        self._learned.join()
        self.plum.close()
        tell("closed")

    def _listen(self) -> None:
        if sys.stdin.readline() != "quit\n":
            os._exit(3)  # whoever watches has gone
        self.stop.set()

    # Talking

    def _sentence(self) -> str:
        pick = self.rng.choice
        return (
            f"{PLANTED}'s friend {pick(_NAMES)} moved to {pick(_CITIES)} and keeps "
            f"{self.rng.randint(2, 90)} {pick(_THINGS)}. What could I bring?"
        )

    def _chats(self) -> list[str]:
        return [chat.id for chat in self.plum.store.chats.list()]

    def _writing(self, chat_id: str, text: str | None) -> Callable[[str, str], None]:
        """What the window shows: the question once it is answered, and every growth."""

        def grow(message_id: str, said: str) -> None:
            nonlocal text
            if text is not None:
                tell("asked", chat=chat_id, text=text)
                text = None
            tell("grew", chat=chat_id, id=message_id, text=said)

        return grow

    def _answered(self, reply: Any) -> None:
        tell("done", chat=reply.chat_id, id=reply.id, text=reply.text, how=reply.finish_reason)

    def say(self, chat_id: str | None = None) -> None:
        known = self._chats()
        if chat_id is None:
            new = not known or (len(known) < _MOST_CHATS and self.rng.random() < 0.5)
            chat_id = self.plum.store.chats.create().id if new else self.rng.choice(known)
        text = self._sentence()
        tell("saying", chat=chat_id)
        self._answered(self.plum.chats.send(chat_id, text, self._writing(chat_id, text)))

    def _last(self, role: str) -> Any:
        for chat_id in self._chats():
            for message in reversed(self.plum.store.chats.branch(chat_id)):
                if message.role == role and (role == "user" or message.parent_id):
                    return message
        raise PlumError("Nothing was said yet.")

    def again(self) -> None:
        old = self._last("assistant")
        tell("saying", chat=old.chat_id)
        self._answered(self.plum.chats.regenerate(old.id, self._writing(old.chat_id, None)))

    def edit(self) -> None:
        old, text = self._last("user"), self._sentence()
        tell("saying", chat=old.chat_id)
        self._answered(self.plum.chats.edit(old.id, text, self._writing(old.chat_id, text)))

    def stop_early(self) -> None:
        timer = threading.Timer(self.rng.uniform(0, 0.6), self.plum.chats.stop)
        timer.start()
        try:
            self.say()
        finally:
            timer.cancel()

    def bring_in(self) -> None:
        if len(self._chats()) >= _MOST_CHATS:
            return
        ids = [f"brought-{self.rng.getrandbits(60):x}" for _ in range(2)]
        rows = [
            {"id": each, "messages": [{"role": "user", "content": self._sentence()},
                                      {"role": "assistant", "content": "A book."}]}
            for each in ids
        ]  # fmt: skip
        path = self.plum.folder.root.parent / "bring.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        tell("importing", ids=ids)
        import_file(self.plum.store, path)
        tell("imported", ids=ids, texts=[row["messages"][0]["content"] for row in rows])

    def delete(self) -> None:
        known = self._chats()
        if len(known) > _MOST_CHATS // 2:
            tell("deleting", chat=known[-1])
            self.plum.store.chats.delete(known[-1])
            tell("deleted", chat=known[-1])

    # What was learned

    def switch(self) -> None:
        adapters = self.plum.adapters
        ready = [each.id for each in adapters.list() if each.state in ("ready", "undone")]
        how = self.rng.choice(["rollback", "off", "on"])
        tell("switching", how=how)
        if how == "rollback":
            adapters.rollback()
        elif how == "off":
            adapters.deactivate()
        elif ready:
            adapters.activate(self.rng.choice(ready))
        tell("switched")

    def drop(self) -> None:
        kept = [each for each in self.plum.adapters.list() if not each.active]
        if len(kept) >= _MOST_ADAPTERS:
            tell("dropping", adapter=kept[-1].id)
            self.plum.adapters.delete(kept[-1].id)
            tell("dropped", adapter=kept[-1].id)

    def _learn(self) -> None:
        """Learn whatever there is; at the end, what was begun, and at least once."""
        ended = 0
        while not self.stop.is_set() or not ended:
            try:
                job = self._job()
            except Busy:  # somebody looks whether we learn
                self.stop.wait(0.1)
                continue
            if job is None:
                if self.stop.wait(0.2):
                    break
                continue
            outcome = job.wait()
            assert outcome
            ended += outcome.state != "failed"
            tell("ended", run=job.run_id, state=outcome.state, text=outcome.message)

    def _job(self) -> Job | None:
        """The job that was interrupted, else a new one; None: there is nothing to learn."""
        learning = self.plum.learning
        if run := learning.interrupted():
            job = learning.resume(run.id, self._progressed, _ignore)
            tell("resumed", run=run.id, stage=run.stage)
            return job
        plan = learning.plan(limit=2)
        if plan.refusal:
            return None
        job = learning.start(plan, self._progressed, _ignore)
        tell("started", run=job.run_id)
        return job

    def _progressed(self, progress: Progress) -> None:
        tell("stage", stage=progress.stage)


def _ignore(_: Outcome) -> None:
    """`Job.wait` gives the outcome."""


def main() -> None:
    root, seed, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    keep_to_owner()
    tiny.make_learning_tiny()
    opening.STEPS = with_steps(steps)
    folder = open_data_folder(root)
    log.start(folder.logs, "command")
    # As the window does: a second one would be a second life.
    window = FileLock(folder.window_lock)
    window.acquire("Another life is on.")
    tell("opening")
    try:
        Life(Plum(folder), seed).run()
    except BaseException:
        tell("defect", text=traceback.format_exc())
        raise


if __name__ == "__main__":
    threading.excepthook = lambda args: tell(
        "defect", text="".join(traceback.format_exception(args.exc_value))
    )
    main()
