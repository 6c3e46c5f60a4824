"""Chats, and the tree of messages in each."""

from __future__ import annotations

import enum
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any, Final, TypedDict, Unpack

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import UNTITLED, Attachment, Chat, FinishReason, Message, Role
from plum_desktop.store.connection import Connection, Row
from plum_desktop.store.folders import folder_path
from plum_desktop.store.forgetting import Doomed, erase
from plum_desktop.store.lookup import check_fields, resolve, without_number


class _Place(enum.Enum):
    SHOWN_LEAF = enum.auto()


SHOWN_LEAF: Final = _Place.SHOWN_LEAF
_COLUMNS = ", ".join(field.name for field in fields(Chat))
_AT_ONCE = 200  # chats that a walk reads


class ChatFields(TypedDict, total=False):
    """What `update` may change."""

    title: str
    folder: str | None
    pinned: bool
    archived: bool
    learn: bool
    memory: bool
    model: str | None
    persona: str | None
    temperature: float | None


class Chats:
    """Chats by id; `get` and what takes a chat's id also take its first letters, 4 or more.

    Raises PlumError for a chat or a message that is not there.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        title: str = UNTITLED,
        *,
        persona: str | None = None,
        model: str | None = None,
        temperature: float | None = None,
        memory: bool = True,
        learn: bool = True,
        created: float | None = None,
        chat_id: str | None = None,
    ) -> Chat:
        """Add an empty chat."""
        now = time.time() if created is None else created
        chat = Chat(
            id=chat_id or uuid.uuid4().hex,
            title=title,
            created=now,
            updated=now,
            persona=persona,
            model=model,
            temperature=temperature,
            memory=memory,
            learn=learn,
        )
        self._connection.insert("chats", [asdict(chat)])
        return chat

    def get(self, chat_id: str) -> Chat:
        """The chat of this id, or the only one whose id begins so."""
        return _chat(resolve(self._connection, "chats", chat_id, "chat"))

    def update(self, *chat_ids: str, **fields: Unpack[ChatFields]) -> None:
        """Change some fields of chats, of all or of none; they do not move in the list."""
        check_fields(fields, ChatFields)
        if "folder" in fields:
            fields["folder"] = folder_path(fields["folder"])
        with self._connection.transaction():
            for chat_id in chat_ids:
                self._connection.update("chats", self.get(chat_id).id, fields)

    def delete(self, *chat_ids: str) -> None:
        """Delete chats, all or none, with their messages, files, facts, drafts and search entries.

        Pages and the search index may keep their words until `Store.compact`; adapters keep what
        they learned.
        """
        with self._connection.transaction():
            erase(self._connection, Doomed(tuple(self.get(chat_id).id for chat_id in chat_ids)))

    def deleted_with(self, message_id: str) -> list[Message]:
        """What goes when a message is deleted, it included.

        A question goes with its replies and a reply with its question, and what was said after
        them stays.  Where there is another version, this one goes with all that followed it.
        """
        message = self.message(message_id)
        alone = len(self.siblings(message.id)) == 1
        if alone and message.role == "assistant" and message.parent_id:
            message = self.message(message.parent_id)
            alone = len(self.siblings(message.id)) == 1
        tree = self.tree(message.chat_id)
        below, gone = {message.id}, [message]
        for each in tree:
            if each.parent_id in below:
                gone.append(each)
                if not alone:
                    below.add(each.id)
        return gone

    def add_message(
        self,
        chat_id: str,
        role: Role,
        text: str,
        *,
        parent_id: str | _Place | None = SHOWN_LEAF,
        created: float | None = None,
        tokens: int | None = None,
        finish_reason: FinishReason | None = None,
        message_id: str | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> Message:
        """Add a message below `parent_id` (None: a first message); its branch is then shown."""
        with self._connection.transaction():
            chat = self.get(chat_id)
            message = Message(
                id=message_id or uuid.uuid4().hex,
                chat_id=chat.id,
                parent_id=chat.leaf if isinstance(parent_id, _Place) else parent_id,
                role=role,
                text=text,
                created=time.time() if created is None else created,
                tokens=tokens,
                finish_reason=finish_reason,
                attachments=tuple(attachments),
            )
            self._insert([message])
            self._connection.execute(
                "UPDATE chats SET leaf = ?, updated = max(updated, ?) WHERE id = ?",
                [message.id, message.created, chat.id],
            )
        return message

    def grow_message(self, message_id: str, text: str) -> None:
        """Store the whole text so far of a reply that is being written."""
        self._change(message_id, {"text": text})

    def finish_message(
        self, message_id: str, text: str, finish_reason: FinishReason, tokens: int | None = None
    ) -> None:
        """Store a reply's final text, and how it ended."""
        self._change(message_id, {"text": text, "finish_reason": finish_reason, "tokens": tokens})

    def reopen_message(self, message_id: str) -> None:
        """A reply that had ended is being written on."""
        self._change(message_id, {"finish_reason": None})

    def close_interrupted(self) -> int:
        """Mark replies that nobody writes any more as failed; how many there were.

        Only for a start at which no process generates: elsewhere it would end a live reply.
        """
        return self._connection.execute(
            "UPDATE messages SET finish_reason = 'failed'"
            " WHERE role = 'assistant' AND finish_reason IS NULL"
        )

    def message(self, message_id: str) -> Message:
        """The message of exactly this id."""
        rows = self._connection.query("SELECT * FROM messages WHERE id = ?", [message_id])
        if not rows:
            raise _no_message()
        return _messages(self._connection, rows)[0]

    def branch(self, chat_id: str) -> list[Message]:
        """The shown branch, from the first message to the leaf."""
        rows = self._connection.query(
            """
            WITH RECURSIVE shown (id, depth) AS (
                SELECT ?, 0
                UNION ALL
                SELECT messages.parent_id, depth + 1
                FROM shown JOIN messages ON messages.id = shown.id
                WHERE messages.parent_id IS NOT NULL
            )
            SELECT messages.* FROM shown JOIN messages ON messages.id = shown.id
            ORDER BY depth DESC
            """,
            [self.get(chat_id).leaf],
        )
        return _messages(self._connection, rows)

    def walk(self, chat_ids: Sequence[str] | None = None) -> Iterator[tuple[Chat, int]]:
        """All chats, or these by their whole ids, the first that was made first; some at a time.

        Each with a number that, in this process, is another one as soon as its shown branch is:
        it is made of the last message with its length and end, and of how many there are, since
        what was said after a deleted message stays.
        """
        asked = None if chat_ids is None else json.dumps(list(chat_ids))
        every = self._connection.tuples(
            """
            SELECT id FROM chats WHERE :asked IS NULL OR id IN (SELECT value FROM json_each(:asked))
            ORDER BY created, number
            """,
            {"asked": asked},
        )
        for start in range(0, len(every), _AT_ONCE):
            some = json.dumps([chat_id for (chat_id,) in every[start : start + _AT_ONCE]])
            rows = self._connection.tuples(
                f"""
                SELECT {_COLUMNS}, (
                    SELECT json_array(leaf, length(text), finish_reason)
                    FROM messages WHERE messages.id = leaf
                ), (SELECT count(*) FROM messages WHERE chat_id = chats.id)
                FROM chats WHERE id IN (SELECT value FROM json_each(?)) ORDER BY created, number
                """,
                [some],
            )
            for *columns, last, count in rows:
                yield _of_columns(columns), hash((last, count))

    def tree(self, chat_id: str) -> list[Message]:
        """Every message of every branch; parents before their children."""
        rows = self._connection.query(
            "SELECT * FROM messages WHERE chat_id = ? ORDER BY number", [self.get(chat_id).id]
        )
        return _messages(self._connection, rows)

    def siblings(self, message_id: str) -> list[Message]:
        """The message and those that stand in its place on other branches, oldest first."""
        message = self.message(message_id)
        rows = self._connection.query(
            "SELECT * FROM messages WHERE chat_id = ? AND parent_id IS ? ORDER BY number",
            [message.chat_id, message.parent_id],
        )
        return _messages(self._connection, rows)

    def show(self, chat_id: str, message_id: str) -> None:
        """Show the branch that goes through a message, down to its newest message."""
        with self._connection.transaction():
            chat, message = self.get(chat_id), self.message(message_id)
            if message.chat_id != chat.id:
                raise _no_message()
            # Children come after their parents: the newest of all below is a leaf.
            self._connection.execute(
                """
                WITH RECURSIVE below (id, number) AS (
                    SELECT id, number FROM messages WHERE id = :message
                    UNION ALL
                    SELECT messages.id, messages.number FROM below
                    JOIN messages ON messages.chat_id = :chat AND messages.parent_id = below.id
                )
                UPDATE chats SET leaf = (SELECT id FROM below ORDER BY number DESC LIMIT 1)
                WHERE id = :chat
                """,
                {"message": message.id, "chat": chat.id},
            )

    def add_conversation(self, chat: Chat, messages: Iterable[Message]) -> bool:
        """Add a whole chat as it is, in one transaction; False if its id is there already.

        Messages come parents first.  Without a leaf the last message is the shown one.  Raises
        PlumError, with nothing changed, where another chat has one of the messages.
        """
        messages = list(messages)
        if chat.leaf is None and messages:
            leaf: str | None = messages[-1].id
        else:
            leaf = chat.leaf
        with self._connection.transaction():
            row = asdict(chat) | {"leaf": leaf, "folder": folder_path(chat.folder)}
            if not self._connection.insert("chats", [row], ignore=True):
                return False
            if self._connection.query(
                "SELECT 1 FROM messages WHERE id IN (SELECT value FROM json_each(?)) LIMIT 1",
                [json.dumps([message.id for message in messages])],
            ):
                raise PlumError("Some of its messages are here already, in another chat.")
            self._insert(messages)
        return True

    def grow(self, chat: Chat, messages: Sequence[Message]) -> bool:
        """Add what was said in another program since its chat came in; False: nothing was.

        New is what answers what is here and is younger than all that came in: older messages
        that are missing were deleted.  The shown branch grows where nothing was said here since.
        Messages come parents first.
        """
        with self._connection.transaction():
            here = {message.id for message in self.tree(chat.id)}
            came_in = [message.created for message in messages if message.id in here]
            youngest = max(came_in, default=float("inf"))
            new: dict[str, Message] = {}
            for message in messages:
                answers = message.parent_id in here or message.parent_id in new
                if message.id not in here and message.created > youngest and answers:
                    new[message.id] = message
            if not new:
                return False
            self._insert(list(new.values()))
            leaf, below = self.get(chat.id).leaf, chat.leaf
            while below in new:
                below = new[below].parent_id
            if below == leaf and chat.leaf:
                self.show(chat.id, chat.leaf)
            self._connection.execute(
                "UPDATE chats SET updated = max(updated, ?) WHERE id = ?",
                [max(message.created for message in new.values()), chat.id],
            )
        return True

    def list(
        self, *, archived: bool | None = False, limit: int | None = None, offset: int = 0
    ) -> list[Chat]:
        """Pinned ones first, then by their last message, newest first; archived None: all."""
        rows = self._connection.tuples(
            f"""
            SELECT {_COLUMNS} FROM chats WHERE :archived IS NULL OR archived = :archived
            ORDER BY pinned DESC, updated DESC, number DESC LIMIT :limit OFFSET :offset
            """,
            {"archived": archived, "limit": -1 if limit is None else limit, "offset": offset},
        )
        return [_of_columns(row) for row in rows]

    def _insert(self, messages: Sequence[Message]) -> None:
        rows = [asdict(message) for message in messages]
        files = [
            {"message_id": row["id"], **file} for row in rows for file in row.pop("attachments")
        ]
        self._connection.insert("messages", rows)
        self._connection.insert("attachments", files)

    def _change(self, message_id: str, fields: Row) -> None:
        if not self._connection.update("messages", message_id, fields):
            raise _no_message()


def _no_message() -> PlumError:
    return PlumError("That message is not there any more; its chat may have been deleted.")


def _chat(row: Row) -> Chat:
    flags = {name: bool(row[name]) for name in ("pinned", "archived", "learn", "memory")}
    return Chat(**without_number(row) | flags)


def _of_columns(row: Sequence[Any]) -> Chat:
    """Of `_COLUMNS`, by place: by name each of thousands would take twice as long."""
    i, title, created, updated, folder, pinned, archived, learn, memory, *rest = row
    return Chat(
        i, title, created, updated, folder, pinned == 1, archived == 1, learn == 1, memory == 1,
        *rest,
    )  # fmt: skip


def _messages(connection: Connection, rows: Sequence[Row]) -> list[Message]:
    """The records of rows of one chat, with their files."""
    if not rows:
        return []
    files: dict[str, list[Attachment]] = {}
    for row in connection.query(
        """
        SELECT message_id, name, attachments.text FROM attachments
        JOIN messages ON messages.id = message_id
        WHERE chat_id = ? ORDER BY attachments.number
        """,
        [rows[0]["chat_id"]],
    ):
        files.setdefault(row["message_id"], []).append(Attachment(row["name"], row["text"]))
    return [
        Message(**without_number(row), attachments=tuple(files.get(row["id"], ()))) for row in rows
    ]
