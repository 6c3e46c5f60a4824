"""The small parts that every page is made of: labels, buttons, notices, the switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QBoxLayout,
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStyle,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.ui.base import words
from plum_desktop.ui.base.commands import set_tip
from plum_desktop.ui.base.theme import (
    INTERFACE_PIXELS,
    SMALL_PIXELS,
    current_theme,
    icon,
    scaled,
    set_property,
    set_type,
)

Tone = Literal["plain", "muted", "accent", "danger", "warn", "good", "on_accent"]
Kind = Literal["plain", "primary", "quiet", "danger", "row", "chip"]
_REDRAWN = (QEvent.Type.PaletteChange, QEvent.Type.FontChange)
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_CONFIRMED_MS = 1200


def label(
    text: str = "", *, tone: Tone = "plain", pixels: int = 0, bold: bool = False, wrap: bool = False
) -> QLabel:
    """A label in plain text: whatever a chat or a file is called, it is never markup."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if pixels or bold:
        set_type(made, pixels or INTERFACE_PIXELS, bold=bold)
    made.setProperty("tone", tone)
    made.setWordWrap(wrap)
    if wrap:
        made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    return made


def small(text: str = "", *, tone: Tone = "muted", wrap: bool = False) -> QLabel:
    return label(text, tone=tone, pixels=SMALL_PIXELS, wrap=wrap)


def align_leading(made: QLabel) -> None:
    """Start where the window's lines do, in whatever language the text is: Qt looks at the text."""
    mirrored = made.layoutDirection() == Qt.LayoutDirection.RightToLeft
    align = Qt.AlignmentFlag
    side = align.AlignRight if mirrored else align.AlignLeft
    made.setAlignment(side | align.AlignAbsolute | align.AlignVCenter)


class _Button(QPushButton):
    """Enter presses it, as the space bar does."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in _ENTER and self.menu() is None:
            self.click()
        else:
            super().keyPressEvent(event)


def button(
    text: str, kind: Kind = "plain", clicked: Callable[[], object] | None = None
) -> QPushButton:
    made = _Button(text)
    made.setProperty("kind", kind)
    made.setAccessibleName(text)
    made.setAutoDefault(False)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    if clicked:
        made.clicked.connect(lambda: clicked())
    return made


def announce(widget: QWidget, text: str) -> None:
    """Have a screen reader say what a sighted reader sees happen."""
    from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent  # 4 ms of a start

    QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(widget, text))


def rule() -> QFrame:
    made = QFrame()
    made.setProperty("kind", "rule")
    return made


class ElidedLabel(QLabel):
    """One line that ends in … where it does not fit; the whole of it is in the tool tip."""

    def __init__(self, text: str = "", *, pixels: int = 14, bold: bool = False) -> None:
        super().__init__()
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        align_leading(self)
        set_type(self, pixels, bold=bold)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.set_whole(text)

    def set_whole(self, text: str) -> None:
        self._whole = " ".join(text.split())
        self.setAccessibleName(self._whole)
        self._fit()

    def whole(self) -> str:
        return self._whole

    def minimumSizeHint(self) -> QSize:
        return QSize(24, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        width = self.fontMetrics().horizontalAdvance(self._whole) + 2
        return QSize(width, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()
            self._fit()
        elif event.type() == QEvent.Type.LayoutDirectionChange:
            align_leading(self)

    def _fit(self) -> None:
        shown = self.fontMetrics().elidedText(
            self._whole, Qt.TextElideMode.ElideRight, max(0, self.width())
        )
        self.setText(shown)
        self.setToolTip(self._whole if shown != self._whole else "")


class IconButton(QToolButton):
    """An icon whose name is its tool tip, drawn in the colours of the theme."""

    def __init__(
        self, name: str, text: str, *, tone: Tone = "muted", size: int = 18, command: str = ""
    ) -> None:
        super().__init__()
        self._icon, self._tone, self._size = name, tone, size
        self.set_text(text, command)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._draw()

    def set_text(self, text: str, command: str = "") -> None:
        """What it does, and the command of the window that does the same."""
        self.setAccessibleName(text)
        set_tip(self, text, command)

    def set_icon(self, name: str) -> None:
        self._icon = name
        self._draw()

    def confirm(self, done: str) -> None:
        """Say for a moment that it was done."""
        before = self._icon, self.accessibleName()
        if before[1] == done:
            return
        self.set_icon("check")
        self.set_text(done)

        def back() -> None:
            self.set_icon(before[0])
            self.set_text(before[1])

        QTimer.singleShot(_CONFIRMED_MS, self, back)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in _ENTER and self.menu() is None:
            self.click()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in _REDRAWN:
            self._draw()

    def _draw(self) -> None:
        theme = current_theme()
        colour = theme.text if self._tone == "plain" else getattr(theme, self._tone)
        self.setIconSize(QSize(scaled(self._size), scaled(self._size)))
        self.setIcon(icon(self._icon, colour, theme.edge))


class IconLabel(QLabel):
    """A small icon that only shows."""

    def __init__(self, name: str, *, tone: Tone = "muted", size: int = 18) -> None:
        super().__init__()
        self._icon, self._tone, self._size = name, tone, size
        self._draw()

    def set_icon(self, name: str, tone: Tone) -> None:
        self._icon, self._tone = name, tone
        self._draw()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in _REDRAWN:
            self._draw()

    def _draw(self) -> None:
        theme = current_theme()
        colour = theme.text if self._tone == "plain" else getattr(theme, self._tone)
        size = QSize(scaled(self._size), scaled(self._size))
        self.setFixedSize(size)
        self.setPixmap(icon(self._icon, colour).pixmap(size, self.devicePixelRatioF()))


class Switch(QCheckBox):
    """On or off, with words: the text says which, so that colour is not the only sign."""

    def sizeHint(self) -> QSize:
        width = self.fontMetrics().horizontalAdvance(self.text())
        return QSize(self._lead() + 2 + width, max(24, self.fontMetrics().height() + 6))

    @staticmethod
    def _lead() -> int:
        """How wide the switch is, with the gap before its words."""
        return scaled(42)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def hitButton(self, _position: object) -> bool:
        return True

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = current_theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        wide, high = scaled(32), scaled(18)
        track = QRectF(
            self.width() - 2 - wide if mirrored else 2, (self.height() - high) / 2, wide, high
        )
        round_ = high / 2
        if not self.isEnabled():
            painter.setOpacity(0.5)
        on = self.isChecked()
        painter.setPen(QPen(QColor(theme.accent if on else theme.edge), 1))
        painter.setBrush(QColor(theme.accent if on else theme.raised))
        painter.drawRoundedRect(track, round_, round_)
        at_right = on != mirrored
        knob = QPointF(
            track.right() - round_ if at_right else track.left() + round_, track.center().y()
        )
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.on_accent if on else theme.edge))
        painter.drawEllipse(knob, round_ * 0.61, round_ * 0.61)
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme.text), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(
                track.adjusted(-1.5, -1.5, 1.5, 1.5), round_ + 1.5, round_ + 1.5
            )
        painter.setPen(QColor(theme.text))
        lead = self._lead()
        area = self.rect().adjusted(0 if mirrored else lead, 0, -lead if mirrored else 0, 0)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(area, middle, self.text())


class Choice(QComboBox):
    """A combo box in the look of the other fields."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        size = scaled(16)
        spot = QRect(self.width() - 12 - size, (self.height() - size) // 2, size, size)
        spot = QStyle.visualRect(self.layoutDirection(), self.rect(), spot)
        icon("down", current_theme().muted).paint(painter, spot)


class Notice(QFrame):
    """One sentence where the trouble is, with one button, or a question with two.

    Signals: closed, when it was put away by its cross.
    """

    closed = Signal()

    def __init__(
        self, text: str = "", *, tone: Literal["plain", "danger", "warn"] = "plain",
        closable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.setProperty("kind", "notice")
        self.setProperty("tone", tone)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 8, 8, 8)
        row.setSpacing(8)
        row.addSpacing(4)
        self._sign = IconLabel("alert", tone=tone)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignVCenter)
        self._sign.setVisible(tone != "plain")  # a child by now: else it were a window of its own
        self._text = text
        self._words = label(text, wrap=True)
        self._content = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._content.setSpacing(8)
        self._content.addWidget(self._words, 1)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(4)
        self._made: list[QPushButton] = []
        self._content.addLayout(self._buttons)
        row.addLayout(self._content, 1)
        self._cross = IconButton("close", self.tr("Close"), size=16)
        self._cross.clicked.connect(self._on_cross)
        row.addWidget(self._cross)
        self._cross.setVisible(closable)
        self.setAccessibleName(text)

    def say(self, text: str, tone: Literal["plain", "danger", "warn"] = "plain") -> None:
        self._text = text
        self._words.setText(words.breakable(text))
        self.setAccessibleName(text)
        self._sign.setVisible(tone != "plain")
        self._sign.set_icon("alert", tone)
        set_property(self, "tone", tone)

    def text(self) -> str:
        return self._text

    def set_buttons(self, *buttons: QPushButton, below: bool = False) -> None:
        """Offer these in place of others; `below` the sentence, where there is little room."""
        ways = QBoxLayout.Direction
        self._content.setDirection(ways.TopToBottom if below else ways.LeftToRight)
        self._buttons.setAlignment(Qt.AlignmentFlag.AlignLeading if below else Qt.AlignmentFlag(0))
        for old in self._made:
            self._buttons.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._made = list(buttons)
        for made in buttons:
            self._buttons.addWidget(made)

    def buttons(self) -> list[QPushButton]:
        return list(self._made)

    def _on_cross(self) -> None:
        self.hide()
        self.closed.emit()


class Column(QWidget):
    """A column of at most `widest` pixels, in the middle of whatever is there."""

    def __init__(self, widest: Callable[[], int]) -> None:
        """`widest` is asked again when the text size changes."""
        super().__init__()
        self._widest = widest
        outer = QHBoxLayout(self)
        outer.setContentsMargins(16, 0, 16, 0)
        self._inner = inner = QWidget()
        inner.setMaximumWidth(widest())
        self.box = QVBoxLayout(inner)
        self.box.setContentsMargins(0, 0, 0, 0)
        outer.addStretch(1)
        outer.addWidget(inner, 1000)
        outer.addStretch(1)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._inner.setMaximumWidth(self._widest())
