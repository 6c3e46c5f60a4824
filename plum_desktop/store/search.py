"""Full-text search over messages and the files that were sent with them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from plum_desktop.base.types import MessageRef, SearchFilter, SearchHit
from plum_desktop.store.connection import Connection, Row
from plum_desktop.store.folders import Folders

MATCH_START, MATCH_END = "\ue000", "\ue001"  # private use: no keyboard types them

_SNIPPET_WORDS = 16
_SNIPPET_CHARACTERS = 40  # on either side of a match, where words cannot be told apart
# Messages.  What more of them match is found newest first: so many cannot be ranked while
# somebody types, and a word that more of them have is left out of what is looked up.
_COMMON = 5_000
_MOST_WORDS = 32  # FTS5 limits the depth of an expression
_LIKE_CHARACTERS = 1_000  # SQLite limits the length of a pattern
# Thai, Lao, Burmese, Khmer, Japanese and Chinese put no space between words: to the index a
# whole clause is one word.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class _Source:
    """What can be searched: an FTS5 index, the table that it is of, and what that says."""

    index: str
    table: str
    text: str
    of_message: str  # joins the table to messages, where it is not messages itself

    def tables(self, rowid: str = "") -> str:
        """The tables of a hit; `rowid` joins them to the index."""
        on = f" ON {self.table}.number = {rowid}" if rowid else ""
        return f"{self.table}{on} {self.of_message} JOIN chats ON chats.id = messages.chat_id"


_MESSAGES = _Source("messages_fts", "messages", "messages.text", "")
_ATTACHMENTS = _Source(
    "attachments_fts", "attachments", "(attachments.name || ': ' || attachments.text)",
    "JOIN messages ON messages.id = attachments.message_id",
)  # fmt: skip


def messages(
    connection: Connection, text: str, limit: int, within: SearchFilter
) -> list[SearchHit]:
    """Messages that have every word of `text`, the last as a prefix; best match first.

    Where very many match, the newest come first; a last word of one letter is the whole word.
    After them come those that were sent with a file which has every word.
    """
    words = _words(text)
    if not words:
        return []
    filtered = _condition(connection, within, "messages.created", "messages.created")
    find = _scan if _UNSPACED.search(text) else _match
    found = {hit.message_id: hit for hit in find(connection, _MESSAGES, words, limit, *filtered)}
    for hit in find(connection, _ATTACHMENTS, words, limit, *filtered):
        found.setdefault(hit.message_id, hit)
    return list(found.values())[:limit]


def _match(
    connection: Connection, source: _Source, words: list[str], limit: int, condition: str,
    values: Row,
) -> list[SearchHit]:  # fmt: skip
    index = source.index
    # Every word is quoted, hence nothing in it can be an operator.
    expression = " ".join(f'"{word}"' for word in words)
    if len(words[-1]) > 1:  # else it begins more words than can be looked through
        expression += "*"
    many = _exceeds(connection, index, expression, _COMMON)
    # By rank and nothing else, which the index itself does: with more, SQLite sorts, slowly; and
    # telling the rank works out once more how often each word occurs.
    order = f"{index}.rowid DESC" if many else f"{index}.rank"
    rows = connection.tuples(
        f"""
        SELECT messages.chat_id, messages.id, chats.title, messages.role,
            snippet({index}, -1, :start, :end, '…', :words), messages.created
        FROM {index} JOIN {source.tables(f"{index}.rowid")}
        WHERE {index} MATCH :expression AND {condition}
        ORDER BY {order} LIMIT :limit
        """,
        {
            "start": MATCH_START,
            "end": MATCH_END,
            "words": _SNIPPET_WORDS,
            "expression": expression,
            "limit": limit,
            **values,
        },
    )
    hits = [SearchHit(*row) for row in rows]
    if many:
        return hits
    # What was said several times has one rank, and the index begins with the oldest.
    said = itertools.groupby(hits, key=lambda hit: hit.snippet)
    return [hit for _, same in said for hit in reversed(list(same))]


def _exceeds(connection: Connection, index: str, expression: str, most: int) -> bool:
    """Whether more than `most` rows of an index match."""
    rows = connection.query(
        f"SELECT count(*) AS held FROM (SELECT 1 FROM {index} WHERE {index} MATCH ? LIMIT ?)",
        [expression, most + 1],
    )
    return int(rows[0]["held"]) > most


def titles(connection: Connection, text: str, limit: int, within: SearchFilter) -> list[SearchHit]:
    """Chats whose title has `text`, by their last message, newest first; no text: every chat."""
    condition, values = _condition(connection, within, "chats.updated", "chats.created")
    wanted = " ".join(text.split()).casefold()
    # SQLite knows the small letters of ASCII only, and reads titles faster than Python does: it
    # gives those that have the text, and those of which it cannot tell.
    some = "TRUE"
    if wanted.isascii():
        some = r"title LIKE :like ESCAPE '\' OR length(title) <> length(CAST(title AS BLOB))"
    rows = connection.tuples(
        f"""
        SELECT title, id, created FROM chats WHERE ({some}) AND {condition}
        ORDER BY updated DESC, number DESC
        """,
        values | {"like": f"%{_escaped(wanted[:_LIKE_CHARACTERS])}%"},
    )
    found = (row for row in rows if wanted in row[0].casefold())
    return [
        SearchHit(chat_id, "", title, "user", "", created)
        for title, chat_id, created in itertools.islice(found, limit)
    ]


def _escaped(text: str) -> str:
    """For LIKE, which then finds the text itself."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _condition(
    connection: Connection, within: SearchFilter, newest: str, oldest: str
) -> tuple[str, Row]:
    """The filter in SQL over `chats`, and its values; `newest` and `oldest` are times in it."""
    conditions, values = ["TRUE"], Row()
    if within.after is not None:
        conditions.append(f"{newest} >= :after")
        values["after"] = within.after
    if within.before is not None:
        conditions.append(f"{oldest} < :before")
        values["before"] = within.before
    if within.folder is not None:
        conditions.append("chats.folder IN (SELECT value FROM json_each(:folders))")
        values["folders"] = json.dumps(Folders(connection).named(within.folder))
    if within.persona is not None:
        wanted = within.persona.casefold()
        some = [each for each in personas(connection) if wanted in each.casefold()]
        conditions.append("chats.persona IN (SELECT value FROM json_each(:personas))")
        values["personas"] = json.dumps(some)
    if within.archived is not None:
        conditions.append("chats.archived = :archived")
        values["archived"] = within.archived
    return " AND ".join(conditions), values


def personas(connection: Connection) -> list[str]:
    """The personas that chats have of their own, the most used first."""
    rows = connection.query(
        "SELECT persona FROM chats WHERE persona IS NOT NULL"
        " GROUP BY persona ORDER BY count(*) DESC, persona"
    )
    return [row["persona"] for row in rows]


def related(connection: Connection, beginnings: Sequence[str], limit: int) -> list[MessageRef]:
    """Messages that have a word with any of `beginnings`, best match first."""
    counts = {one: count(connection, one) for one in beginnings if any(map(str.isalnum, one))}
    rare = sorted((word for word, held in counts.items() if held), key=lambda word: counts[word])
    if not rare:
        return []
    # A word that half of all messages have finds nothing, and ranking them all takes long.
    few = [word for word in rare if counts[word] <= _COMMON]
    chosen = (few or rare[:1])[:_MOST_WORDS]
    rows = connection.query(
        """
        SELECT messages.chat_id, messages.id AS message_id
        FROM messages_fts JOIN messages ON messages.number = messages_fts.rowid
        WHERE messages_fts MATCH ? ORDER BY messages_fts.rank LIMIT ?
        """,
        [" OR ".join(_beginning(word) for word in chosen), limit],
    )
    return [MessageRef(**row) for row in rows]


def count(connection: Connection, beginning: str) -> int:
    """How many messages have a word that begins so."""
    rows = connection.query(
        "SELECT count(*) AS held FROM messages_fts WHERE messages_fts MATCH ?",
        [_beginning(beginning)],
    )
    return int(rows[0]["held"])


def _beginning(word: str) -> str:
    return '"' + word.replace('"', "") + '"*'


def optimize(connection: Connection) -> None:
    """Merge each index into one segment, so that no entry of a deleted message is left."""
    for index in indexes(connection):
        connection.execute(f"INSERT INTO {index} ({index}) VALUES ('optimize')")


def indexes(connection: Connection) -> list[str]:
    """The search indexes that this database has, which may be older than we are."""
    rows = connection.query("SELECT name FROM sqlite_master WHERE type = 'table'")
    there = {row["name"] for row in rows}
    return [one.index for one in (_MESSAGES, _ATTACHMENTS) if one.index in there]


def _words(text: str) -> list[str]:
    """What a person typed, split at spaces and quotes; what has no letter or digit is left out."""
    words = re.split(r'[\s"\0]+', text)
    return [word for word in words if any(map(str.isalnum, word))][:_MOST_WORDS]


def _scan(
    connection: Connection, source: _Source, words: list[str], limit: int, condition: str,
    values: Row,
) -> list[SearchHit]:  # fmt: skip
    """Messages that have every word anywhere, newest first: reads every one."""
    named = {f"word{at}": word for at, word in enumerate(words)}
    has_all = " AND ".join(f"instr(lower({source.text}), lower(:{name})) > 0" for name in named)
    rows = connection.query(
        f"""
        SELECT messages.chat_id, messages.id AS message_id, chats.title, messages.role,
            {source.text} AS snippet, messages.created
        FROM {source.tables()}
        WHERE {has_all} AND {condition} ORDER BY messages.number DESC LIMIT :limit
        """,
        {**named, **values, "limit": limit},
    )
    return [SearchHit(**row | {"snippet": _snippet(row["snippet"], words)}) for row in rows]


def _snippet(text: str, words: list[str]) -> str:
    """The surroundings of the first match, with every match in it marked."""
    wanted = re.compile("|".join(map(re.escape, words)), re.IGNORECASE)
    first = wanted.search(text)
    start = max(0, first.start() - _SNIPPET_CHARACTERS) if first else 0
    end = (first.end() if first else 0) + _SNIPPET_CHARACTERS
    marked = wanted.sub(lambda match: f"{MATCH_START}{match[0]}{MATCH_END}", text[start:end])
    return ("…" if start else "") + marked + ("…" if end < len(text) else "")
