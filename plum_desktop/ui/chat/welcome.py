"""What an empty conversation says: at the very first start, and at every new chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from plum_desktop.base.paths import DataFolder
from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import Column, IconLabel, button, label, small
from plum_desktop.ui.base.theme import scaled

if TYPE_CHECKING:
    from plum_desktop.app.models import ModelInfo


class Welcome(QWidget):
    """Signals: models_asked."""

    models_asked = Signal()

    def __init__(self, folder: DataFolder) -> None:
        super().__init__()
        self._first = self._has_model = False
        outer = QVBoxLayout(self)
        outer.addStretch(2)
        column = Column(lambda: scaled(520))
        box = column.box
        box.setSpacing(8)
        picture = IconLabel("plum", size=48)
        box.addWidget(picture, 0, Qt.AlignmentFlag.AlignHCenter)
        box.addSpacing(8)
        self._title = label(pixels=20, bold=True, wrap=True)
        self._title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        box.addWidget(self._title)
        self._lead = label(tone="muted", pixels=15, wrap=True)
        self._lead.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        box.addWidget(self._lead)
        box.addSpacing(16)

        self._points = QWidget()
        points = QVBoxLayout(self._points)
        points.setContentsMargins(0, 0, 0, 0)
        points.setSpacing(12)
        place = self.tr("Your words stay on this computer, in {place}").format(
            place=words.breakable(str(folder.root))
        )
        points.addWidget(_Point("folder", place))
        self._model = _Point("models", "")
        self._other = button(self.tr("Other models"), "quiet", self.models_asked.emit)
        self._model.add(self._other)
        points.addWidget(self._model)
        points.addWidget(
            _Point(
                "learning",
                self.tr(
                    "When you have chatted for a while, press “Learn from my chats” below, and "
                    "Plum will remember them."
                ),
            )
        )
        box.addWidget(self._points)
        outer.addWidget(column)
        outer.addStretch(3)
        self.set_first(False)
        self.set_model(None)

    def set_first(self, first: bool) -> None:
        """Whether nothing was ever said here."""
        self._first = first
        self._title.setText(
            self.tr("A private assistant that remembers") if first else self.tr("A new chat")
        )
        self._lead.setText(
            self.tr("Plum chats on this computer, and learns when you say so.")
            if first
            else self.tr("Enter sends, Shift+Enter starts a new line.")
        )
        self._show()

    def set_temporary(self) -> None:
        self._title.setText(self.tr("A temporary chat"))
        self._lead.setText(
            self.tr("Nothing said here is stored or learned. It is gone when you leave it.")
        )
        self._points.hide()

    def set_model(self, model: ModelInfo | None) -> None:
        self._has_model = model is not None
        if model is None:
            said = self.tr("There is no model yet. Add one, a GGUF file, to begin.")
            self._other.setText(self.tr("Add a model"))
        elif model.starter:
            said = self.tr(
                "{name} is ready. It is a small model, good for trying; larger ones know more."
            ).format(name=words.model_name(model.name))
            self._other.setText(self.tr("Other models"))
        else:
            said = self.tr("{name} is ready.").format(name=words.model_name(model.name))
            self._other.setText(self.tr("Other models"))
        self._other.setAccessibleName(self._other.text())
        self._model.set_text(said)
        self._show()

    def _show(self) -> None:
        self._points.setVisible(self._first or not self._has_model)


class _Point(QWidget):
    def __init__(self, icon_name: str, text: str) -> None:
        super().__init__()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(12)
        self._sign = IconLabel(icon_name, tone="accent", size=20)
        self._row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        self._words = small(text, tone="plain", wrap=True)
        self._row.addWidget(self._words, 1)

    def set_text(self, text: str) -> None:
        self._words.setText(text)

    def add(self, widget: QWidget) -> None:
        """Put it behind the words; it is taller than they are, so all stand in the middle."""
        self._row.setAlignment(self._sign, Qt.AlignmentFlag.AlignVCenter)
        self._row.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
