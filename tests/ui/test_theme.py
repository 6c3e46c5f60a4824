from __future__ import annotations

import itertools
from importlib.resources.abc import Traversable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from plum_desktop.base.paths import resource
from plum_desktop.ui.base import theme as themes
from plum_desktop.ui.base.controls import IconButton
from plum_desktop.ui.base.theme import Theme, apply_theme, current_theme, load_theme, theme_name

GROUNDS = ("window", "side", "surface")
TEXTS = ("text", "muted", "accent", "danger", "warn", "good")
PAIRS = [
    *itertools.product(TEXTS, GROUNDS),
    ("text", "raised"), ("text", "hover"), ("text", "accent_soft"), ("accent", "accent_soft"),
    ("on_accent", "accent"), ("on_accent", "accent_strong"), ("danger", "danger_soft"),
    ("warn", "warn_soft"), ("good", "good_soft"), ("text", "mark"), ("muted", "raised"),
    *itertools.product(
        ("text", "code_comment", "code_keyword", "code_string", "code_number", "code_name"),
        ("code",),
    ),
]  # fmt: skip


def _luminance(colour: str) -> float:
    parts = [channel / 255 for channel in QColor(colour).getRgb()[:3]]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_every_text_can_be_read(name: str) -> None:
    """WCAG 2 AA: 4.5 for text, 3 for the edge of what can be used."""
    theme = load_theme(name)
    weak = {
        pair: round(_contrast(getattr(theme, pair[0]), getattr(theme, pair[1])), 2)
        for pair in PAIRS
        if _contrast(getattr(theme, pair[0]), getattr(theme, pair[1])) < 4.5
    }
    assert not weak
    assert all(_contrast(theme.edge, getattr(theme, ground)) >= 3 for ground in GROUNDS)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_the_style_sheet_knows_every_colour_it_names(name: str, qapp: QApplication) -> None:
    apply_theme(qapp, name)
    assert "@" not in qapp.styleSheet()
    assert load_theme(name).accent in qapp.styleSheet()
    assert current_theme().name == name


def _icons() -> list[Traversable]:
    return [each for each in resource("icons").iterdir() if each.name.endswith(".svg")]


@pytest.mark.parametrize("file", _icons(), ids=lambda file: file.name)
def test_every_icon_draws_something(file: Traversable, qapp: QApplication) -> None:
    drawn = themes.icon(file.name.removesuffix(".svg"), "#000000").pixmap(32, 32).toImage()
    inked = sum(
        drawn.pixelColor(x, y).alpha() > 0 for x in range(drawn.width())
        for y in range(drawn.height())
    )  # fmt: skip
    assert inked > 20


def test_the_system_chooses_unless_the_user_does() -> None:
    scheme = Qt.ColorScheme
    assert theme_name("system", scheme.Dark) == "dark"
    assert theme_name("system", scheme.Light) == "light"
    assert theme_name("system", scheme.Unknown) == "light"
    assert theme_name("light", scheme.Dark) == "light"
    assert theme_name("dark", scheme.Light) == "dark"


def test_icons_follow_the_theme(qtbot: QtBot, qapp: QApplication) -> None:
    made = IconButton("copy", "Copy")
    qtbot.add_widget(made)
    made.show()

    def ink() -> QColor:
        drawn = made.icon().pixmap(32, 32).toImage()
        colours = [drawn.pixelColor(x, y) for x in range(32) for y in range(32)]
        return max(colours, key=lambda colour: colour.alpha())

    light = ink()
    apply_theme(qapp, "dark")
    qtbot.wait_until(lambda: ink() != light)
    assert ink().lightness() > light.lightness()


def test_themes_have_the_accents_of_the_brief() -> None:
    accents: list[Theme] = [load_theme("light"), load_theme("dark")]
    assert [theme.accent for theme in accents] == ["#7B3F8C", "#C79BD6"]
