"""An empty window: the least that a program with PySide6 can start with."""

from __future__ import annotations

import sys

USABLE = "usable"


def main() -> None:
    """Show it, say so on stdout, and stay until somebody ends the process."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication, QMainWindow, QPlainTextEdit

    app = QApplication(sys.argv[:1])
    window = QMainWindow()
    text = QPlainTextEdit()
    window.setCentralWidget(text)
    window.resize(1180, 760)
    window.show()
    text.setFocus()

    def say() -> None:
        sys.stdout.write(f"{USABLE}\n")
        sys.stdout.flush()

    QTimer.singleShot(0, say)  # behind the events that draw it
    sys.exit(app.exec())
