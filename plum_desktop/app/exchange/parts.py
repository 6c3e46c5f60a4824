"""What the formats have in common: checked fields, and trees of messages of other programs."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from plum_desktop.base.types import Attachment, Chat, FinishReason, Message, Role

_LONGEST_ID = 200
_LATEST = 253_402_300_799  # the last second that a calendar can show, 9999-12-31
DEFAULTS = Chat(id="", title="", created=0, updated=0)


class BadConversationError(Exception):
    """Why something is no conversation, as the end of a sentence."""


def identifier(record: Mapping[str, Any], key: str = "id") -> str:
    value = record.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        raise BadConversationError(f"its {key} is not a text of 1 to {_LONGEST_ID} characters.")
    if not value.isprintable():
        raise BadConversationError(f"its {key} has characters that cannot be shown.")
    return value


def text(record: Mapping[str, Any], key: str) -> str | None:
    """A text that may be left out, be null or be blank."""
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise BadConversationError(f"its {key} is not a text.")
    return value if value and value.strip() else None


def flag(record: Mapping[str, Any], key: str) -> bool:
    """True or false; as in a new chat where it is left out."""
    value = record.get(key, getattr(DEFAULTS, key))
    if not isinstance(value, bool):
        raise BadConversationError(f"its {key} is neither true nor false.")
    return value


def attachments(record: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """The files of a message, if it has any."""
    files = record.get("attachments", [])
    if not isinstance(files, list) or not all(map(_is_attachment, files)):
        raise BadConversationError("its attachments are not a list of objects with name and text.")
    return tuple(Attachment(**file) for file in files)


def _is_attachment(file: Any) -> bool:
    return (
        isinstance(file, dict)
        and file.keys() == {"name", "text"}
        and all(isinstance(value, str) and value.strip() for value in file.values())
    )


def moment(record: Mapping[str, Any], key: str, default: float) -> float:
    """Unix seconds, from a number or an ISO text (UTC unless it says otherwise)."""
    match record.get(key):
        case None:
            return default
        case bool():
            pass
        case int() | float() as seconds if 0 <= seconds <= _LATEST:  # NaN is not
            return float(seconds)
        case str() as written:
            try:
                when = datetime.fromisoformat(written.strip())
                seconds = when.replace(tzinfo=when.tzinfo or UTC).timestamp()
            except (ValueError, OverflowError):
                seconds = -1
            if seconds >= 0:
                return seconds
    raise BadConversationError(f"its {key} is neither an ISO date since 1970 nor Unix seconds.")


def any_moment(record: Mapping[str, Any], key: str, default: float) -> float:
    """The same of another program's file, where a time is no reason to leave a chat out."""
    try:
        return moment(record, key, default)
    except BadConversationError:
        return default


def same_id(name: str) -> str:
    """An id that is the same for the same name, which may hold what UTF-8 cannot write."""
    return uuid.uuid5(uuid.NAMESPACE_OID, name.encode("utf-8", "replace").decode()).hex


@dataclass(frozen=True, slots=True)
class Node:
    """One node of another program's tree; where `role` is None nothing was said in text."""

    parent: str | None
    role: Role | None = None
    text: str = ""
    created: float | None = None
    finish_reason: FinishReason = "stop"


def grow(
    chat_id: str, nodes: Mapping[str, Node], created: float, leaf: str
) -> tuple[list[Message], str | None]:
    """The messages of a tree, parents first and siblings as they come, and the shown leaf.

    What has no text is left out: what answers it then answers what comes before it.  Ids are
    the same at each import.  Raises BadConversationError where nothing is left.
    """
    children: dict[str | None, list[str]] = defaultdict(list)
    for node_id, node in nodes.items():
        children[node.parent if node.parent in nodes else None].append(node_id)
    messages: list[Message] = []
    kept: dict[str, str | None] = {}  # the message that a node is, or else stands below
    waiting: list[tuple[str, str | None, float]] = [
        (root, None, created) for root in reversed(children[None])
    ]
    while waiting:
        node_id, parent_id, before = waiting.pop()
        node = nodes[node_id]
        when = before if node.created is None else node.created
        if node.role:
            message = Message(
                id=same_id(f"{chat_id}/{node_id}"),
                chat_id=chat_id,
                parent_id=parent_id,
                role=node.role,
                text=node.text,
                created=when,
                finish_reason=node.finish_reason if node.role == "assistant" else None,
            )
            messages.append(message)
            parent_id = message.id
        kept[node_id] = parent_id
        waiting += [(child, parent_id, when) for child in reversed(children[node_id])]
    if not messages:
        raise BadConversationError("nothing in it was said in text.")
    return messages, kept.get(leaf) or messages[-1].id
