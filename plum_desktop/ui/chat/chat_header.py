"""The line above a conversation: its title, whether memory answers, and which model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QSizePolicy

from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import ElidedLabel, IconButton, Switch, button

if TYPE_CHECKING:
    from plum_desktop.app.models import ModelInfo


_MIDDLE = Qt.TextElideMode.ElideMiddle


class ChatHeader(QFrame):
    """Signals: memory_switched(on), options_asked, model_chosen(name), models_asked, side_asked."""

    memory_switched = Signal(bool)
    options_asked = Signal()
    model_chosen = Signal(str)
    models_asked = Signal()
    side_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("header")
        self.setMinimumHeight(56)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(12)
        row.addSpacing(8)  # and no wider margin, which would not be mirrored
        self.side = IconButton("side", self.tr("Show the side bar"))
        self.side.clicked.connect(self.side_asked)
        self.side.hide()
        row.addWidget(self.side)
        self.title = ElidedLabel(pixels=15, bold=True)
        row.addWidget(self.title, 1)
        self.memory = Switch()
        self.memory.clicked.connect(self.memory_switched)
        row.addWidget(self.memory)
        self.options = IconButton(
            "adjust", self.tr("Persona, temperature and model of this chat"), command="options"
        )
        self.options.clicked.connect(self.options_asked)
        row.addWidget(self.options)
        self.model = button("", "quiet")
        self._menu = QMenu(self.model)
        self.model.setMenu(self._menu)
        row.addWidget(self.model)
        self.set_models([])

    def show_chat(self, title: str, *, memory: bool, temporary: bool) -> None:
        self.title.set_whole(title)
        self.memory.setChecked(memory)
        words = self.tr("Memory on") if memory else self.tr("Memory off")
        self.memory.setText(words)
        self.memory.setAccessibleName(words)
        self.memory.updateGeometry()
        if memory:
            why = self.tr("Plum answers with what it has learned.")
        else:
            why = self.tr("Plum answers as the model was before it learned anything.")
        if temporary:
            why += " " + self.tr("Nothing of this chat is kept.")
        self.memory.setToolTip(why)

    def set_models(self, models: Sequence[ModelInfo], own: str | None = None) -> None:
        """Every model; the one in use answers, unless the chat has one of its `own`."""
        self._menu.clear()
        in_use = next((model.name for model in models if model.in_use), None)
        current = own or in_use
        name = words.model_name(current) if current else self.tr("No model")
        self.model.setText(self.fontMetrics().elidedText(name, _MIDDLE, 220) + "  ▾")
        self.model.setAccessibleName(self.tr("Model: {name}").format(name=name))
        self.model.setToolTip(current or "")
        for model in models:
            action = self._menu.addAction(model.name.replace("&", "&&"))
            action.setCheckable(True)
            action.setChecked(model.name == current)
            action.setEnabled(model.fit != "will not fit" and bool(model.architecture))
            action.triggered.connect(lambda _=False, name=model.name: self.model_chosen.emit(name))
        if models:
            self._menu.addSeparator()
        self._menu.addAction(self.tr("All models…"), self.models_asked.emit)
