"""Source code as coloured HTML."""

from __future__ import annotations

import html
from functools import cache

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.lexers.special import TextLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType
from pygments.util import ClassNotFound

from plum_desktop.ui.base.theme import Theme

_HIGHLIGHT_AT_MOST = 50_000  # characters; longer code is shown plain


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
