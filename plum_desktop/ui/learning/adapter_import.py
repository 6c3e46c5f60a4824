"""Bringing in an adapter made elsewhere: which one, a word of warning, and how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMessageBox, QProgressBar, QVBoxLayout

from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import button, label
from plum_desktop.ui.base.export import open_dialog

if TYPE_CHECKING:
    from plum_desktop.app.imports import Imported


class AdapterImport(QFrame):
    """The card of the import under way; hidden while there is none.

    Signals: changed, when one begins or ends; ended(adapter id or nothing, sentence);
    failed(sentence).
    """

    changed = Signal()
    ended = Signal(str, str)
    failed = Signal(str)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self.setProperty("kind", "card")
        self.setAccessibleName(self.tr("The import in progress"))
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.doing = label(pixels=15, bold=True, wrap=True)
        row.addWidget(self.doing, 1)
        self.stop_button = button(self.tr("Stop"), "quiet", self._on_stop)
        self.stop_button.setToolTip(self.tr("Leave the adapter out; nothing changes"))
        row.addWidget(self.stop_button)
        box.addLayout(row)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(self.tr("Import"))
        box.addWidget(self.bar)
        bridge.import_progressed.connect(self._on_progressed)
        self.running = False
        self.hide()

    def choose(self) -> None:
        dialog = open_dialog(
            self, self.tr("Import an adapter"), self.tr("Adapters (*.gguf *.safetensors)")
        )
        dialog.fileSelected.connect(lambda path: self.warn(Path(path)))
        dialog.open()

    def warn(self, path: Path) -> None:
        """Say what an adapter can do, and go on only if that is wanted."""
        box = QMessageBox(self.window())
        box.setWindowTitle(self.tr("Import an adapter"))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(words.said(self._bridge.plum.imports.WARNING))
        box.setInformativeText(
            self.tr(
                "It is tested first, which takes a few minutes, and answers only if it passes. "
                "You can undo it at any time."
            )
        )
        goes_on = box.addButton(self.tr("Import"), QMessageBox.ButtonRole.AcceptRole)
        cancels = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(cancels)
        box.setEscapeButton(cancels)

        def answered() -> None:
            if box.clickedButton() is goes_on:
                self._start(path)

        box.finished.connect(lambda _: answered())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def _start(self, path: Path) -> None:
        self._on_progressed(0.0, self.tr("Reading the adapter"))
        self.stop_button.setEnabled(True)
        self._set_running(True)
        self._bridge.import_adapter(path, self._on_ended, self._on_failed, self)

    def _set_running(self, running: bool) -> None:
        self.running = running
        self.setVisible(running)
        self.changed.emit()

    def _on_progressed(self, fraction: float, text: str) -> None:
        self.doing.setText(words.said(text))
        self.bar.setValue(int(fraction * 1000))

    def _on_stop(self) -> None:
        self.stop_button.setEnabled(False)
        self._bridge.plum.imports.stop()

    def _on_ended(self, found: Imported | None) -> None:
        """None: it was stopped."""
        self._set_running(False)
        if found:
            self.ended.emit(found.adapter.id, words.said(found.message))
        else:
            self.ended.emit("", self.tr("The import was stopped; nothing has changed."))

    def _on_failed(self, error: str) -> None:
        self._set_running(False)
        self.failed.emit(error)
