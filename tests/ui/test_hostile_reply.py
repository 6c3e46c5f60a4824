"""A reply that means harm is text at worst: it loads nothing, and costs what its length costs."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QLabel, QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from plum_desktop.ui.base.links import ask_about_link
from plum_desktop.ui.chat import code_block, prose
from plum_desktop.ui.chat.blocks import BLOCKS_AT_MOST, TEXT_AT_MOST, Block, plain_blocks_of
from plum_desktop.ui.chat.markdown import blocks_of
from plum_desktop.ui.chat.prose import Prose
from plum_desktop.ui.chat.turn_view import TurnView
from plum_desktop.ui.chat.turns import Turn

ENDLESS = (
    "---\n\n", "# a\n", "$$\n", "```\na\n```\n", "```\n", "|a|b|\n|-|-|\n|1|2|\n\n", "[", "![",
    "](", "*a ", "**a", "_a", "`a", "> ", "- a\n", "  - a\n", "<a ", "<!--", "&amp;", "[a]: b\n",
    "\\(", "$a", "$${{", "~~a", "<http://a", "[a](http://b.c)", "| a ", "\u202e",
)  # fmt: skip


def calls(work: Callable[[], object]) -> int:
    """How many functions are called: the same on a busy machine as on an idle one."""
    count = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("piece", ENDLESS)
@pytest.mark.parametrize("blocks", [blocks_of, plain_blocks_of])
def test_work_grows_with_the_length_and_not_with_its_square(
    piece: str, blocks: Callable[[str], list[Block]]
) -> None:
    blocks(piece)  # what is made once
    few, many = (calls(lambda count=count: blocks(piece * count)) for count in (150, 600))
    assert many < 5 * few + 500


def test_endless_fences_are_a_bounded_number_of_blocks() -> None:
    for blocks in (blocks_of, plain_blocks_of):
        found = blocks("".join(f"```\nline {number}\n```\n" for number in range(1000)))
        assert len(found) <= BLOCKS_AT_MOST + 1
        whole = "".join(block.text for block in found)
        assert all(f"line {number}" in whole for number in range(1000)), "something is not shown"


def test_a_text_without_end_is_shown_as_it_was_written() -> None:
    text = "**word** " * (TEXT_AT_MOST // 9 + 1)
    found = blocks_of(text)
    assert 1 < len(found) <= 2 * BLOCKS_AT_MOST
    assert "".join(block.text for block in found).count("**word**") == text.count("**word**")
    assert len(blocks_of("a" * len(text))) <= 2 * BLOCKS_AT_MOST


@pytest.mark.parametrize("prefix", ["", "> "])
def test_a_table_that_is_too_large_is_shown_as_it_was_written(prefix: str) -> None:
    def table(rows: int) -> str:
        return "".join(
            f"{prefix}{line}\n" for line in ["|a|b|c|d|", "|-|-|-|-|", *["|1|2|3|4|"] * rows]
        )

    assert "<table" in blocks_of(table(20))[0].text
    found = blocks_of(f"Before.\n\n{table(400)}\n\nAfter.")
    whole = "".join(block.text for block in found)
    assert "<table" not in whole
    assert whole.count("|1|2|3|4|") == 400
    assert "Before." in found[0].text
    assert "After." in found[-1].text


def test_no_text_is_turned_round() -> None:
    trick = "access \u202e\u2066level\u2069 \u202dnot\u202c admin"
    [prose, code] = blocks_of(f"{trick}\n\n```py\n{trick}\n```")
    assert "access \u2066level\u2069 not admin" in prose.text  # honest text needs isolates
    assert code.text == "access level not admin"
    assert plain_blocks_of(trick)[0].text.count("\u202e") == 0


HOSTILE = """![a](http://127.0.0.1:{port}/a.png) <img src="http://127.0.0.1:{port}/b.png">
![b](file://{file}) [c](file://{file}) [d](javascript:alert(1)) [e](data:text/html,x)

<link rel="stylesheet" href="http://127.0.0.1:{port}/c.css">
<style>@import "http://127.0.0.1:{port}/d.css"; p {{ background: url(file://{file}) }}</style>

| ![f](http://127.0.0.1:{port}/f.png) |
|---|
| <script src="http://127.0.0.1:{port}/g.js"></script> |

```html
<img src="http://127.0.0.1:{port}/h.png"><body background="file://{file}">
```

$<img src="http://127.0.0.1:{port}/i.png">^2$ [\\_]({file})
"""


@pytest.mark.parametrize("role", ["assistant", "user"])
def test_nothing_is_loaded(
    role: Any, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def load(_self: object, _kind: int, name: object) -> object:
        asked.append(name)
        return prose.NOTHING

    for kind in (Prose, code_block._CodeText):
        monkeypatch.setattr(kind, "loadResource", load)
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"no picture")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        text = HOSTILE.format(port=server.getsockname()[1], file=picture)
        view = TurnView(Turn(key="k", id="m", role=role, text=text, state="said"))
        qtbot.add_widget(view)
        view.resize(700, view.arrange(700))
        view.show()
        qtbot.wait_exposed(view)
        assert not view.grab().isNull()
        with pytest.raises(BlockingIOError):
            server.accept()
    assert asked == []
    shown = " ".join(part.document().toPlainText() for part in view.findChildren(Prose))
    assert "<link rel=" in shown
    assert "<script src=" in shown


def test_the_count_of_loads_can_count(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(Prose, "loadResource", lambda _self, _kind, name: asked.append(name) or 0)
    prose = Prose()
    qtbot.add_widget(prose)
    prose.set_html('<p><img src="http://127.0.0.1:1/a.png"></p>')
    prose.height_for(300)
    assert asked


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://example.org/%E2%80%AEgnp.exe", "https://example.org/%E2%80%AEgnp.exe"),
        ("https://\u0430pple.com/", "https://xn--pple-43d.com/"),
        ("https://safe.example%00@evil.example/", "https://safe.example%00@evil.example/"),
    ],
)
def test_an_address_is_asked_about_as_it_goes_out(address: str, shown: str, qtbot: QtBot) -> None:
    prose, window = Prose(), QWidget()
    qtbot.add_widget(prose)
    qtbot.add_widget(window)
    prose.link_clicked.connect(lambda clicked: ask_about_link(window, clicked))
    prose.anchorClicked.emit(QUrl(address))
    [box] = window.findChildren(QMessageBox)
    assert shown in {label.text() for label in box.findChildren(QLabel)}
    box.reject()
