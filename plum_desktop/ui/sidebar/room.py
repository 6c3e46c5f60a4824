"""How wide the side bar is: as the user wants it, where the window has room for that."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from plum_desktop.ui.base.theme import scaled
from plum_desktop.ui.sidebar.side_bar import Mode, SideBar

_NARROW, _NARROWEST = 820, 600  # below these widths: icons only, and no side bar


class SideRoom(QObject):
    """Signals: fitted(whether the side bar is less than full)."""

    fitted = Signal(bool)

    def __init__(self, side: SideBar, window: QWidget) -> None:
        super().__init__(window)
        self._side = side
        self._window = window
        self.wanted: Mode = "full"  # where there is room for it

    def fit(self) -> None:
        """Narrow the side bar where there is no room, and bring it back where there is."""
        mode: Mode = self.wanted
        if self._window.width() < scaled(_NARROWEST):
            mode = "hidden"
        elif self._window.width() < scaled(_NARROW):
            mode = "rail"
        if mode != self._side.mode:
            self._side.set_mode(mode)
        self.fitted.emit(mode != "full")

    def switch(self) -> None:
        """Narrow the side bar or widen it, also where there is little room."""
        mode: Mode = "rail" if self._side.mode == "full" else "full"
        if self._window.width() >= scaled(_NARROW):
            self.wanted = mode
        self._side.set_mode(mode)
        self.fitted.emit(mode != "full")
