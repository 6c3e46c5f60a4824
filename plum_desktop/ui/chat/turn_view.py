"""One turn on screen: prose, code blocks, what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QFocusEvent,
    QFontMetrics,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QTextCursor,
)
from PySide6.QtWidgets import QApplication, QStyle, QWidget

from plum_desktop.ui.base.controls import align_leading, label, small
from plum_desktop.ui.base.theme import current_theme, scaled, text_font, text_size
from plum_desktop.ui.chat.attachments import Chip, Chips
from plum_desktop.ui.chat.blocks import Block, plain_blocks_of
from plum_desktop.ui.chat.code_block import Code
from plum_desktop.ui.chat.column import MARGIN, column_in, gutter
from plum_desktop.ui.chat.prose import Prose
from plum_desktop.ui.chat.turn_actions import TurnActions
from plum_desktop.ui.chat.turn_note import TurnNote
from plum_desktop.ui.chat.turns import Turn

_ABOVE, _BETWEEN, _ACTIONS = 8, 12, 30
_MARKED_MS = 1600


class TurnView(QWidget):
    """One turn.  `arrange` gives it a width and tells how high it then is.

    Signals: again_asked, edit_asked, go_on_asked, quote_asked(text), file_asked(Attachment),
        step_asked(±1: an older or newer sibling), link_clicked(address), models_asked,
        focused (by the keyboard: bring it into sight), why_asked(a place of the screen),
        delete_asked.
    """

    again_asked = Signal()
    edit_asked = Signal()
    go_on_asked = Signal()
    quote_asked = Signal(str)
    file_asked = Signal(object)
    step_asked = Signal(int)
    link_clicked = Signal(str)
    models_asked = Signal()
    focused = Signal()
    why_asked = Signal(QPoint)
    delete_asked = Signal()

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._turn = turn
        self._blocks: list[Prose | Code] = []
        self._shown: tuple[object, ...] = ()
        self._width = 0  # that it was arranged for
        self._end = 0  # of what is said; what can be done stands below
        self._is_last = False
        self._hovered = False
        self._by_keyboard = False
        self._explains = True
        self._marked = QTimer(self, singleShot=True, interval=_MARKED_MS)
        self._marked.timeout.connect(self.update)

        mine = turn.role == "user"
        self._who = label(
            self.tr("You") if mine else self.tr("Plum"),
            tone="muted" if mine else "accent", pixels=13, bold=True,
        )  # fmt: skip
        self._who.setParent(self)
        align_leading(self._who)
        self._horizon = small(self.tr("Plum no longer reads what is above: it does not fit."))
        self._horizon.setParent(self)
        self._horizon.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._files = Chips()
        self._files.setParent(self)
        self._files.opened.connect(lambda at: self.file_asked.emit(self._turn.attachments[at]))
        self._named: tuple[str, ...] | None = None  # what the chips say
        self._wait = small(self.tr("Reading…"))
        self._wait.setParent(self)
        self._note = TurnNote()
        self._note.setParent(self)
        self._note.remedy_asked.connect(self._on_remedy)
        self.bar = TurnActions(mine=mine)
        self.bar.setParent(self)
        self.bar.copy_asked.connect(self._on_copy)
        self.bar.quote_asked.connect(lambda: self.quote_asked.emit(self._chosen_text()))
        self.bar.change_asked.connect(self.edit_asked if mine else self.again_asked)
        self.bar.why_asked.connect(self.why_asked)
        self.bar.delete_asked.connect(self.delete_asked)
        self.bar.step_asked.connect(self.step_asked)
        self.bar.focus_moved.connect(self._show_actions)
        self.set_turn(turn)

    @property
    def turn(self) -> Turn:
        return self._turn

    def set_turn(self, turn: Turn) -> None:
        self._turn = turn
        who = self._who.text()
        self.setAccessibleName(f"{who}: {turn.text}")
        text = turn.text if turn.role == "user" else turn.text.strip()
        shown = (text, current_theme().name, text_size())
        if shown != self._shown:
            self._shown = shown
            self._set_blocks(plain_blocks_of(text) if turn.role == "user" else _reply_of(text))
        self._wait.setVisible(turn.state == "waiting")
        self._horizon.setVisible(turn.first_seen)
        named = tuple(file.name for file in turn.attachments)
        if named != self._named:
            self._named = named
            self._files.set_chips([Chip(name) for name in named])
        self._note.show_turn(turn, last=self._is_last)
        self.bar.set_place(*turn.place)
        self._show_actions()

    def _set_blocks(self, blocks: Sequence[Block]) -> None:
        for at, block in enumerate(blocks):
            kind = Prose if block.kind == "prose" else Code
            if at < len(self._blocks) and not isinstance(self._blocks[at], kind):
                self._drop_blocks(at)
            if at == len(self._blocks):
                self._blocks.append(self._new_block(block))
            self._fill(self._blocks[at], block)
        self._drop_blocks(len(blocks))

    def _new_block(self, block: Block) -> Prose | Code:
        made: Prose | Code
        if block.kind == "prose":
            made = Prose()
            made.link_clicked.connect(self.link_clicked)
            made.setAccessibleName(self._who.text())
        else:
            made = Code()
        made.setParent(self)
        made.show()
        return made

    @staticmethod
    def _fill(widget: Prose | Code, block: Block) -> None:
        if isinstance(widget, Prose):
            widget.set_html(block.text)
        else:
            widget.set_block(block)

    def _drop_blocks(self, keep: int) -> None:
        for gone in self._blocks[keep:]:
            gone.hide()
            gone.deleteLater()
        del self._blocks[keep:]

    def _on_remedy(self) -> None:
        if self._turn.state != "failed":
            self.go_on_asked.emit()
        else:
            (self.models_asked if self._turn.needs_model else self.again_asked).emit()

    def set_last(self, last: bool) -> bool:
        """The last turn keeps its actions in sight; whether its height may be another now."""
        changed, self._is_last = self._is_last != last, last
        if changed:
            self._note.show_turn(self._turn, last=last)
        self._show_actions()
        return changed and not self._note.isHidden()

    def set_explains(self, explains: bool) -> None:
        """Whether it is of a stored chat: its messages can be deleted, and it can be asked what
        was learned near to an answer.
        """
        self._explains = explains
        self._show_actions()

    def mark(self) -> None:
        """Draw the eye here for a moment: a search led to it."""
        self._marked.start()
        self.update()

    def has_selection(self) -> bool:
        return any(cursor.hasSelection() for cursor in self._cursors())

    def _chosen_text(self) -> str:
        """What is selected, else all of it."""
        chosen = next((each for each in self._cursors() if each.hasSelection()), None)
        return chosen.selection().toPlainText() if chosen else self._turn.text

    def _cursors(self) -> list[QTextCursor]:
        return [
            each.textCursor() if isinstance(each, Prose) else each.text_cursor()
            for each in self._blocks
        ]

    def arrange(self, width: int) -> int:
        """Lay everything out for `width` and return the height that needs."""
        self._width = width
        left, text = column_in(width)
        line = QFontMetrics(text_font()).height() * 3 // 2
        y = _ABOVE
        if self._turn.first_seen:
            self._put(self._horizon, MARGIN, y, width - 2 * MARGIN, line)
            y += line + _BETWEEN
        self._put(self._who, left - gutter(), y - 3, gutter() - 8, line)
        if self._turn.attachments:
            self._put(self._files, left, y, text, self._files.arrange(text))
            y += self._files.height() + (_BETWEEN if self._blocks else 0)
        for at, block in enumerate(self._blocks):
            y += _BETWEEN if at else 0
            high = block.height_for(text)
            self._put(block, left, y, text, high)
            y += high
        if self._turn.state == "waiting" or (not self._blocks and self._note.isHidden()):
            self._put(self._wait, left, y - 4, text, line)
            y += line
        if not self._note.isHidden():
            y += 4 if self._blocks else 0
            high = self._note.height_for(text)
            self._put(self._note, left, y, text, high)
            y += high
        self._end = y
        high = max(_ACTIONS, scaled(24))
        self._put(self.bar, left - 5, y + 2, text + 10, high - 4)
        return y + high

    def _put(self, part: QWidget, x: int, y: int, width: int, height: int) -> None:
        """Give `part` its place, told as from the left, in the direction of the window."""
        whole = QRect(0, 0, self._width, 1)
        place = QRect(x, y, width, height)
        part.setGeometry(QStyle.visualRect(self.layoutDirection(), whole, place))

    def _show_actions(self) -> None:
        focus = QApplication.focusWidget()
        focused = focus is not None and (focus is self or self.isAncestorOf(focus))
        wanted = self._is_last or self._hovered or focused
        self.bar.show_for(self._turn, wanted=wanted, stored=self._explains)

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self._hovered = True
        self._show_actions()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hovered = False
        self._show_actions()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        reason = Qt.FocusReason
        self._by_keyboard = event.reason() in (reason.TabFocusReason, reason.BacktabFocusReason)
        self._show_actions()
        if self._by_keyboard:
            self.focused.emit()
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._show_actions()
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self._on_copy()
        else:
            event.ignore()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.FontChange)
        if event.type() == QEvent.Type.LayoutDirectionChange:
            align_leading(self._who)
        if event.type() in kinds and self._shown:
            self.set_turn(self._turn)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._marked.isActive():
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(current_theme().mark))
            painter.drawRoundedRect(self._frame(self._end + 2), 8, 8)
        if self.hasFocus() and self._by_keyboard:
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QColor(current_theme().accent))
            painter.drawRoundedRect(self._frame(self.height() - 4), 8, 8)
        if self._turn.first_seen:
            self._paint_horizon()
        super().paintEvent(event)

    def _paint_horizon(self) -> None:
        """A line to both sides of its words."""
        painter = QPainter(self)
        painter.setPen(QColor(current_theme().line))
        words = self._horizon.fontMetrics().horizontalAdvance(self._horizon.text())
        middle, y = self.width() // 2, self._horizon.geometry().center().y()
        area = self._frame(self.height()).adjusted(8, 0, -8, 0)
        painter.drawLine(area.left(), y, max(area.left(), middle - words // 2 - 12), y)
        painter.drawLine(min(area.right(), middle + words // 2 + 12), y, area.right(), y)

    def _frame(self, end: int) -> QRect:
        """What is around the turn, down to `end`."""
        left, text = column_in(self.width())
        area = QRect(left - gutter() - 8, 4, text + gutter() + 16, end - 4)
        return QStyle.visualRect(self.layoutDirection(), self.rect(), area)

    def sizeHint(self) -> QSize:
        return QSize(self.width(), self.height())

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self._turn.text)
        self.bar.copy.confirm(self.tr("Copied"))


def _reply_of(text: str) -> list[Block]:
    # With the first reply that is shown: the window starts without.
    from plum_desktop.ui.chat.markdown import blocks_of

    return blocks_of(text)
