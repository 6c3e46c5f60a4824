"""The turns of the chat on screen, as a model: what was said, and how each reply stands."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from plum_desktop.base.types import Attachment, Message, Role

TurnState = Literal["said", "waiting", "writing", "cut", "stopped", "failed"]
Index = QModelIndex | QPersistentModelIndex

TurnRole = Qt.ItemDataRole.UserRole + 1
_STATES: dict[str | None, TurnState] = {
    "stop": "said", "length": "cut", "cancelled": "stopped", "failed": "failed",
}  # fmt: skip


@dataclass(slots=True)
class Turn:
    """One row.  `key` stays the same while the message gets its id and its text."""

    key: int
    id: str  # empty: not stored yet
    role: Role
    text: str
    state: TurnState = "said"
    error: str | None = None  # why it failed, where that is known
    needs_model: bool = False  # what would mend it is another model
    attachments: tuple[Attachment, ...] = ()
    first_seen: bool = False  # the turns above no longer fit into the context
    siblings: tuple[str, ...] | None = None  # ids, this one's too, oldest first; None: not asked

    @property
    def place(self) -> tuple[int, int]:
        """Which of how many siblings this is, from 1."""
        ids = self.siblings or ()
        return (ids.index(self.id) + 1, len(ids)) if self.id in ids else (1, 1)


class TurnModel(QAbstractListModel):
    """The shown branch, root first."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._turns: list[Turn] = []
        self._keys = itertools.count(1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._turns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        turn = self._turns[index.row()]
        if role == TurnRole:
            return turn
        return turn.text if role == Qt.ItemDataRole.DisplayRole else None

    def turn(self, row: int) -> Turn:
        return self._turns[row]

    def turns(self) -> list[Turn]:
        return list(self._turns)

    def last(self, role: Role | None = None) -> Turn | None:
        """The last turn, or the last of one role."""
        for turn in reversed(self._turns):
            if role is None or turn.role == role:
                return turn
        return None

    def row_of(self, message_id: str) -> int | None:
        for row in range(len(self._turns) - 1, -1, -1):
            if self._turns[row].id == message_id:
                return row
        return None

    def clear(self) -> None:
        self.beginResetModel()
        self._turns = []
        self.endResetModel()

    def set_branch(self, branch: Sequence[Message], *, writing: bool = False) -> None:
        """Show `branch`; rows that stand for the same message keep their key.

        `writing` says that a reply of ours is under way, so an unfinished one is alive.
        """
        same = 0
        for message, turn in zip(branch, self._turns, strict=False):
            if turn.role != message.role or (turn.id and turn.id != message.id):
                break
            same += 1
        # Whoever walks from one version to the next need not wait to be told of them again.
        known = {each: turn.siblings for turn in self._turns[same:] for each in turn.siblings or ()}
        if same < len(self._turns):
            self.cut_after(same)
        for row in range(same):
            self._adopt(row, branch[row], writing)
        if same < len(branch):
            self.beginInsertRows(QModelIndex(), same, len(branch) - 1)
            for message in branch[same:]:
                turn = Turn(next(self._keys), message.id, message.role, message.text)
                turn.state = _state(message, writing)
                turn.attachments = message.attachments
                turn.siblings = known.get(message.id)
                self._turns.append(turn)
            self.endInsertRows()

    def _adopt(self, row: int, message: Message, writing: bool) -> None:
        turn, state = self._turns[row], _state(message, writing)
        if state == "waiting" and turn.state == "writing":
            state = "writing"
        text = message.text
        if state == "writing" and len(turn.text) > len(text):
            text = turn.text  # the store is a moment behind the screen
        files = message.attachments
        if (turn.id, turn.text, turn.state, turn.attachments) != (message.id, text, state, files):
            if turn.id != message.id:
                turn.siblings = None
            turn.id, turn.text, turn.state = message.id, text, state
            turn.attachments = files
            self._changed(row)

    def cut_after(self, count: int) -> None:
        """Keep the first `count` turns."""
        if count < len(self._turns):
            self.beginRemoveRows(QModelIndex(), count, len(self._turns) - 1)
            del self._turns[count:]
            self.endRemoveRows()

    def append(
        self,
        role: Role,
        text: str,
        state: TurnState = "said",
        attachments: Sequence[Attachment] = (),
    ) -> None:
        """A turn that is not stored yet."""
        row = len(self._turns)
        self.beginInsertRows(QModelIndex(), row, row)
        files = tuple(attachments)
        self._turns.append(Turn(next(self._keys), "", role, text, state, attachments=files))
        self.endInsertRows()

    def resume(self, row: int) -> None:
        """The reply at `row`, which had ended, is being written on."""
        self._turns[row].state = "writing"
        self._changed(row)

    def set_first_seen(self, message_id: str | None) -> None:
        """Mark the turn from which on all fits into the context; None: all does."""
        for row, turn in enumerate(self._turns):
            first = message_id is not None and turn.id == message_id
            if first != turn.first_seen:
                turn.first_seen = first
                self._changed(row)

    def grow(self, message_id: str, text: str) -> None:
        """The reply under way, the last turn, has come to `text`."""
        row = len(self._turns) - 1
        turn = self._turns[row]
        if turn.id not in ("", message_id) or turn.role != "assistant":
            return
        turn.id, turn.text, turn.state = message_id, text, "writing"
        self._changed(row)

    def explain(self, row: int, error: str, needs_model: bool) -> None:
        """Say why the reply at `row` failed."""
        turn = self._turns[row]
        turn.error, turn.needs_model = error, needs_model
        self._changed(row)

    def set_siblings(self, siblings: dict[str, tuple[str, ...]]) -> None:
        for row, turn in enumerate(self._turns):
            found = siblings.get(turn.id)
            if found is not None and found != turn.siblings:
                turn.siblings = found
                self._changed(row)

    def _changed(self, row: int) -> None:
        index = self.index(row)
        self.dataChanged.emit(index, index)


def _state(message: Message, writing: bool) -> TurnState:
    if message.role != "assistant":
        return "said"
    if message.finish_reason is None:
        return ("writing" if message.text else "waiting") if writing else "stopped"
    return _STATES[message.finish_reason]
