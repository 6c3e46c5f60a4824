"""Rich text of a turn, as high as it is."""

from __future__ import annotations

import math

from PySide6.QtCore import QByteArray, Qt, QUrl, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QKeyEvent,
    QTextBlockFormat,
    QTextCursor,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QTextBrowser

from plum_desktop.ui.base.theme import (
    TEXT_PIXELS,
    Theme,
    code_font,
    current_theme,
    scaled,
    set_type,
)

# Not None: a document that is given no value looks for a local file itself.
NOTHING = QByteArray(b"\0")
_SCROLL_KEYS = (
    Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown, Qt.Key.Key_Home,
    Qt.Key.Key_End,
)  # fmt: skip


class Prose(QTextBrowser):
    """A stretch of rich text as high as it is.  It loads nothing, whatever it refers to."""

    link_clicked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._html = ""
        self._style = ""
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setAutoFillBackground(False)
        self.setStyleSheet("background: transparent; border: none; padding: 0;")
        self.setOpenLinks(False)
        self.setUndoRedoEnabled(False)
        self.document().setDocumentMargin(0)
        set_type(self, TEXT_PIXELS)
        option = self.document().defaultTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.document().setDefaultTextOption(option)
        # As it goes out, so that no letter that looks like another, or turns round what follows,
        # makes an address read as somebody else's.
        encoded = QUrl.ComponentFormattingOption.FullyEncoded
        self.anchorClicked.connect(lambda url: self.link_clicked.emit(url.toString(encoded)))

    def set_html(self, html: str) -> None:
        style = _style_sheet(current_theme(), code_font().family())
        if (html, style) == (self._html, self._style):
            return
        self._html, self._style = html, style
        self.document().setDefaultStyleSheet(style)
        self.setHtml(html)
        # The last paragraph's lower margin belongs to nobody.
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        form = QTextBlockFormat()
        form.setBottomMargin(0)
        cursor.mergeBlockFormat(form)
        # A stop for the tab key only where the keyboard has something to do.
        links = "<a " in html
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if links else Qt.FocusPolicy.ClickFocus)

    def height_for(self, width: int) -> int:
        self.document().setTextWidth(width)
        return math.ceil(self.document().size().height())

    def loadResource(self, _kind: int, _name: QUrl | str) -> object:
        return NOTHING

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in _SCROLL_KEYS and not event.modifiers():
            event.ignore()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if not self.textCursor().hasSelection() and not self.anchorAt(event.pos()):
            event.ignore()  # the turn's own menu has more to offer
        else:
            super().contextMenuEvent(event)


def _style_sheet(theme: Theme, code_family: str) -> str:
    """Of a QTextDocument."""
    return f"""
        p, li {{ line-height: 150%; }}
        p.formula {{ margin-left: 24px; }}
        p {{ margin-top: 0; margin-bottom: 12px; }}
        li {{ margin-bottom: 4px; }}
        h1, h2, h3, h4, h5, h6 {{ margin-top: 16px; margin-bottom: 8px; font-weight: 600; }}
        h1 {{ font-size: {scaled(20)}px; }} h2 {{ font-size: {scaled(18)}px; }}
        h3 {{ font-size: {scaled(16)}px; }}
        h4, h5, h6 {{ font-size: {scaled(15)}px; }}
        a {{ color: {theme.accent}; text-decoration: underline; }}
        code {{ font-family: '{code_family}'; font-size: {scaled(13)}px;
                background-color: {theme.code}; }}
        pre {{ font-family: '{code_family}'; font-size: {scaled(13)}px;
               background-color: {theme.code};
               white-space: pre-wrap; }}
        blockquote {{ color: {theme.muted}; }}
        table {{ border-collapse: collapse; border-style: solid; border-color: {theme.line};
                 margin-bottom: 12px; }}
        td, th {{ padding: 6px 10px; }}
        th {{ background-color: {theme.code}; font-weight: 600; }}
        hr {{ background-color: {theme.line}; }}
    """
