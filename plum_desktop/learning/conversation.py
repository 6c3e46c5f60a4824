"""A conversation as the pipeline reads it: the shown branch of a chat, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from plum_desktop.base.types import Role


@dataclass(frozen=True, slots=True)
class Turn:
    """One message; `message_id` is None in texts that ship with the program."""

    role: Role
    text: str
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """`chat_id` is None for a conversation that is not the user's."""

    id: str
    turns: tuple[Turn, ...]
    chat_id: str | None = None
    title: str = ""
    leaf: str | None = None  # the last message that was read

    @property
    def text(self) -> str:
        return "\n".join(turn.text for turn in self.turns)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Conversation:
        turns = tuple(Turn(**turn) for turn in values["turns"])
        return cls(**{**values, "turns": turns})
