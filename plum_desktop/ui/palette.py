"""The command palette: everything that can be done, found by a few of its letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPointF,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QPainter,
    QShowEvent,
    QTextCharFormat,
    QTextLayout,
    QTextOption,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from plum_desktop.ui.base.controls import announce, small
from plum_desktop.ui.base.theme import SMALL_PIXELS, current_theme, scaled, text_font
from plum_desktop.ui.sidebar.chat_list import Index

EntryRole = Qt.ItemDataRole.UserRole + 1
_ROW, _MOST_ROWS = 34, 9
_BEGINS, _FOLLOWS, _APART = 8, 8, -2  # what a letter is worth that begins a word, or stands apart
_FIRST = 2  # more, for the very first letter of the text


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: what it says, what stands at its end (keys, or what it is), what it does."""

    text: str
    note: str
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Match:
    """How well letters fit a text: more is better; `places` are those of the letters."""

    score: int
    places: tuple[int, ...]


def match(letters: str, text: str) -> Match | None:
    """The best way to find `letters` in `text` in their order; None: they are not all there.

    Beginnings of words count most, then letters that follow one another.
    """
    wanted = "".join(letters.lower().split())
    there = [letter.lower() for letter in text]
    if not wanted:
        return Match(0, ())
    ended: list[Match | None] = [None] * len(there)  # with the last letter right at each place
    for number, letter in enumerate(wanted):
        now: list[Match | None] = [None] * len(there)
        best = None if number else Match(0, ())  # with the last letter anywhere before
        for at, here in enumerate(there):
            before = ended[at - 1] if at else None
            best = _better(best, before)
            if here == letter:
                begins = at == 0 or not text[at - 1].isalnum()
                worth = begins * _BEGINS + (number > 0) * _APART + (at == 0) * _FIRST
                now[at] = _better(
                    best and Match(best.score + worth, (*best.places, at)),
                    before and Match(before.score + _FOLLOWS, (*before.places, at)),
                )
        ended = now
    found: Match | None = None
    for each in ended:
        found = _better(found, each)
    return found


def _better(one: Match | None, other: Match | None) -> Match | None:
    if one is None or other is None:
        return one or other
    return other if other.score > one.score else one


class PaletteModel(QAbstractListModel):
    """The entries that the letters typed so far are in, the best first."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: Sequence[Entry] = ()
        self._rows: list[tuple[Entry, Match]] = []

    def set_entries(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self.filter("")

    def filter(self, letters: str) -> None:
        found = [(each, fit) for each in self._entries if (fit := match(letters, each.text))]
        if letters.strip():
            found.sort(key=lambda row: -row[1].score)  # else in their own order
        self.beginResetModel()
        self._rows = found
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        entry, _ = self._rows[index.row()]
        if role == EntryRole:
            return self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{entry.text}, {entry.note}" if entry.note else entry.text
        return None


class PaletteDelegate(QStyledItemDelegate):
    """The letters that match stand out; what is at the end of the row is muted."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(120, scaled(_ROW))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        entry, fit = index.data(EntryRole)
        theme = current_theme()
        state = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        if chosen or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.accent_soft if chosen else theme.hover))
            painter.drawRoundedRect(option.rect.adjusted(0, 1, 0, -1), 6, 6)
        area = option.rect.adjusted(12, 0, -12, 0)
        mirrored = option.direction == Qt.LayoutDirection.RightToLeft
        side = Qt.AlignmentFlag.AlignLeft if mirrored else Qt.AlignmentFlag.AlignRight
        as_written = Qt.TextFlag.TextForceLeftToRight  # Ctrl+= is never =+Ctrl
        end = Qt.AlignmentFlag.AlignVCenter | side | as_written
        painter.setFont(text_font(SMALL_PIXELS))
        painter.setPen(QColor(theme.muted))
        painter.drawText(area, end, entry.note)
        note = painter.fontMetrics().horizontalAdvance(entry.note)
        line = QRect(area.left(), area.top(), max(0, area.width() - note - 16), area.height())
        line = QStyle.visualRect(option.direction, area, line)
        self._paint_text(painter, line, option.direction, entry.text, fit.places)
        painter.restore()

    @staticmethod
    def _paint_text(
        painter: QPainter, line: QRect, direction: Qt.LayoutDirection, text: str,
        places: tuple[int, ...],
    ) -> None:  # fmt: skip
        theme, font = current_theme(), text_font(14)
        shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, line.width())
        layout = QTextLayout(shown, font)
        leading = Qt.AlignmentFlag.AlignLeading
        option = QTextOption(QStyle.visualAlignment(direction, leading))
        option.setTextDirection(direction)
        layout.setTextOption(option)
        found = QTextCharFormat()
        found.setForeground(QColor(theme.accent))
        found.setFontWeight(QFont.Weight.DemiBold)
        ranges = []
        for place in places:
            one = QTextLayout.FormatRange()
            one.start, one.length, one.format = place, 1, found
            ranges.append(one)
        layout.setFormats(ranges)
        layout.beginLayout()
        written = layout.createLine()
        written.setLineWidth(line.width())
        layout.endLayout()
        painter.setPen(QColor(theme.text))
        top = line.top() + (line.height() - written.height()) / 2
        layout.draw(painter, QPointF(line.left(), top))


class Palette(QFrame):
    """A field and what it finds.  It hides before an entry runs, the focus back where it was.

    Signals: closed.
    """

    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "sheet")
        self.setAccessibleName(self.tr("Commands"))
        self._before: QWidget | None = None  # had the focus
        box = QVBoxLayout(self)
        box.setContentsMargins(8, 8, 8, 8)
        box.setSpacing(8)
        self.field = QLineEdit()
        self.field.setPlaceholderText(self.tr("What would you like to do?"))
        self.field.setAccessibleName(self.tr("Find a command, a page or a chat"))
        self.field.textEdited.connect(self._on_edited)
        self.field.installEventFilter(self)
        box.addWidget(self.field)
        self.model = PaletteModel(self)
        self.list = QListView()
        self.list.setModel(self.model)
        self.list.setItemDelegate(PaletteDelegate(self.list))
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the field's arrow keys move in it
        self.list.setAccessibleName(self.tr("Commands"))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.clicked.connect(self._run)
        box.addWidget(self.list)
        self._none = small(self.tr("Nothing is called that. Try fewer letters."))
        self._none.setContentsMargins(12, 4, 12, 8)
        box.addWidget(self._none)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.focusChanged.connect(self._on_focus_changed)

    def open(self, entries: Sequence[Entry]) -> None:
        """Get ready to be shown, with these to choose from."""
        if self.isHidden():
            self._before = QApplication.focusWidget()
        self.field.clear()
        self.model.set_entries(entries)
        self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.field.setFocus()

    def close_up(self) -> None:
        """Leave, and give the focus back."""
        before, self._before = self._before, None
        self.closed.emit()
        if before is not None and isValid(before) and before.isVisible():
            before.setFocus()

    def _on_edited(self, text: str) -> None:
        self.model.filter(text)
        self._fit()

    def _fit(self) -> None:
        rows = self.model.rowCount()
        ground = self.parentWidget()
        room = (ground.height() - scaled(160)) // scaled(_ROW) if ground else _MOST_ROWS
        self.list.setFixedHeight(scaled(_ROW) * max(1, min(rows, _MOST_ROWS, room)))
        self.list.setVisible(rows > 0)
        self._none.setVisible(rows == 0)
        if rows:
            self.list.setCurrentIndex(self.model.index(0))
            self.list.scrollToTop()

    def _move(self, by: int) -> None:
        if rows := self.model.rowCount():
            row = (self.list.currentIndex().row() + by) % rows
            self.list.setCurrentIndex(self.model.index(row))
            spoken = self.model.index(row).data(Qt.ItemDataRole.AccessibleTextRole)
            announce(self, spoken)

    def _run(self, index: QModelIndex) -> None:
        if index.isValid():
            entry, _ = index.data(EntryRole)
            self.close_up()
            entry.run()

    def _on_focus_changed(self, _before: QWidget | None, now: QWidget | None) -> None:
        """Whoever goes on elsewhere has done with it."""
        if self.isVisible() and now is not None and not self.isAncestorOf(now):
            self._before = None
            self.closed.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.KeyPress or not isinstance(event, QKeyEvent):
            return super().eventFilter(watched, event)
        key = event.key()
        steps = {
            Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1,
            Qt.Key.Key_PageDown: _MOST_ROWS, Qt.Key.Key_PageUp: -_MOST_ROWS,
        }  # fmt: skip
        if key in steps:
            self._move(steps[Qt.Key(key)])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._run(self.list.currentIndex())
        elif key == Qt.Key.Key_Escape:
            self.close_up()
        else:
            return super().eventFilter(watched, event)
        return True
