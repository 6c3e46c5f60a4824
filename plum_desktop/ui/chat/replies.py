"""The reply under way: of which chat it is, and what it has come to so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from plum_desktop.ui.base.bridge import Bridge

if TYPE_CHECKING:
    from plum_desktop.app.chat import OnText


class Replies(QObject):
    """One at a time.  A chat is known by its id, a temporary one by `TEMPORARY`, and one that is
    being stored by an empty string.

    Signals: grew(chat, message id, whole text so far), ended(chat, sentence or None),
    loading(share of the model, 0..1; None: no longer), loaded (the model is, or cannot be),
    named(chat, title): after its first exchange.
    """

    grew = Signal(str, str, str)
    ended = Signal(str, object)
    loading = Signal(object)
    loaded = Signal()
    named = Signal(str, str)

    def __init__(self, bridge: Bridge, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.chat: str | None = None  # that is being answered
        self.stopped = False  # by its reader
        self._loading = False
        self._growing = ("", "", "")  # chat, message and text
        bridge.reply_grew.connect(self._on_grew)
        bridge.reply_ended.connect(self._on_ended)
        bridge.engine_progressed.connect(self._on_engine_progressed)

    @property
    def busy(self) -> bool:
        """Whether a reply is under way, in whichever chat."""
        return self.chat is not None

    def expect(self, chat: str) -> None:
        """A reply is to come in `chat`, once `write` is called."""
        self.chat, self.stopped = chat, False

    def write(self, chat: str, work: Callable[[OnText], object]) -> None:
        """Have `work` write the reply."""
        self.chat = chat
        self._bridge.reply(chat, work)

    def give_up(self) -> None:
        """Nothing can be written after all."""
        self.chat = None

    def stop(self) -> None:
        """Stop the reply under way; what was said is kept."""
        if self.busy:
            self.stopped = True
            self._bridge.stop_reply()

    def text_of(self, chat: str | None, message_id: str) -> str | None:
        """What a reply has come to so far; None: it is not the one under way."""
        at, growing, text = self._growing
        return text if (at, growing) == (chat, message_id) else None

    def name(self, chat: str) -> None:
        """Have a chat named after its first exchange."""

        def named(title: str | None) -> None:
            self.loaded.emit()  # the model was not free to count meanwhile
            if title is not None:
                self.named.emit(chat, title)

        chats = self._bridge.plum.chats
        self._bridge.ask(lambda: chats.name(chat), named, lambda _: None, owner=self, lane="slow")

    def set_loaded(self) -> None:
        """The model has been loaded, or could not be."""
        if self._loading:
            self._loading = False
            self.loading.emit(None)
        self.loaded.emit()

    def _on_engine_progressed(self, fraction: float, _text: str) -> None:
        self._loading = True
        self.loading.emit(fraction)

    def _on_grew(self, chat: str, message_id: str, text: str) -> None:
        self._growing = (chat, message_id, text)
        self.set_loaded()
        self.grew.emit(chat, message_id, text)

    def _on_ended(self, chat: str, error: str | None) -> None:
        self.chat, self._growing, self._loading = None, ("", "", ""), False
        self.ended.emit(chat, error)
