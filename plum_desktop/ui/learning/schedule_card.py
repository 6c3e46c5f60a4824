"""The schedule in words, its switch, and what it would do now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from plum_desktop.app.schedule import in_words
from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import Switch, button, label, small

if TYPE_CHECKING:
    from plum_desktop.app.schedule import Decision


class ScheduleCard(QFrame):
    """Signals: changed, settings_asked, failed(sentence)."""

    changed = Signal()
    settings_asked = Signal()
    failed = Signal(str)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self.setProperty("kind", "card")
        self.setAccessibleName(self.tr("Learning by itself"))
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 8, 16, 12)
        box.setSpacing(4)
        row = QHBoxLayout()
        self.switch = Switch(self.tr("Learn by itself"))
        self.switch.setAccessibleName(self.switch.text())
        self.switch.clicked.connect(self._on_switched)
        row.addWidget(self.switch)
        row.addStretch(1)
        self.change = button(self.tr("Change the conditions"), "quiet", self.settings_asked.emit)
        row.addWidget(self.change)
        box.addLayout(row)
        self.words = label(wrap=True)
        box.addWidget(self.words)
        self.decision = small(wrap=True)
        box.addWidget(self.decision)
        self.refresh()

    def refresh(self) -> None:
        settings = self._bridge.plum.settings
        on = settings.schedule == "on"
        self.switch.setChecked(on)
        self.words.setText(words.said(in_words(settings)))
        self.decision.setVisible(on)
        self.change.setVisible(on)
        if not on:
            self.decision.setText("")

    def show_decision(self, decision: Decision) -> None:
        """What the schedule says now, and why."""
        self.decision.setText(words.said(decision.reason))

    def _on_switched(self) -> None:
        value = "on" if self.switch.isChecked() else "off"

        def done(_: object) -> None:
            self.refresh()
            self.changed.emit()

        def failed(error: str) -> None:
            self.refresh()
            self.failed.emit(error)

        self._bridge.ask(
            lambda: self._bridge.plum.set_setting("schedule", value), done, failed, owner=self
        )
