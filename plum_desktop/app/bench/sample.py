"""A store of invented chats, as large as wanted: words as often as people use words.

The rank of a word decides how often it comes (Zipf) and how long it is, so that the search
index holds what a real one does: a few words that nearly every message has, and a long tail.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Chat, Message, Role
from plum_desktop.store import Store

_VOCABULARY = 40_000
_FLATTENED = 2.7  # of Zipf's law at its head, after Mandelbrot
_SYLLABLES = tuple(c + v for c in "bdfgklmnprstvz" for v in "aeiou")
_BEGAN = 1_600_000_000.0  # when the first chat was
_WORD = 6.2  # characters of a drawn word with its space, about
_FOLDERS = (None, None, None, "Work", "Work/Clients", "Home")


@dataclass(frozen=True, slots=True)
class Size:
    """How much a sample holds: chats, messages in each, characters in each message."""

    chats: int
    messages: int
    characters: int

    @property
    def name(self) -> str:
        return f"store-{self.chats}-{self.messages}-{self.characters}"


class Words:
    """A vocabulary, and words drawn from it by how often they are used."""

    def __init__(self, seed: int, uses: Mapping[str, float] | None = None) -> None:
        """`uses` is how often each word comes; None: invented ones, after Zipf."""
        if uses is None:
            shares = 1 / (np.arange(_VOCABULARY) + _FLATTENED)
            uses = dict(zip(_words(), shares.tolist(), strict=False))
        self._rng = np.random.default_rng(seed)
        self.vocabulary = np.array(list(uses), object)
        weights = np.array(list(uses.values()), float)
        self._bounds = np.cumsum(weights / weights.sum())

    def draw(self, count: int) -> list[str]:
        places = np.searchsorted(self._bounds, self._rng.random(count))
        drawn: list[str] = self.vocabulary[np.minimum(places, len(self._bounds) - 1)].tolist()
        return drawn

    def text(self, count: int) -> str:
        """What a message of so many words says."""
        return " ".join(self.draw(count))


def _words() -> Iterator[str]:
    """Every combination of syllables, the short ones first."""
    for length in itertools.count(1):
        for parts in itertools.product(_SYLLABLES, repeat=length):
            yield "".join(parts)


def sample_folder(root: Path, size: Size, on_progress: Callable[[float], None]) -> DataFolder:
    """A data folder below `root` with a sample of `size`, made unless it is there already."""
    folder = root / size.name
    if not (folder / "plum.db").exists():
        making = root / f"{size.name}.part"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        store = Store(making / "plum.db", making / "backups")
        try:
            fill(store, size, on_progress)
        finally:
            store.close()
        making.rename(folder)
    return DataFolder(folder)


def fill(store: Store, size: Size, on_progress: Callable[[float], None]) -> None:
    """Add the sample's chats; the same ones every time."""
    words = Words(1)
    for number in range(size.chats):
        store.chats.add_conversation(*conversation(words, size, number))
        on_progress((number + 1) / size.chats)


def conversation(words: Words, size: Size, number: int) -> tuple[Chat, list[Message]]:
    """The chat of this number, and its messages."""
    chat_id = _id("chat", number)
    count = max(1, round(size.characters / _WORD))
    created = _BEGAN + number * 7200.0
    messages: list[Message] = []
    for place in range(size.messages):
        role: Role = "assistant" if place % 2 else "user"
        messages.append(
            Message(
                id=_id(chat_id, place),
                chat_id=chat_id,
                parent_id=messages[-1].id if messages else None,
                role=role,
                text=words.text(count),
                created=created + 60.0 * place,
                finish_reason="stop" if place % 2 else None,
            )
        )
    chat = Chat(
        id=chat_id,
        title=" ".join(words.draw(5)).capitalize(),
        created=created,
        updated=created + 60.0 * size.messages,
        folder=_FOLDERS[number % len(_FOLDERS)],
        pinned=number % 500 == 0,
        archived=number % 50 == 7,
    )
    return chat, messages


def _id(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
