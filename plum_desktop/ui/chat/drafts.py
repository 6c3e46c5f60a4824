"""What is written and not sent yet: kept for each chat while it is typed, and over a restart."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from plum_desktop.base.types import Attachment
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.chat.attachments import Attached, Attaching
from plum_desktop.ui.chat.composer import Composer

_SOON_MS = 600


class Drafts(QObject):
    """The composer's text and files, by chat id; the empty id: the chat that is not begun yet.

    Texts are stored; files are kept until the window closes.

    Signals: changed, what is in the composer now.
    """

    changed = Signal()

    def __init__(self, bridge: Bridge, composer: Composer, window: QWidget) -> None:
        super().__init__(window)
        self.attaching = Attaching(bridge, window)
        self._bridge = bridge
        self._composer = composer
        self._chat_id: str | None = None  # None: of what is typed now nothing is kept
        self._texts: dict[str, str] = {}  # as typed since the start
        self._files: dict[str, list[Attached]] = {}
        self._unsaved: set[str] = set()
        self._before: tuple[str, list[Attached]] = ("", [])  # what an edit stands in for
        self._sent: tuple[str, list[Attached]] = ("", [])  # should sending fail
        self._soon = QTimer(self, singleShot=True, interval=_SOON_MS)
        self._soon.timeout.connect(self.save)

        composer.changed.connect(self._on_typed)
        composer.files_asked.connect(self.attaching.choose)
        composer.files_given.connect(self.attaching.add)
        composer.file_removed.connect(self.attaching.remove)
        composer.file_opened.connect(
            lambda at: self.attaching.show_text(self.attaching.files[at].file)
        )
        self.attaching.changed.connect(self._on_files_changed)

    @property
    def files(self) -> tuple[Attachment, ...]:
        """What goes with the message now."""
        return tuple(one.file for one in self.attaching.files)

    def open(self, chat_id: str | None, text: str | None = None) -> None:
        """Show a chat's draft.  None: a temporary chat, of which nothing is kept.

        `text` is what the store has; without it the store is asked.
        """
        self._chat_id = chat_id
        if chat_id is None:
            return
        self.attaching.set_files(self._files.get(chat_id, ()))
        known = self._texts.get(chat_id, text)
        if known is not None:
            self._composer.set_text(known)
            return

        def show(stored: str) -> None:
            if self._chat_id == chat_id and not self._composer.text():
                self._composer.set_text(stored)

        drafts = self._bridge.plum.store.drafts
        self._bridge.ask(lambda: drafts.get(chat_id), show, lambda _: None, owner=self)

    def close(self) -> None:
        """Put away what is in the composer, and what is being edited."""
        if self._composer.editing:
            self.end_edit()
        self.save()
        self._chat_id = None
        self._composer.set_text("")
        self.attaching.set_files([])

    def begun(self, chat_id: str) -> None:
        """The new chat has got its id."""
        self._chat_id = chat_id

    def forget(self, chat_id: str) -> None:
        """The chat is gone, and its draft with it."""
        self._texts.pop(chat_id, None)
        self._files.pop(chat_id, None)
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

    # Sending and editing

    def take(self) -> tuple[Attachment, ...]:
        """The message is being sent: what goes with it leaves the composer with its text."""
        files = self.files
        self._sent = (self._composer.text(), self.attaching.files)
        if self._composer.editing:
            self.end_edit()
        else:
            self._composer.set_text("")
            self.attaching.set_files([])
        return files

    def nothing_sent(self) -> None:
        """Whatever fails now has no message to give back."""
        self._sent = ("", [])

    def give_back(self) -> None:
        """What was sent last was not stored."""
        self.restore(*self._sent)

    def restore(self, text: str, files: Sequence[Attachment | Attached]) -> None:
        """Put a message back into the composer, if that is empty."""
        if text and not self._composer.text():
            self._composer.set_text(text)
            self.attaching.set_files(files)

    def begin_edit(self, text: str, files: Sequence[Attachment]) -> None:
        """Write another version of a message, in place of what is being written."""
        if not self._composer.editing:
            self._before = (self._composer.text(), self.attaching.files)
        self._composer.begin_edit(text)
        self.attaching.set_files(files)

    def end_edit(self) -> None:
        """Back to what was being written before."""
        self._composer.end_edit()
        text, files = self._before
        self._composer.set_text(text)
        self.attaching.set_files(files)

    # What changes

    def _on_typed(self) -> None:
        chat_id, text = self._chat_id, self._composer.text()
        if chat_id is not None and not self._composer.editing and text != self._texts.get(chat_id):
            self._texts[chat_id] = text
            self._unsaved.add(chat_id)
            self._soon.start()
        self.changed.emit()

    def _on_files_changed(self, files: list[Attached]) -> None:
        if self._chat_id is not None and not self._composer.editing:
            self._files[self._chat_id] = files
        self._composer.show_files(files)
        self.changed.emit()
