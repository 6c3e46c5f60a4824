from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QTextDocument
from pytestqt.qtbot import QtBot

from plum_desktop.ui.base.theme import load_theme
from plum_desktop.ui.chat.blocks import plain_blocks_of
from plum_desktop.ui.chat.highlight import highlighted
from plum_desktop.ui.chat.markdown import blocks_of, is_safe_link
from plum_desktop.ui.chat.prose import Prose

REPLY = """Take **one bag** and `roll`:

- a jacket
- shoes, see [tips](https://example.org/?a=1&b=2)

```python
def pack(days: int) -> list[str]:
    return ["shirt"] * days  # enough
```

| a | b |
|---|---|
| 1 | 2 |

> steep

Done.
"""


def html_of(text: str) -> str:
    return "".join(block.text for block in blocks_of(text) if block.kind == "prose")


def test_prose_and_code_are_set_apart() -> None:
    kinds = [(block.kind, block.language) for block in blocks_of(REPLY)]
    assert kinds == [("prose", ""), ("code", "python"), ("prose", "")]
    assert blocks_of(REPLY)[1].text.startswith("def pack")
    assert "<table " in blocks_of(REPLY)[2].text


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=http://evil.example/x.png>",
        "<iframe src=http://evil.example>",
        "<a href='javascript:alert(1)'>x</a>",
        "<style>@import 'http://evil.example';</style>",
        "a\n\n<div style='background:url(http://evil.example/x)'>b</div>",
    ],
)
def test_raw_html_is_text(attack: str) -> None:
    tags = set(re.findall(r"<\s*/?\s*([a-z]+)", html_of(attack)))
    assert tags <= {"p", "br"}


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "vbscript:x", "smb://h/s",
     "JaVaScRiPt:alert(1)", "//evil.example", "plum:x"],
)  # fmt: skip
def test_only_web_and_mail_links_are_links(address: str) -> None:
    assert not is_safe_link(address)
    assert "<a " not in html_of(f"[x]({address})")
    assert "<a " not in html_of(f"<{address}>")


def test_a_picture_is_a_link_and_never_an_image() -> None:
    html = html_of('![a "b" <c>](http://example.org/x.png "t")')
    assert "<img" not in html
    assert '<a href="http://example.org/x.png">' in html
    assert "<c>" not in html


def test_quotes_in_an_address_stay_in_it() -> None:
    html = html_of('[x](https://example.org/"onmouseover="y)')
    assert 'onmouseover="' not in html


def test_prose_loads_nothing(qtbot: QtBot) -> None:
    made = Prose()
    qtbot.add_widget(made)
    here = Path(__file__).as_uri()
    made.set_html(f'<p><img src="{here}"><link rel="stylesheet" href="{here}">x</p>')
    for kind in (QTextDocument.ResourceType.ImageResource, QTextDocument.ResourceType(3)):
        assert made.document().resource(kind, QUrl(here)) in (None, b"\0")
    assert made.height_for(300) < 100


def test_every_beginning_of_a_reply_can_be_shown() -> None:
    for end in range(len(REPLY)):
        shown = blocks_of(REPLY[:end])
        assert all(block.kind in ("prose", "code") for block in shown)
    # A code block is one from its first line on, before it is closed.
    start = REPLY.index("def pack") + 3
    assert blocks_of(REPLY[:start])[-1].kind == "code"


def test_what_a_person_typed_is_shown_as_typed() -> None:
    blocks = plain_blocks_of("2*3*4 <b>\n    indented\n```py\nx = 1\n```\nafter")
    assert [block.kind for block in blocks] == ["prose", "code", "prose"]
    assert "2*3*4 &lt;b&gt;<br>    indented" in blocks[0].text
    assert (blocks[1].text, blocks[1].language) == ("x = 1", "py")


def test_highlighting_keeps_the_code() -> None:
    code = 'if a < b & "c":\n    pass'
    html = highlighted(code, "python", load_theme("light"))
    assert load_theme("light").code_keyword in html
    document = QTextDocument()
    document.setHtml(f"<pre>{html}</pre>")
    assert document.toPlainText() == code
    assert highlighted("<x>", "no such language", load_theme("light")) == "&lt;x&gt;"


def test_odd_characters_do_no_harm() -> None:
    assert "\0" not in html_of("a\0b")
    assert "a<br" in html_of("a\rb")
