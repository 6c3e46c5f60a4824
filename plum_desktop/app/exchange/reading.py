"""Importing: each conversation of a file, whichever program wrote it, is stored once, and grows."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plum_desktop.app.exchange import chatgpt, claude, lines, whole
from plum_desktop.app.exchange.parts import BadConversationError
from plum_desktop.app.exchange.source import Item, items
from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Chat, Message
from plum_desktop.store import Store

_BATCH = 100  # conversations a transaction: others can write in between
_ORDER = 1e-6  # seconds between chats that do not say when they were: a file's order is kept


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file's conversations.

    `grown` were there, and have new messages; `skipped` were there as they are.
    """

    added: int
    grown: int
    skipped: int
    problems: list[str]  # one sentence for each that was left out, with its place in the file


def import_file(
    store: Store, path: Path, on_progress: Callable[[float], None] | None = None
) -> ImportReport:
    """Add the conversations of a file; `on_progress` gets the share done, 0 to 1.

    The file is JSON Lines (see `lines`), our own JSON, or what ChatGPT or Claude export:
    conversations.json, or the archive that it came in.  Its content says which; it is read one
    conversation at a time.  A conversation that is not as it should be is a problem in the
    report and nothing else is lost.  Raises PlumError, with nothing changed, for a file that
    cannot be read, is not UTF-8 or has no conversation.
    """
    problems, valid = _examine(path)
    if not valid:
        reason = problems[0] if problems else "It is empty."
        raise PlumError(
            "{name} has no conversation that can be imported: {reason}",
            name=path.name,
            reason=reason[0].lower() + reason[1:],
        )
    added = grown = done = refused = 0
    read = _conversations(path, time.time())
    while batch := list(itertools.islice(read, _BATCH)):
        with store.transaction():
            for place, chat, messages in batch:
                try:
                    is_new = store.chats.add_conversation(chat, messages)
                    added += is_new
                    grown += not is_new and store.chats.grow(chat, messages)
                except PlumError as error:
                    problems.append(f"{place}: {error}")
                    refused += 1
        done += len(batch)
        if on_progress:
            on_progress(done / valid)
    return ImportReport(added, grown, done - added - grown - refused, problems)


def _examine(path: Path) -> tuple[list[str], int]:
    """Each bad conversation's problem, and how many are good; nothing is stored yet."""
    problems, valid = [], 0
    for item in items(path):
        try:
            _conversation(item, 0)
            valid += 1
        except BadConversationError as error:
            problems.append(f"{_place(item)}: {error}")
    return problems, valid


def _conversations(path: Path, started: float) -> Iterator[tuple[str, Chat, list[Message]]]:
    for number, item in enumerate(items(path)):
        try:
            chat, messages = _conversation(item, started + number * _ORDER)
        except BadConversationError:
            continue
        yield _place(item), chat, messages


def _conversation(item: Item, now: float) -> tuple[Chat, list[Message]]:
    """The chat in an item; `now` is when it was, unless it says so itself."""
    if item.problem:
        raise BadConversationError(item.problem)
    record: Any = item.record
    if not isinstance(record, dict):
        raise BadConversationError("it is not an object with an id and messages.")
    if "mapping" in record:
        return chatgpt.conversation(record, now)
    if "chat_messages" in record:
        return claude.conversation(record, now)
    if "leaf" in record:
        return whole.conversation(record)
    return lines.conversation(record, now)


def _place(item: Item) -> str:
    """Where a conversation stands, and what it is called, if it says so."""
    record = item.record if isinstance(item.record, dict) else {}
    title = record.get("title") or record.get("name")
    if item.lined or not isinstance(title, str) or not title.strip():
        return item.place
    return f"{item.place} (“{' '.join(title.split())[:60]}”)"
