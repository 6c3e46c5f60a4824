"""Conversations as Claude exports them: a list of messages, newer ones with their parent's id."""

from __future__ import annotations

from typing import Any

from plum_desktop.app import titles
from plum_desktop.app.exchange.parts import (
    BadConversationError,
    Node,
    any_moment,
    grow,
    identifier,
    text,
)
from plum_desktop.base.types import Chat, Message, Role

_ROLES: dict[object, Role] = {"human": "user", "assistant": "assistant"}


def conversation(record: dict[str, Any], now: float) -> tuple[Chat, list[Message]]:
    """The chat with every branch; without parents each message answers the one before it."""
    chat_id = identifier(record, "uuid")
    turns = record["chat_messages"]
    if not isinstance(turns, list) or not turns:
        raise BadConversationError("it has no messages.")
    created = any_moment(record, "created_at", now)
    nodes: dict[str, Node] = {}
    before = ""
    for place, turn in enumerate(turns, 1):
        if not isinstance(turn, dict):
            raise BadConversationError(f"message {place}: it is not an object.")
        name = turn.get("uuid")
        name = name if isinstance(name, str) and name not in nodes else f"message {place}"
        parent = turn.get("parent_message_uuid")
        nodes[name] = _node(turn, parent if isinstance(parent, str) else before or None)
        before = name
    leaf = record.get("current_leaf_message_uuid")
    messages, shown = grow(chat_id, nodes, created, leaf if isinstance(leaf, str) else before)
    chat = Chat(
        id=chat_id,
        title=text(record, "name") or titles.first_words(messages[0].text),
        created=created,
        updated=max(message.created for message in messages),
        leaf=shown,
    )
    return chat, messages


def _node(turn: dict[str, Any], parent: str | None) -> Node:
    blocks = turn.get("content")
    # Where there are blocks, `text` has them all, thoughts and calls of tools included.
    said = [
        block["text"] for block in (blocks if isinstance(blocks, list) else ())
        if isinstance(block, dict) and block.get("type") == "text"
        and isinstance(block.get("text"), str)
    ]  # fmt: skip
    if not said and isinstance(turn.get("text"), str) and not blocks:
        said = [turn["text"]]
    whole = "\n\n".join(filter(None, map(str.strip, said)))
    when = any_moment(turn, "created_at", -1)
    sender = turn.get("sender")
    return Node(
        parent=parent,
        role=_ROLES.get(sender) if whole and isinstance(sender, str) else None,
        text=whole,
        created=when if when >= 0 else None,
    )
