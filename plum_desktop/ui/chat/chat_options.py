"""What is set for one chat alone: persona, temperature and model, in a popover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.base.settings import Settings
from plum_desktop.base.types import Chat
from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import Choice, Switch, button, label, small
from plum_desktop.ui.base.theme import scaled

if TYPE_CHECKING:
    from plum_desktop.app.models import ModelInfo
    from plum_desktop.app.personas import Persona

_WIDTH = 464
_HOTTEST = 2.0


class ChatOptions(QFrame):
    """Signals: changed(fields of the chat, a dict), personas_asked."""

    changed = Signal(dict)
    personas_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setProperty("kind", "popover")
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 16)
        box.setSpacing(12)
        box.addWidget(label(self.tr("This chat"), bold=True))
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(12)
        grid.setColumnStretch(1, 1)
        box.addLayout(grid)

        self.persona = Choice()
        self.persona.setAccessibleName(self.tr("Persona"))
        self.persona.activated.connect(
            lambda: self.changed.emit({"persona": self.persona.currentData()})
        )
        edits = button(self.tr("Edit…"), "quiet", self._on_personas)
        edits.setAccessibleName(self.tr("Edit personas"))
        self._add(grid, 0, self.tr("Persona"), self.persona, edits)

        self.own_temperature = Switch(self.tr("Its own"))
        self.own_temperature.setAccessibleName(self.tr("A temperature of its own"))
        self.own_temperature.clicked.connect(self._on_temperature)
        self.temperature = QDoubleSpinBox()
        self.temperature.setAccessibleName(self.tr("Temperature"))
        self.temperature.setRange(0, _HOTTEST)
        self.temperature.setSingleStep(0.1)
        self.temperature.setDecimals(1)
        self.temperature.lineEdit().setTextMargins(8, 0, 8, 0)
        self.temperature.setKeyboardTracking(False)
        self.temperature.valueChanged.connect(self._on_temperature)
        self._add(grid, 1, self.tr("Temperature"), self.temperature, self.own_temperature)
        note = small(self.tr("0 always picks the likeliest word; more is more varied."), wrap=True)
        grid.addWidget(note, 2, 1, 1, 2)

        self.model = Choice()
        self.model.setAccessibleName(self.tr("Model of this chat"))
        self.model.activated.connect(lambda: self.changed.emit({"model": self.model.currentData()}))
        self._add(grid, 3, self.tr("Model"), self.model)
        for choice in (self.persona, self.model):
            choice.setMinimumContentsLength(8)
            choice.setSizeAdjustPolicy(
                Choice.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )

    @staticmethod
    def _add(
        grid: QGridLayout, row: int, text: str, field: QWidget, beside: QWidget | None = None
    ) -> None:
        named = label(text)
        named.setBuddy(field)
        grid.addWidget(named, row, 0)
        grid.addWidget(field, row, 1, 1, 1 if beside else 2)
        if beside:
            grid.addWidget(beside, row, 2)

    def set_chat(
        self,
        chat: Chat,
        personas: Sequence[Persona],
        models: Sequence[ModelInfo],
        settings: Settings,
    ) -> None:
        """Show what holds for `chat`, and what could."""
        self.persona.clear()
        default = next((one.name for one in personas if one.prompt == settings.persona), None)
        if not settings.persona.strip():
            default = self.tr("none")
        usual = self.tr("As in new chats ({name})").format(name=default or self.tr("its own"))
        self.persona.addItem(usual, None)
        self.persona.addItem(self.tr("None"), "")
        for one in personas:
            self.persona.addItem(one.name, one.prompt)
        if self._place(self.persona, chat.persona) < 0:
            self.persona.addItem(self.tr("One of its own"), chat.persona)
        self.persona.setCurrentIndex(self._place(self.persona, chat.persona))

        own = chat.temperature is not None
        self.own_temperature.setChecked(own)
        self.temperature.setEnabled(own)
        was = self.temperature.blockSignals(True)
        shown = settings.temperature if chat.temperature is None else chat.temperature
        self.temperature.setValue(shown)
        self.temperature.blockSignals(was)

        self.model.clear()
        in_use = next((words.model_name(one.name) for one in models if one.in_use), "")
        self.model.addItem(self.tr("In use ({name})").format(name=in_use), None)
        for info in models:
            if info.fit != "will not fit" and info.architecture:
                self.model.addItem(words.model_name(info.name), info.name)
        if self._place(self.model, chat.model) < 0:
            self.model.addItem(words.model_name(chat.model or ""), chat.model)
        self.model.setCurrentIndex(self._place(self.model, chat.model))

    def open_below(self, widget: QWidget) -> None:
        self.setFixedWidth(scaled(_WIDTH))
        self.adjustSize()
        mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        left = 0 if mirrored else widget.width() - self.width()
        self.move(widget.mapToGlobal(QPoint(left, widget.height() + 4)))
        self.show()
        self.persona.setFocus()

    @staticmethod
    def _place(choice: Choice, data: str | None) -> int:
        """findData takes None for anything that has no data."""
        places = range(choice.count())
        return next((at for at in places if choice.itemData(at) == data), -1)

    def _on_temperature(self) -> None:
        own = self.own_temperature.isChecked()
        self.temperature.setEnabled(own)
        value = round(self.temperature.value(), 1)
        self.changed.emit({"temperature": value if own else None})

    def _on_personas(self) -> None:
        self.hide()
        self.personas_asked.emit()
