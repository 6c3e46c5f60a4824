"""The Models page: a card for each model file, and a way to add one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QMessageBox, QVBoxLayout

from plum_desktop.base.files import megabytes
from plum_desktop.ui import words
from plum_desktop.ui.bridge import Bridge
from plum_desktop.ui.controls import ElidedLabel, IconButton, IconLabel, button, label, small
from plum_desktop.ui.export import open_dialog
from plum_desktop.ui.page import Page

if TYPE_CHECKING:
    from plum_desktop.app.models import ModelInfo


class ModelCard(QFrame):
    """Signals: use_asked, remove_asked."""

    use_asked = Signal()
    remove_asked = Signal()

    def __init__(self, model: ModelInfo) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.setAccessibleName(model.name)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 12, 12)
        box.setSpacing(6)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(ElidedLabel(words.model_name(model.name), pixels=15, bold=True), 1)
        self.use_button = button(
            self.tr("In use") if model.in_use else self.tr("Use"), "plain", self.use_asked.emit
        )
        usable = bool(model.architecture) and model.fit != "will not fit"
        self.use_button.setEnabled(usable and not model.in_use)
        top.addWidget(self.use_button)
        more = IconButton("more", self.tr("More about {name}").format(name=model.name))
        more.setPopupMode(IconButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(more)
        remove = menu.addAction(self.tr("Remove from this computer…"), self.remove_asked.emit)
        remove.setEnabled(not model.in_use and not model.starter)
        more.setMenu(menu)
        top.addWidget(more)
        box.addLayout(top)
        box.addWidget(small(self._figures(model)))
        for text, good in self._verdicts(model):
            row = QHBoxLayout()
            row.setSpacing(8)
            sign = IconLabel("check" if good else "alert", tone="good" if good else "warn", size=16)
            row.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
            row.addWidget(small(text, tone="plain", wrap=True), 1)
            box.addLayout(row)

    def _figures(self, model: ModelInfo) -> str:
        parts = [megabytes(model.size)]
        if model.architecture:
            parts.append(model.architecture)
        if model.quantization:
            parts.append(model.quantization)
        if model.context:
            parts.append(self.tr("{count} tokens").format(count=words.number(model.context)))
        if model.starter:
            parts.append(self.tr("came with Plum"))
        return "  ·  ".join(parts)

    def _verdicts(self, model: ModelInfo) -> list[tuple[str, bool]]:
        if not model.architecture:
            return [(model.why_not or self.tr("This file cannot be read."), False)]
        fits = {
            "fits": (self.tr("Fits in this computer's memory."), True),
            "slow": (self.tr("Fits only just: expect it to be slow."), False),
            "will not fit": (self.tr("Needs more memory than this computer has."), False),
        }[model.fit]
        if model.can_learn:
            learns = (self.tr("Can learn from your chats."), True)
        else:
            learns = (
                self.tr("Chats, but cannot learn: {reason}").format(reason=model.why_not), False,
            )  # fmt: skip
        return [fits, learns]


class ModelsPage(Page):
    """Signals: models_changed(list of ModelInfo)."""

    models_changed = Signal(object)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(
            self.tr("Models"),
            self.tr("Any GGUF chat model works. One that can learn also remembers your chats."),
        )
        self._bridge = bridge
        self._service = bridge.plum.models
        self.add_button = button(self.tr("Add a GGUF file…"), "primary", self.choose_file)
        self.head.addWidget(self.add_button)
        self.cards: dict[str, ModelCard] = {}
        self._cards = QVBoxLayout()
        self._cards.setSpacing(12)
        self.body.addLayout(self._cards)
        self._empty = label(
            self.tr("There is no model yet. Add a GGUF file that you have downloaded."),
            tone="muted", wrap=True,
        )  # fmt: skip
        self.body.addWidget(self._empty)
        self.body.addStretch(1)

    def refresh(self) -> None:
        self._bridge.ask(self._service.list, self._show, self.say, owner=self, lane="slow")

    def _show(self, models: Sequence[ModelInfo]) -> None:
        for card in self.cards.values():
            self._cards.removeWidget(card)
            card.hide()
            card.deleteLater()
        self.cards = {}
        for model in sorted(models, key=lambda model: not model.in_use):
            card = ModelCard(model)
            card.use_asked.connect(lambda name=model.name: self.use(name))
            card.remove_asked.connect(lambda name=model.name: self._confirm_remove(name))
            self._cards.addWidget(card)
            self.cards[model.name] = card
        self._empty.setVisible(not models)
        self.models_changed.emit(models)

    def use(self, name: str) -> None:
        """Answer with another model from now on."""
        self._bridge.ask(
            lambda: self._service.use(name), lambda _: self.refresh(), owner=self, lane="slow"
        )

    def choose_file(self) -> None:
        dialog = open_dialog(self, self.tr("Add a model"), self.tr("GGUF models (*.gguf)"))
        dialog.fileSelected.connect(lambda path: self.add(Path(path)))
        dialog.open()

    def add(self, path: Path) -> None:
        self.tell(self.tr("Adding {name}…").format(name=path.name))
        self.add_button.setEnabled(False)

        def added(model: ModelInfo) -> None:
            self.add_button.setEnabled(True)
            self.tell(self.tr("Added {name}.").format(name=model.name))
            self.refresh()

        def failed(error: str) -> None:
            self.add_button.setEnabled(True)
            self.say(error)

        self._bridge.ask(lambda: self._service.add(path), added, failed, owner=self, lane="slow")

    def _confirm_remove(self, name: str) -> None:
        box = QMessageBox(self)
        box.setWindowTitle(self.tr("Remove a model"))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(self.tr("Remove {name} from this computer?").format(name=name))
        box.setInformativeText(
            self.tr("The file is deleted. What was learned on it is kept, and needs it to answer.")
        )
        removes = box.addButton(self.tr("Remove"), QMessageBox.ButtonRole.DestructiveRole)
        cancels = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(cancels)
        box.setEscapeButton(cancels)

        def answered() -> None:
            if box.clickedButton() is removes:
                self._bridge.ask(
                    lambda: self._service.remove(name), lambda _: self.refresh(), self.say,
                    owner=self, lane="slow",
                )  # fmt: skip

        box.finished.connect(lambda _: answered())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()
