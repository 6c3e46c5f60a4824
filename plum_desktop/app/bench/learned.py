"""A store whose chats have all been learned, and one chat more that waits to be.

What they say is English words as often as the stock uses them, in no order: lessons are checked
against every chat, which costs by the words that they share with the stock's.  Of each chat the
store has the facts that rule finds in it, and as many that were never discussed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from plum_desktop.app.bench.material import Model, write_adapter
from plum_desktop.app.bench.sample import Size, Words, conversation
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Adapter, Chat, Fact, Run
from plum_desktop.learning import rules, stock
from plum_desktop.learning.select import learnable
from plum_desktop.store import Store

_MESSAGES, _CHARACTERS = 16, 400  # of each chat, and in each message
_SENTENCE = 12  # words
_A_RUN = 10  # chats that were learned together


class English(Words):
    """The stock's words, in sentences."""

    def __init__(self, seed: int) -> None:
        said = " ".join(one.text for one in stock.conversations())
        super().__init__(seed, Counter(word for word in said.split() if word.isalnum()))

    def text(self, count: int) -> str:
        drawn = self.draw(count)
        parts = [drawn[start : start + _SENTENCE] for start in range(0, count, _SENTENCE)]
        return " ".join(f"{part[0].capitalize()} {' '.join(part[1:])}." for part in parts)


@dataclass(frozen=True, slots=True)
class Learned:
    """A data folder with so many learned chats, and the id of the chat that waits."""

    chats: int
    folder: DataFolder
    waiting: str


def learned_folder(
    root: Path, model: Model, chats: int, on_progress: Callable[[float], None]
) -> Learned:
    """One below `root`, learned with `model`; made unless it is there already."""
    folder = root / f"learned-{chats}-{model.sha256[:8]}"
    size = Size(chats, _MESSAGES, _CHARACTERS)
    waiting, said = conversation(English(2), size, -1)  # the same however many were learned
    if not (folder / "plum.db").exists():
        making = DataFolder(root / f"{folder.name}.part")
        shutil.rmtree(making.root, ignore_errors=True)
        making.root.mkdir(parents=True)
        store = Store(making.database, making.backups)
        try:
            with store.transaction():
                _fill(store, model, size, on_progress)
                store.chats.add_conversation(waiting, said)
            active = store.adapters.active(model.sha256)
        finally:
            store.close()
        assert active
        write_adapter(model.path, making.adapter(active.id))
        making.root.rename(folder)
    return Learned(chats, DataFolder(folder), waiting.id)


def _fill(store: Store, model: Model, size: Size, on_progress: Callable[[float], None]) -> None:
    english = English(1)
    learned: list[Chat] = []
    for number in range(size.chats):
        chat, messages = conversation(english, size, number)
        store.chats.add_conversation(chat, messages)
        taught, _ = learnable(chat, messages)
        if taught:
            store.facts.add(_facts(rules.facts_of(taught), english))
        learned.append(replace(chat, leaf=messages[-1].id))
        if len(learned) % _A_RUN == 0 or len(learned) == size.chats:
            _add_run(store, model, learned)
        on_progress((number + 1) / size.chats)


def _facts(true: Sequence[Fact], english: English) -> Iterator[Fact]:
    """What a run leaves in the store: `true`, and beside each something never discussed."""
    for fact in true:
        yield replace(fact, state="learned", last_recall=1.0)
        subject = " ".join(english.draw(_SENTENCE))
        yield replace(
            fact, id=f"{fact.id}-n", label=False, subject=subject,
            statement=f"Never discussed: {subject}", state="learned", last_recall=1.0,
            message_id=None, start=None, end=None,
        )  # fmt: skip


def _add_run(store: Store, model: Model, learned: Sequence[Chat]) -> None:
    """The run that learned the last of these chats, and the adapter that it made."""
    before = store.adapters.active(model.sha256)
    number, chats = f"run{len(learned)}", tuple(chat.id for chat in learned)
    new = chats[len(before.chats) if before else 0 :]
    then = learned[-1].updated
    store.runs.create(
        Run(number, then, "done", "switch", model.sha256, "default", new, finished=then)
    )
    parent = before.id if before else None
    store.adapters.add(
        Adapter(number, number, parent, model.sha256, then, "ready", active=False, chats=chats)
    )
    store.adapters.set_seen(number, {chat.id: chat.leaf or "" for chat in learned})
    store.adapters.activate(number, model.sha256)
