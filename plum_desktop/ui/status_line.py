"""The bottom line: the one place that speaks of learning."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QSizePolicy,
    QWidget,
)

from plum_desktop.ui.base import words
from plum_desktop.ui.base.commands import set_tip
from plum_desktop.ui.base.controls import ElidedLabel, IconButton, IconLabel, button, small
from plum_desktop.ui.learning import card_words
from plum_desktop.ui.learning.lessons import Lessons


class StatusLine(QFrame):
    """Signals: learn_asked, learning_asked (its page), result_asked, focus_lost (what had the
    keyboard is no longer there).
    """

    learn_asked = Signal()
    learning_asked = Signal()
    result_asked = Signal()
    focus_lost = Signal()

    def __init__(self, lessons: Lessons) -> None:
        super().__init__()
        self.setObjectName("status")
        self.setMinimumHeight(48)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._lessons = lessons
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 12, 6)
        row.setSpacing(12)
        row.addSpacing(4)
        self._sign = IconLabel("learning", tone="muted", size=18)
        row.addWidget(self._sign)
        self.text = ElidedLabel(pixels=13)
        self.text.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        row.addWidget(self.text)
        self.learn_button = button(self.tr("Learn from my chats"), "plain", self.learn_asked.emit)
        set_tip(self.learn_button, self.tr("Learn from my chats"), "learn")
        self.result_button = button(self.tr("Show the result"), "quiet", self.result_asked.emit)
        row.addWidget(self.result_button)
        row.addWidget(self.learn_button)

        self._doing = QWidget()
        doing = QHBoxLayout(self._doing)
        doing.setContentsMargins(0, 0, 0, 0)
        doing.setSpacing(8)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(160)
        self.bar.setAccessibleName(self.tr("Learning"))
        doing.addWidget(self.bar)
        self.left = small()
        doing.addWidget(self.left)
        self.pause_button = IconButton("pause", self.tr("Pause learning"))
        self.pause_button.clicked.connect(lessons.pause_or_go_on)
        doing.addWidget(self.pause_button)
        self.stop_button = IconButton("stop", self.tr("Stop learning"), size=16)
        self.stop_button.clicked.connect(self._on_stop)
        doing.addWidget(self.stop_button)
        row.addStretch(1)
        row.addWidget(self._doing)

        self._sure = QWidget()
        sure = QHBoxLayout(self._sure)
        sure.setContentsMargins(0, 0, 0, 0)
        sure.setSpacing(8)
        self.stop_anyway = button(self.tr("Stop"), "danger", self._on_stop_anyway)
        sure.addWidget(self.stop_anyway)
        self.go_on = button(self.tr("Keep learning"), "plain", self._on_go_on)
        sure.addWidget(self.go_on)
        self._sure.hide()
        row.addWidget(self._sure)
        for each in self.findChildren(QAbstractButton):
            each.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # who clicks here goes on writing there
        lessons.changed.connect(self.show_state)
        self.show_state()

    def show_state(self) -> None:
        lessons = self._lessons
        running = lessons.running
        focus = QApplication.focusWidget()
        if not running:
            self._sure.hide()
        asking = not self._sure.isHidden()
        self._doing.setVisible(running and not asking)
        self.learn_button.setVisible(not running)
        self.result_button.setVisible(not running and lessons.outcome is not None)
        self._sign.set_icon("learning", "accent" if running else "muted")
        waiting = len(lessons.plan.chats) if lessons.plan else 0
        if asking:
            self.text.set_whole(self.tr("Stop? What this run has learned so far is lost."))
        elif running:
            self._show_progress()
        elif lessons.outcome:
            outcome = lessons.outcome
            self.text.set_whole(
                card_words.title(outcome.card) if outcome.card else words.said(outcome.message)
            )
        elif lessons.plan is None:
            self.text.set_whole("")
        elif waiting:
            self.text.set_whole(self.tr("{chats} to learn").format(chats=words.chats(waiting)))
        else:
            self.text.set_whole(self.tr("Nothing new to learn yet"))
        self.text.setVisible(bool(self.text.whole()))
        self.setCursor(Qt.CursorShape.PointingHandCursor if running else Qt.CursorShape.ArrowCursor)
        if focus and self.isAncestorOf(focus) and not focus.isVisible():
            self.focus_lost.emit()

    def _show_progress(self) -> None:
        lessons = self._lessons
        progress = lessons.progress
        paused = lessons.paused
        if lessons.stopping:
            self.text.set_whole(self.tr("Stopping…"))
        elif progress is None:
            self.text.set_whole(self.tr("Learning is about to start…"))
        else:
            self.text.set_whole(
                self.tr("Learning is paused") if paused else words.said(progress.text)
            )
        fraction = progress.fraction if progress else 0.0
        self.bar.setValue(int(fraction * 1000))
        left = words.left(progress.seconds_left) if progress and not paused else ""
        share = words.percent(fraction)
        self.left.setText(f"{share}, {left}" if left else share)
        self.pause_button.set_icon("play" if paused else "pause")
        self.pause_button.set_text(
            self.tr("Go on learning") if paused else self.tr("Pause learning")
        )
        able = lessons.job is not None and not lessons.stopping
        self.pause_button.setEnabled(able)
        self.stop_button.setEnabled(able)

    def _on_stop(self) -> None:
        self._sure.show()
        self.show_state()
        self.go_on.setFocus()

    def _on_stop_anyway(self) -> None:
        self._sure.hide()
        self._lessons.stop()
        self.focus_lost.emit()

    def _on_go_on(self) -> None:
        self._sure.hide()
        self.show_state()
        self.focus_lost.emit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self._lessons.running and event.button() == Qt.MouseButton.LeftButton:
            self.learning_asked.emit()
        super().mousePressEvent(event)
