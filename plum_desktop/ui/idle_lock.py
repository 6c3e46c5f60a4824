"""Tells when nobody has used the window for as long as the user chose."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtWidgets import QApplication

_LOOK_MS = 5000
_INPUT = (
    QEvent.Type.KeyPress, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel, QEvent.Type.TouchBegin,
    QEvent.Type.MouseMove,
)  # fmt: skip


class IdleLock(QObject):
    """Signals: idle, again and again while nobody uses the program.

    Only while there is something to lock does it listen, as every event passes a filter then, and
    wake up now and again.
    """

    idle = Signal()

    def __init__(self, after: Callable[[], float], parent: QObject | None = None) -> None:
        """`after`: seconds without input; 0: never."""
        super().__init__(parent)
        self._after = after
        self._listening = False
        self._last = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)

    def look(self) -> None:
        """Whether it is time; also for when there is something to lock, or no longer is."""
        after, app = self._after(), QApplication.instance()
        assert app
        if bool(after) != self._listening:
            self._listening = bool(after)
            self._last = time.monotonic()
            if after:
                app.installEventFilter(self)
                self._timer.start(_LOOK_MS)
            else:
                app.removeEventFilter(self)
                self._timer.stop()
        elif after and time.monotonic() - self._last > after:
            self.idle.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in _INPUT:
            self._last = time.monotonic()
        return super().eventFilter(watched, event)
