"""What comes over the pages around a run: the sheet that begins it, the card of what it came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, Signal
from PySide6.QtWidgets import QApplication, QWidget

from plum_desktop.ui.base.export import AdapterExport
from plum_desktop.ui.base.overlay import Overlay
from plum_desktop.ui.learning.learn_sheet import LearnSheet
from plum_desktop.ui.learning.lessons import Lessons
from plum_desktop.ui.learning.result_card import ResultView

if TYPE_CHECKING:
    from plum_desktop.app.job import Outcome


class LearningCards(QObject):
    """One of both at a time, over `ground`.

    Signals: models_asked, compare_asked, learning_asked (its page), focus_lost (what had the
    keyboard is no longer there).
    """

    models_asked = Signal()
    compare_asked = Signal()
    learning_asked = Signal()
    focus_lost = Signal()

    def __init__(self, lessons: Lessons, export: AdapterExport, ground: QWidget) -> None:
        super().__init__(ground)
        self._lessons = lessons
        self.sheet = LearnSheet(lessons)
        self.result = ResultView()
        self._overlay = Overlay(ground)
        for each in (self.sheet, self.result):
            self._overlay.add(each)
        self.sheet.closed.connect(self.close)
        self.sheet.models_asked.connect(self.models_asked)
        self.result.kept.connect(self._on_kept)
        self.result.compare_asked.connect(self.compare_asked)
        self.result.undo_asked.connect(self._on_undo_asked)
        self.result.details_asked.connect(self._on_details_asked)
        self._formats = export.menu(self.result.export_button, self._adapter_id)
        self.result.export_asked.connect(self._on_export_asked)

    def open_sheet(self) -> None:
        self.sheet.open()
        self._overlay.show_only(self.sheet)

    def show_result(self, outcome: Outcome) -> None:
        self.result.set_outcome(outcome)
        self._overlay.show_only(self.result)

    def shows(self, card: QWidget) -> bool:
        return self._overlay.shows(card)

    def close(self) -> None:
        focus = QApplication.focusWidget()
        was_in = focus is not None and self._overlay.holds(focus)
        self._overlay.show_only(None)
        if was_in:
            self.focus_lost.emit()

    def _adapter_id(self) -> str | None:
        outcome = self._lessons.outcome
        return outcome.adapter.id if outcome and outcome.adapter else None

    def _on_kept(self) -> None:
        self.close()
        self._lessons.put_away()

    def _on_undo_asked(self) -> None:
        self.close()
        self._lessons.undo()

    def _on_details_asked(self) -> None:
        self._lessons.put_away()
        self.learning_asked.emit()

    def _on_export_asked(self) -> None:
        button = self.result.export_button
        self._formats.popup(button.mapToGlobal(QPoint(0, button.height())))
