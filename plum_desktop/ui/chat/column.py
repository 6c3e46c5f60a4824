"""Where the text of a conversation stands: a column in the middle, who speaks beside it."""

from __future__ import annotations

from PySide6.QtGui import QFontMetrics

from plum_desktop.ui.base.theme import LINE_WIDTH, scaled, text_font

MARGIN = 16  # pixels left and right of everything


def gutter() -> int:
    """Where it stands who speaks, in pixels."""
    return scaled(56)


def column_width() -> int:
    """How wide a line of text may become, in pixels."""
    return QFontMetrics(text_font()).averageCharWidth() * LINE_WIDTH


def column_in(width: int) -> tuple[int, int]:
    """Where the text starts, and how wide it is, in a view of `width`."""
    room = max(120, width - 2 * MARGIN - gutter())
    text = min(room, column_width())
    left = max(MARGIN, (width - gutter() - text) // 2)
    return left + gutter(), text
