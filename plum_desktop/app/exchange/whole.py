"""Our own JSON: chats as they are, with every branch, field and id."""

from __future__ import annotations

from typing import Any, get_args

from plum_desktop.app.exchange.parts import (
    BadConversationError,
    attachments,
    flag,
    identifier,
    moment,
    text,
)
from plum_desktop.base.types import Chat, FinishReason, Message, Role


def conversation(record: dict[str, Any]) -> tuple[Chat, list[Message]]:
    """The chat that was exported; it may be one without a message."""
    chat_id, created = identifier(record), moment(record, "created", 0)
    rows = record.get("messages")
    if not isinstance(rows, list):
        raise BadConversationError("it has no list of messages.")
    messages: dict[str, Message] = {}
    for place, row in enumerate(rows, 1):
        try:
            message = _message(row, chat_id, created)
            if message.id in messages:
                raise BadConversationError("its id is that of another message.")
            if message.parent_id is not None and message.parent_id not in messages:
                raise BadConversationError("what it answers does not come before it.")
        except BadConversationError as error:
            raise BadConversationError(f"message {place}: {error}") from error
        messages[message.id] = message
    leaf = text(record, "leaf")
    if leaf is not None and leaf not in messages:
        raise BadConversationError("the end of its shown branch is not there.")
    chat = Chat(
        id=chat_id,
        title=text(record, "title") or "New chat",
        created=created,
        updated=moment(record, "updated", created),
        folder=text(record, "folder"),
        pinned=flag(record, "pinned"),
        archived=flag(record, "archived"),
        learn=flag(record, "learn"),
        memory=flag(record, "memory"),
        model=text(record, "model"),
        persona=text(record, "persona"),
        temperature=_temperature(record),
        leaf=leaf,
    )
    return chat, list(messages.values())


def _temperature(record: dict[str, Any]) -> float | None:
    value = record.get("temperature")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2:
        raise BadConversationError("its temperature is no number from 0 to 2.")
    return float(value)


def _message(row: Any, chat_id: str, created: float) -> Message:
    if not isinstance(row, dict):
        raise BadConversationError("it is not an object with role and text.")
    if row.get("role") not in get_args(Role):
        raise BadConversationError(f"its role is not one of {', '.join(get_args(Role))}.")
    if not isinstance(row.get("text"), str):
        raise BadConversationError("its text is not a text.")
    tokens, reason = row.get("tokens"), row.get("finish_reason")
    if row["role"] == "assistant" and reason not in get_args(FinishReason):
        reason = "failed"  # it was being written when it was exported
    return Message(
        id=identifier(row),
        chat_id=chat_id,
        parent_id=text(row, "parent_id"),
        role=row["role"],
        text=row["text"],
        created=moment(row, "created", created),
        tokens=tokens if type(tokens) is int and 0 <= tokens < 1 << 31 else None,
        attachments=attachments(row),
        finish_reason=reason if reason in get_args(FinishReason) else None,
    )
