"""What was typed and not sent yet, a text for each chat."""

from __future__ import annotations

from plum_desktop.store.connection import Connection


class Drafts:
    """Drafts by chat id; the empty id stands for the chat that is not begun yet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, chat_id: str) -> str:
        """The draft; empty where there is none."""
        rows = self._connection.query("SELECT text FROM drafts WHERE chat_id = ?", [chat_id])
        return str(rows[0]["text"]) if rows else ""

    def set(self, chat_id: str, text: str) -> None:
        """Keep a draft in place of the one before; a blank one is no draft.

        One of a chat that has been deleted meanwhile is not kept.
        """
        if text.strip():
            self._connection.execute(
                """
                INSERT INTO drafts (chat_id, text) SELECT :chat, :text
                WHERE :chat = '' OR EXISTS (SELECT 1 FROM chats WHERE id = :chat)
                ON CONFLICT (chat_id) DO UPDATE SET text = excluded.text
                """,
                {"chat": chat_id, "text": text},
            )
        else:
            self._connection.execute("DELETE FROM drafts WHERE chat_id = ?", [chat_id])
