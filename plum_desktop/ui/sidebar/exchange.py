"""Chats that come in from a file, and go out to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from plum_desktop.app.exchange import ImportReport, export_chats, import_file
from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.export import open_dialog, save_dialog

Say = Callable[[str], None]
_KINDS = {".jsonl": "jsonl", ".json": "json"}


class ChatExchange(QObject):
    """`tell` hears what went well, `say` what did not.

    Signals: came_in, when there are other chats than before.
    """

    came_in = Signal()

    def __init__(self, bridge: Bridge, window: QWidget, tell: Say, say: Say) -> None:
        super().__init__(window)
        self._bridge, self._window = bridge, window
        self._tell, self._say = tell, say

    def ask_for_import(self) -> None:
        dialog = open_dialog(
            self._window,
            self.tr("Import chats from ChatGPT, Claude or Plum"),
            self.tr("Chats (*.zip *.json *.jsonl)"),
        )
        dialog.fileSelected.connect(lambda path: self.import_from(Path(path)))
        dialog.open()

    def import_from(self, path: Path) -> None:
        def done(report: ImportReport) -> None:
            text = self.tr("{chats} came in.").format(chats=words.chats(report.added))
            if report.grown:
                text += " " + self.tr("{chats} went on.").format(chats=words.chats(report.grown))
            if report.skipped:
                text += " " + self.tr("{chats} were here already.").format(
                    chats=words.chats(report.skipped)
                )
            if report.problems:
                text += " " + self.tr("Left out: {first}").format(first=report.problems[0])
            if (more := len(report.problems) - 1) > 0:
                text += " " + self.tr("And %n more.", "", more)
            self._tell(text)
            self.came_in.emit()

        store = self._bridge.plum.store
        self._tell(self.tr("Reading {name}…").format(name=path.name))
        self._bridge.ask(lambda: import_file(store, path), done, self._say, owner=self, lane="slow")

    def ask_for_export(self, chat_ids: Sequence[str] = ()) -> None:
        """These chats, or all where none is named."""
        ids = list(chat_ids) or None
        kinds = {
            "md": self.tr("Markdown, to read (*.md)"),
            "jsonl": self.tr("JSON Lines, to import again or to train on (*.jsonl)"),
            "json": self.tr("JSON, everything (*.json)"),
        }
        if not ids:  # not to be read in one go
            kinds["md"] = kinds.pop("md")
        suffix = next(iter(kinds))
        dialog = save_dialog(self._window, self.tr("Export chats"), f"chats.{suffix}")
        dialog.setNameFilters(list(kinds.values()))
        dialog.setDefaultSuffix(suffix)
        dialog.filterSelected.connect(
            lambda chosen: dialog.setDefaultSuffix(
                next(suffix for suffix, text in kinds.items() if text == chosen)
            )
        )
        dialog.setOption(dialog.Option.DontConfirmOverwrite, False)
        dialog.fileSelected.connect(lambda path: self.export_to(ids, Path(path)))
        dialog.open()

    def export_to(self, ids: list[str] | None, path: Path) -> None:
        kind = _KINDS.get(path.suffix.lower(), "markdown")
        store = self._bridge.plum.store
        self._bridge.ask(
            lambda: export_chats(store, ids, path, kind),  # type: ignore[arg-type]
            lambda _: self._tell(self.tr("Exported to {path}.").format(path=path)),
            self._say, owner=self, lane="slow",
        )  # fmt: skip
