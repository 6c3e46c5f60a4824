"""A model's Markdown as blocks.

Nothing in it can act: raw HTML is shown as text, pictures become links, and links keep only
http, https and mailto.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from plum_desktop.ui.chat import formula
from plum_desktop.ui.chat.blocks import (
    BLOCKS_AT_MOST,
    PROSE_AT_MOST,
    TEXT_AT_MOST,
    Block,
    code_block,
    plain_blocks_of,
    shown,
)

_SCHEMES = ("http", "https", "mailto")
_TOKEN_WEIGHT = 5  # characters that an element without text counts for: a rule, a table's cell
_CELLS_AT_MOST = 1_000  # of a table; Qt lays out each


def is_safe_link(address: str) -> bool:
    """Whether a link may be offered at all.  It is asked about before it opens, still."""
    try:
        return urlsplit(address.strip()).scheme.lower() in _SCHEMES
    except ValueError:
        return False


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
    parser.enable(["table", "strikethrough"])
    parser.validateLink = is_safe_link  # type: ignore[assignment, method-assign]
    parser.add_render_rule("image", _image)
    parser.add_render_rule("fence", _nested_code)
    parser.add_render_rule("code_block", _nested_code)
    parser.add_render_rule("table_open", _table)
    formula.install(parser)
    parser.core.ruler.after("block", "large_tables", _without_large_tables)
    return parser


def _image(
    _self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any
) -> str:  # fmt: skip
    token = tokens[index]
    source = str(token.attrs.get("src", ""))
    name = html.escape(token.content or source)
    return f'<a href="{html.escape(source, quote=True)}">[{name}]</a>'


def _table(
    _self: Any, _tokens: Sequence[Token], _index: int, _options: Any, _env: Any
) -> str:  # fmt: skip
    """Qt draws the lines of a table only where its attributes ask for them."""
    return '<table border="1" cellspacing="0" cellpadding="6">\n'


def _nested_code(
    _self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any
) -> str:  # fmt: skip
    """Code inside a list or a quotation stays in the prose."""
    return f"<pre>{html.escape(tokens[index].content.rstrip())}</pre>"


def _without_large_tables(state: StateCore) -> None:
    """Put a table that is too large back into the lines that it was made of."""
    kept: list[Token] = []
    begun = cells = 0  # where the table under way starts among those kept
    for token in state.tokens:
        kept.append(token)
        if token.type == "table_open":
            begun, cells = len(kept) - 1, 0
        cells += token.type in ("td_open", "th_open")
        if token.type == "table_close" and cells > _CELLS_AT_MOST:
            table = kept[begun]
            assert table.map
            lines = state.src.split("\n")[table.map[0] : table.map[1]]
            source = Token("code_block", "", 0, level=table.level, content="\n".join(lines))
            source.map = table.map
            kept[begun:] = [source]
    state.tokens = kept


def blocks_of(text: str) -> list[Block]:
    """The blocks of a reply, which may be still growing."""
    if len(text) > TEXT_AT_MOST:
        return plain_blocks_of(text)
    parser = _parser()
    env: dict[str, Any] = {}
    text = shown(text)
    tokens = parser.parse(text, env)
    blocks: list[Block] = []
    start = weight = 0

    def prose(end: int) -> None:
        if start < end:
            rendered = parser.renderer.render(tokens[start:end], parser.options, env)
            blocks.append(Block("prose", rendered.strip()))

    for at, token in enumerate(tokens):
        outside = token.level == 0 and token.nesting >= 0
        if outside and len(blocks) >= BLOCKS_AT_MOST and token.map:
            rest = "\n".join(text.split("\n")[token.map[0] :])
            return [*blocks, code_block(rest)]
        if outside and weight > PROSE_AT_MOST:
            # What a growing reply has said already need not be laid out again and again.
            prose(at)
            start, weight = at, 0
        weight += len(token.content) + _TOKEN_WEIGHT
        if token.level == 0 and token.type in ("fence", "code_block"):
            prose(at)
            language = token.info.strip().split(maxsplit=1)[0] if token.info.strip() else ""
            blocks.append(code_block(token.content, language))
            start, weight = at + 1, 0
    prose(len(tokens))
    return blocks
