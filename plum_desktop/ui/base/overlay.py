"""Sheets that lie over a part of the window, one at a time."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QWidget

from plum_desktop.ui.base.theme import scaled

_WIDTH, _TOP = 560, 64


class Overlay(QObject):
    """One sheet at a time over `ground`, centred below its head."""

    def __init__(self, ground: QWidget) -> None:
        super().__init__(ground)
        self._ground = ground
        self._sheets: list[QWidget] = []
        ground.installEventFilter(self)

    def add(self, sheet: QWidget) -> None:
        sheet.setParent(self._ground)
        sheet.hide()
        sheet.installEventFilter(self)
        self._sheets.append(sheet)

    def show_only(self, sheet: QWidget | None) -> None:
        for each in self._sheets:
            if each is sheet:
                each.show()
                self._place(each)
                each.raise_()
            elif not each.isHidden():
                each.hide()

    def holds(self, widget: QWidget) -> bool:
        """Whether `widget` is part of a sheet."""
        return any(each.isAncestorOf(widget) for each in self._sheets)

    def shows(self, sheet: QWidget) -> bool:
        return not sheet.isHidden()

    def _place(self, sheet: QWidget) -> None:
        width = min(scaled(_WIDTH), self._ground.width() - 32)
        layout = sheet.layout()
        assert layout
        tall = layout.hasHeightForWidth()
        height = layout.heightForWidth(width) if tall else layout.minimumSize().height()
        height = min(height, self._ground.height() - _TOP - 16)
        sheet.setGeometry((self._ground.width() - width) // 2, _TOP, width, height)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kinds = (QEvent.Type.Resize,) if watched is self._ground else (QEvent.Type.LayoutRequest,)
        if event.type() in kinds:
            for sheet in self._sheets:
                if not sheet.isHidden():
                    self._place(sheet)
        return super().eventFilter(watched, event)
