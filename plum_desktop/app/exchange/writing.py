"""Exporting: JSON Lines and JSON, which come in again, and Markdown to read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from plum_desktop.app.exchange.parts import DEFAULTS
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import atomic_write
from plum_desktop.base.types import Chat, Message, Role
from plum_desktop.store import Store

ExportFormat = Literal["json", "markdown", "jsonl"]

_KEPT = ("folder", "pinned", "archived", "learn", "memory")  # where not as in a new chat
_SPEAKERS: dict[Role, str] = {"system": "System", "user": "You", "assistant": "Assistant"}


def export_chats(
    store: Store, chat_ids: list[str] | None, path: Path | None, format: ExportFormat
) -> str | None:
    """Write chats (None: all, oldest first) to `path`, or return the text where that is None.

    `jsonl` has the shown branches, and what `import_file` reads; `markdown` is for reading;
    `json` has every branch and field, and comes in again as it was.  Raises PlumError for an
    unknown chat or a bad path.
    """
    if chat_ids is None:
        chats = sorted(store.chats.list(archived=None), key=lambda chat: (chat.created, chat.id))
    else:
        chats = list({chat.id: chat for chat in map(store.chats.get, chat_ids)}.values())
    pieces = _WRITERS[format](store, chats)
    if path is None:
        return "".join(pieces)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise PlumError("{path} cannot be written; give a file in a folder that exists.", path=path)
    with atomic_write(path) as stream:
        for piece in pieces:
            stream.write(piece.encode())
    return None


def _jsonl(store: Store, chats: Iterable[Chat]) -> Iterator[str]:
    for chat in chats:
        turns = [_turn(each) for each in store.chats.branch(chat.id) if each.text.strip()]
        if not turns:
            continue
        if chat.persona and chat.persona.strip():
            turns.insert(0, {"role": "system", "content": chat.persona})
        record = {"id": chat.id, "title": chat.title, "created": chat.created}
        for name in _KEPT:
            if (value := getattr(chat, name)) != getattr(DEFAULTS, name):
                record[name] = value
        yield json.dumps(record | {"messages": turns}, ensure_ascii=False) + "\n"


def _turn(message: Message) -> dict[str, Any]:
    turn = {"role": message.role, "content": message.text, "created": message.created}
    if message.role == "assistant" and message.finish_reason != "stop":
        turn["finish_reason"] = message.finish_reason or "failed"
    if message.attachments:
        turn["attachments"] = [asdict(file) for file in message.attachments]
    return turn


def _json(store: Store, chats: Iterable[Chat]) -> Iterator[str]:
    yield '{"format": "plum-desktop chats", "version": 1, "chats": ['
    for place, chat in enumerate(chats):
        record = asdict(chat) | {"messages": [asdict(each) for each in store.chats.tree(chat.id)]}
        yield ",\n" if place else "\n"
        yield json.dumps(record, ensure_ascii=False, indent=1)
    yield "\n]}\n"


def _markdown(store: Store, chats: Iterable[Chat]) -> Iterator[str]:
    for place, chat in enumerate(chats):
        yield "\n" if place else ""
        day = datetime.fromtimestamp(chat.created, UTC).strftime("%Y-%m-%d")
        yield f"# {' '.join(chat.title.split())}\n\n{day}\n"
        for message in store.chats.branch(chat.id):
            yield f"\n## {_SPEAKERS[message.role]}\n\n{message.text.strip()}\n"
            for file in message.attachments:
                yield f"\n### {file.name}\n\n{_fenced(file.text)}\n"


def _fenced(text: str) -> str:
    """A code block that no line of `text` can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


_WRITERS: dict[ExportFormat, Callable[[Store, Iterable[Chat]], Iterator[str]]] = {
    "json": _json,
    "markdown": _markdown,
    "jsonl": _jsonl,
}
