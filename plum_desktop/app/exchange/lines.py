"""JSON Lines: the format to bring chats in with, to train on, and to keep the shown branches.

A line is `{"id", "title"?, "created"?, "messages": [{"role", "content", "created"?,
"attachments"?: [{"name", "text"}]}]}`; a first system message is the chat's persona.
"""

from __future__ import annotations

import uuid
from typing import Any, get_args

from plum_desktop.app import titles
from plum_desktop.app.exchange.parts import (
    BadConversationError,
    attachments,
    flag,
    identifier,
    moment,
    text,
)
from plum_desktop.base.types import Chat, FinishReason, Message, Role


def conversation(record: dict[str, Any], now: float) -> tuple[Chat, list[Message]]:
    """The chat on a line; `now` is when it was, unless it says so itself."""
    chat_id = identifier(record)
    created = moment(record, "created", now)
    turns = record.get("messages")
    if not isinstance(turns, list):
        raise BadConversationError("it has no list of messages.")
    for place, turn in enumerate(turns, 1):
        try:
            _check(turn)
        except BadConversationError as error:
            raise BadConversationError(f"message {place}: {error}") from error
    persona = None
    if turns and turns[0]["role"] == "system":
        persona, turns = turns[0]["content"], turns[1:]
    if not turns:
        raise BadConversationError("it has no messages.")
    messages: list[Message] = []
    for turn in turns:
        parent_id = messages[-1].id if messages else None
        messages.append(_message(turn, chat_id, parent_id, moment(turn, "created", created)))
    chat = Chat(
        id=chat_id,
        title=text(record, "title") or titles.first_words(messages[0].text),
        created=created,
        updated=max(message.created for message in messages),
        folder=text(record, "folder"),
        persona=persona,
        pinned=flag(record, "pinned"),
        archived=flag(record, "archived"),
        learn=flag(record, "learn"),
        memory=flag(record, "memory"),
    )
    return chat, messages


def _check(turn: Any) -> None:
    if not isinstance(turn, dict):
        raise BadConversationError("it is not an object with role and content.")
    if turn.get("role") not in get_args(Role):
        raise BadConversationError(f"its role is not one of {', '.join(get_args(Role))}.")
    if not isinstance(turn.get("content"), str):
        raise BadConversationError("its content is not a text.")
    if not turn["content"].strip():
        raise BadConversationError("its content is empty.")
    attachments(turn)
    moment(turn, "created", 0)


def _message(turn: dict[str, Any], chat_id: str, parent_id: str | None, created: float) -> Message:
    reason: FinishReason | None = None
    if turn["role"] == "assistant":
        said = turn.get("finish_reason")
        reason = said if said in get_args(FinishReason) else "stop"
    return Message(
        id=uuid.uuid4().hex,
        chat_id=chat_id,
        parent_id=parent_id,
        role=turn["role"],
        text=turn["content"],
        created=created,
        finish_reason=reason,
        attachments=attachments(turn),
    )
