"""The theme and the size of text, as the commands of the window change them."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication

from plum_desktop.base.settings import Settings
from plum_desktop.ui.base.theme import apply_text_size, apply_theme, text_size

_TEXT_SIZES = (80, 90, 100, 110, 125, 150, 175, 200)  # percent


class Appearance(QObject):
    """Signals: chosen(setting, value), which is to be kept; resized, when text has another size."""

    chosen = Signal(str, object)
    resized = Signal()

    def choose_theme(self, name: str) -> None:
        self.chosen.emit("theme", name)

    def step_text_size(self, step: int) -> None:
        """The next larger (1) or smaller (-1) size; it is seen at once and kept a moment later."""
        now = text_size()
        if step > 0:
            size = next((each for each in _TEXT_SIZES if each > now), now)
        else:
            size = next((each for each in reversed(_TEXT_SIZES) if each < now), now)
        self._choose_text_size(size)

    def reset_text_size(self) -> None:
        self._choose_text_size(100)

    def _choose_text_size(self, percent: int) -> None:
        self._apply_text_size(percent)
        self.chosen.emit("text_size", percent)

    def apply(self, key: str, settings: Settings) -> None:
        """Show what the setting `key` has become; others are none of ours."""
        if key == "theme":
            apply_theme(_application(), settings.theme)
        elif key == "text_size":
            self._apply_text_size(settings.text_size)

    def _apply_text_size(self, percent: int) -> None:
        apply_text_size(_application(), percent)
        self.resized.emit()


def _application() -> QApplication:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    return app
