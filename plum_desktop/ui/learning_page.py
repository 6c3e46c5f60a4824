"""The Learning page: what runs now, what every run came to, and which one serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QMessageBox,
    QProgressBar,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.app.result_card import ResultCard, card_of
from plum_desktop.base.types import Adapter, Run
from plum_desktop.ui import words
from plum_desktop.ui.bridge import Bridge
from plum_desktop.ui.controls import button, label, small
from plum_desktop.ui.export import AdapterExport
from plum_desktop.ui.lessons import Lessons
from plum_desktop.ui.page import Page
from plum_desktop.ui.result_card import CardRows
from plum_desktop.ui.theme import text_font

Index = QModelIndex | QPersistentModelIndex
_ROW, _MOST_ROWS = 38, 8


@dataclass(frozen=True, slots=True)
class Lesson:
    """A run and what it made; an imported adapter has no run, a failed run no adapter."""

    run: Run | None
    adapter: Adapter | None
    card: ResultCard | None = None

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
            return words.number(len(run.chats if run else adapter.chats if adapter else ()))
        if column == self.TOOK:
            if run and run.finished and run.state in ("done", "refused"):
                return words.took(run.finished - run.created)
            return ""
        if column == self.REMEMBERS:
            return lesson.card.rows[0].value if lesson.card and lesson.card.rows else ""
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


def _card(run: Run) -> ResultCard | None:
    """What the gate measured; None for a run that never came to it."""
    try:
        return card_of(run.report, len(run.chats)) if run.report else None
    except KeyError:  # an older version's report, or an imported one
        return None


class LearningPage(Page):
    """Signals: learn_asked, serving_changed."""

    learn_asked = Signal()
    serving_changed = Signal()

    def __init__(self, bridge: Bridge, lessons: Lessons, export: AdapterExport) -> None:
        super().__init__(self.tr("Learning"))
        self._bridge = bridge
        self._lessons = lessons
        self._plum = bridge.plum
        self.learn_button = button(self.tr("Learn from my chats"), "primary", self.learn_asked.emit)
        self.head.addWidget(self.learn_button)
        self.body.addWidget(self._make_now())

        self.model = LessonModel(self)
        self.table = QTableView()
        self.table.setModel(self.model)
        self.table.setAccessibleName(self.tr("Runs"))
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(_ROW)
        head = self.table.horizontalHeader()
        head.setHighlightSections(False)
        head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        head.setSectionResizeMode(LessonModel.REMEMBERS, QHeaderView.ResizeMode.Stretch)
        self.table.selectionModel().currentRowChanged.connect(lambda *_: self._show_lesson())

        self._details = QFrame()
        self._details.setProperty("kind", "card")
        box = QVBoxLayout(self._details)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(12)
        self._title = label(pixels=15, bold=True, wrap=True)
        box.addWidget(self._title)
        self._reason = label(wrap=True)
        box.addWidget(self._reason)
        self._rows = CardRows()
        box.addWidget(self._rows)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.use_button = button(self.tr("Use this one"), "plain", self._on_use)
        self.undo_button = button(self.tr("Undo"), "plain", self._on_undo)
        self.undo_button.setToolTip(self.tr("Answer as before this run"))
        self.export_button = button(self.tr("Export") + "  ▾")
        self.export_button.setAccessibleName(self.tr("Export"))
        self.export_button.setMenu(export.menu(self.export_button, self._adapter_id))
        self.delete_button = button(self.tr("Delete…"), "danger", self._confirm_delete)
        for each in (self.use_button, self.undo_button, self.export_button):
            row.addWidget(each)
        row.addStretch(1)
        row.addWidget(self.delete_button)
        box.addLayout(row)

        runs = QWidget()
        runs_box = QVBoxLayout(runs)
        runs_box.setContentsMargins(0, 0, 0, 0)
        runs_box.setSpacing(12)
        runs_box.addWidget(self.table)
        runs_box.addWidget(self._details)
        runs_box.addStretch(1)
        self._empty = label(
            self.tr(
                "Plum has not learned anything yet. Each time it does, a row here says what it "
                "came to, and lets you go back."
            ),
            tone="muted", wrap=True,
        )  # fmt: skip
        self._empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(runs)
        self.body.addWidget(self._stack, 1)
        lessons.changed.connect(self._show_now)
        lessons.serving_changed.connect(self.refresh)
        self._show_now()
        self._show_lesson()

    def _make_now(self) -> QWidget:
        self._now = QFrame()
        self._now.setProperty("kind", "card")
        box = QVBoxLayout(self._now)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(8)
        self._doing = label(pixels=15, bold=True, wrap=True)
        box.addWidget(self._doing)
        self._bar = QProgressBar()
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(self.tr("Learning"))
        box.addWidget(self._bar)
        row = QHBoxLayout()
        self._left = small()
        row.addWidget(self._left, 1)
        self.pause_button = button(self.tr("Pause"), "plain", self._lessons.pause_or_go_on)
        row.addWidget(self.pause_button)
        box.addLayout(row)
        self._steps = small(wrap=True)
        self._steps.setTextFormat(Qt.TextFormat.RichText)
        box.addWidget(self._steps)
        return self._now

    def _show_now(self) -> None:
        lessons = self._lessons
        self._now.setVisible(lessons.running)
        self.learn_button.setEnabled(not lessons.running)
        progress = lessons.progress
        if progress is None:
            self._doing.setText(self.tr("Learning is about to start…"))
            self._bar.setValue(0)
            self._left.setText("")
            self._steps.setText("")
        else:
            self._doing.setText(progress.text)
            self._bar.setValue(int(progress.fraction * 1000))
            parts = [words.percent(progress.fraction)]
            if lessons.paused:
                parts.append(self.tr("paused"))
            elif left := words.left(progress.seconds_left):
                parts.append(left)
            self._left.setText(", ".join(parts))
            self._steps.setText(self._steps_text(progress.stage))
        self.pause_button.setText(self.tr("Go on") if lessons.paused else self.tr("Pause"))
        self.pause_button.setAccessibleName(self.pause_button.text())
        self.pause_button.setEnabled(lessons.job is not None and not lessons.stopping)

    def _steps_text(self, stage: str) -> str:
        """All stages in their order, the one under way in bold."""
        names = {
            "select": self.tr("choose chats"), "augment": self.tr("find what they say"),
            "tokenize": self.tr("prepare"), "train": self.tr("learn"),
            "gate": self.tr("test"), "merge": self.tr("write the model"),
            "switch": self.tr("switch over"),
        }  # fmt: skip
        steps = [f"<b>{text}</b>" if name == stage else text for name, text in names.items()]
        return " &nbsp;→&nbsp; ".join(steps)

    def refresh(self, wanted: str | None = None) -> None:
        """Read the runs again; `wanted` is the id of the one to choose."""
        plum = self._plum

        def read() -> list[Lesson]:
            adapters = plum.adapters.list()
            of_run = {each.run_id: each for each in adapters if each.run_id}
            left = plum.learning.interrupted()  # a run whose program was killed still says running
            runs = [left if left and run.id == left.id else run for run in plum.store.runs.list()]
            lessons = [Lesson(run, of_run.get(run.id), _card(run)) for run in runs]
            known = {run.id for run in runs}
            lessons += [Lesson(None, each) for each in adapters if each.run_id not in known]
            return sorted(lessons, key=lambda lesson: lesson.created, reverse=True)

        def show(found: list[Lesson]) -> None:
            current = self._current()
            self.model.set_lessons(found)
            self._stack.setCurrentIndex(1 if found else 0)
            rows = min(len(found), _MOST_ROWS)
            self.table.setFixedHeight(rows * _ROW + self.table.horizontalHeader().height() + 2)
            if found:
                row = self.model.row_of(wanted or (current.id if current else None))
                self.table.selectRow(row or 0)
            self._show_lesson()

        self._bridge.ask(read, show, self.say, owner=self)

    def _current(self) -> Lesson | None:
        index = self.table.currentIndex()
        return self.model.lesson(index.row()) if index.isValid() else None

    def _adapter_id(self) -> str | None:
        lesson = self._current()
        return lesson.adapter.id if lesson and lesson.adapter else None

    def _show_lesson(self) -> None:
        lesson = self._current()
        under_way = lesson and lesson.run and lesson.run.state in ("running", "paused")
        self._details.setVisible(lesson is not None and not under_way)
        if lesson is None or under_way:
            return
        run, adapter = lesson.run, lesson.adapter
        card = lesson.card
        count = words.chats(len(run.chats if run else adapter.chats if adapter else ()))
        title = card.title if card else self.tr("Learned {chats}").format(chats=count)
        if not card and run and run.state in ("failed", "stopped", "interrupted"):
            title = self.tr("Nothing was learned from {chats}").format(chats=count)
        self._title.setText(title)
        reason = (run.error if run else None) or (card.reason if card else None) or ""
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason))
        self._rows.set_card(card)
        self._rows.setVisible(bool(card and card.rows))
        there = adapter is not None and adapter.state != "deleted"
        serves = adapter is not None and adapter.active
        servable = adapter is not None and adapter.state in ("ready", "undone")
        self.use_button.setVisible(servable and not serves)
        self.undo_button.setVisible(serves)
        self.export_button.setVisible(there)
        self.delete_button.setVisible(there)
        self.delete_button.setEnabled(not serves)
        self.delete_button.setToolTip(self.tr("Undo it first, then delete it") if serves else "")

    def _on_use(self) -> None:
        if adapter_id := self._adapter_id():
            self._bridge.ask(
                lambda: self._plum.adapters.activate(adapter_id), self._on_switched, self.say,
                owner=self, lane="slow",
            )  # fmt: skip

    def _on_undo(self) -> None:
        self._bridge.ask(
            self._plum.adapters.rollback, self._on_switched, self.say, owner=self, lane="slow"
        )

    def _on_switched(self, _adapter: object) -> None:
        self.notice.hide()
        self.refresh()
        self.serving_changed.emit()

    def _confirm_delete(self) -> None:
        adapter_id = self._adapter_id()
        if adapter_id is None:
            return
        box = QMessageBox(self)
        box.setWindowTitle(self.tr("Delete what was learned"))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(self.tr("Delete what this run learned? Its files are gone then for good."))
        box.setInformativeText(self.tr("Your chats stay, and can be learned again."))
        deletes = box.addButton(self.tr("Delete"), QMessageBox.ButtonRole.DestructiveRole)
        cancels = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(cancels)
        box.setEscapeButton(cancels)

        def answered() -> None:
            if box.clickedButton() is deletes:
                self._bridge.ask(
                    lambda: self._plum.adapters.delete(adapter_id), self._on_switched, self.say,
                    owner=self, lane="slow",
                )  # fmt: skip

        box.finished.connect(lambda _: answered())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()
