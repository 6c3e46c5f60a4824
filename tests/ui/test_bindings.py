"""What the window needs of the Qt bindings themselves."""

from __future__ import annotations

import sys

from PySide6.QtCore import QObject, Signal
from pytestqt.qtbot import QtBot


class _Sender(QObject):
    said = Signal(bool)


def test_calls_into_qt_lose_no_reference_to_a_singleton(qtbot: QtBot) -> None:
    """PySide6 6.12.0 does, below Python 3.12: the process dies after some thousand calls."""
    sender = _Sender()
    before = [sys.getrefcount(each) for each in (None, True, False)]
    for _ in range(100):
        sender.setObjectName("x")
        sender.said.emit(True)
        sender.said.emit(False)
    after = [sys.getrefcount(each) for each in (None, True, False)]
    assert all(new > old - 50 for old, new in zip(before, after, strict=True))
