"""Colours, the style sheet and the icons, light and dark.

A widget that paints asks `current_theme`, which reads the answer off the application's
palette, and paints again when that changes; nothing has to be told.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from functools import cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QWidget

from plum_desktop.base.paths import resource

TEXT_PIXELS = 15
INTERFACE_PIXELS = 14
SMALL_PIXELS = 13
SIZES = (12, SMALL_PIXELS, INTERFACE_PIXELS, TEXT_PIXELS, 20)  # that `set_type` takes
LINE_WIDTH = 72  # characters


@dataclass(frozen=True, slots=True)
class Theme:
    """One set of colours, `#RRGGBB` each; `resources/themes/<name>.json`."""

    name: str
    window: str
    side: str
    surface: str
    raised: str
    hover: str
    line: str  # between areas
    edge: str  # round a thing one can use
    text: str
    muted: str
    accent: str
    accent_strong: str
    on_accent: str
    accent_soft: str
    danger: str
    danger_soft: str
    warn: str
    warn_soft: str
    good: str
    good_soft: str
    code: str
    code_comment: str
    code_keyword: str
    code_string: str
    code_number: str
    code_name: str
    mark: str  # under what a search found

    @property
    def is_dark(self) -> bool:
        return self.name == "dark"


@cache
def load_theme(name: str) -> Theme:
    """The theme `name`, light or dark."""
    return Theme(**json.loads(resource("themes", f"{name}.json").read_text(encoding="utf-8")))


def current_theme() -> Theme:
    """The theme that the application is dressed in."""
    dark = QApplication.palette().color(QPalette.ColorRole.Window).lightness() < 128
    return load_theme("dark" if dark else "light")


def theme_name(choice: str, scheme: Qt.ColorScheme) -> str:
    """light or dark, where `choice` may also be to do as the system does."""
    if choice == "system":
        return "dark" if scheme == Qt.ColorScheme.Dark else "light"
    return choice


def apply_theme(app: QApplication, choice: str) -> Theme:
    """Dress the whole application; `choice` is system, light or dark."""
    theme = load_theme(theme_name(choice, app.styleHints().colorScheme()))
    app.setPalette(_palette(theme))
    app.setStyleSheet(_style_sheet(theme))
    return theme


def _palette(theme: Theme) -> QPalette:
    role = QPalette.ColorRole
    colours = {
        role.Window: theme.window,
        role.WindowText: theme.text,
        role.Base: theme.surface,
        role.AlternateBase: theme.raised,
        role.Text: theme.text,
        role.Button: theme.surface,
        role.ButtonText: theme.text,
        role.BrightText: theme.danger,
        role.Link: theme.accent,
        role.LinkVisited: theme.accent,
        role.Highlight: theme.accent,
        role.HighlightedText: theme.on_accent,
        role.PlaceholderText: theme.muted,
        role.ToolTipBase: theme.surface,
        role.ToolTipText: theme.text,
        role.Accent: theme.accent,
        role.Light: theme.surface,
        role.Midlight: theme.raised,
        role.Mid: theme.line,
        role.Dark: theme.edge,
        role.Shadow: theme.edge,
    }
    palette = QPalette()
    for name, colour in colours.items():
        palette.setColor(name, QColor(colour))
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, QColor(theme.muted))
    return palette


def _style_sheet(theme: Theme) -> str:
    colours = dataclasses.asdict(theme)
    sheet = resource("themes", "window.qss").read_text(encoding="utf-8")
    sheet = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    sizes = "".join(f'*[pixels="{size}"] {{ font-size: {scaled(size)}px; }}\n' for size in SIZES)
    sheet = re.sub(r"(?<=font-size: )\d+", lambda match: str(scaled(int(match[0]))), sheet)
    return re.sub(r"@(\w+)", lambda match: colours[match[1]], sheet) + sizes


def text_size() -> int:
    """The size of all text, in percent of ours."""
    app = QApplication.instance()
    return int((app and app.property("textSize")) or 100)


def scaled(pixels: int) -> int:
    """`pixels` of a place that holds text, at the text size in use."""
    return round(pixels * text_size() / 100)


def text_font(pixels: int = TEXT_PIXELS, *, bold: bool = False) -> QFont:
    """The system's own face at our size, times the text size in use."""
    font = QFont(QApplication.font())
    font.setPixelSize(scaled(pixels))
    font.setBold(bold)
    return font


def code_font() -> QFont:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(scaled(SMALL_PIXELS))
    return font


def set_type(widget: QWidget, pixels: int, *, bold: bool = False) -> None:
    """Have `widget` write in one of our SIZES, whatever the text size becomes."""
    assert pixels in SIZES
    widget.setProperty("pixels", pixels)  # for the style sheet, which has the last word
    widget.setFont(text_font(pixels, bold=bold))


def apply_text_size(app: QApplication, percent: int) -> None:
    """Write everything at `percent` of our size, what is on screen included."""
    app.setProperty("textSize", percent)
    app.setFont(text_font(INTERFACE_PIXELS))
    app.setStyleSheet(_style_sheet(current_theme()))


def set_property(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet looks at, and let it look again."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        if widget.testAttribute(Qt.WidgetAttribute.WA_WState_Polished):  # else it looks once shown
            widget.style().unpolish(widget)
            widget.style().polish(widget)


@cache
def icon(name: str, colour: str, disabled: str = "") -> QIcon:
    """`resources/icons/<name>.svg` drawn in `colour`, sharp at 100 to 300% scale."""
    made = QIcon()
    svg = resource("icons", f"{name}.svg").read_text(encoding="utf-8")
    for mode, tint in ((QIcon.Mode.Normal, colour), (QIcon.Mode.Disabled, disabled or colour)):
        if mode == QIcon.Mode.Normal or tint != colour:  # else drawn already
            renderer = QSvgRenderer(QByteArray(svg.replace("currentColor", tint).encode()))
            drawn = [_drawn(renderer, size) for size in (16, 20, 24, 32, 48, 64)]
        for pixmap in drawn:
            made.addPixmap(pixmap, mode)
    return made


def _drawn(renderer: QSvgRenderer, size: int) -> QPixmap:
    pixmap = QPixmap(QSize(size, size))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap
