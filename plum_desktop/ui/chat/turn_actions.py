"""What can be done with a turn: a row of buttons below it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from plum_desktop.ui.base.controls import IconButton, small
from plum_desktop.ui.chat.turns import Turn


class TurnActions(QWidget):
    """Signals: copy_asked, quote_asked, change_asked (another wording, or another answer),
    why_asked(a place of the screen), delete_asked, step_asked(±1: an older or newer sibling),
    focus_moved (into a button, or out of it).
    """

    copy_asked = Signal()
    quote_asked = Signal()
    change_asked = Signal()
    why_asked = Signal(QPoint)
    delete_asked = Signal()
    step_asked = Signal(int)
    focus_moved = Signal()

    def __init__(self, *, mine: bool) -> None:
        super().__init__()
        bar = QHBoxLayout(self)
        bar.setContentsMargins(0, 0, 0, 0)
        bar.setSpacing(2)
        self.copy = IconButton("copy", self.tr("Copy"), size=16)
        self.copy.clicked.connect(self.copy_asked)
        self._quote = IconButton("quote", self.tr("Quote"), size=16)
        self._quote.clicked.connect(self.quote_asked)
        if mine:
            self.change = IconButton("edit", self.tr("Edit into a new branch"), size=16)
        else:
            self.change = IconButton("again", self.tr("Answer again"), size=16)
        self.change.clicked.connect(self.change_asked)
        self._why = IconButton("memory", self.tr("Memories near this answer"), size=16)
        self._why.clicked.connect(
            lambda: self.why_asked.emit(self._why.mapToGlobal(QPoint(0, self._why.height())))
        )
        self._delete = IconButton("delete", self.tr("Delete this message…"), size=16)
        self._delete.clicked.connect(self.delete_asked)
        for part in (self.copy, self._quote, self.change, self._why, self._delete):
            bar.addWidget(part)
        bar.addStretch(1)
        self._walker = QWidget()
        walk = QHBoxLayout(self._walker)
        walk.setContentsMargins(0, 0, 0, 0)
        walk.setSpacing(2)
        self.older = IconButton("previous", self.tr("Older version"), size=16, command="older")
        self._newer = IconButton("next", self.tr("Newer version"), size=16, command="newer")
        self.older.clicked.connect(lambda: self.step_asked.emit(-1))
        self._newer.clicked.connect(lambda: self.step_asked.emit(1))
        self._place = small()
        for each in (self.older, self._place, self._newer):
            walk.addWidget(each)
        bar.addWidget(self._walker)
        for part in self.findChildren(IconButton):
            part.installEventFilter(self)

    def set_place(self, place: int, count: int) -> None:
        """Which version of `count` is shown."""
        self._walker.setVisible(count > 1)
        self._place.setText(self.tr("{place}/{count}").format(place=place, count=count))
        self._place.setAccessibleName(
            self.tr("Version {place} of {count}").format(place=place, count=count)
        )
        self.older.setEnabled(place > 1)
        self._newer.setEnabled(place < count)

    def show_for(self, turn: Turn, *, wanted: bool, stored: bool) -> None:
        """Show what can be done with `turn`.

        Only the versions stay in sight where the rest is not `wanted`.  Of a chat that is not
        `stored`, nothing can be deleted, and nothing was learned.
        """
        settled = turn.state not in ("waiting", "writing") and bool(turn.id)
        said = wanted and bool(turn.text)
        self.setVisible(settled and (wanted or turn.place[1] > 1))
        self.copy.setVisible(said)
        self._quote.setVisible(said)
        self.change.setVisible(wanted and turn.state != "failed")  # it has a button then
        self._why.setVisible(said and stored and turn.role == "assistant")
        self._delete.setVisible(wanted and stored)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.focus_moved.emit()
        return super().eventFilter(watched, event)
