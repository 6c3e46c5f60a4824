"""Formulas are found where they are, read as text, and nothing else is taken for one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plum_desktop.ui.chat.formula import readable
from plum_desktop.ui.chat.markdown import blocks_of


def shown(text: str) -> str:
    """A reply's prose without its tags."""
    prose = " ".join(block.text for block in blocks_of(text) if block.kind == "prose")
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", "", prose)).strip()


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("E = mc^2", "<i>E</i> = <i>mc</i><sup>2</sup>"),
        ("x_1^{10}", "<i>x</i><sub>1</sub><sup>10</sup>"),
        (r"\frac{a}{b+1}", "<i>a</i>/(<i>b</i>+1)"),
        (r"\sqrt[3]{2}", "<sup>3</sup>√2"),
        (r"\sqrt{b^2 - 4ac}", "√(<i>b</i><sup>2</sup> - 4<i>ac</i>)"),
        (r"\alpha \le \infty", "α ≤ ∞"),
        (r"\text{if } x \neq 0", "if  <i>x</i> ≠ 0"),
        (r"\sin\left(\pi\right)", "sin(π)"),
        (r"a \cdot b \\ c & d", "<i>a</i> · <i>b</i> <br> <i>c</i>   <i>d</i>"),
        (r"x^ab", "<i>x</i><sup><i>a</i></sup><i>b</i>"),
        ("a < b & c", "<i>a</i> &lt; <i>b</i>   <i>c</i>"),
        (r"\{1, 2\}", "{1, 2}"),
        (r"\unknown{x}", "unknown<i>x</i>"),
        ("{{{", ""),
        ("^", "<sup></sup>"),
    ],
)
def test_a_formula_is_read_as_text(source: str, html: str) -> None:
    assert readable(source) == html


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("It is $a_1 * b_2 * c_3$, really.", "It is a1 * b2 * c3, really."),
        (r"It is \(a_1 * b_2\) and \[x_i\] here.", "It is a1 * b2 and xi here."),
        ("The $x$-axis", "The x-axis"),
        ("\\[\nx = 1\n- 2\n+ 3\n\\]", "x = 1 - 2 + 3"),
        ("Thus\n\\[ x_1 = *y* \\]\nholds.", "Thus x1 = *y* holds."),
        ("$$\nx\n=\n1\n$$", "x = 1"),
        ("- so $x^2$\n- and\n  \\[\n  y\n  \\]", "so x2 and y"),
        ("> \\[ a_b \\]", "ab"),
        ("\\[\nx_1 = 4 *", "x1 = 4 *"),  # still growing
    ],
)
def test_a_formula_is_never_mangled_by_markdown(text: str, read: str) -> None:
    assert shown(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 or $10.",
        "It costs $5-$10 a day.",
        "It costs 5$ or 10$.",
        "It costs $5 or 10$ here.",
        "Set $HOME/$USER and $PATH.",
        "A single $ sign",
        "US$5 and AU$6",
        "$ x $",
    ],
)
def test_money_is_no_formula(text: str) -> None:
    assert shown(text) == text


def test_an_open_formula_takes_no_more_than_its_paragraph() -> None:
    assert shown("\\[ x\n\nThen *this*.") == "[ x Then this."
    assert shown("Escaped \\$5 and `$x_1$` in code") == "Escaped $5 and $x_1$ in code"
    (block,) = blocks_of("```\n$x$\n```")
    assert (block.kind, block.text) == ("code", "$x$")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="\\{}^_$[]()ab1 &<>\n*-", max_size=60))
def test_whatever_is_written_is_safe(text: str) -> None:
    out = readable(text)
    assert not re.search(r"<(?!/?(i|sup|sub|br)>)", out)
    blocks_of(text)


def test_deep_and_long_formulas_are_no_trouble() -> None:
    readable("{" * 1900)
    readable("^" * 1900)
    assert readable("x" * 2001) == "x" * 2001
