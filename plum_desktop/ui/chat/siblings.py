"""Other versions of what was said: which there are, and walking between them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal

from plum_desktop.base.errors import PlumError
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.chat.turns import Turn, TurnModel


class Siblings(QObject):
    """Reads from the store what the turns on screen have beside them.

    Signals: walked(chat id), which shows another branch now; failed(sentence).
    """

    walked = Signal(str)
    failed = Signal(str)

    def __init__(self, bridge: Bridge, turns: TurnModel, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._chats = bridge.plum.store.chats
        self._turns = turns
        self._asked: set[str] = set()  # messages that are being looked up

    def look_up(self, ids: Sequence[str]) -> None:
        """Tell the turns of these messages their siblings."""
        wanted = [each for each in ids if each not in self._asked]
        if not wanted:
            return
        self._asked.update(wanted)

        def find() -> dict[str, tuple[str, ...]]:
            found = {}
            for message_id in wanted:
                try:
                    found[message_id] = tuple(each.id for each in self._chats.siblings(message_id))
                except PlumError:
                    continue  # deleted meanwhile
            return found

        def found(siblings: dict[str, tuple[str, ...]]) -> None:
            self._asked.difference_update(wanted)
            self._turns.set_siblings(siblings)

        self._bridge.ask(find, found, owner=self)

    def walk(self, chat_id: str, turn: Turn, step: int) -> None:
        """Show the branch of an older (-1) or newer (1) version, where there is one."""
        place, count = turn.place
        if not 1 <= place + step <= count:
            return
        assert turn.siblings is not None
        sibling = turn.siblings[place - 1 + step]
        self._bridge.ask(
            lambda: self._chats.show(chat_id, sibling),
            lambda _: self.walked.emit(chat_id), self.failed.emit, owner=self,
        )  # fmt: skip
