"""Formulas in a reply: found before Markdown can mangle them, shown as text that can be read.

No typesetting: powers and indices are raised and lowered, a fraction is written in one line, and
commands become their characters.  No widgets.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from html.entities import html5
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

_LONGEST = 2_000  # characters; what is longer is no formula, and shown as it is
_DEEPEST = 40  # braces and powers within each other
_INLINE = ((r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$"))
_BLOCK = ((r"\[", r"\]"), ("$$", "$$"))
_SIGNS = re.compile(r"[\\^_=+<>{}()*/|-]")  # a formula with spaces in it has one of them

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|[{}^_&~]|\s+|[A-Za-z]+|.", re.DOTALL)
# Where HTML knows the name as another character, or not at all.
_CHARACTERS = {
    "cdot": "·", "circ": "∘", "infty": "∞", "neq": "≠", "to": "→", "gets": "←", "ldots": "…",
    "cdots": "⋯", "dots": "…", "vdots": "⋮", "partial": "∂", "iff": "⇔", "implies": "⇒",
    "land": "∧", "lor": "∨", "lnot": "¬", "mid": "|", "ell": "ℓ", "varepsilon": "ε",
    "epsilon": "ε", "phi": "φ", "varphi": "φ", "langle": "⟨", "rangle": "⟩", "star": "⋆",
    "ast": "∗", "emptyset": "∅", "setminus": "∖", "prime": "′",
    "quad": "  ", "qquad": "    ", "lbrace": "{", "rbrace": "}", "degree": "°", "int": "∫",
    "sum": "∑", "prod": "∏", "R": "ℝ", "N": "ℕ", "Z": "ℤ",
}  # fmt: skip
_DROPPED = {
    "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "limits",
    "nolimits", "displaystyle", "textstyle", "boldsymbol", "mathbf", "mathit", "mathcal", "mathbb",
    "mathsf", "mathfrak", "boxed", "overline", "underline", "vec", "hat", "bar", "tilde",
}  # fmt: skip
_UPRIGHT = {"text", "textbf", "textit", "textrm", "mathrm", "operatorname", "mbox"}
_SPACES = {",": " ", ";": " ", ":": " ", " ": " ", "!": "", "\\": "<br>"}


def install(parser: MarkdownIt) -> None:
    """Have `parser` know formulas: `$x$`, `\\(x\\)`, and on lines of their own `$$` and `\\[`."""
    parser.inline.ruler.before("escape", "formula", _inline_rule)
    parser.block.ruler.before(
        "fence", "formula", _block_rule, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.add_render_rule("formula", _rendered)
    parser.add_render_rule("formula_block", _rendered_block)


def readable(source: str) -> str:
    """A formula's LaTeX as safe HTML."""
    if len(source) > _LONGEST:
        return html.escape(source)
    return _Reader(source).everything().strip()


def _inline_rule(state: StateInline, silent: bool) -> bool:
    found = _inline_at(state.src, state.pos)
    if found is None:
        return False
    content, end = found
    if not silent:
        token = state.push("formula", "", 0)
        token.content = content
    state.pos = end
    return True


def _inline_at(text: str, start: int) -> tuple[str, int] | None:
    """The formula that begins at `start`, and where it ends."""
    for opens, closes in _INLINE:
        if text.startswith(opens, start):
            end = text.find(closes, start + len(opens), start + _LONGEST)
            content = text[start + len(opens) : end]
            return (content, end + len(closes)) if end > 0 and content.strip() else None
    if text[start] != "$":
        return None
    # Dollars are money more often than not: what looks like a price or a variable of a shell
    # is none (as in Pandoc, and a little more careful).
    end = text.find("$", start + 1, start + _LONGEST)
    content = text[start + 1 : end]
    before, after = text[start - 1 : start], text[end + 1 : end + 2]
    if end < 0 or not content or content != content.strip() or content.endswith("\\"):
        return None
    if after.isalnum() or before.isalnum() or "\n\n" in content:
        return None
    return (content, end + 1) if not re.search(r"\s", content) or _SIGNS.search(content) else None


def _block_rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A formula that begins a line; one that has not ended yet may still be growing."""
    if state.is_code_block(start):
        return False
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    marks = next((pair for pair in _BLOCK if first.startswith(pair[0])), None)
    if marks is None:
        return False
    opens, closes = marks
    lines = []
    line, closed = start, False
    for line in range(start, end):
        text = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
        text = text[len(opens) :] if line == start else text
        if closes in text:
            text, _, rest = text.partition(closes)
            if rest.strip():
                return False  # a sentence goes on after it: inline
            closed = True
        elif not text.strip() and line > start:
            return False
        lines.append(text)
        if closed:
            break
    if silent:
        return True
    token = state.push("formula_block", "", 0)
    token.content = "\n".join(lines)
    token.map = [start, line + 1]
    state.line = line + 1
    return True


def _rendered(
    _self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any
) -> str:  # fmt: skip
    return readable(tokens[index].content)


def _rendered_block(
    _self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any
) -> str:  # fmt: skip
    return f'\n<p class="formula">{readable(tokens[index].content)}</p>\n'


class _Reader:
    """Reads a formula token by token."""

    def __init__(self, source: str) -> None:
        self._tokens = _TOKEN.findall(source)
        self._at = 0
        self._depth = 0

    def everything(self) -> str:
        parts = []
        while self._at < len(self._tokens):
            parts.append(self._next())
        return "".join(parts)

    def _next(self) -> str:
        """The next thing: a character, a command with what belongs to it, or a group."""
        if self._at >= len(self._tokens):
            return ""
        token = self._tokens[self._at]
        self._at += 1
        if token == "{":
            return self._group()
        if token == "}":
            return ""
        if token in "^_":
            name = "sup" if token == "^" else "sub"
            return f"<{name}>{self._argument()}</{name}>"
        if token == "&" or token == "~" or token.isspace():
            return " "
        if token.startswith("\\") and len(token) > 1:
            return self._command(token[1:].rstrip("*"))
        if token.isascii() and token.isalpha():
            return f"<i>{token}</i>"
        return html.escape(token)

    def _group(self) -> str:
        if self._depth > _DEEPEST:
            return ""
        self._depth += 1
        parts = []
        while self._at < len(self._tokens) and self._tokens[self._at] != "}":
            parts.append(self._next())
        self._at += 1
        self._depth -= 1
        return "".join(parts)

    def _argument(self) -> str:
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1
        word = self._tokens[self._at] if self._at < len(self._tokens) else ""
        if len(word) > 1 and word.isalnum():  # x^ab raises the a alone
            self._tokens[self._at : self._at + 1] = [word[0], word[1:]]
        if self._depth > _DEEPEST:
            return ""
        self._depth += 1
        read = self._next()
        self._depth -= 1
        return read

    def _command(self, name: str) -> str:
        if name in ("frac", "dfrac", "tfrac"):
            above, below = self._argument(), self._argument()
            return f"{_whole(above)}/{_whole(below)}"
        if name == "sqrt":
            degree = self._option()
            return f"{degree}√{_whole(self._argument(), always=True)}"
        if name in _UPRIGHT:
            return self._plain_group()
        if name in ("begin", "end"):
            self._plain_group()
            return ""
        if name in _DROPPED:
            return ""
        if name in _SPACES:
            return _SPACES[name]
        known = _CHARACTERS.get(name, html5.get(f"{name};"))
        if known is None or not name.isalpha():
            # A function such as \sin is its name; \{ is a brace.
            return html.escape(name)
        return html.escape(known)

    def _option(self) -> str:
        """The degree of a root, in brackets."""
        if self._at < len(self._tokens) and self._tokens[self._at] == "[":
            end = next(
                (at for at in range(self._at, len(self._tokens)) if self._tokens[at] == "]"), None
            )
            if end is not None:
                degree = "".join(self._tokens[self._at + 1 : end])
                self._at = end + 1
                return f"<sup>{html.escape(degree)}</sup>"
        return ""

    def _plain_group(self) -> str:
        """The words in the braces that follow, as they are."""
        if self._at >= len(self._tokens) or self._tokens[self._at] != "{":
            return ""
        words = []
        self._at += 1
        while self._at < len(self._tokens) and self._tokens[self._at] != "}":
            words.append(self._tokens[self._at])
            self._at += 1
        self._at += 1
        return html.escape("".join(words))


def _whole(part: str, *, always: bool = False) -> str:
    """A part of a fraction or a root, in brackets where it would run into its neighbours."""
    plain = re.sub("<[^>]*>", "", part).strip()
    simple = plain.isalnum() or (len(plain) == 1 and not always)
    return plain and (part if simple else f"({part})")
