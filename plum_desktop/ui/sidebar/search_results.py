"""What a search found: a model, and how its rows are painted."""

from __future__ import annotations

import html
from collections.abc import Sequence

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QRect, QSize, Qt
from PySide6.QtGui import (
    QAbstractTextDocumentLayout,
    QColor,
    QFontMetrics,
    QPainter,
    QPalette,
    QTextDocument,
)
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from plum_desktop.base.types import SearchHit
from plum_desktop.ui.base.theme import SMALL_PIXELS, Theme, current_theme, scaled, text_font
from plum_desktop.ui.base.ticks import paint_ground
from plum_desktop.ui.sidebar.chat_list import GROUND_INSET, Index

HitRole = Qt.ItemDataRole.UserRole + 1
HIT_HEIGHT = 56
_SEEN, _LEAD = 20, 14  # characters before a match that fit, and that are left where they do not
_OPENS, _CLOSES = "\ue000", "\ue001"
_MARKS = str.maketrans({_OPENS: "", _CLOSES: ""})


def from_match(snippet: str) -> str:
    """A snippet on one line, with the first match near enough to its start to be seen."""
    text = " ".join(snippet.split())
    start = text.find(_OPENS)
    if start <= _SEEN:
        return text
    cut = text.find(" ", start - _LEAD, start) + 1 or start
    return "…" + text[cut:]


def shortened(snippet: str, kept: int) -> str:
    """The first `kept` characters of a snippet and an ellipsis; marks do not count.

    A mark that is cut is closed.
    """
    shown = 0
    for at, letter in enumerate(snippet):
        if letter in _OPENS + _CLOSES:
            continue
        if shown == kept:
            cut = snippet[:at].rstrip().removesuffix(_OPENS).rstrip()
            return cut + _CLOSES * (cut.count(_OPENS) - cut.count(_CLOSES)) + "…"
        shown += 1
    return snippet


class HitModel(QAbstractListModel):
    """What a search found: chats by their title first, then messages."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._hits: list[SearchHit] = []

    def set_hits(self, hits: Sequence[SearchHit]) -> None:
        self.beginResetModel()
        self._hits = list(hits)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._hits)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        hit = self._hits[index.row()]
        if role == HitRole:
            return hit
        if role == Qt.ItemDataRole.DisplayRole:
            return hit.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{hit.title}: {hit.snippet.translate(_MARKS)}"
        return None


class HitDelegate(QStyledItemDelegate):
    """Title, and under it the words that match, marked."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(120, scaled(HIT_HEIGHT))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        hit: SearchHit = index.data(HitRole)
        theme = current_theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option, theme, GROUND_INSET)
        area = option.rect.adjusted(16, 6, -16, -6)
        painter.setFont(text_font(14, bold=not hit.snippet))
        painter.setPen(QColor(theme.text))
        title = painter.fontMetrics().elidedText(
            hit.title, Qt.TextElideMode.ElideRight, area.width()
        )
        upper = QRect(
            area.left(), area.top(), area.width(), scaled(20) if hit.snippet else area.height()
        )
        painter.drawText(upper, Qt.AlignmentFlag.AlignVCenter, title)
        if hit.snippet:
            self._paint_snippet(painter, area.adjusted(0, scaled(22), 0, 0), hit.snippet, theme)
        painter.restore()

    @staticmethod
    def _paint_snippet(painter: QPainter, area: QRect, snippet: str, theme: Theme) -> None:
        font, line = text_font(SMALL_PIXELS), from_match(snippet)
        plain = line.translate(_MARKS)
        fits = QFontMetrics(font).elidedText(plain, Qt.TextElideMode.ElideRight, area.width())
        if fits != plain:
            line = shortened(line, len(fits) - 1)
        text = html.escape(line)
        text = text.replace(_OPENS, f'<span style="background-color:{theme.mark}">')
        text = text.replace(_CLOSES, "</span>")
        document = QTextDocument()
        document.setDocumentMargin(0)
        document.setDefaultFont(font)
        option = document.defaultTextOption()
        option.setWrapMode(option.WrapMode.NoWrap)
        option.setTextDirection(painter.layoutDirection())
        document.setDefaultTextOption(option)
        document.setTextWidth(area.width())
        document.setHtml(text)
        painter.translate(area.topLeft())
        painter.setClipRect(QRect(0, 0, area.width(), area.height()))
        context = QAbstractTextDocumentLayout.PaintContext()
        context.palette.setColor(QPalette.ColorRole.Text, QColor(theme.muted))
        document.documentLayout().draw(painter, context)
