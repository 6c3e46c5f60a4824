"""Chats in and out of files: JSON Lines both ways, JSON and Markdown out."""

from __future__ import annotations

import itertools
import json
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from plum_desktop.app import titles
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import atomic_write
from plum_desktop.base.types import Attachment, Chat, FinishReason, Message, Role
from plum_desktop.store import Store

ExportFormat = Literal["json", "markdown", "jsonl"]

_BATCH = 100  # conversations a transaction: others can write in between
_LONGEST_LINE = 64 << 20  # bytes
_LONGEST_ID = 200
_LATEST = 253_402_300_799  # the last second that a calendar can show, 9999-12-31
_ORDER = 1e-6  # seconds between chats that do not say when they were: a file's order is kept
_KEPT = ("folder", "pinned", "archived", "learn", "memory")  # where not as in a new chat
_DEFAULTS = Chat(id="", title="", created=0, updated=0)
_SPEAKERS: dict[Role, str] = {"system": "System", "user": "You", "assistant": "Assistant"}


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file's conversations; `skipped` were there already."""

    added: int
    skipped: int
    problems: list[str]  # one sentence for each line that was left out, with its number


class _BadLineError(Exception):
    """Why one line is no conversation."""


def import_file(
    store: Store, path: Path, on_progress: Callable[[float], None] | None = None
) -> ImportReport:
    """Add the conversations of a JSON Lines file; `on_progress` gets the share done, 0 to 1.

    A line is `{"id", "title"?, "created"?, "messages": [{"role", "content", "created"?,
    "attachments"?: [{"name", "text"}]}]}`; a first system message is the
    chat's persona.  A line that is not so is a problem in the report and nothing else is lost.
    Raises PlumError, with nothing changed, for a file that cannot be read, is not UTF-8 or has
    no valid line.
    """
    problems, valid = _examine(path)
    if not valid:
        reason = problems[0].replace("Line", "line", 1) if problems else "it is empty."
        raise PlumError(f"{path.name} has no conversation that can be imported: {reason}")
    added = done = 0
    started = time.time()
    for batch in _batches(_lines(path), _BATCH):
        with store.transaction():
            for number, line in batch:
                try:
                    chat, messages = _conversation(line, started + number * _ORDER)
                except _BadLineError:
                    continue
                added += store.chats.add_conversation(chat, messages)
                done += 1
        if on_progress:
            on_progress(done / valid)
    return ImportReport(added, valid - added, problems)


def export_chats(
    store: Store, chat_ids: list[str] | None, path: Path | None, format: ExportFormat
) -> str | None:
    """Write chats (None: all, oldest first) to `path`, or return the text where that is None.

    `jsonl` has the shown branches, and what `import_file` reads; `markdown` is for reading;
    `json` has every branch and field.  Raises PlumError for an unknown chat or a bad path.
    """
    if chat_ids is None:
        chats = sorted(store.chats.list(archived=None), key=lambda chat: (chat.created, chat.id))
    else:
        chats = list({chat.id: chat for chat in map(store.chats.get, chat_ids)}.values())
    pieces = _WRITERS[format](store, chats)
    if path is None:
        return "".join(pieces)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise PlumError(f"{path} cannot be written; give a file in a folder that exists.")
    with atomic_write(path) as stream:
        for piece in pieces:
            stream.write(piece.encode())
    return None


def _examine(path: Path) -> tuple[list[str], int]:
    """Each bad line's problem, and how many lines are good; nothing is stored yet."""
    problems, valid = [], 0
    for number, line in _lines(path):
        try:
            _conversation(line, 0)
            valid += 1
        except _BadLineError as error:
            problems.append(f"Line {number}: {error}")
    return problems, valid


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        with path.open("rb") as stream:
            for number in itertools.count(1):
                line = stream.readline(_LONGEST_LINE)
                if not line:
                    return
                if len(line) == _LONGEST_LINE:
                    raise PlumError(f"{path.name} is no JSON Lines file: line {number} has no end.")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise PlumError(f"{path.name} is not UTF-8 text; save it as UTF-8 first.") from error
    except OSError as error:
        raise PlumError(f"{path} cannot be read ({error.strerror}).") from error


def _batches(lines: Iterator[tuple[int, str]], size: int) -> Iterator[list[tuple[int, str]]]:
    while batch := list(itertools.islice(lines, size)):
        yield batch


def _conversation(line: str, now: float) -> tuple[Chat, list[Message]]:
    """The chat on a line; `now` is when it was, unless it says so itself."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _BadLineError("it is not valid JSON.") from error
    if not isinstance(record, dict):
        raise _BadLineError("it is not an object with an id and messages.")
    chat_id = record.get("id")
    if not isinstance(chat_id, str) or not 0 < len(chat_id) <= _LONGEST_ID:
        raise _BadLineError(f"its id is not a text of 1 to {_LONGEST_ID} characters.")
    if not chat_id.isprintable():
        raise _BadLineError("its id has characters that cannot be shown.")
    created = _time(record, now)
    turns = record.get("messages")
    if not isinstance(turns, list):
        raise _BadLineError("it has no list of messages.")
    for place, turn in enumerate(turns, 1):
        try:
            _check_turn(turn)
        except _BadLineError as error:
            raise _BadLineError(f"message {place}: {error}") from error
    persona = turns.pop(0)["content"] if turns and turns[0]["role"] == "system" else None
    if not turns:
        raise _BadLineError("it has no messages.")
    messages: list[Message] = []
    for turn in turns:
        parent_id = messages[-1].id if messages else None
        messages.append(_message(turn, chat_id, parent_id, _time(turn, created)))
    chat = Chat(
        id=chat_id,
        title=_text(record, "title") or titles.first_words(messages[0].text),
        created=created,
        updated=max(message.created for message in messages),
        folder=_text(record, "folder"),
        persona=persona,
        pinned=_flag(record, "pinned"),
        archived=_flag(record, "archived"),
        learn=_flag(record, "learn"),
        memory=_flag(record, "memory"),
    )
    return chat, messages


def _check_turn(turn: Any) -> None:
    if not isinstance(turn, dict):
        raise _BadLineError("it is not an object with role and content.")
    if turn.get("role") not in get_args(Role):
        raise _BadLineError(f"its role is not one of {', '.join(get_args(Role))}.")
    if not isinstance(turn.get("content"), str):
        raise _BadLineError("its content is not a text.")
    if not turn["content"].strip():
        raise _BadLineError("its content is empty.")
    files = turn.get("attachments", [])
    if not isinstance(files, list) or not all(map(_is_attachment, files)):
        raise _BadLineError("its attachments are not a list of objects with name and text.")
    _time(turn, 0)


def _is_attachment(file: Any) -> bool:
    return (
        isinstance(file, dict)
        and file.keys() == {"name", "text"}
        and all(isinstance(value, str) and value.strip() for value in file.values())
    )


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
        attachments=tuple(Attachment(**file) for file in turn.get("attachments", ())),
    )


def _time(record: dict[str, Any], default: float) -> float:
    """`created` as Unix seconds, from a number or an ISO text (UTC unless it says otherwise)."""
    match record.get("created"):
        case None:
            return default
        case bool():
            pass
        case int() | float() as seconds if 0 <= seconds <= _LATEST:  # NaN is not
            return float(seconds)
        case str() as text:
            try:
                moment = datetime.fromisoformat(text.strip())
                seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
            except (ValueError, OverflowError):
                seconds = -1
            if seconds >= 0:
                return seconds
    raise _BadLineError("its created is neither an ISO date since 1970 nor Unix seconds.")


def _text(record: dict[str, Any], key: str) -> str | None:
    """A text that may be left out, be null or be blank."""
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise _BadLineError(f"its {key} is not a text.")
    return value if value and value.strip() else None


def _flag(record: dict[str, Any], key: str) -> bool:
    value = record.get(key, getattr(_DEFAULTS, key))
    if not isinstance(value, bool):
        raise _BadLineError(f"its {key} is neither true nor false.")
    return value


def _jsonl(store: Store, chats: Iterable[Chat]) -> Iterator[str]:
    for chat in chats:
        turns = [_turn(each) for each in store.chats.branch(chat.id) if each.text.strip()]
        if not turns:
            continue
        if chat.persona and chat.persona.strip():
            turns.insert(0, {"role": "system", "content": chat.persona})
        record = {"id": chat.id, "title": chat.title, "created": chat.created}
        for name in _KEPT:
            if (value := getattr(chat, name)) != getattr(_DEFAULTS, name):
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
