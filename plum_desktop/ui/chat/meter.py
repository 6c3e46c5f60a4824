"""How full the context is, in a line of words under the composer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from plum_desktop.base.types import Chat, Message
from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import small
from plum_desktop.ui.base.theme import set_property

if TYPE_CHECKING:
    from plum_desktop.app.chat import Room

_SOON_MS = 350
_NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: a chat, a way to read its branch, and what is about to be sent."""

    chat: Chat
    branch: Callable[[], list[Message]]
    draft: Message | None


class Meter(QWidget):
    """Asks anew when it is told that something has changed, and then shows the newest answer.

    Signals: measured(Room).
    """

    measured = Signal(object)

    def __init__(self, bridge: Bridge, subject: Callable[[], Subject | None]) -> None:
        """`subject` says what to measure; None: leave things as they are."""
        super().__init__()
        self._bridge = bridge
        self._subject = subject
        self._asked = 0
        self._words = small()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._words)
        self._soon = QTimer(self, singleShot=True, interval=_SOON_MS)
        self._soon.timeout.connect(self._look)

    def look_soon(self) -> None:
        """Something has changed: no answer about what was before is shown any more."""
        self._asked += 1
        self._soon.start()

    def clear(self) -> None:
        """Another chat is coming: an answer about the one before is not shown."""
        self._asked += 1
        self._words.setText("")

    def text(self) -> str:
        return self._words.text()

    def _look(self) -> None:
        subject = self._subject()
        if subject is None:
            return
        asked = self._asked

        def measure() -> Room:
            branch = subject.branch()
            return self._bridge.plum.chats.room(subject.chat, branch, subject.draft)

        def show(room: Room) -> None:
            if asked == self._asked:
                self._show(room)
                self.measured.emit(room)

        def failed(sentence: str) -> None:
            if asked == self._asked:
                self._words.setText(sentence)
                set_property(self._words, "tone", "danger")

        self._bridge.ask(measure, show, failed, owner=self, lane="count")

    def _show(self, room: Room) -> None:
        text = (
            self.tr("{tokens} of {context} tokens")
            if room.exact
            else self.tr("about {tokens} of {context} tokens")
        )
        tokens = room.tokens if room.exact else round(room.tokens, -1)
        text = text.format(tokens=words.number(tokens), context=words.number(room.context))
        self._words.setText(text if room.tokens else "")
        full = room.tokens > _NEARLY_FULL * room.context
        set_property(self._words, "tone", "warn" if full else "muted")
        self._words.setToolTip(
            self.tr("How much of what the model can read at once this conversation takes.")
        )
