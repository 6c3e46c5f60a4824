"""The Memory page: what was taught, chat by chat, in sentences a person reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from PySide6.QtCore import (
    QAbstractListModel,
    QCoreApplication,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QListView,
    QMessageBox,
    QSplitter,
    QStackedWidget,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.app.memory import ChatMemory
from plum_desktop.base.types import Fact, FactState
from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import Choice, button, label, small
from plum_desktop.ui.base.page import Page
from plum_desktop.ui.base.theme import current_theme, scaled, text_font
from plum_desktop.ui.base.ticks import paint_ground, visual
from plum_desktop.ui.memory.fact_editor import FactEditor
from plum_desktop.ui.memory.fact_list import FactModel, FactView

translate = QCoreApplication.translate  # which lupdate knows by this name
Index = QModelIndex | QPersistentModelIndex
MemoryRole = Qt.ItemDataRole.UserRole + 1
_ROW = 52


class TaughtModel(QAbstractListModel):
    """Chats from which something was taught."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._all: list[ChatMemory] = []
        self._shown: list[ChatMemory] = []
        self._wanted = ""
        self._state: FactState | None = None

    def set_memories(self, memories: Sequence[ChatMemory]) -> None:
        self._all = list(memories)
        self.search(self._wanted)

    def search(self, text: str, state: FactState | None = None) -> None:
        """Only facts in `state` (None: in any) that have `text` in them or in their chat's title,
        and only chats with such facts.
        """
        self._wanted, self._state = text.casefold().strip(), state
        self.beginResetModel()
        self._shown = [found for each in self._all if (found := self._matching(each)).facts]
        self.endResetModel()

    def _matching(self, memory: ChatMemory) -> ChatMemory:
        named = self._wanted in memory.title.casefold()
        facts = tuple(
            fact for fact in memory.facts
            if (named or self._wanted in fact.statement.casefold())
            and self._state in (None, fact.state)
        )  # fmt: skip
        return dataclasses.replace(memory, facts=facts)

    def put(self, fact: Fact) -> None:
        """A fact that is another than before, in the place where it stands."""
        for memories in (self._all, self._shown):
            for at, memory in enumerate(memories):
                facts = tuple(fact if each.id == fact.id else each for each in memory.facts)
                memories[at] = dataclasses.replace(memory, facts=facts)

    def is_empty(self) -> bool:
        return not self._all

    def memory_at(self, row: int) -> ChatMemory:
        return self._shown[row]

    def row_of(self, memory_id: str | None) -> int | None:
        ids = [memory.id for memory in self._shown]
        return ids.index(memory_id) if memory_id in ids else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        memory = self._shown[index.row()]
        if role == MemoryRole:
            return memory
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return memory.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{memory.title}, {recall_words(memory)}"
        return None


def recall_words(memory: ChatMemory) -> str:
    """How well a chat is remembered, in a few words."""
    asked = [fact.last_recall for fact in memory.facts if fact.last_recall is not None]
    if not asked:
        return translate("facts", "not asked yet")
    said = translate("facts", "asked about {asked}, Plum remembered {right}")
    return said.format(asked=words.number(len(asked)), right=words.number(round(sum(asked))))


class TaughtDelegate(QStyledItemDelegate):
    """Title, date, and a small bar of how well the chat is remembered."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(160, scaled(_ROW))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        memory: ChatMemory = index.data(MemoryRole)
        theme = current_theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option, theme)
        area = option.rect.adjusted(12, 6, -12, -6)
        painter.setFont(text_font(14))
        painter.setPen(QColor(theme.text))
        title = painter.fontMetrics().elidedText(
            memory.title, Qt.TextElideMode.ElideRight, area.width()
        )
        painter.drawText(area, Qt.AlignmentFlag.AlignTop, title)
        painter.setFont(text_font(12))
        painter.setPen(QColor(theme.muted))
        below = words.moment(memory.chat.created) if memory.chat else self.tr("outside every chat")
        painter.drawText(area, Qt.AlignmentFlag.AlignBottom, below)
        if memory.recall is not None:
            track = QRectF(visual(option, QRect(area.right() - 72, area.bottom() - 9, 72, 4)))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.line))
            painter.drawRoundedRect(track, 2, 2)
            painter.setBrush(QColor(theme.accent))
            done = max(4.0, track.width() * memory.recall)
            mirrored = option.direction == Qt.LayoutDirection.RightToLeft
            track.setLeft(track.right() - done) if mirrored else track.setWidth(done)
            painter.drawRoundedRect(track, 2, 2)
        painter.restore()


class MemoryPage(Page):
    """Signals: chat_chosen(chat id), learn_asked, facts_changed, serving_changed,
    forget_asked(chat ids), forget_deleted_asked.
    """

    chat_chosen = Signal(str)
    learn_asked = Signal()
    facts_changed = Signal()
    serving_changed = Signal()
    forget_asked = Signal(list)
    forget_deleted_asked = Signal()

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(
            self.tr("Memory"),
            self.tr(
                "What Plum was taught from your chats. Take the tick off what it should not be "
                "taught again."
            ),
            scrolls=False,
        )
        self._bridge = bridge
        self._memory = bridge.plum.memory
        self._wanted: str | None = None  # the memory to choose once the page is read again
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Search what was taught"))
        self.search.setAccessibleName(self.search.placeholderText())
        self.search.setClearButtonEnabled(True)
        self.search.setMaximumWidth(280)
        self.search.textChanged.connect(lambda _: self._on_search())
        self.head.addWidget(self.search, 1)
        self.state = Choice()
        self.state.setAccessibleName(self.tr("State"))
        states: tuple[tuple[str, FactState | None], ...] = (
            (self.tr("Any state"), None), (self.tr("Learned"), "learned"),
            (self.tr("Weak"), "weak"), (self.tr("Waiting"), "waiting"),
            (self.tr("Excluded"), "excluded"), (self.tr("No longer so"), "contradicted"),
        )  # fmt: skip
        for text, state in states:
            self.state.addItem(text, state)
        self.state.currentIndexChanged.connect(lambda _: self._on_search())
        self.head.addWidget(self.state)
        self.add_button = button(self.tr("Add a fact"), "plain", self.add_fact)
        self.head.addWidget(self.add_button)

        self.taught = TaughtModel(self)
        self.chats = QListView()
        self.chats.setProperty("framed", True)
        self.chats.setModel(self.taught)
        self.chats.setItemDelegate(TaughtDelegate(self.chats))
        self.chats.setUniformItemSizes(True)
        self.chats.setMouseTracking(True)
        self.chats.setAccessibleName(self.tr("Chats that were learned"))
        self.chats.selectionModel().currentChanged.connect(self._on_current_changed)
        self.chats.setMinimumWidth(180)

        self.editor = FactEditor()
        self.editor.hide()
        self.editor.saved.connect(self._on_saved)
        self.editor.closed.connect(lambda: self.facts.setFocus())
        self.body.addWidget(self.editor)
        split = QSplitter()
        split.setChildrenCollapsible(False)
        split.setHandleWidth(16)  # a margin would stay on one side when the window is mirrored
        split.addWidget(self.chats)
        split.addWidget(self._make_right())
        split.setSizes([280, 560])
        self._stack = QStackedWidget()
        self._stack.addWidget(self._make_empty())
        self._stack.addWidget(split)
        self.body.addWidget(self._stack, 1)
        last = QHBoxLayout()
        last.addWidget(
            small(
                self.tr(
                    "Leaving a fact out keeps it from being taught again; what a model knows "
                    "already goes with the chat it learned it from, or with everything."
                ),
                wrap=True,
            ),
            1,
        )
        self.everything_button = button(
            self.tr("Forget everything…"), "danger", self._confirm_everything
        )
        last.addWidget(self.everything_button)
        self.body.addWidget(self._make_deleted())
        self.body.addLayout(last)
        self._show_memory(None)

    def _make_right(self) -> QWidget:
        right = QWidget()
        box = QVBoxLayout(right)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        top = QHBoxLayout()
        self._title = label(pixels=15, bold=True, wrap=True)
        top.addWidget(self._title, 1)
        self._open = button(self.tr("Open the chat"), "quiet", self._on_open)
        top.addWidget(self._open, 0, Qt.AlignmentFlag.AlignTop)
        self.forget_chat_button = button(self.tr("Forget the chat…"), "quiet", self._on_forget_chat)
        top.addWidget(self.forget_chat_button, 0, Qt.AlignmentFlag.AlignTop)
        box.addLayout(top)
        self._count = small()
        box.addWidget(self._count)
        self.fact_model = FactModel(self)
        self.fact_model.exclusion_asked.connect(self._on_exclusion_asked)
        self.facts = FactView(self.fact_model)
        self.facts.setAccessibleName(self.tr("What was taught from this chat"))
        self.facts.current_changed.connect(self._enable)
        self.facts.doubleClicked.connect(lambda _: self._on_edit())
        box.addWidget(self.facts, 1)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.edit_button = button(self.tr("Edit"), "plain", self._on_edit)
        self.forget_button = button(self.tr("Forget"), "plain", self._on_forget)
        row.addWidget(self.edit_button)
        row.addWidget(self.forget_button)
        row.addStretch(1)
        box.addLayout(row)
        return right

    def _make_deleted(self) -> QWidget:
        """What is remembered of chats that are no more."""
        self.deleted = QWidget()
        row = QHBoxLayout(self.deleted)
        row.setContentsMargins(0, 0, 0, 0)
        self._deleted_words = small(wrap=True)
        row.addWidget(self._deleted_words, 1)
        self.forget_deleted_button = button(
            self.tr("Forget them…"), "plain", self.forget_deleted_asked.emit
        )
        row.addWidget(self.forget_deleted_button)
        self.deleted.hide()
        return self.deleted

    def _show_deleted(self, ids: list[str]) -> None:
        said = self.tr("Plum still remembers {chats} that you deleted.")
        self._deleted_words.setText(said.format(chats=words.chats(len(ids))))
        self.deleted.setVisible(bool(ids))

    def _make_empty(self) -> QWidget:
        empty = QWidget()
        box = QVBoxLayout(empty)
        box.addStretch(1)
        words_ = label(
            self.tr(
                "Nothing has been learned yet. Chat for a while, then press “Learn from my chats”: "
                "what Plum takes from each chat is listed here."
            ),
            tone="muted", wrap=True,
        )  # fmt: skip
        words_.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        box.addWidget(words_)
        learn = button(self.tr("Learn from my chats"), "plain", self.learn_asked.emit)
        box.addWidget(learn, 0, Qt.AlignmentFlag.AlignHCenter)
        box.addStretch(2)
        return empty

    def refresh(self) -> None:
        def show(memories: list[ChatMemory]) -> None:
            current = self.current_memory()
            wanted, self._wanted = self._wanted, None
            self.taught.set_memories(memories)
            there = not self.taught.is_empty()
            self._stack.setCurrentIndex(1 if there else 0)
            self.search.setVisible(there)
            self.state.setVisible(there)
            self._choose(wanted or (current.id if current else None))

        self._bridge.ask(self._memory.by_chat, show, self.say, owner=self)
        orphans = self._bridge.plum.forgetting.orphans
        self._bridge.ask(orphans, self._show_deleted, self.say, owner=self)

    def current_memory(self) -> ChatMemory | None:
        index = self.chats.currentIndex()
        return self.taught.memory_at(index.row()) if index.isValid() else None

    def _choose(self, memory_id: str | None) -> None:
        if self.taught.rowCount():
            self.chats.setCurrentIndex(self.taught.index(self.taught.row_of(memory_id) or 0))
        else:
            self._show_memory(None)

    def _on_search(self) -> None:
        current = self.current_memory()
        self.taught.search(self.search.text(), self.state.currentData())
        self._choose(current.id if current else None)

    def _on_current_changed(self, index: QModelIndex) -> None:
        self._show_memory(self.taught.memory_at(index.row()) if index.isValid() else None)

    def _show_memory(self, memory: ChatMemory | None) -> None:
        of_chat = memory is not None and memory.chat is not None
        self._open.setVisible(of_chat)
        self.forget_chat_button.setVisible(of_chat)
        if memory is None:
            self._title.setText("")
            narrowed = bool(self.search.text()) or self.state.currentData() is not None
            self._count.setText(self.tr("Nothing found.") if narrowed else "")
            self.fact_model.set_facts([])
            return
        self._title.setText(memory.title)
        count = len(memory.facts)
        facts = self.tr("1 thing") if count == 1 else self.tr("%n things", "", count)
        self._count.setText(f"{facts}, {recall_words(memory)}")
        self.fact_model.set_facts(memory.facts)

    def _enable(self) -> None:
        fact = self.facts.current_fact()
        self.edit_button.setEnabled(fact is not None)
        # What a chat says stays in its list: to forget it is to leave it out.
        left_out = fact is not None and fact.chat_id is not None and fact.state == "excluded"
        self.forget_button.setEnabled(fact is not None and not left_out)

    def _on_open(self) -> None:
        memory = self.current_memory()
        if memory and memory.chat:
            self.chat_chosen.emit(memory.chat.id)

    def _on_forget_chat(self) -> None:
        memory = self.current_memory()
        if memory and memory.chat:
            self.forget_asked.emit([memory.chat.id])

    def _on_exclusion_asked(self, fact_id: str, excluded: bool) -> None:
        act = self._memory.exclude if excluded else self._memory.include

        def done(fact: Fact) -> None:
            self.fact_model.put(fact)
            self.taught.put(fact)
            self._enable()
            self.facts_changed.emit()

        self._bridge.ask(lambda: act(fact_id), done, self.say, owner=self)

    def add_fact(self) -> None:
        """Have a fact of the user's own put into words."""
        self.editor.open(None)

    def _on_edit(self) -> None:
        if fact := self.facts.current_fact():
            self.editor.open(fact)

    def _on_saved(self, fact_id: str, text: str) -> None:
        def done(fact: Fact) -> None:
            self.editor.close_up()
            self.notice.hide()
            self._wanted = ChatMemory(None, ()).id if fact.chat_id is None else None
            self.tell(self.tr("The next run learns it: {fact}").format(fact=fact.statement))
            self.refresh()
            self.facts_changed.emit()

        memory = self._memory
        self._bridge.ask(
            lambda: memory.edit(fact_id, text) if fact_id else memory.add(text),
            done, self.editor.refuse, owner=self,
        )  # fmt: skip

    def _on_forget(self) -> None:
        fact = self.facts.current_fact()
        if fact is None:
            return
        self.facts.setFocus()  # the button goes grey, and the focus would go to the next one

        def done(_: object) -> None:
            self.refresh()
            self.facts_changed.emit()

        self._bridge.ask(lambda: self._memory.forget(fact.id), done, self.say, owner=self)

    def _confirm_everything(self) -> None:
        box = QMessageBox(self)
        box.setWindowTitle(self.tr("Forget everything"))
        box.setText(self.tr("Delete everything that Plum has learned, for good?"))
        box.setInformativeText(
            self.tr(
                "Every run’s files and every fact go, the ones you added too. Your chats stay, "
                "and will be offered for learning again."
            )
        )
        forgets = box.addButton(
            self.tr("Forget everything"), QMessageBox.ButtonRole.DestructiveRole
        )
        cancels = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(cancels)
        box.setEscapeButton(cancels)

        def done(_: object) -> None:
            self.refresh()
            self.tell(self.tr("Everything that was learned is deleted."))
            self.facts_changed.emit()
            self.serving_changed.emit()

        def answered() -> None:
            if box.clickedButton() is forgets:
                self._bridge.ask(
                    self._memory.forget_everything, done, self.say, owner=self, lane="slow"
                )

        box.finished.connect(lambda _: answered())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()
