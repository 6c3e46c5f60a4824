"""The icon in the system's tray, where there is one: a way in, how learning goes, a way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QMenu, QSystemTrayIcon, QWidget

from plum_desktop.ui.base import words
from plum_desktop.ui.learning import card_words
from plum_desktop.ui.learning.lessons import Lessons

if TYPE_CHECKING:
    from plum_desktop.app.job import Outcome

translate = QCoreApplication.translate  # which lupdate knows by this name


class Tray(QObject):
    """Signals: open_asked, new_asked, quit_asked."""

    open_asked = Signal()
    new_asked = Signal()
    quit_asked = Signal()

    def __init__(self, lessons: Lessons, window: QWidget) -> None:
        super().__init__(window)
        self._lessons = lessons
        self.menu = QMenu(window)
        self.menu.addAction(self.tr("Open Plum"), self.open_asked.emit)
        self.menu.addAction(self.tr("New chat"), self.new_asked.emit)
        self.menu.addSeparator()
        self._learning = QAction(self)
        self._learning.setEnabled(False)  # it only tells
        self.menu.addAction(self._learning)
        self.menu.addSeparator()
        self._quit = self.menu.addAction(self.tr("Quit"), self.quit_asked.emit)
        self.icon = QSystemTrayIcon(QApplication.windowIcon(), self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._on_activated)
        self.icon.messageClicked.connect(self.open_asked)
        lessons.changed.connect(self._show_state)
        self._show_state()

    @property
    def there(self) -> bool:
        """Whether this system has a tray."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    def show(self) -> None:
        if self.there:
            self.icon.show()

    def hide(self) -> None:
        self.icon.hide()

    def notify(self, outcome: Outcome) -> None:
        """Say what learning came to, in the system's own way."""
        if self.icon.isVisible() and QSystemTrayIcon.supportsMessages():
            self.icon.showMessage(self.tr("Plum Desktop"), said(outcome), self.icon.icon())

    def _on_activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason != QSystemTrayIcon.ActivationReason.Context:
            self.open_asked.emit()

    def _show_state(self) -> None:
        running = self._lessons.running
        self._learning.setVisible(running)
        state = progress(self._lessons)
        self._learning.setText(state)
        name = self.tr("Plum Desktop")
        self.icon.setToolTip(f"{name}\n{state}" if running else name)
        self._quit.setText(self.tr("Quit and go on next time") if running else self.tr("Quit"))


def progress(lessons: Lessons) -> str:
    """How far learning is, in one line."""
    if lessons.progress is None:
        return translate("tray", "Learning is about to start…")
    if lessons.paused:
        return translate("tray", "Learning is paused")
    share = words.percent(lessons.progress.fraction)
    left = words.left(lessons.progress.seconds_left)
    done = f"{share}, {left}" if left else share
    return translate("tray", "{what}: {done}").format(
        what=words.said(lessons.progress.text), done=done
    )


def said(outcome: Outcome) -> str:
    """What learning came to, in one line: the title of its card, and what it remembers."""
    if outcome.card is None:
        return words.said(outcome.message)
    if outcome.state == "done":
        return card_words.in_one_line(outcome.card)
    return card_words.reason(outcome.card) or card_words.title(outcome.card)
