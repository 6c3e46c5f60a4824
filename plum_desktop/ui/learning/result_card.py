"""What a learning job came to, in plain words, and what can be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import IconButton, IconLabel, button, label, small
from plum_desktop.ui.learning import card_words

if TYPE_CHECKING:
    from plum_desktop.app.job import Outcome
    from plum_desktop.app.result_card import Card


class CardRows(QWidget):
    """The rows of a card: what was measured, the figure, and the figure before."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(3, 1)
        self._labels: list[QLabel] = []
        self._card: Card | None = None

    def set_card(self, card: Card | None) -> None:
        if card == self._card:
            return  # else it would be gone for a moment
        self._card = card
        for old in self._labels:
            self._grid.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._labels = []
        for at, row in enumerate(card_words.rows(card) if card else []):
            parts = small(row.label), _Figure(row.value), small(row.before)
            for column, made in enumerate(parts):
                self._grid.addWidget(made, at, column, Qt.AlignmentFlag.AlignTop)
                self._labels.append(made)

    def texts(self) -> list[str]:
        return [each.text() for each in self._labels]


class _Figure(QLabel):
    """One line where there is room for it, else more."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self.text()) + 2, metrics.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(96, self.fontMetrics().height())


class ResultView(QFrame):
    """The card over the conversation.  A refused job gets the same one.

    Signals: kept, undo_asked, compare_asked, export_asked, details_asked.
    """

    kept = Signal()
    undo_asked = Signal()
    compare_asked = Signal()
    export_asked = Signal()
    details_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "sheet")
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(12)
        top = QHBoxLayout()
        top.setSpacing(8)
        self._sign = IconLabel("check", tone="good", size=20)
        top.addWidget(self._sign)
        self.title = label(pixels=15, bold=True, wrap=True)
        top.addWidget(self.title, 1)
        self._took = small()
        top.addWidget(self._took)
        cross = IconButton("close", self.tr("Close"), size=16)
        cross.clicked.connect(self.kept)
        top.addWidget(cross)
        box.addLayout(top)
        self.reason = label(wrap=True)
        box.addWidget(self.reason)
        self.rows = CardRows()
        box.addWidget(self.rows)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.keep_button = button(self.tr("Keep"), "primary", self.kept.emit)
        self.undo_button = button(self.tr("Undo"), "plain", self.undo_asked.emit)
        self.compare_button = button(self.tr("Compare"), "plain", self.compare_asked.emit)
        self.compare_button.setAccessibleName(self.tr("Compare answers"))
        self.compare_button.setToolTip(self.tr("One question, with what was learned and without"))
        self.export_button = button(self.tr("Export…"), "plain", self.export_asked.emit)
        self.details_button = button(self.tr("Open Learning"), "quiet", self.details_asked.emit)
        for each in (
            self.keep_button, self.undo_button, self.compare_button, self.export_button,
        ):  # fmt: skip
            row.addWidget(each)
        row.addStretch(1)
        row.addWidget(self.details_button)
        box.addLayout(row)

    def set_outcome(self, outcome: Outcome) -> None:
        card, done = outcome.card, outcome.state == "done"
        self._sign.set_icon("check" if done else "alert", "good" if done else "warn")
        message = words.said(outcome.message)
        self.title.setText(card_words.title(card) if card else message)
        self.setAccessibleName(self.title.text())
        self._took.setText(words.took(card.seconds) if card and card.seconds else "")
        reason = ""
        if card and not (done and not card.reasons):
            reason = card_words.reason(card) or message
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))
        self.rows.set_card(card)
        self.rows.setVisible(card is not None)
        self.keep_button.setText(self.tr("Keep") if done else self.tr("Close"))
        self.keep_button.setAccessibleName(self.keep_button.text())
        self.undo_button.setVisible(done)
        self.compare_button.setVisible(done)
        self.export_button.setVisible(done and outcome.adapter is not None)
