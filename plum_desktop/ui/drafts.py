"""What was typed and not sent, kept per chat: while it is typed, and over a restart."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer

from plum_desktop.ui.bridge import Bridge

_SOON_MS = 600


class Drafts(QObject):
    """Texts by chat id; the empty id stands for the chat that is not begun yet."""

    def __init__(self, bridge: Bridge, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._texts: dict[str, str] = {}  # as typed since the start
        self._unsaved: set[str] = set()
        self._soon = QTimer(self, singleShot=True, interval=_SOON_MS)
        self._soon.timeout.connect(self.save)

    def keep(self, chat_id: str, text: str) -> None:
        """Remember a draft; it is saved when the typing pauses."""
        if self._texts.get(chat_id) != text:
            self._texts[chat_id] = text
            self._unsaved.add(chat_id)
            self._soon.start()

    def known(self, chat_id: str) -> str | None:
        """A draft of this session; None: only the store knows."""
        return self._texts.get(chat_id)

    def forget(self, chat_id: str) -> None:
        """The chat is gone, and its draft with it."""
        self._texts.pop(chat_id, None)
        self._unsaved.discard(chat_id)

    def save(self) -> None:
        """Write what has changed."""
        self._soon.stop()
        drafts = self._bridge.plum.store.drafts
        changed = {chat_id: self._texts[chat_id] for chat_id in self._unsaved}
        self._unsaved.clear()

        def write() -> None:
            for chat_id, text in changed.items():
                drafts.set(chat_id, text)

        if changed:
            self._bridge.ask(write, failed=lambda _: None, owner=self)
