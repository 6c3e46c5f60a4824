"""One turn on screen: prose, code blocks, what can be done with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import (
    QByteArray,
    QEvent,
    QObject,
    QPoint,
    QRect,
    QSize,
    Qt,
    QTimer,
    QUrl,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QEnterEvent,
    QFocusEvent,
    QFontMetrics,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QTextBlockFormat,
    QTextCursor,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QStyle,
    QTextBrowser,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.ui.base.controls import IconButton, align_leading, button, label, small
from plum_desktop.ui.base.theme import (
    LINE_WIDTH,
    TEXT_PIXELS,
    code_font,
    current_theme,
    scaled,
    set_property,
    set_type,
    text_font,
    text_size,
)
from plum_desktop.ui.base.words import breakable
from plum_desktop.ui.chat.attachments import Chip, Chips
from plum_desktop.ui.chat.markdown import (
    Block,
    blocks_of,
    highlighted,
    plain_blocks_of,
    prose_style,
)
from plum_desktop.ui.chat.turns import Turn

_MARGIN = 16  # left and right of everything
_ABOVE, _BETWEEN, _ACTIONS = 8, 12, 30
_MARKED_MS = 1600
# Not None: a document that is given no value looks for a local file itself.
_NOTHING = QByteArray(b"\0")
_SCROLL_KEYS = (
    Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown, Qt.Key.Key_Home,
    Qt.Key.Key_End,
)  # fmt: skip


def gutter() -> int:
    """Where it stands who speaks, in pixels."""
    return scaled(56)


def column_width() -> int:
    """How wide a line of text may become, in pixels."""
    return QFontMetrics(text_font()).averageCharWidth() * LINE_WIDTH


def column_in(width: int) -> tuple[int, int]:
    """Where the text starts, and how wide it is, in a view of `width`."""
    room = max(120, width - 2 * _MARGIN - gutter())
    text = min(room, column_width())
    left = max(_MARGIN, (width - gutter() - text) // 2)
    return left + gutter(), text


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
        style = prose_style(current_theme(), code_font().family(), scaled)
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
        return _NOTHING

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

    def _on_copy(self) -> None:
        if self._block:
            QGuiApplication.clipboard().setText(self._block.text)
            _confirm_copy(self._copy, self.tr("Copied"), self.tr("Copy code"))


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
        return _NOTHING

    def wheelEvent(self, event: QWheelEvent) -> None:
        sideways = event.angleDelta().x() or event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if sideways:
            super().wheelEvent(event)
        else:
            event.ignore()


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
        self._note = QWidget(self)
        self._note_words = small(wrap=True)
        self._note_button = button("", "plain", self._on_remedy)
        row = QHBoxLayout(self._note)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._note_words, 1)
        row.addWidget(self._note_button, 0, Qt.AlignmentFlag.AlignTop)

        self._actions = QWidget(self)
        bar = QHBoxLayout(self._actions)
        bar.setContentsMargins(0, 0, 0, 0)
        bar.setSpacing(2)
        self._copy = IconButton("copy", self.tr("Copy"), size=16)
        self._copy.clicked.connect(self._on_copy)
        bar.addWidget(self._copy)
        self._quote = IconButton("quote", self.tr("Quote"), size=16)
        self._quote.clicked.connect(self._on_quote)
        bar.addWidget(self._quote)
        if mine:
            self._change = IconButton("edit", self.tr("Edit into a new branch"), size=16)
            self._change.clicked.connect(self.edit_asked)
        else:
            self._change = IconButton("again", self.tr("Answer again"), size=16)
            self._change.clicked.connect(self.again_asked)
        bar.addWidget(self._change)
        self._why: IconButton | None = None
        if not mine:
            self._why = IconButton("memory", self.tr("Memories near this answer"), size=16)
            self._why.clicked.connect(self._on_why)
            bar.addWidget(self._why)
        self._delete = IconButton("delete", self.tr("Delete this message…"), size=16)
        self._delete.clicked.connect(self.delete_asked)
        bar.addWidget(self._delete)
        bar.addStretch(1)
        self._walker = QWidget()
        walk = QHBoxLayout(self._walker)
        walk.setContentsMargins(0, 0, 0, 0)
        walk.setSpacing(2)
        self._older = IconButton("previous", self.tr("Older version"), size=16, command="older")
        self._newer = IconButton("next", self.tr("Newer version"), size=16, command="newer")
        self._older.clicked.connect(lambda: self.step_asked.emit(-1))
        self._newer.clicked.connect(lambda: self.step_asked.emit(1))
        self._place = small()
        for part in (self._older, self._place, self._newer):
            walk.addWidget(part)
        bar.addWidget(self._walker)
        for part in self._actions.findChildren(IconButton):
            part.installEventFilter(self)
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
            self._set_blocks(plain_blocks_of(text) if turn.role == "user" else blocks_of(text))
        self._wait.setVisible(turn.state == "waiting")
        self._horizon.setVisible(turn.first_seen)
        named = tuple(file.name for file in turn.attachments)
        if named != self._named:
            self._named = named
            self._files.set_chips([Chip(name) for name in named])
        self._set_note()
        place, count = turn.place
        self._walker.setVisible(count > 1)
        self._place.setText(self.tr("{place}/{count}").format(place=place, count=count))
        self._place.setAccessibleName(
            self.tr("Version {place} of {count}").format(place=place, count=count)
        )
        self._older.setEnabled(place > 1)
        self._newer.setEnabled(place < count)
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

    def _set_note(self) -> None:
        turn = self._turn
        words = {
            "cut": self.tr("Cut off at the longest reply that the settings allow."),
            "stopped": self.tr("Stopped."),
            "failed": turn.error or self.tr("This reply was interrupted."),
        }.get(turn.state, "")
        self._note_words.setText(breakable(words))
        self._note.setVisible(bool(words))
        failed = turn.state == "failed"
        if not failed:
            remedy = self.tr("Continue")
        else:
            remedy = self.tr("Choose a model") if turn.needs_model else self.tr("Try again")
        self._note_button.setText(remedy)
        self._note_button.setAccessibleName(remedy)
        self._note_button.setVisible(failed or self._can_go_on())
        set_property(self._note_words, "tone", "danger" if failed else "muted")

    def _can_go_on(self) -> bool:
        turn = self._turn
        return self._is_last and turn.state in ("cut", "stopped") and bool(turn.text.strip())

    def _on_remedy(self) -> None:
        if self._turn.state != "failed":
            self.go_on_asked.emit()
        else:
            (self.models_asked if self._turn.needs_model else self.again_asked).emit()

    def set_last(self, last: bool) -> bool:
        """The last turn keeps its actions in sight; whether its height may be another now."""
        changed, self._is_last = self._is_last != last, last
        if changed:
            self._set_note()
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
        texts = [each if isinstance(each, Prose) else each._text for each in self._blocks]
        return [text.textCursor() for text in texts]

    def arrange(self, width: int) -> int:
        """Lay everything out for `width` and return the height that needs."""
        self._width = width
        left, text = column_in(width)
        line = QFontMetrics(text_font()).height() * 3 // 2
        y = _ABOVE
        if self._turn.first_seen:
            self._put(self._horizon, _MARGIN, y, width - 2 * _MARGIN, line)
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
            high = max(
                self._note.sizeHint().height() if not self._note_button.isHidden() else 0,
                self._words_height(text),
            )
            self._put(self._note, left, y, text, high)
            y += high
        self._end = y
        high = max(_ACTIONS, scaled(24))
        self._put(self._actions, left - 5, y + 2, text + 10, high - 4)
        return y + high

    def _put(self, part: QWidget, x: int, y: int, width: int, height: int) -> None:
        """Give `part` its place, told as from the left, in the direction of the window."""
        whole = QRect(0, 0, self._width, 1)
        place = QRect(x, y, width, height)
        part.setGeometry(QStyle.visualRect(self.layoutDirection(), whole, place))

    def _words_height(self, width: int) -> int:
        if not self._note_button.isHidden():
            width -= self._note_button.sizeHint().width() + 8
        metrics = self._note_words.fontMetrics()
        wrap = Qt.TextFlag.TextWordWrap
        rect = metrics.boundingRect(QRect(0, 0, width, 10_000), wrap, self._note_words.text())
        return rect.height() + 6

    def _show_actions(self) -> None:
        settled = self._turn.state not in ("waiting", "writing") and bool(self._turn.id)
        focus = QApplication.focusWidget()
        focused = focus is not None and (focus is self or self.isAncestorOf(focus))
        wanted = self._is_last or self._hovered or focused
        walking = self._turn.place[1] > 1
        self._actions.setVisible(settled and (wanted or walking))
        self._copy.setVisible(wanted and bool(self._turn.text))
        self._quote.setVisible(wanted and bool(self._turn.text))
        self._delete.setVisible(wanted and self._explains)
        self._change.setVisible(wanted and self._turn.state != "failed")  # it has a button then
        if self._why:
            self._why.setVisible(wanted and self._explains and bool(self._turn.text))

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

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self._show_actions()
        return super().eventFilter(watched, event)

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

    def _on_why(self) -> None:
        assert self._why
        self.why_asked.emit(self._why.mapToGlobal(QPoint(0, self._why.height())))

    def _on_quote(self) -> None:
        self.quote_asked.emit(self._chosen_text())

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self._turn.text)
        _confirm_copy(self._copy, self.tr("Copied"), self.tr("Copy"))


def _confirm_copy(made: IconButton, done: str, before: str) -> None:
    made.set_icon("check")
    made.set_text(done)

    def back() -> None:
        made.set_icon("copy")
        made.set_text(before)

    QTimer.singleShot(1200, made, back)
