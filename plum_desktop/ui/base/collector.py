"""Python's cyclic garbage collector, kept on the main thread.

Left to itself it runs on whichever thread allocates next.  What it deletes there may be Qt's: a
socket notifier or a timer that is deleted on a worker's thread stays registered with the main
thread's event loop, which then spins, or crashes, on what is no longer there.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QAbstractEventDispatcher, QObject


class MainThreadCollector(QObject):
    """From now on cycles are collected when the main thread's event loop has nothing to do.

    It wakes nothing up: whatever made the garbage has woken the loop, or soon tells it something.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        dispatcher = QAbstractEventDispatcher.instance()
        assert dispatcher
        dispatcher.aboutToBlock.connect(self.look)

    def look(self) -> None:
        """Collect what Python would have by now: the oldest generation whose count is full."""
        counts, thresholds = gc.get_count(), gc.get_threshold()
        for generation in (2, 1, 0):
            if counts[generation] > thresholds[generation]:
                gc.collect(generation)
                return
