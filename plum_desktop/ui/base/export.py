"""Taking something away: the warning first, then where to, then the copying."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QStandardPaths, Qt
from PySide6.QtWidgets import QFileDialog, QMenu, QMessageBox, QWidget

from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge

if TYPE_CHECKING:
    from plum_desktop.app.adapters import ExportFormat


class AdapterExport(QObject):
    """Exports what was learned.  `said` and `failed` show how it went."""

    def __init__(
        self, bridge: Bridge, window: QWidget, said: Callable[[str], None],
        failed: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(window)
        self._bridge = bridge
        self._window = window
        self._said = said
        self._failed = failed

    def menu(self, parent: QWidget, adapter_id: Callable[[], str | None]) -> QMenu:
        """The formats, each with what it is for."""
        menu = QMenu(parent)
        formats: list[tuple[ExportFormat, str]] = [
            ("merged", self.tr("A whole model (GGUF), for any llama.cpp program")),
            ("gguf", self.tr("What was learned alone (GGUF adapter), for llama.cpp")),
            ("peft", self.tr("What was learned alone (PEFT folder), for Python")),
            ("mlx", self.tr("What was learned alone (MLX folder), for MLX on Macs")),
        ]
        for name, text in formats:
            menu.addAction(text, partial(lambda kind: self.warn(adapter_id(), kind), name))
        return menu

    def warn(self, adapter_id: str | None, format: ExportFormat) -> None:
        """Say what an export gives away, and go on only if that is wanted."""
        box = QMessageBox(self._window)
        box.setWindowTitle(self.tr("Export what was learned"))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(words.said(self._bridge.plum.adapters.EXPORT_WARNING))
        box.setInformativeText(self.tr("Give it only to people you would tell all of that."))
        goes_on = box.addButton(self.tr("Choose where…"), QMessageBox.ButtonRole.AcceptRole)
        cancels = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(cancels)
        box.setEscapeButton(cancels)

        def answered() -> None:
            if box.clickedButton() is goes_on:
                self._choose(adapter_id, format)

        box.finished.connect(lambda _: answered())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def _choose(self, adapter_id: str | None, format: ExportFormat) -> None:
        suffix = "" if format in ("peft", "mlx") else ".gguf"
        name = {
            "merged": "plum-model", "gguf": "plum-adapter", "peft": "plum-adapter-peft",
            "mlx": "plum-adapter-mlx",
        }[format]  # fmt: skip
        dialog = save_dialog(self._window, self.tr("Export to"), name + suffix)
        if suffix:
            dialog.setDefaultSuffix(suffix[1:])
            dialog.setNameFilter("GGUF (*.gguf)")
        dialog.fileSelected.connect(lambda path: self._export(adapter_id, format, Path(path)))
        dialog.open()

    def _export(self, adapter_id: str | None, format: ExportFormat, path: Path) -> None:
        adapters = self._bridge.plum.adapters
        self._said(self.tr("Exporting to {path}…").format(path=path))
        self._bridge.ask(
            lambda: adapters.export(adapter_id, format, path),
            lambda where: self._said(self.tr("Exported to {path}.").format(path=where)),
            self._failed, owner=self, lane="slow",
        )  # fmt: skip


def save_dialog(parent: QWidget, title: str, name: str) -> QFileDialog:
    """A dialog for a new file, beginning in the user's documents."""
    places = QStandardPaths.StandardLocation.DocumentsLocation
    start = Path(QStandardPaths.writableLocation(places) or Path.home())
    dialog = QFileDialog(parent, title, str(start))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setFileMode(QFileDialog.FileMode.AnyFile)
    # Nothing is ever replaced: the app layer refuses a path that exists, in words.
    dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)
    dialog.selectFile(name)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return dialog


def open_dialog(parent: QWidget, title: str, name_filter: str) -> QFileDialog:
    """A dialog for an existing file."""
    dialog = QFileDialog(parent, title, str(Path.home()))
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.setNameFilter(name_filter)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return dialog
