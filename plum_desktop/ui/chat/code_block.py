"""A block of code in a turn."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QGuiApplication, QTextCursor, QWheelEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QTextEdit, QVBoxLayout

from plum_desktop.ui.base.controls import IconButton, small
from plum_desktop.ui.base.theme import code_font, current_theme, scaled, text_size
from plum_desktop.ui.chat.blocks import Block
from plum_desktop.ui.chat.prose import NOTHING


class Code(QFrame):
    """A code block: its language, a copy button, and lines that scroll sideways."""

    _BAR = 30

    def __init__(self) -> None:
        super().__init__()
        self._block: Block | None = None
        self._dress: tuple[str, int] = ("", 0)
        self.setProperty("kind", "code")
        box = QVBoxLayout(self)
        box.setContentsMargins(1, 0, 1, 1)
        box.setSpacing(0)
        bar = QHBoxLayout()
        bar.setContentsMargins(12, 2, 4, 0)
        self._language = small()
        bar.addWidget(self._language, 1)
        self._copy = IconButton("copy", self.tr("Copy code"), size=16)
        self._copy.clicked.connect(self._on_copy)
        bar.addWidget(self._copy)
        box.addLayout(bar)
        self._text = _CodeText()
        box.addWidget(self._text)

    def set_block(self, block: Block) -> None:
        # Pygments, with the first code that is shown: the window starts without.
        from plum_desktop.ui.chat.highlight import highlighted

        theme = current_theme()
        dress = (theme.name, text_size())
        if block == self._block and dress == self._dress:
            return
        self._block, self._dress = block, dress
        self._text.setFont(code_font())
        self._language.setText(block.language or self.tr("code"))
        self._text.setAccessibleName(self._language.text())
        lines = highlighted(block.text, block.language, theme)
        self._text.setHtml(f'<pre style="margin: 0">{lines}</pre>')
        frame = self._text.document().rootFrame().frameFormat()
        frame.setTopMargin(4)  # the language stands above
        self._text.document().rootFrame().setFrameFormat(frame)

    def height_for(self, width: int) -> int:
        lines = self._text.document()
        needed = math.ceil(lines.size().height())
        wide = lines.idealWidth() > width - 4
        bar = self._text.horizontalScrollBar().sizeHint().height() if wide else 0
        self._text.setFixedHeight(needed + bar)
        return scaled(self._BAR) + needed + bar + 2

    def text_cursor(self) -> QTextCursor:
        return self._text.textCursor()

    def _on_copy(self) -> None:
        if self._block:
            QGuiApplication.clipboard().setText(self._block.text)
            self._copy.confirm(self.tr("Copied"))


class _CodeText(QTextEdit):
    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setLineWrapMode(QTextEdit.LineWrapMode.NoWrap)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setStyleSheet("background: transparent; border: none; padding: 0;")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.document().setDocumentMargin(12)
        self.setFont(code_font())

    def loadResource(self, _kind: int, _name: QUrl | str) -> object:
        return NOTHING

    def wheelEvent(self, event: QWheelEvent) -> None:
        sideways = event.angleDelta().x() or event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if sideways:
            super().wheelEvent(event)
        else:
            event.ignore()
