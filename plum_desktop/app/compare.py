"""One question, answered with what was learned, without it, and with looking things up.

Answers are read and gone: nothing is stored.  Each one borrows the engine and gives it back, so
a reply under way ends first, and one that is asked meanwhile comes between two answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plum_desktop.app.preferences import Preferences
from plum_desktop.app.serving import MemoryMode, Serving
from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import WireMessage
from plum_desktop.engine.client import Cancellation

_MOST_TOKENS = 200  # of an answer: three of them are read side by side
_PIECE = re.compile(r"\s+|\w+(?:['’]\w+)*|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Way:
    """One way of answering: `learned` from the weights, `looked_up` with excerpts of chats."""

    mode: MemoryMode
    learned: bool
    looked_up: bool


class Stopper(Cancellation):
    """Ends a comparison: `cancel` stops the answer under way, from any thread."""


class CompareService:
    """Answers one question in several ways, one at a time.  Thread-safe."""

    def __init__(self, serving: Serving, preferences: Preferences) -> None:
        self._serving = serving
        self._preferences = preferences

    def ways(self) -> list[Way]:
        """With memory, without, and with looking things up; where nothing was learned, two.

        In the order in which the engine has least to load.  Raises PlumError without a model.
        """
        serves = self._serving.served()
        if serves.memory in ("off", "retrieval"):
            return [Way("off", False, False), Way("retrieval", False, True)]
        learned: MemoryMode = "merged" if serves.adapter is None else "adapter"
        return [Way(learned, True, False), Way("hybrid", True, True), Way("off", False, False)]

    def answer(
        self,
        question: str,
        way: Way,
        on_text: Callable[[str], None],
        stopper: Stopper,
    ) -> str:
        """The answer, which `on_text` gets as it grows, whole each time.

        The likeliest words are taken, so that what differs is due to the memory and not to
        chance.  Raises PlumError, or Cancelled.
        """
        if not question.strip():
            raise PlumError("There is nothing to compare yet: type a question first.")
        said = ""

        def grow(piece: str) -> None:
            nonlocal said
            said += piece
            on_text(said)

        messages: list[WireMessage] = [{"role": "user", "content": question}]
        if persona := self._preferences.current.persona.strip():
            messages.insert(0, {"role": "system", "content": persona})
        return self._serving.chat(
            messages,
            way.mode,
            max_tokens=_MOST_TOKENS,
            temperature=0.0,
            on_text=grow,
            cancellation=stopper,
        ).text

    def end(self) -> None:
        """Have the engine hold again what serves.  Raises PlumError."""
        self._serving.engine()


def differing(text: str, others: Sequence[str]) -> list[tuple[str, bool]]:
    """`text` in pieces, each with whether any of `others` says something else in its place.

    By words, without regard to case; the pieces joined are `text`.
    """
    import difflib

    words = _PIECE.findall(text)
    shared = [True] * len(words)
    for other in others:
        matcher = difflib.SequenceMatcher(
            None, _folded(words), _folded(_PIECE.findall(other)), autojunk=False
        )
        common = {
            block.a + at for block in matcher.get_matching_blocks() for at in range(block.size)
        }
        shared = [is_shared and at in common for at, is_shared in enumerate(shared)]
    pieces: list[tuple[str, bool]] = []
    for word, is_shared in zip(words, shared, strict=True):
        # A space belongs to what stands before it.
        if pieces and (word.isspace() or pieces[-1][1] is not is_shared):
            pieces[-1] = (pieces[-1][0] + word, pieces[-1][1])
        else:
            pieces.append((word, not is_shared and not word.isspace()))
    return pieces


def _folded(words: Sequence[str]) -> list[str]:
    return [word.casefold() for word in words]
