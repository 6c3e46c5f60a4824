"""Every text that a person sees can be translated: none goes to a widget as it stands."""

from __future__ import annotations

import ast
import copy
import dataclasses
import html
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import PySide6
import pytest
from PySide6.QtCore import QTranslator
from PySide6.QtWidgets import QApplication

import plum_desktop.ui
from plum_desktop.app.schedule import State, decide
from plum_desktop.base.child import _error_of
from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.sentence import Sentence
from plum_desktop.base.settings import Settings
from plum_desktop.base.wire import Request, _answer
from plum_desktop.ui.base.bridge import sentence
from plum_desktop.ui.base.words import said
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
    assert "Needs {need} of memory; this computer has {total}." in contexts["app"]
    assert "{name} is empty." in contexts["app"]  # an error's


APP = UI.parent
BELOW = sorted(
    folder.name for folder in APP.iterdir() if (folder / "__init__.py").exists() and folder != UI
)


@pytest.mark.parametrize("package", BELOW)
def test_sentences_of_the_layers_below_have_literal_templates(package: str) -> None:
    """Else nobody could translate them."""
    errors = {kind.__name__ for kind in (PlumError, *PlumError.__subclasses__())}
    files = sorted((APP / package).rglob("*.py"))
    assert files
    made = [
        (file.name, node) for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and name_of(node) in errors | {"Sentence"} and node.args
    ]  # fmt: skip
    formed = (ast.JoinedStr, ast.BinOp)
    assert [(file, n.lineno) for file, n in made if isinstance(n.args[0], formed)] == []


@pytest.fixture
def translated(collected: Path, qapp: QApplication) -> Iterator[Callable[[str, str, str], None]]:
    """Hands in one translation, and has the window's texts made with it."""
    tool = Path(PySide6.__file__).parent / "lrelease"
    if not tool.exists():
        pytest.skip("this PySide6 came without lrelease")
    translators: list[QTranslator] = []

    def give(context_name: str, source: str, words: str) -> None:
        tree = ET.parse(collected)
        for context in tree.iter("context"):
            for message in context.iter("message"):
                if (context.findtext("name"), message.findtext("source")) == (context_name, source):
                    translation = message.find("translation")
                    assert translation is not None
                    translation.text = words
                    translation.attrib.pop("type", None)
        done = collected.parent / f"{len(translators)}.ts"
        tree.write(done, encoding="utf-8")
        subprocess.run(
            [tool, done, "-qm", done.with_suffix(".qm")], check=True, capture_output=True
        )
        translator = QTranslator()
        assert translator.load(str(done.with_suffix(".qm")))
        qapp.installTranslator(translator)
        translators.append(translator)

    yield give
    for translator in translators:
        qapp.removeTranslator(translator)


def test_a_setting_is_shown_as_it_was_translated(translated: Callable[..., None]) -> None:
    translated("Settings", "Theme", "Farben")
    field = next(each for each in dataclasses.fields(Settings) if each.name == "theme")
    assert SettingRow(field, str).editor.accessibleName() == "Farben"


def test_what_the_layers_below_say_is_shown_as_it_was_translated(
    translated: Callable[..., None],
) -> None:
    english = "{name} cannot be removed ({strerror})."
    translated("app", english, "({strerror}) verhindert, dass {name} verschwindet.")
    translated("app", "Waits: {reasons}.", "Wartet: {reasons}.")
    translated("app", "it runs on its battery", "er läuft mit dem Akku")
    error = PlumError(english, name="{a}.gguf", strerror="busy")
    assert str(error) == "{a}.gguf cannot be removed (busy)."
    assert sentence(error) == "(busy) verhindert, dass {a}.gguf verschwindet."
    state = State(new_chats=9, on_power=False, idle_seconds=1e6)
    settings = Settings(schedule="on", schedule_from=0, schedule_until=0)
    decision = decide(datetime(2026, 1, 1, tzinfo=UTC), state, settings)
    assert decision.reason == "Waits: it runs on its battery."
    assert said(decision.reason) == "Wartet: er läuft mit dem Akku."


def test_a_workers_error_can_be_translated_too() -> None:
    """It comes over the wire with what it was made of."""
    template = "{name} holds {count:.1f} models."

    def refuse(_: Request) -> dict[str, object]:
        raise DamagedFile(template, name=Path("{x}"), count=2)

    request = Request(1, "open", {}, out=None)  # type: ignore[arg-type]
    event = json.loads(json.dumps(_answer(request, {"open": refuse})))
    error = _error_of(event)
    assert isinstance(error, DamagedFile)
    assert (error.sentence.template, str(error)) == (template, "{x} holds 2.0 models.")


def test_a_sentence_is_what_it_says() -> None:
    whole = Sentence("{name} is here.", name="a {b}")
    assert (whole, str(whole), f"{whole}") == ("a {b} is here.",) * 3
    assert isinstance(str(PlumError(whole)), Sentence), "who passes it on keeps what it is made of"
    assert Sentence("{as it stands}") == "{as it stands}"
    assert Sentence.joined("; ", [whole, "x"]) == "a {b} is here.; x"
    assert copy.deepcopy(whole).values == {"name": "a {b}"}
