"""What a message is shown as: blocks of safe HTML, and of code on its own.

Whatever a text is made of, showing it takes time and widgets by its length, not by its square:
what would not is shown as it was written.  No widgets, and no Markdown, which takes a while to
load and which a window without a reply does not need.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

PROSE_AT_MOST = 3_000  # characters of one block, roughly: it ends with a paragraph
TEXT_AT_MOST = 200_000  # characters; what is longer is shown as it was written
BLOCKS_AT_MOST = 300  # of one message; each is a widget


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a message: prose as HTML, or the source of a code block."""

    kind: str  # "prose" or "code"
    text: str
    language: str = ""


# What makes a text look like another one: an order of letters forced on what follows.  Marks and
# isolates, which honest text in two directions needs, stay in prose.
_DIRECTIONS = re.compile("[\u202a-\u202e]")
_CODE_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """NUL is not text, and a lone carriage return would hide what stands before it."""
    text = text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")
    return _DIRECTIONS.sub("", text)


def code_block(source: str, language: str = "") -> Block:
    return Block("code", _CODE_DIRECTIONS.sub("", source).rstrip("\n"), language)


_FENCE = re.compile(r"^```[ \t]*(\S*)[^\n]*\n(.*?)(?:^```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


def plain_blocks_of(text: str) -> list[Block]:
    """The blocks of what a person wrote: as typed, only fenced code set apart."""
    text = shown(text)
    blocks: list[Block] = []

    def prose(part: str) -> None:
        part = part.strip("\n")
        for piece in _pieces(part) if part.strip() else ():
            lines = html.escape(piece).replace("\n", "<br>")
            blocks.append(Block("prose", f'<p style="white-space: pre-wrap">{lines}</p>'))

    end = 0
    for fence in _FENCE.finditer(text):
        if len(blocks) >= BLOCKS_AT_MOST:
            break
        prose(text[end : fence.start()])
        blocks.append(code_block(fence[2], fence[1]))
        end = fence.end()
    prose(text[end:])
    return blocks


def _pieces(text: str) -> list[str]:
    """A text that is very long, in parts that are laid out one at a time; no word is cut."""
    if len(text) <= TEXT_AT_MOST:
        return [text]
    size = max(PROSE_AT_MOST, len(text) // BLOCKS_AT_MOST + 1)
    pieces, start = [], 0
    while start < len(text):
        end = start + size
        if end < len(text):
            end = 1 + max(text.rfind("\n", start, end), text.rfind(" ", start, end)) or end
        pieces.append(text[start:end])
        start = end
    return pieces
