from __future__ import annotations

import os
import threading
import weakref

from PySide6.QtCore import QObject, QSocketNotifier
from pytestqt.qtbot import QtBot


class _Listener(QObject):
    """A window of many that were closed: a cycle, with something in it that the loop knows."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.notifier = QSocketNotifier(descriptor, QSocketNotifier.Type.Read)
        self.notifier.activated.connect(self.heard)
        self.again = self.heard

    def heard(self) -> None:
        pass


def test_what_is_left_of_a_window_goes_on_the_main_thread(qtbot: QtBot) -> None:
    """Else the event loop keeps a notifier that is gone, and spins on it (or crashes)."""
    seen, told = os.pipe()
    went: list[threading.Thread] = []
    listener = _Listener(seen)
    weakref.finalize(listener, lambda: went.append(threading.current_thread()))
    del listener

    def allocate() -> None:
        for number in range(20_000):  # garbage, since what is freed at once counts for nothing
            cycle: list[object] = [number]
            cycle.append(cycle)

    worker = threading.Thread(target=allocate)
    worker.start()
    worker.join()
    assert went == []
    qtbot.wait_until(lambda: bool(went))
    assert went == [threading.main_thread()]
    os.close(seen)
    os.close(told)
    qtbot.wait(20)  # returns
