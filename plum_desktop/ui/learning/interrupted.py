"""A learning job that was interrupted is offered, never begun again unasked."""

from __future__ import annotations

from PySide6.QtWidgets import QApplication

from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import Notice, button
from plum_desktop.ui.learning.lessons import Lessons


class InterruptedOffer(Notice):
    """In sight while there is such a job; `closed` when it goes and had the focus."""

    def __init__(self, lessons: Lessons) -> None:
        super().__init__()
        self._lessons = lessons
        lessons.changed.connect(self._show_state)
        self.hide()

    def _show_state(self) -> None:
        run = self._lessons.interrupted
        if run is None or self._lessons.running:
            focus = QApplication.focusWidget()
            had_focus = focus is not None and self.isAncestorOf(focus)
            self.hide()
            if had_focus:
                self.closed.emit()
        elif self.isHidden():
            self.say(
                self.tr("Learning from {chats} was interrupted ({when}).").format(
                    chats=words.chats(len(run.chats)), when=words.moment(run.created)
                )
            )
            self.set_buttons(
                button(self.tr("Go on"), "primary", self._lessons.resume_interrupted),
                button(self.tr("Not now"), "plain", self._lessons.put_off_interrupted),
                button(self.tr("Drop it"), "quiet", self._lessons.discard_interrupted),
            )
            self.show()
