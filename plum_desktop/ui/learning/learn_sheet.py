"""What a press on "Learn from my chats" shows first: how much, how long, and which chats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QListView, QVBoxLayout

from plum_desktop.base.files import megabytes
from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import IconButton, Notice, button, label
from plum_desktop.ui.base.ticks import TickDelegate
from plum_desktop.ui.learning.lessons import Lessons

if TYPE_CHECKING:
    from plum_desktop.app.learn import LearnPlan, PlannedChat
    from plum_desktop.base.types import Chat

Index = QModelIndex | QPersistentModelIndex
_PLAN_MS = 250
_MOST_ROWS = 6


class PlanModel(QAbstractListModel):
    """The chats of a plan with a check box each, and below them those that are left out.

    Signals: chosen_changed.
    """

    chosen_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._chats: list[PlannedChat] = []
        self._left_out: list[tuple[Chat, str]] = []
        self._dropped: set[str] = set()

    def set_plan(self, plan: LearnPlan) -> None:
        self.beginResetModel()
        self._chats, self._left_out = list(plan.chats), list(plan.left_out)
        self._dropped.clear()
        self.endResetModel()

    def chosen(self) -> list[str]:
        """Ids of the chats that are to be learned."""
        return [chat.id for chat in self._chats if chat.id not in self._dropped]

    def all_chosen(self) -> bool:
        return not self._dropped

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._chats) + len(self._left_out)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row = index.row()
        if row >= len(self._chats):
            chat, reason = self._left_out[row - len(self._chats)]
            text = self.tr("{title}: {reason}").format(title=chat.title, reason=words.said(reason))
            shows = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole)
            return text if role in shows else None
        planned = self._chats[row]
        if role == Qt.ItemDataRole.CheckStateRole:
            state = Qt.CheckState
            return state.Unchecked if planned.id in self._dropped else state.Checked
        if role == Qt.ItemDataRole.DisplayRole:
            if planned.is_new:
                return planned.title
            return self.tr("{title} (continued since)").format(title=planned.title)
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid() or index.row() >= len(self._chats):
            return Qt.ItemFlag.NoItemFlags
        item = Qt.ItemFlag
        return item.ItemIsEnabled | item.ItemIsSelectable | item.ItemIsUserCheckable

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid():
            return False
        chat_id = self._chats[index.row()].id
        on = Qt.CheckState(value) == Qt.CheckState.Checked
        (self._dropped.discard if on else self._dropped.add)(chat_id)
        self.dataChanged.emit(index, index, [role])
        self.chosen_changed.emit()
        return True


class LearnSheet(QFrame):
    """Signals: closed, models_asked."""

    closed = Signal()
    models_asked = Signal()

    def __init__(self, lessons: Lessons) -> None:
        super().__init__()
        self.setProperty("kind", "sheet")
        self._lessons = lessons
        self._plan: LearnPlan | None = None
        self._asked = 0
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(12)
        top = QHBoxLayout()
        self.title = label(pixels=15, bold=True, wrap=True)
        top.addWidget(self.title, 1)
        cross = IconButton("close", self.tr("Close"), size=16)
        cross.clicked.connect(self.closed)
        top.addWidget(cross, 0, Qt.AlignmentFlag.AlignTop)
        box.addLayout(top)
        self.cost = label(tone="muted", wrap=True)
        box.addWidget(self.cost)

        self.model = PlanModel(self)
        self.list = QListView()
        self.list.setProperty("framed", True)
        self.list.setModel(self.model)
        self.list.setItemDelegate(TickDelegate(self.list))
        self.list.setMouseTracking(True)
        self.list.setUniformItemSizes(True)
        self.list.setAccessibleName(self.tr("Chats that will be learned"))
        self.list.hide()
        box.addWidget(self.list)
        self._plan_soon = QTimer(self, singleShot=True, interval=_PLAN_MS)
        self._plan_soon.timeout.connect(self._plan_again)
        self.model.chosen_changed.connect(self._plan_soon.start)

        self.notice = Notice(tone="warn")
        self.notice.hide()
        box.addWidget(self.notice)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.learn_button = button(self.tr("Learn"), "primary", self._on_learn)
        row.addWidget(self.learn_button)
        self.review_button = button(self.tr("Review the list"), "plain", self._on_review)
        row.addWidget(self.review_button)
        row.addStretch(1)
        box.addLayout(row)

    def open(self) -> None:
        """Show what would be learned, asked afresh."""
        self.list.hide()
        self.review_button.setText(self.tr("Review the list"))
        self.title.setText(self.tr("Learn from my chats"))
        self.cost.setText(self.tr("Looking through your chats…"))
        self.cost.show()
        self.notice.hide()
        self._enable(False)
        self._ask(None)

    def _ask(self, chat_ids: list[str] | None) -> None:
        self._asked += 1
        asked = self._asked

        def found(plan: LearnPlan) -> None:
            if asked == self._asked:
                if chat_ids is None:
                    self.model.set_plan(plan)
                self._show(plan)

        def failed(error: str) -> None:
            if asked == self._asked:
                self._refuse(error)

        self._lessons.plan_for(chat_ids, found, failed)

    def _plan_again(self) -> None:
        chosen = self.model.chosen()
        self._enable(False)
        if chosen:
            self._ask(chosen)
        else:
            self._asked += 1
            self._plan = None
            self.title.setText(self.tr("No chat is chosen"))
            self.cost.setText(self.tr("Tick at least one."))

    def _show(self, plan: LearnPlan) -> None:
        self._plan = plan
        count = len(plan.chats)
        if count == 0:
            self.title.setText(self.tr("Nothing new to learn"))
            self.cost.setText(
                words.said(plan.refusal) or self.tr("Chat with Plum for a while first.")
            )
        else:
            self.title.setText(self.tr("Learn from {chats}").format(chats=words.chats(count)))
            self.cost.setText(
                self.tr("Takes {time} and {space} of disk. You can chat on meanwhile.")
                .format(time=words.about(plan.seconds), space=megabytes(plan.disk_bytes))
            )  # fmt: skip
        self.review_button.setVisible(bool(self.model.rowCount()))
        self.notice.hide()
        self.cost.show()
        if count and plan.refusal:
            self._refuse(words.said(plan.refusal))
        self._enable(bool(count) and not plan.refusal)
        if self.learn_button.isEnabled() and not self.list.isVisible():
            self.learn_button.setFocus()

    def _refuse(self, sentence: str) -> None:
        self.notice.say(sentence, "warn")
        self.notice.set_buttons(button(self.tr("Models"), "plain", self.models_asked.emit))
        self.notice.show()
        self.cost.hide()
        self._enable(False)

    def _enable(self, on: bool) -> None:
        self.learn_button.setEnabled(on)

    def _on_review(self) -> None:
        shown = self.list.isHidden()
        self.list.setVisible(shown)
        self.review_button.setText(
            self.tr("Hide the list") if shown else self.tr("Review the list")
        )
        if shown:
            row = self.list.sizeHintForRow(0)
            self.list.setFixedHeight(row * min(_MOST_ROWS, self.model.rowCount()) + 10)
            self.list.setFocus()

    def _on_learn(self) -> None:
        if self._plan and self._plan.chats:
            self._lessons.start(self._plan)
            self.closed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)
