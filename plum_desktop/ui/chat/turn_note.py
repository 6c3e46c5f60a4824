"""What went otherwise than wanted with a reply, and what can be done about it."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from plum_desktop.ui.base.controls import button, small
from plum_desktop.ui.base.theme import set_property
from plum_desktop.ui.base.words import breakable
from plum_desktop.ui.chat.turns import Turn


class TurnNote(QWidget):
    """Signals: remedy_asked."""

    remedy_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._words = small(wrap=True)
        self._button = button("", "plain", self.remedy_asked.emit)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._words, 1)
        row.addWidget(self._button, 0, Qt.AlignmentFlag.AlignTop)

    def show_turn(self, turn: Turn, *, last: bool) -> None:
        """Hidden where all went well.  Only the `last` turn can go on."""
        words = {
            "cut": self.tr("Cut off at the longest reply that the settings allow."),
            "stopped": self.tr("Stopped."),
            "failed": turn.error or self.tr("This reply was interrupted."),
        }.get(turn.state, "")
        self._words.setText(breakable(words))
        self.setVisible(bool(words))
        failed = turn.state == "failed"
        if not failed:
            remedy = self.tr("Continue")
        else:
            remedy = self.tr("Choose a model") if turn.needs_model else self.tr("Try again")
        can_go_on = last and turn.state in ("cut", "stopped") and bool(turn.text.strip())
        self._button.setText(remedy)
        self._button.setAccessibleName(remedy)
        self._button.setVisible(failed or can_go_on)
        set_property(self._words, "tone", "danger" if failed else "muted")

    def height_for(self, width: int) -> int:
        high = 0
        if not self._button.isHidden():
            high = self.sizeHint().height()
            width -= self._button.sizeHint().width() + 8
        wrap = Qt.TextFlag.TextWordWrap
        metrics = self._words.fontMetrics()
        rect = metrics.boundingRect(QRect(0, 0, width, 10_000), wrap, self._words.text())
        return max(high, rect.height() + 6)
