"""What one run came to, and what can be done about it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import button, label
from plum_desktop.ui.base.export import AdapterExport
from plum_desktop.ui.learning import card_words
from plum_desktop.ui.learning.result_card import CardRows
from plum_desktop.ui.learning.run_table import Lesson


class RunDetails(QFrame):
    """Signals: use_asked(adapter id), undo_asked, delete_asked(adapter id), compare_asked."""

    use_asked = Signal(str)
    undo_asked = Signal()
    delete_asked = Signal(str)
    compare_asked = Signal()

    def __init__(self, export: AdapterExport) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self._lesson: Lesson | None = None
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(12)
        self.title = label(pixels=15, bold=True, wrap=True)
        box.addWidget(self.title)
        self.reason = label(wrap=True)
        box.addWidget(self.reason)
        self.rows = CardRows()
        box.addWidget(self.rows)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.use_button = button(
            self.tr("Use this one"), "plain", lambda: self.use_asked.emit(self.adapter_id())
        )
        self.undo_button = button(self.tr("Undo"), "plain", self.undo_asked.emit)
        self.undo_button.setToolTip(self.tr("Answer as before this run"))
        self.compare_button = button(self.tr("Compare answers"), "plain", self.compare_asked.emit)
        self.export_button = button(self.tr("Export") + "  ▾")
        self.export_button.setAccessibleName(self.tr("Export"))
        self.export_button.setMenu(export.menu(self.export_button, self.adapter_id))
        self.delete_button = button(
            self.tr("Delete"), "danger", lambda: self.delete_asked.emit(self.adapter_id())
        )
        for each in (self.use_button, self.undo_button, self.compare_button, self.export_button):
            row.addWidget(each)
        row.addStretch(1)
        row.addWidget(self.delete_button)
        box.addLayout(row)
        self.show_lesson(None)

    def adapter_id(self) -> str | None:
        lesson = self._lesson
        return lesson.adapter.id if lesson and lesson.adapter else None

    def show_lesson(self, lesson: Lesson | None) -> None:
        """None, and a run under way, show nothing."""
        self._lesson = lesson
        under_way = lesson and lesson.run and lesson.run.state in ("running", "paused")
        self.setVisible(lesson is not None and not under_way)
        if lesson is None or under_way:
            return
        run, adapter, card = lesson.run, lesson.adapter, lesson.card
        count = words.chats(len(run.chats if run else adapter.chats if adapter else ()))
        title = card_words.title(card) if card else self.tr("Learned {chats}").format(chats=count)
        if not card and run and run.state in ("failed", "stopped", "interrupted"):
            title = self.tr("Nothing was learned from {chats}").format(chats=count)
        self.title.setText(title)
        reason = words.said(run.error if run else None)
        reason = reason or (card_words.reason(card) if card else "")
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))
        self.rows.set_card(card)
        self.rows.setVisible(card is not None)
        there = adapter is not None and adapter.state != "deleted"
        serves = adapter is not None and adapter.active
        servable = adapter is not None and adapter.state in ("ready", "undone")
        self.use_button.setVisible(servable and not serves)
        self.undo_button.setVisible(serves)
        self.compare_button.setVisible(serves)
        self.export_button.setVisible(there)
        self.delete_button.setVisible(there)
        self.delete_button.setEnabled(not serves)
        self.delete_button.setToolTip(self.tr("Undo it first, then delete it") if serves else "")
