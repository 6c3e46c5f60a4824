"""Every text that a person sees can be translated: none goes to a widget as it stands."""

from __future__ import annotations

import ast
import dataclasses
import html
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import PySide6
import pytest
from PySide6.QtCore import QTranslator
from PySide6.QtWidgets import QApplication

import plum_desktop.ui
from plum_desktop.base.settings import Settings
from plum_desktop.ui.settings.setting_row import SettingRow

SHOWING = {
    "label", "small", "button", "with_keys", "set_tip", "setText", "setToolTip", "setWindowTitle",
    "setAccessibleName", "setAccessibleDescription", "setPlaceholderText", "setInformativeText",
    "setStatusTip", "setTitle", "setLabelText", "addAction", "addButton", "addItem", "addMenu",
    "set_text", "set_whole", "say", "tell", "announce", "set_title", "QLabel", "QPushButton",
    "QAction", "QCheckBox", "QMenu", "Notice", "ElidedLabel", "IconButton", "Page", "Switch",
    "save_dialog", "open_dialog", "setHorizontalHeaderLabels", "setSuffix", "setPrefix",
}  # fmt: skip
TRANSLATING = {"tr", "_tr", "translate"}


def name_of(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def spoken(node: ast.expr) -> Iterator[ast.Constant]:
    """Literals with a word in them that `node` may come to, but for those inside tr()."""
    match node:
        case ast.Constant(value=str(text)) if any(
            letter.isalpha() for letter in html.unescape(text)
        ):
            yield node
        case ast.JoinedStr(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                yield from spoken(part)
        case ast.BinOp(left=left, right=right):
            yield from spoken(left)
            yield from spoken(right)
        case ast.IfExp(body=left, orelse=right):
            yield from spoken(left)
            yield from spoken(right)
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from spoken(part)
        case ast.Call(func=ast.Attribute(attr="format" | "join", value=inner)):
            yield from spoken(inner)


# Not words of ours: kinds and icons, which are first or second of their call.
def shown(call: ast.Call) -> list[ast.expr]:
    name = name_of(call)
    if name == "IconButton":
        return call.args[1:2]
    if name in ("say", "tell", "button", "label", "small", "addItem", "Notice", "ElidedLabel"):
        return call.args[:1]
    if name in ("set_tip", "announce"):
        return call.args[1:2]
    if name in ("save_dialog", "open_dialog"):
        return call.args[1:2]  # then comes a file name, or what was translated
    if name in ("set_text", "with_keys"):
        return call.args[:1]
    return call.args


def untranslated(source: str) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and name_of(node) in SHOWING - TRANSLATING:
            for argument in shown(node):
                found += [(each.lineno, each.value) for each in spoken(argument)]
    return found


UI = Path(plum_desktop.ui.__file__).parent
FILES = sorted(UI.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(UI)))
def test_no_text_is_shown_as_it_stands(file: Path) -> None:
    assert untranslated(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ('label("Memory")', True), ('x.setText(f"{n} chats")', True),
        ('box.setText("On" if on else self.tr("Off"))', True),
        ('x.setToolTip("Hello {n}".format(n=1))', True), ('small(", ".join(parts))', False),
        ('IconButton("copy", "Copy")', True), ('IconButton("copy", self.tr("Copy"))', False),
        ('button(self.tr("Keep"), "primary", self.go)', False), ('label("")', False),
        ('x.setText(self.tr("{n} chats").format(n=1))', False), ('x.setText(name)', False),
        ('x.setText("▾ " + self.tr("More"))', False), ('x.setText(a + " chats")', True),
    ],
)  # fmt: skip
def test_the_test_sees_what_it_should(line: str, caught: bool) -> None:
    assert bool(untranslated(line)) == caught


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a translator gets."""
    folder = tmp_path_factory.mktemp("texts")
    script = Path(__file__).parents[2] / "scripts" / "collect_texts.py"
    subprocess.run([sys.executable, script, "de", folder], check=True, stdout=subprocess.DEVNULL)
    return folder / "plum_de.ts"


def test_a_translator_gets_every_text_in_the_context_that_asks_for_it(collected: Path) -> None:
    contexts = {
        context.findtext("name"): {each.text for each in context.iter("source")}
        for context in ET.parse(collected).iter("context")
    }
    nodes = [
        node for file in FILES for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    ]
    asking = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    for node in nodes:
        if isinstance(node, ast.Call) and name_of(node) == "translate":
            asking |= {each.value for each in node.args[:1] if isinstance(each, ast.Constant)}
    assert set(contexts) <= asking
    for field in dataclasses.fields(Settings):
        assert {field.metadata[at] for at in ("title", "help", "group")} <= contexts["Settings"]
    assert "Trying things out; learns fastest." in contexts["Catalog"]
    assert "Learn from my chats" in contexts["StatusLine"]
    assert "%n chats" in contexts["words"]


def test_a_setting_is_shown_as_it_was_translated(collected: Path, qapp: QApplication) -> None:
    tool = Path(PySide6.__file__).parent / "lrelease"
    if not tool.exists():
        pytest.skip("this PySide6 came without lrelease")
    tree = ET.parse(collected)
    for context in tree.iter("context"):
        for message in context.iter("message"):
            if (context.findtext("name"), message.findtext("source")) == ("Settings", "Theme"):
                translation = message.find("translation")
                assert translation is not None
                translation.text = "Farben"
                del translation.attrib["type"]
    tree.write(collected, encoding="utf-8")
    done = collected.with_suffix(".qm")
    subprocess.run([tool, collected, "-qm", done], check=True, capture_output=True)
    translator = QTranslator()
    assert translator.load(str(done))
    qapp.installTranslator(translator)
    try:
        field = next(each for each in dataclasses.fields(Settings) if each.name == "theme")
        assert SettingRow(field, str).editor.accessibleName() == "Farben"
    finally:
        qapp.removeTranslator(translator)
