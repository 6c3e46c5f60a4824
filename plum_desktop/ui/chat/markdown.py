"""A model's Markdown as blocks that Qt can show: safe HTML, and code on its own.

Nothing in it can act: raw HTML is shown as text, pictures become links, and links keep only
http, https and mailto.  Whatever a text is made of, showing it takes time and widgets by its
length, not by its square: what would not is shown as it was written.  No widgets.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.lexers.special import TextLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType
from pygments.util import ClassNotFound

from plum_desktop.ui.base.theme import Theme
from plum_desktop.ui.chat import formula

_SCHEMES = ("http", "https", "mailto")
_PROSE_AT_MOST = 3_000  # characters of one block, roughly: it ends with a paragraph
_TOKEN_WEIGHT = 5  # characters that an element without text counts for: a rule, a table's cell
_MARKDOWN_AT_MOST = 200_000  # characters; what is longer is shown as it was written
_BLOCKS_AT_MOST = 300  # of one message; each is a widget
_CELLS_AT_MOST = 1_000  # of a table; Qt lays out each
_HIGHLIGHT_AT_MOST = 50_000  # characters; longer code is shown plain


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a message: prose as HTML, or the source of a code block."""

    kind: str  # "prose" or "code"
    text: str
    language: str = ""


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
    if len(text) > _MARKDOWN_AT_MOST:
        return plain_blocks_of(text)
    parser = _parser()
    env: dict[str, Any] = {}
    text = _shown(text)
    tokens = parser.parse(text, env)
    blocks: list[Block] = []
    start = weight = 0

    def prose(end: int) -> None:
        if start < end:
            rendered = parser.renderer.render(tokens[start:end], parser.options, env)
            blocks.append(Block("prose", rendered.strip()))

    for at, token in enumerate(tokens):
        outside = token.level == 0 and token.nesting >= 0
        if outside and len(blocks) >= _BLOCKS_AT_MOST and token.map:
            rest = "\n".join(text.split("\n")[token.map[0] :])
            return [*blocks, Block("code", _CODE_DIRECTIONS.sub("", rest))]
        if outside and weight > _PROSE_AT_MOST:
            # What a growing reply has said already need not be laid out again and again.
            prose(at)
            start, weight = at, 0
        weight += len(token.content) + _TOKEN_WEIGHT
        if token.level == 0 and token.type in ("fence", "code_block"):
            prose(at)
            language = token.info.strip().split(maxsplit=1)[0] if token.info.strip() else ""
            blocks.append(_code(token.content, language))
            start, weight = at + 1, 0
    prose(len(tokens))
    return blocks


# What makes a text look like another one: an order of letters forced on what follows.  Marks and
# isolates, which honest text in two directions needs, stay in prose.
_DIRECTIONS = re.compile("[\u202a-\u202e]")
_CODE_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def _shown(text: str) -> str:
    """NUL is not text, and a lone carriage return would hide what stands before it."""
    text = text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")
    return _DIRECTIONS.sub("", text)


def _code(source: str, language: str) -> Block:
    return Block("code", _CODE_DIRECTIONS.sub("", source).rstrip("\n"), language)


_FENCE = re.compile(r"^```[ \t]*(\S*)[^\n]*\n(.*?)(?:^```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


def plain_blocks_of(text: str) -> list[Block]:
    """The blocks of what a person wrote: as typed, only fenced code set apart."""
    text = _shown(text)
    blocks: list[Block] = []

    def prose(part: str) -> None:
        part = part.strip("\n")
        for piece in _pieces(part) if part.strip() else ():
            lines = html.escape(piece).replace("\n", "<br>")
            blocks.append(Block("prose", f'<p style="white-space: pre-wrap">{lines}</p>'))

    end = 0
    for fence in _FENCE.finditer(text):
        if len(blocks) >= _BLOCKS_AT_MOST:
            break
        prose(text[end : fence.start()])
        blocks.append(_code(fence[2], fence[1]))
        end = fence.end()
    prose(text[end:])
    return blocks


def _pieces(text: str) -> list[str]:
    """A text that is very long, in parts that are laid out one at a time; no word is cut."""
    if len(text) <= _MARKDOWN_AT_MOST:
        return [text]
    size = max(_PROSE_AT_MOST, len(text) // _BLOCKS_AT_MOST + 1)
    pieces, start = [], 0
    while start < len(text):
        end = start + size
        if end < len(text):
            end = 1 + max(text.rfind("\n", start, end), text.rfind(" ", start, end)) or end
        pieces.append(text[start:end])
        start = end
    return pieces


def prose_style(theme: Theme, code_family: str, scaled: Callable[[int], int]) -> str:
    """The style sheet of prose in a QTextDocument; `scaled` gives sizes of text in pixels."""
    return f"""
        p, li {{ line-height: 150%; }}
        p.formula {{ margin-left: 24px; }}
        p {{ margin-top: 0; margin-bottom: 12px; }}
        li {{ margin-bottom: 4px; }}
        h1, h2, h3, h4, h5, h6 {{ margin-top: 16px; margin-bottom: 8px; font-weight: 600; }}
        h1 {{ font-size: {scaled(20)}px; }} h2 {{ font-size: {scaled(18)}px; }}
        h3 {{ font-size: {scaled(16)}px; }}
        h4, h5, h6 {{ font-size: {scaled(15)}px; }}
        a {{ color: {theme.accent}; text-decoration: underline; }}
        code {{ font-family: '{code_family}'; font-size: {scaled(13)}px;
                background-color: {theme.code}; }}
        pre {{ font-family: '{code_family}'; font-size: {scaled(13)}px;
               background-color: {theme.code};
               white-space: pre-wrap; }}
        blockquote {{ color: {theme.muted}; }}
        table {{ border-collapse: collapse; border-style: solid; border-color: {theme.line};
                 margin-bottom: 12px; }}
        td, th {{ padding: 6px 10px; }}
        th {{ background-color: {theme.code}; font-weight: 600; }}
        hr {{ background-color: {theme.line}; }}
    """


def highlighted(code: str, language: str, theme: Theme) -> str:
    """`code` as HTML for one <pre>, coloured where the language is known."""
    if len(code) > _HIGHLIGHT_AT_MOST:
        return html.escape(code)
    parts = []
    for kind, text in _lexer(language).get_tokens(code):
        colour = _colour(kind, theme)
        escaped = html.escape(text)
        parts.append(f'<span style="color:{colour}">{escaped}</span>' if colour else escaped)
    return "".join(parts).rstrip("\n")


@cache
def _lexer(language: str) -> Lexer:
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return TextLexer(stripnl=False)


def _colour(kind: _TokenType, theme: Theme) -> str:
    if kind in Comment:
        return theme.code_comment
    if kind in Keyword or kind in Operator.Word or kind in Name.Tag:
        return theme.code_keyword
    if kind in String:
        return theme.code_string
    if kind in Number:
        return theme.code_number
    if any(kind in each for each in (Name.Function, Name.Class, Name.Builtin, Name.Attribute)):
        return theme.code_name
    return ""
