"""What stands below a conversation: trouble, where one writes, and how full the context is."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from plum_desktop.ui.base.controls import Column, Notice, small
from plum_desktop.ui.chat.column import column_width, gutter
from plum_desktop.ui.chat.composer import Composer
from plum_desktop.ui.chat.meter import Meter


class Foot(QWidget):
    """The composer in line with the text above, which leaves `bar` pixels to its scroll bar."""

    def __init__(self, composer: Composer, meter: Meter, bar: int) -> None:
        super().__init__()
        self.notice = Notice(closable=True)
        self.notice.hide()
        self._hint = small()
        self._hint.setMinimumHeight(20)
        column = Column(lambda: column_width() + gutter())
        column.box.setSpacing(8)
        column.box.addWidget(self.notice)
        column.box.addWidget(composer)
        line = QHBoxLayout()
        line.addWidget(self._hint, 1)
        line.addWidget(meter)
        column.box.addLayout(line)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(column, 1)
        row.addSpacing(bar)  # and no margin, which would not be mirrored

    def say(self, sentence: str, *buttons: QPushButton) -> None:
        """Something failed that has no better place."""
        self.notice.say(sentence, "danger")
        self.notice.set_buttons(*buttons)
        self.notice.show()

    def hint(self, text: str) -> None:
        """What is going on, in a few words."""
        self._hint.setText(text)
