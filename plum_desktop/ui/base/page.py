"""What the pages beside the conversation have in common: a title, a lead, a place for trouble."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from plum_desktop.ui.base.controls import Column, IconButton, Notice, label
from plum_desktop.ui.base.theme import scaled

PAGE_WIDTH = 880


class _Scrolled(Column):
    """As high as its words need at the width they get: Qt's own hint is for the narrowest."""

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), 0)


class Page(QWidget):
    """A page with a head; `body` is where its content goes."""

    def __init__(self, title: str, lead: str = "", *, scrolls: bool = True) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName(title)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        kind = _Scrolled if scrolls else Column
        column = kind(lambda: scaled(PAGE_WIDTH))
        box = column.box
        box.setContentsMargins(8, 24, 8, 16)
        box.setSpacing(16)
        head = QHBoxLayout()
        head.setSpacing(8)
        self.side = IconButton("side", self.tr("Show the side bar"))
        self.side.hide()
        head.addWidget(self.side)
        name = label(title, pixels=20, bold=True)
        name.setMinimumHeight(36)
        head.addWidget(name, 1)
        self.head = head
        box.addLayout(head)
        if lead:
            box.addWidget(label(lead, tone="muted", wrap=True))
        self.notice = Notice(closable=True)
        self.notice.hide()
        box.addWidget(self.notice)
        self.body = QVBoxLayout()
        self.body.setSpacing(12)
        box.addLayout(self.body, 1)
        if scrolls:
            area = QScrollArea()
            area.setFrameShape(QFrame.Shape.NoFrame)
            area.setWidgetResizable(True)
            area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            ground = QWidget()  # of our own: see TurnList
            ground.setAutoFillBackground(False)
            area.setViewport(ground)
            area.setWidget(column)
            column.setAutoFillBackground(False)
            outer.addWidget(area)
        else:
            outer.addWidget(column)

    def say(self, sentence: str) -> None:
        """Something failed here."""
        self.notice.say(sentence, "danger")
        self.notice.set_buttons()
        self.notice.show()

    def tell(self, sentence: str) -> None:
        """Something worked, and that is worth a word."""
        self.notice.say(sentence)
        self.notice.set_buttons()
        self.notice.show()

    def refresh(self) -> None:
        """Called whenever the page comes on screen."""
