"""The run in progress: what it does now, how far it is, and a pause."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout

from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import button, label, small
from plum_desktop.ui.learning.lessons import Lessons


class NowCard(QFrame):
    """Hidden while nothing runs."""

    def __init__(self, lessons: Lessons) -> None:
        super().__init__()
        self._lessons = lessons
        self.setProperty("kind", "card")
        self.setAccessibleName(self.tr("The run in progress"))
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(8)
        self.doing = label(pixels=15, bold=True, wrap=True)
        box.addWidget(self.doing)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(self.tr("Learning"))
        box.addWidget(self.bar)
        row = QHBoxLayout()
        self.left = small()
        row.addWidget(self.left, 1)
        self.pause_button = button(self.tr("Pause"), "plain", lessons.pause_or_go_on)
        row.addWidget(self.pause_button)
        self.stop_button = button(self.tr("Stop"), "quiet", self._on_stop)
        self.stop_button.setToolTip(self.tr("Give this run up; nothing that serves changes"))
        row.addWidget(self.stop_button)
        box.addLayout(row)
        self.steps = small(wrap=True)
        self.steps.setTextFormat(Qt.TextFormat.RichText)
        box.addWidget(self.steps)
        self._sure = False
        lessons.changed.connect(self.refresh)
        self.hide()  # until `refresh`: shown before it has a parent, it were a window

    def refresh(self) -> None:
        lessons = self._lessons
        self.setVisible(lessons.running)
        if not lessons.running:
            self._ask_first()
        progress = lessons.progress
        if progress is None:
            self.doing.setText(self.tr("Learning is about to start…"))
            self.bar.setValue(0)
            self.left.setText("")
            self.steps.setText("")
        else:
            self.doing.setText(words.said(progress.text))
            self.bar.setValue(int(progress.fraction * 1000))
            parts = [words.percent(progress.fraction)]
            if lessons.paused:
                parts.append(self.tr("paused"))
            elif left := words.left(progress.seconds_left):
                parts.append(left)
            if progress.loss is not None:
                parts.append(self.tr("loss {loss:.2f}").format(loss=progress.loss))
            self.left.setText(", ".join(parts))
            self.steps.setText(self._steps_text(progress.stage))
        self.pause_button.setText(self.tr("Go on") if lessons.paused else self.tr("Pause"))
        self.pause_button.setAccessibleName(self.pause_button.text())
        for each in (self.pause_button, self.stop_button):
            each.setEnabled(lessons.job is not None and not lessons.stopping)

    def _on_stop(self) -> None:
        """The second press stops: minutes of work go with it."""
        if self._sure:
            self._ask_first()
            self._lessons.stop()
        else:
            self._sure = True
            self.stop_button.setText(self.tr("Stop, and lose this run"))
            self.stop_button.setAccessibleName(self.stop_button.text())

    def _ask_first(self) -> None:
        self._sure = False
        self.stop_button.setText(self.tr("Stop"))
        self.stop_button.setAccessibleName(self.stop_button.text())

    def _steps_text(self, stage: str) -> str:
        """All stages in their order, the one under way in bold."""
        names = {
            "select": self.tr("choose chats"), "augment": self.tr("find what they say"),
            "tokenize": self.tr("prepare"), "train": self.tr("learn"),
            "gate": self.tr("test"), "merge": self.tr("write the model"),
            "switch": self.tr("switch over"),
        }  # fmt: skip
        steps = [f"<b>{text}</b>" if name == stage else text for name, text in names.items()]
        return " &nbsp;→&nbsp; ".join(steps)
