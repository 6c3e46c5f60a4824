"""The table of runs: one row a run, and what each came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
)
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from plum_desktop.app.result_card import Card, ResultCard, card_of, import_card
from plum_desktop.base.types import Adapter, Run
from plum_desktop.ui.base import words
from plum_desktop.ui.base.theme import scaled, text_font
from plum_desktop.ui.learning import card_words

Index = QModelIndex | QPersistentModelIndex
_ROW, _MOST_ROWS = 38, 8


@dataclass(frozen=True, slots=True)
class Lesson:
    """A run and what it made; an imported adapter has no run, a failed run no adapter."""

    run: Run | None
    adapter: Adapter | None
    card: Card | None = None

    @property
    def created(self) -> float:
        first = self.run or self.adapter
        assert first
        return first.created

    @property
    def id(self) -> str:
        first = self.run or self.adapter
        assert first
        return first.id


class LessonModel(QAbstractTableModel):
    """One row a lesson, newest first."""

    WHEN, CHATS, TOOK, REMEMBERS, STATE = range(5)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lessons: list[Lesson] = []

    def set_lessons(self, lessons: Sequence[Lesson]) -> None:
        self.beginResetModel()
        self._lessons = list(lessons)
        self.endResetModel()

    def lesson(self, row: int) -> Lesson:
        return self._lessons[row]

    def row_of(self, lesson_id: str | None) -> int | None:
        ids = [lesson.id for lesson in self._lessons]
        return ids.index(lesson_id) if lesson_id in ids else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._lessons)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else 5

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return (
            self.tr("When"), self.tr("Chats"), self.tr("Took"), self.tr("Remembers"),
            self.tr("State"),
        )[section]  # fmt: skip

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        lesson = self._lessons[index.row()]
        if role == Qt.ItemDataRole.FontRole:
            serves = lesson.adapter is not None and lesson.adapter.active
            bold: QFont = text_font(14, bold=serves)
            return bold
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return self._text(lesson, index.column())

    def _text(self, lesson: Lesson, column: int) -> str:
        run, adapter = lesson.run, lesson.adapter
        if column == self.WHEN:
            return words.moment(lesson.created)
        if column == self.CHATS:
            if adapter and not run:
                return self.tr("imported")
            return words.number(len(run.chats if run else adapter.chats if adapter else ()))
        if column == self.TOOK:
            if run and run.finished and run.state in ("done", "refused"):
                return words.took(run.finished - run.created)
            return ""
        if column == self.REMEMBERS:
            card = lesson.card
            return card_words.figures(card.yes) if isinstance(card, ResultCard) else ""
        return self._state(lesson)

    def _state(self, lesson: Lesson) -> str:
        run, adapter = lesson.run, lesson.adapter
        if adapter and adapter.state != "deleted":
            if adapter.active:
                return self.tr("In use")
            return {
                "ready": self.tr("Ready"), "undone": self.tr("Undone"),
                "refused": self.tr("Not switched on"),
            }[adapter.state]  # fmt: skip
        if adapter:
            return self.tr("Deleted")
        assert run
        return {
            "running": self.tr("Learning"),
            "paused": self.tr("Paused"),
            "interrupted": self.tr("Interrupted"),
            "done": self.tr("Deleted"),
            "refused": self.tr("Not switched on"),
            "failed": self.tr("Failed"),
            "stopped": self.tr("Stopped"),
        }[run.state]


def lessons_of(runs: Sequence[Run], adapters: Sequence[Adapter]) -> list[Lesson]:
    """Runs with what they made, and adapters that came from elsewhere; newest first."""
    of_run = {each.run_id: each for each in adapters if each.run_id}
    lessons = [Lesson(run, of_run.get(run.id), _card(run)) for run in runs]
    known = {run.id for run in runs}
    others = [each for each in adapters if each.run_id not in known]
    lessons += [Lesson(None, each, import_card(each.report)) for each in others]
    return sorted(lessons, key=lambda lesson: lesson.created, reverse=True)


def _card(run: Run) -> ResultCard | None:
    """What the gate measured; None for a run that never came to it."""
    try:
        return card_of(run.report, len(run.chats)) if run.report else None
    except KeyError:  # an older version's report
        return None


class RunTable(QTableView):
    """As high as its rows, up to a few."""

    def __init__(self) -> None:
        super().__init__()
        self.lessons = LessonModel(self)
        self.setModel(self.lessons)
        self.setAccessibleName(self.tr("Runs"))
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        head = self.horizontalHeader()
        head.setHighlightSections(False)
        head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        head.setSectionResizeMode(LessonModel.REMEMBERS, QHeaderView.ResizeMode.Stretch)
        self._fit()

    def show_lessons(self, lessons: Sequence[Lesson], wanted: str | None = None) -> None:
        """Show these, and choose the run `wanted`, else the one chosen before, else the newest."""
        current = self.current()
        self.lessons.set_lessons(lessons)
        self._fit()
        if lessons:
            row = self.lessons.row_of(wanted or (current.id if current else None))
            self.selectRow(row or 0)

    def _fit(self) -> None:
        rows, row = min(self.lessons.rowCount(), _MOST_ROWS), scaled(_ROW)
        self.verticalHeader().setDefaultSectionSize(row)
        self.setFixedHeight(rows * row + self.horizontalHeader().sizeHint().height() + 2)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def current(self) -> Lesson | None:
        index = self.currentIndex()
        return self.lessons.lesson(index.row()) if index.isValid() else None
