"""What stands between the pages and the status line."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QVBoxLayout, QWidget


class Notices(QWidget):
    """Takes no room while none of `notices` is shown: a layout alone would keep its margins."""

    def __init__(self, *notices: QWidget) -> None:
        super().__init__()
        self._notices = notices
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 0, 12, 8)
        box.setSpacing(8)
        for each in notices:
            box.addWidget(each)
            each.installEventFilter(self)
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.ShowToParent, QEvent.Type.HideToParent):
            self._fit()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        self.setVisible(not all(each.isHidden() for each in self._notices))
