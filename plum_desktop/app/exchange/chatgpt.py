"""Conversations as ChatGPT exports them: a mapping of nodes, each with parent and children.

Tools, system prompts, thoughts and pictures are nodes too, and are left out.
"""

from __future__ import annotations

import re
from typing import Any

from plum_desktop.app import titles
from plum_desktop.app.exchange.parts import (
    BadConversationError,
    Node,
    any_moment,
    grow,
    identifier,
    same_id,
    text,
)
from plum_desktop.base.types import Chat, FinishReason, Message, Role

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant"}
_SPOKEN = ("text", "multimodal_text")  # the kinds of content that people see as words
_ENDS: dict[str, FinishReason] = {"interrupted": "cancelled", "max_tokens": "length"}
_CITATION = re.compile("\ue200[^\ue201]*\ue201")  # what its window turns into a link


def conversation(record: dict[str, Any], now: float) -> tuple[Chat, list[Message]]:
    """The chat with every branch that was said in text; `current_node` ends the shown one."""
    mapping = record["mapping"]
    if not isinstance(mapping, dict) or not mapping:
        raise BadConversationError("it has no messages.")
    key = "conversation_id" if record.get("conversation_id") else "id"
    # Before 2023 they had none, but their nodes had.
    chat_id = identifier(record, key) if record.get(key) else same_id(next(iter(mapping)))
    created = any_moment(record, "create_time", now)
    order = {
        child: at
        for at, child in enumerate(
            child for node in mapping.values() for child in _list(node, "children")
            if isinstance(child, str)
        )
    }  # fmt: skip
    names = sorted(mapping, key=lambda name: order.get(name, -1))
    messages, shown = grow(
        chat_id,
        {name: _node(mapping[name]) for name in names},
        created,
        _word(record, "current_node"),
    )
    chat = Chat(
        id=chat_id,
        title=text(record, "title") or titles.first_words(messages[0].text),
        created=created,
        updated=max(message.created for message in messages),
        archived=record.get("is_archived") is True,
        leaf=shown,
    )
    return chat, messages


def _node(record: object) -> Node:
    message = _get(record, "message")
    content, metadata = _get(message, "content"), _get(message, "metadata")
    said = "\n\n".join(filter(None, map(_part, _list(content, "parts"))))
    silent = (
        not said
        or _word(content, "content_type") not in _SPOKEN
        or _word(message, "recipient") not in ("", "all")  # a call of a tool
        or _get(metadata, "is_visually_hidden_from_conversation") is True
    )
    when = any_moment(message, "create_time", -1) if isinstance(message, dict) else -1
    return Node(
        parent=_word(record, "parent") or None,
        role=None if silent else _ROLES.get(_word(_get(message, "author"), "role")),
        text=said,
        created=when if when >= 0 else None,
        finish_reason=_ENDS.get(_word(_get(metadata, "finish_details"), "type"), "stop"),
    )


def _part(part: object) -> str:
    """The words of a part: what was typed, or the transcript of what was spoken."""
    if _word(part, "content_type") == "audio_transcription":
        part = _word(part, "text")
    return _CITATION.sub("", part).strip() if isinstance(part, str) else ""


def _get(record: object, key: str) -> Any:
    """A field, of whatever is there."""
    return record.get(key) if isinstance(record, dict) else None


def _word(record: object, key: str) -> str:
    value = _get(record, key)
    return value if isinstance(value, str) else ""


def _list(record: object, key: str) -> list[Any]:
    value = _get(record, key)
    return value if isinstance(value, list) else []
