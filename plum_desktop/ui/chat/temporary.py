"""A chat that is stored nowhere: this object alone remembers it.  No widgets."""

from __future__ import annotations

import dataclasses
import itertools
import time

from plum_desktop.base.types import Attachment, FinishReason, Message, Role

TEMPORARY = "temporary"  # stands for a chat id in the bridge's signals


class TemporaryChat:
    """What was `said`, in one branch: what is changed is gone."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self._ids = itertools.count(1)

    def new_id(self) -> str:
        return f"{TEMPORARY}-{next(self._ids)}"

    def say(
        self, text: str, files: tuple[Attachment, ...] = (), instead_of: str | None = None
    ) -> None:
        """The user's next message, or another in the place of one of theirs."""
        if instead_of is not None:
            self.cut(next(at for at, each in enumerate(self.said) if each.id == instead_of))
        self.said.append(self._message("user", text, self.new_id(), files))

    def cut(self, count: int) -> None:
        """Keep the first `count` messages."""
        del self.said[count:]

    def reply(self, message_id: str, text: str, reason: FinishReason) -> None:
        """A reply has ended."""
        made = self._message("assistant", text, message_id)
        self.said.append(dataclasses.replace(made, finish_reason=reason))

    def take_back(self) -> Message | None:
        """The user's last message, which nobody has answered, leaves."""
        return self.said.pop() if self.said and self.said[-1].role == "user" else None

    @staticmethod
    def _message(
        role: Role, text: str, message_id: str, files: tuple[Attachment, ...] = ()
    ) -> Message:
        return Message(message_id, TEMPORARY, None, role, text, time.time(), attachments=files)
