"""The conversation as it scrolls: widgets exist for the turns in sight, and for no others.

Positions hang on an anchor, one turn and where it stands, so that a turn above whose height
turns out to be another than was guessed moves nothing that a reader looks at.
"""

from __future__ import annotations

import bisect
import itertools

from PySide6.QtCore import QEvent, QModelIndex, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolButton, QWidget

from plum_desktop.ui.base.theme import text_font
from plum_desktop.ui.chat.column import column_in
from plum_desktop.ui.chat.turn_view import TurnView
from plum_desktop.ui.chat.turns import Turn, TurnModel

_MARGIN = 16  # above the first turn and below the last
_BEYOND = 240  # pixels outside the view that are laid out as well
_SPARE = 24  # views out of sight that are kept
_NEAR = 6  # pixels from the end that count as the end
_REDRAWN = (
    QEvent.Type.PaletteChange, QEvent.Type.FontChange, QEvent.Type.LayoutDirectionChange,
)  # fmt: skip


class TurnList(QAbstractScrollArea):
    """Shows a TurnModel.

    Signals: again_asked(turn), edit_asked(turn), go_on_asked(turn), quote_asked(text),
        file_asked(Attachment), step_asked(turn, ±1), link_clicked(address), models_asked,
        why_asked(turn, a place of the screen),
        in_sight(ids of messages in view whose siblings are not known).
    """

    again_asked = Signal(object)
    edit_asked = Signal(object)
    go_on_asked = Signal(object)
    quote_asked = Signal(str)
    file_asked = Signal(object)
    step_asked = Signal(object, int)
    link_clicked = Signal(str)
    models_asked = Signal()
    why_asked = Signal(object, QPoint)
    delete_asked = Signal(object)
    in_sight = Signal(list)

    def __init__(self, model: TurnModel) -> None:
        super().__init__()
        self.setObjectName("turns")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Conversation"))
        # Always there, so that text does not wrap anew when a chat outgrows the view; with
        # nothing to scroll it is disabled, which the style sheet makes invisible.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.verticalScrollBar().setSingleStep(40)
        # To say what Qt's own is, which is of a private class, PySide makes every class of its
        # widgets: 12 ms and 2 MB, mostly of enums.
        ground = QWidget()
        ground.setAutoFillBackground(False)
        self.setViewport(ground)
        self._model = model
        self._heights: list[int] = []
        self._views: dict[int, TurnView] = {}  # by turn key; the newest used last
        self._measured: dict[int, int] = {}  # turn key -> width its height is true for
        self._anchor = (0, _MARGIN)
        self._follows = True
        self._explains = True
        self._arranging = False
        self._value = 0  # of the scroll bar, when turns were placed last

        self._newest = QToolButton(self)
        self._newest.setProperty("kind", "newest")
        self._newest.setText(self.tr("Newest"))
        self._newest.setAccessibleName(self.tr("Go to the newest message"))
        self._newest.setCursor(Qt.CursorShape.PointingHandCursor)
        self._newest.clicked.connect(self.go_to_end)
        self._newest.hide()

        model.modelReset.connect(self._on_reset)
        model.rowsInserted.connect(self._on_inserted)
        model.rowsRemoved.connect(self._on_removed)
        model.dataChanged.connect(self._on_changed)
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._arrange)

    # For the page

    @property
    def follows(self) -> bool:
        """Whether the view keeps to the end as it grows."""
        return self._follows

    def set_explains(self, explains: bool) -> None:
        """Whether it can be asked what was learned near to an answer."""
        self._explains = explains
        for view in self._views.values():
            view.set_explains(explains)

    def go_to_end(self) -> None:
        self._follows = True
        self._arrange()

    def go_to(self, row: int) -> None:
        """Bring a turn to the top of the view and mark it."""
        self._follows = False
        self._anchor = (row, _MARGIN)
        self._arrange()
        if view := self._views.get(self._model.turn(row).key):
            view.mark()

    def view_of(self, row: int) -> TurnView | None:
        """The widget of a turn, if it is in sight."""
        return self._views.get(self._model.turn(row).key)

    def live_views(self) -> int:
        return len(self._views)

    # Model

    def _on_reset(self) -> None:
        for view in self._views.values():
            view.hide()
            view.deleteLater()
        self._views.clear()
        self._measured.clear()
        self._heights = [self._guess(turn) for turn in self._model.turns()]
        self._follows = True
        self._anchor = (0, _MARGIN)
        self._soon.start()

    def _on_inserted(self, _parent: QModelIndex, first: int, last: int) -> None:
        rows = range(first, last + 1)
        self._heights[first:first] = [self._guess(self._model.turn(row)) for row in rows]
        self._mark_last()
        self._soon.start()

    def _on_removed(self, _parent: QModelIndex, first: int, last: int) -> None:
        del self._heights[first : last + 1]
        there = {turn.key for turn in self._model.turns()}
        for key in [key for key in self._views if key not in there]:
            self._discard(key)
        if self._anchor[0] >= first:
            self._anchor = (max(0, first - 1), self._anchor[1])
        self._mark_last()
        self._soon.start()

    def _on_changed(self, first: QModelIndex, last: QModelIndex) -> None:
        for row in range(first.row(), last.row() + 1):
            turn = self._model.turn(row)
            self._measured.pop(turn.key, None)
            if view := self._views.get(turn.key):
                view.set_turn(turn)
            else:
                self._heights[row] = self._guess(turn)
        self._soon.start()

    def _mark_last(self) -> None:
        last = self._model.last()
        for key, view in self._views.items():
            if view.set_last(last is not None and key == last.key):
                self._measured.pop(key, None)

    # Layout

    def _guess(self, turn: Turn) -> int:
        metrics = QFontMetrics(text_font())
        _, width = column_in(max(200, self.viewport().width()))
        in_line = max(20, width // max(1, metrics.averageCharWidth()))
        lines = 1 + turn.text.count("\n") + len(turn.text) // in_line
        return 42 + lines * metrics.height() * 3 // 2

    def _height(self, row: int) -> int:
        """A turn's true height; makes its widget if need be."""
        turn = self._model.turn(row)
        width = self.viewport().width()
        view = self._views.pop(turn.key, None)
        if view is None:
            view = self._make(turn)
            view.set_last(row == self._model.rowCount() - 1)
        self._views[turn.key] = view
        if self._measured.get(turn.key) != width:
            self._heights[row] = view.arrange(width)
            self._measured[turn.key] = width
        return self._heights[row]

    def _make(self, turn: Turn) -> TurnView:
        view = TurnView(turn)
        view.setParent(self.viewport())
        view.ensurePolished()
        view.again_asked.connect(lambda: self.again_asked.emit(view.turn))
        view.edit_asked.connect(lambda: self.edit_asked.emit(view.turn))
        view.go_on_asked.connect(lambda: self.go_on_asked.emit(view.turn))
        view.quote_asked.connect(self.quote_asked)
        view.file_asked.connect(self.file_asked)
        view.step_asked.connect(lambda step: self.step_asked.emit(view.turn, step))
        view.link_clicked.connect(self.link_clicked)
        view.models_asked.connect(self.models_asked)
        view.delete_asked.connect(lambda: self.delete_asked.emit(view.turn))
        view.why_asked.connect(lambda place: self.why_asked.emit(view.turn, place))
        view.set_explains(self._explains)
        view.focused.connect(lambda: self._bring_into_sight(view))
        return view

    def _bring_into_sight(self, view: TurnView) -> None:
        area = view.geometry()
        if area.top() < 0:
            self._scroll_by(area.top() - _MARGIN)
        elif area.bottom() > self.viewport().height():
            over = area.bottom() - self.viewport().height() + _MARGIN
            self._scroll_by(min(over, area.top() - _MARGIN))

    def _scroll_by(self, pixels: int) -> None:
        bar = self.verticalScrollBar()
        bar.setValue(bar.value() + pixels)

    def _arrange(self) -> None:
        """Give every turn in sight its place, whatever has changed."""
        if self._arranging or not self.isVisible():
            return
        self._arranging = True
        try:
            self._place_all()
        finally:
            self._arranging = False

    def _place_all(self) -> None:
        rows, high = self._model.rowCount(), self.viewport().height()
        if rows == 0:
            self.verticalScrollBar().setRange(0, 0)
            self.verticalScrollBar().setEnabled(False)
            self._newest.hide()
            return
        if self._follows:
            row, y = rows - 1, high - _MARGIN - self._height(rows - 1)
        else:
            row, y = min(self._anchor[0], rows - 1), self._anchor[1]
        for _ in range(4):  # each pass may turn guesses into heights, and so move the ends
            placed = self._fill(row, y, rows, high)
            above = _MARGIN + sum(self._heights[:row])
            most = max(0, 2 * _MARGIN + sum(self._heights) - high)
            value = above - y
            kept = most if self._follows else min(max(0, value), most)
            if kept == value:
                break
            y = above - kept
        bar = self.verticalScrollBar()
        was = bar.blockSignals(True)
        bar.setRange(0, most)
        bar.setEnabled(most > 0)
        bar.setPageStep(high)
        bar.setValue(kept)
        bar.blockSignals(was)
        bar.update()
        self._value = kept
        self._show(placed)
        self._anchor = self._new_anchor(placed, high)
        at_end = kept >= most - _NEAR
        self._newest.setVisible(not at_end)
        self._place_newest()

    @staticmethod
    def _new_anchor(placed: dict[int, tuple[int, int]], high: int) -> tuple[int, int]:
        """The first turn that begins in sight, else the one that fills the view."""
        tops = sorted((top, row) for row, (top, tall) in placed.items() if top + tall > 0)
        begins = [(row, top) for top, row in tops if 0 <= top < high]
        return begins[0] if begins else (tops[0][1], tops[0][0])

    def _fill(self, row: int, y: int, rows: int, high: int) -> dict[int, tuple[int, int]]:
        """Lay turns out downwards and upwards from `row` at `y`; row -> (top, height)."""
        placed: dict[int, tuple[int, int]] = {}
        top = y
        for at in range(row, rows):
            if top > high + _BEYOND:
                break
            placed[at] = (top, self._height(at))
            top += placed[at][1]
        top = y
        for at in range(row - 1, -1, -1):
            if top < -_BEYOND:
                break
            tall = self._height(at)
            top -= tall
            placed[at] = (top, tall)
        return placed

    def _show(self, placed: dict[int, tuple[int, int]]) -> None:
        width = self.viewport().width()
        shown: dict[int, str] = {}
        for row, (top, tall) in placed.items():
            turn = self._model.turn(row)
            view = self._views[turn.key]
            view.setGeometry(0, top, width, tall)
            if view.isHidden():
                view.show()
            if turn.id and turn.siblings is None:
                shown[row] = turn.id
        keys = {self._model.turn(row).key for row in placed}
        spare = [key for key in self._views if key not in keys]
        for key in spare:
            self._views[key].hide()
        for key in spare[: max(0, len(spare) - _SPARE)]:
            if not self._views[key].has_selection():
                self._discard(key)
        if shown:
            self.in_sight.emit([shown[row] for row in sorted(shown)])

    def _discard(self, key: int) -> None:
        view = self._views.pop(key)
        self._measured.pop(key, None)
        view.hide()
        view.deleteLater()

    def _place_newest(self) -> None:
        self._newest.adjustSize()
        x = (self.viewport().width() - self._newest.width()) // 2
        self._newest.move(x, self.viewport().height() - self._newest.height() - 8)
        self._newest.raise_()

    # Events

    def scrollContentsBy(self, _dx: int, _dy: int) -> None:
        if self._arranging or self._model.rowCount() == 0:
            return
        bar = self.verticalScrollBar()
        # Qt's own dy knows nothing of the values that were set with signals blocked.
        dy = self._value - bar.value()
        self._follows = bar.value() >= bar.maximum() - _NEAR
        if abs(dy) < self.viewport().height():
            self._anchor = (self._anchor[0], self._anchor[1] + dy)
        else:
            tops = list(itertools.accumulate(self._heights, initial=_MARGIN))
            row = max(0, bisect.bisect_right(tops, bar.value(), hi=len(self._heights)) - 1)
            self._anchor = (row, tops[row] - bar.value())
        self._arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._arrange()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in _REDRAWN:
            self._measured.clear()
            self._soon.start()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_End:
            self.go_to_end()
        elif event.key() == Qt.Key.Key_Home:
            self._follows, self._anchor = False, (0, _MARGIN)
            self._arrange()
        else:
            super().keyPressEvent(event)

    def focused_view(self, widget: QWidget | None) -> TurnView | None:
        for view in self._views.values():
            if widget is not None and (widget is view or view.isAncestorOf(widget)):
                return view
        return None
