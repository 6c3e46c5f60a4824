"""Comparing answers: one question, answered side by side with memory and without."""

from __future__ import annotations

import contextlib
import html
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QLineEdit, QVBoxLayout

from plum_desktop.app.compare import Stopper, differing
from plum_desktop.base.errors import Cancelled
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import announce, button, label, small
from plum_desktop.ui.base.page import Page
from plum_desktop.ui.base.theme import TEXT_PIXELS, current_theme, scaled, set_type

if TYPE_CHECKING:
    from plum_desktop.app.compare import Way

_REDRAW_SECONDS = 0.05  # most often that a growing answer is handed on
_MOST_MARKED = 0.8  # of an answer; beyond it marks would say nothing
_NARROW = 620  # below this width, answers stand below each other


class AnswerCard(QFrame):
    """One way of answering, and its answer."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self.way = way
        self.text = ""
        self._others: Sequence[str] = ()
        self.setProperty("kind", "card")
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(8)
        self.title = self._title()
        box.addWidget(label(self.title, bold=True, wrap=True))
        self._answer = label(wrap=True)
        self._answer.setTextFormat(Qt.TextFormat.RichText)
        set_type(self._answer, TEXT_PIXELS)
        self._answer.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._answer.setAlignment(Qt.AlignmentFlag.AlignTop)
        box.addWidget(self._answer, 1)
        self.note = small(self.tr("Waits for its turn."), wrap=True)
        box.addWidget(self.note)
        self.setAccessibleName(self.title)

    def _title(self) -> str:
        if self.way.learned and self.way.looked_up:
            return self.tr("With memory, and looking things up")
        if self.way.learned:
            return self.tr("With memory")
        return self.tr("Looking things up") if self.way.looked_up else self.tr("Without memory")

    def grow(self, text: str) -> None:
        self.text = text
        self.note.setText(self.tr("Answers…"))
        self._show()

    def end(self, note: str = "") -> None:
        """No more will come; `note` says why, where the answer is not whole."""
        self.note.setText(note)

    def mark(self, others: Sequence[str]) -> None:
        """Mark what differs from the other answers, and say how much that is."""
        near = [other for other in others if _differs(self.text, [other])[0] <= _MOST_MARKED]
        if not near:
            self.note.setText(self.tr("Has next to nothing in common with the others."))
            return
        self._others = near
        self._show()
        _, parts = _differs(self.text, near)
        if parts == 0:
            self.note.setText(self.tr("Says the same as the others."))
        elif parts == 1:
            self.note.setText(self.tr("One part differs."))
        else:
            self.note.setText(self.tr("%n parts differ.", "", parts))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._show()

    def _show(self) -> None:
        theme = current_theme()
        style = f"background-color:{theme.mark};color:{theme.text}"
        pieces = [
            f'<span style="{style}">{html.escape(piece)}</span>' if differs else html.escape(piece)
            for piece, differs in differing(self.text, self._others)
        ]
        self._answer.setText("".join(pieces).replace("\n", "<br>"))
        self._answer.setAccessibleName(self.text)


def _differs(text: str, others: Sequence[str]) -> tuple[float, int]:
    """What share of `text`, 0..1, is otherwise in any of `others`, and in how many parts."""
    marked = [piece for piece, differs in differing(text, others) if differs]
    return sum(map(len, marked)) / max(1, len(text)), len(marked)


class ComparePage(Page):
    """Nothing that is asked or answered here is stored.

    Signals: back_asked.
    """

    back_asked = Signal()
    _grew = Signal(object, str)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(
            self.tr("Compare answers"),
            self.tr(
                "One question, answered with what Plum learned and without. What the answers do "
                "not have in common is marked. Nothing of it is kept."
            ),
        )
        self._bridge = bridge
        self._service = bridge.plum.compare
        self._stopper: Stopper | None = None
        self.cards: list[AnswerCard] = []
        self.head.addWidget(button(self.tr("Back"), "quiet", self.back_asked.emit))
        row = QHBoxLayout()
        row.setSpacing(8)
        self.question = QLineEdit()
        self.question.setPlaceholderText(self.tr("Ask about something you once told Plum"))
        self.question.setAccessibleName(self.tr("Question"))
        self.question.returnPressed.connect(self.ask)
        row.addWidget(self.question, 1)
        self.ask_button = button(self.tr("Compare"), "primary", self._on_ask_or_stop)
        row.addWidget(self.ask_button)
        self.body.addLayout(row)
        self._columns = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._columns.setSpacing(12)
        self.body.addLayout(self._columns)
        self.body.addStretch(1)
        self._grew.connect(self._on_grew)
        self.question.textChanged.connect(lambda _: self._enable())
        self._enable()

    def setFocus(self) -> None:  # type: ignore[override]
        """Go to the question.  With a focus proxy the tab key would pass the head by."""
        self.question.setFocus()

    @property
    def busy(self) -> bool:
        """Whether answers still come."""
        return self._stopper is not None

    def suggest(self, question: str) -> None:
        """A question to begin with, unless one was typed or asked already."""
        if question and not self.busy and not self.cards and not self.question.text():
            self.question.setText(" ".join(question.split()))
        self.question.selectAll()

    def ask(self) -> None:
        question = self.question.text().strip()
        if not question or self.busy:
            return
        self.notice.hide()
        stopper = self._stopper = Stopper()
        self._enable()

        def begin(ways: list[Way]) -> None:
            self._set_ways(ways)
            if not any(way.learned for way in ways):
                self.tell(self.tr("Nothing has been learned yet, so no memory can be compared."))
            self._answer(question, 0, stopper)

        self._bridge.ask(self._service.ways, begin, self._on_failed, owner=self, lane="slow")

    def stop(self) -> None:
        """End the answer under way and ask for no more; what was said stays to be read."""
        if self._stopper:
            self._stopper.cancel()

    def _on_ask_or_stop(self) -> None:
        (self.stop if self.busy else self.ask)()

    def _answer(self, question: str, at: int, stopper: Stopper) -> None:
        """One answer after the other, each queued behind replies that were asked meanwhile."""
        if at == len(self.cards) or stopper.cancelled:
            self._end(whole=at == len(self.cards))
            return
        card = self.cards[at]
        told = 0.0

        def grow(text: str) -> None:
            nonlocal told
            if time.monotonic() - told >= _REDRAW_SECONDS:
                told = time.monotonic()
                with contextlib.suppress(RuntimeError):  # the window has closed meanwhile
                    self._grew.emit(card, text)

        def work() -> str | None:
            try:
                return self._service.answer(question, card.way, grow, stopper)
            except Cancelled:
                return None

        def done(text: str | None) -> None:
            if text is None:
                card.end(self.tr("Stopped."))
                self._end(whole=False)
                return
            card.grow(text)
            card.end()
            announce(self, f"{card.title}: {text}")
            self._answer(question, at + 1, stopper)

        card.note.setText(self.tr("Answers…"))
        self._bridge.ask(work, done, self._on_failed, owner=self, lane="reply")

    def _end(self, *, whole: bool) -> None:
        self._stopper = None
        if whole:
            for card in self.cards:
                card.mark([other.text for other in self.cards if other is not card])
        else:
            for card in self.cards:
                if not card.text:
                    card.end(self.tr("Stopped."))
        self._enable()
        # What serves is loaded again, so that the next reply in a chat need not wait for it.
        self._bridge.ask(self._service.end, None, lambda _: None, owner=self, lane="reply")

    def _on_failed(self, error: str) -> None:
        self.say(error)
        self._end(whole=False)

    def _on_grew(self, card: AnswerCard, text: str) -> None:
        if card in self.cards and self.busy:
            card.grow(text)

    def _set_ways(self, ways: Sequence[Way]) -> None:
        for card in self.cards:
            self._columns.removeWidget(card)
            card.hide()
            card.deleteLater()
        self.cards = [AnswerCard(way) for way in ways]
        for card in self.cards:
            self._columns.addWidget(card, 1)

    def _enable(self) -> None:
        self.ask_button.setText(self.tr("Stop") if self.busy else self.tr("Compare"))
        self.ask_button.setAccessibleName(self.ask_button.text())
        self.ask_button.setEnabled(self.busy or bool(self.question.text().strip()))
        self.question.setReadOnly(self.busy)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        way, narrow = QBoxLayout.Direction, self.width() < scaled(_NARROW)
        self._columns.setDirection(way.TopToBottom if narrow else way.LeftToRight)
