"""The Memory page: what was taught, chat by chat, in sentences a person reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QListView,
    QSplitter,
    QStackedWidget,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.base.types import Chat, Fact
from plum_desktop.ui import words
from plum_desktop.ui.bridge import Bridge
from plum_desktop.ui.controls import button, label, small
from plum_desktop.ui.page import Page
from plum_desktop.ui.theme import Theme, current_theme, scaled, text_font
from plum_desktop.ui.ticks import TEXT_LEFT, TickDelegate, paint_ground, visual

if TYPE_CHECKING:
    from plum_desktop.app.memory import ChatMemory

Index = QModelIndex | QPersistentModelIndex
MemoryRole = Qt.ItemDataRole.UserRole + 1
FactRole = Qt.ItemDataRole.UserRole + 2
_ROW, _BADGE = 52, 96


class TaughtModel(QAbstractListModel):
    """Chats from which something was taught."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._all: list[ChatMemory] = []
        self._shown: list[ChatMemory] = []
        self._wanted = ""

    def set_memories(self, memories: Sequence[ChatMemory]) -> None:
        self._all = list(memories)
        self.search(self._wanted)

    def search(self, text: str) -> None:
        """Only chats whose title, or one of whose facts, has `text` in it."""
        self._wanted = text.casefold().strip()
        self.beginResetModel()
        self._shown = [each for each in self._all if self._matches(each)]
        self.endResetModel()

    def _matches(self, memory: ChatMemory) -> bool:
        texts = [memory.chat.title, *(fact.statement for fact in memory.facts)]
        return any(self._wanted in text.casefold() for text in texts)

    def put(self, fact: Fact) -> None:
        for at, memory in enumerate(self._all):
            if memory.chat.id == fact.chat_id:
                facts = tuple(fact if each.id == fact.id else each for each in memory.facts)
                self._all[at] = dataclasses.replace(memory, facts=facts)
        by_id = {memory.chat.id: memory for memory in self._all}
        self._shown = [by_id[memory.chat.id] for memory in self._shown]

    def is_empty(self) -> bool:
        return not self._all

    def memory_at(self, row: int) -> ChatMemory:
        return self._shown[row]

    def row_of(self, chat_id: str | None) -> int | None:
        ids = [memory.chat.id for memory in self._shown]
        return ids.index(chat_id) if chat_id in ids else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        memory = self._shown[index.row()]
        if role == MemoryRole:
            return memory
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return memory.chat.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{memory.chat.title}, {recall_words(memory)}"
        return None


def recall_words(memory: ChatMemory) -> str:
    """How well a chat is remembered, in a few words."""
    asked = [fact.last_recall for fact in memory.facts if fact.last_recall is not None]
    if not asked:
        return QObject().tr("not asked yet")
    said = QObject().tr("asked about {asked}, Plum remembered {right}")
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
            memory.chat.title, Qt.TextElideMode.ElideRight, area.width()
        )
        painter.drawText(area, Qt.AlignmentFlag.AlignTop, title)
        painter.setFont(text_font(12))
        painter.setPen(QColor(theme.muted))
        painter.drawText(area, Qt.AlignmentFlag.AlignBottom, words.moment(memory.chat.created))
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


class FactModel(QAbstractListModel):
    """The facts of one chat; a tick says that it may be taught.

    Signals: exclusion_asked(fact id, excluded).
    """

    exclusion_asked = Signal(str, bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._facts: list[Fact] = []

    def set_facts(self, facts: Sequence[Fact]) -> None:
        self.beginResetModel()
        self._facts = list(facts)
        self.endResetModel()

    def put(self, fact: Fact) -> None:
        for row, each in enumerate(self._facts):
            if each.id == fact.id:
                self._facts[row] = fact
                self.dataChanged.emit(self.index(row), self.index(row))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 Qt's own default
        return 0 if parent.isValid() else len(self._facts)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        fact = self._facts[index.row()]
        if role == FactRole:
            return fact
        if role == Qt.ItemDataRole.DisplayRole:
            return fact.statement
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{fact.statement} ({state_word(fact)})"
        if role == Qt.ItemDataRole.CheckStateRole:
            state = Qt.CheckState
            return state.Unchecked if fact.state == "excluded" else state.Checked
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        item = Qt.ItemFlag
        flags = item.ItemIsEnabled | item.ItemIsSelectable
        # A fact that came to be wrong is never taught again; there is nothing to tick.
        if index.isValid() and self._facts[index.row()].state != "contradicted":
            flags |= item.ItemIsUserCheckable
        return flags

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid():
            return False
        fact = self._facts[index.row()]
        self.exclusion_asked.emit(fact.id, Qt.CheckState(value) == Qt.CheckState.Unchecked)
        return True


def state_word(fact: Fact) -> str:
    source = QObject()
    return {
        "waiting": source.tr("waiting"),
        "learned": source.tr("learned"),
        "weak": source.tr("weak"),
        "excluded": source.tr("excluded"),
        "contradicted": source.tr("no longer so"),
    }[fact.state]


class FactDelegate(TickDelegate):
    """A tick, the sentence over as many lines as it takes, and its state."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        view = option.widget
        width = view.viewport().width() if isinstance(view, QListView) else option.rect.width()
        rect = QFontMetrics(text_font(14)).boundingRect(
            QRect(0, 0, max(80, width - TEXT_LEFT - scaled(_BADGE)), 4000),
            Qt.TextFlag.TextWordWrap, str(index.data()),
        )  # fmt: skip
        return QSize(width, max(scaled(38), rect.height() + 18))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        fact: Fact = index.data(FactRole)
        theme = current_theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option, theme)
        if index.flags() & Qt.ItemFlag.ItemIsUserCheckable:
            self.paint_tick(painter, option, index, theme)
        area = visual(option, option.rect.adjusted(TEXT_LEFT, scaled(9), -scaled(_BADGE), -9))
        painter.setFont(text_font(14))
        gone = fact.state in ("excluded", "contradicted")
        painter.setPen(QColor(theme.muted if gone else theme.text))
        painter.drawText(area, Qt.TextFlag.TextWordWrap, fact.statement)
        self._paint_badge(painter, option, fact, theme)
        painter.restore()

    @staticmethod
    def _paint_badge(
        painter: QPainter, option: QStyleOptionViewItem, fact: Fact, theme: Theme
    ) -> None:
        ink, ground = {
            "learned": (theme.good, theme.good_soft), "weak": (theme.warn, theme.warn_soft),
            "waiting": (theme.accent, theme.accent_soft),
        }.get(fact.state, (theme.muted, theme.raised))  # fmt: skip
        painter.setFont(text_font(12))
        text = state_word(fact)
        width = painter.fontMetrics().horizontalAdvance(text) + 16
        row = option.rect
        badge = visual(
            option, QRect(row.right() - 10 - width, row.top() + scaled(9), width, scaled(20))
        )
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(badge, 10, 10)
        painter.setPen(QColor(ink))
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, text)


class MemoryPage(Page):
    """Signals: chat_chosen(chat id), learn_asked."""

    chat_chosen = Signal(str)
    learn_asked = Signal()

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
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Search what was taught"))
        self.search.setAccessibleName(self.search.placeholderText())
        self.search.setClearButtonEnabled(True)
        self.search.setMaximumWidth(280)
        self.head.addWidget(self.search, 1)

        self.taught = TaughtModel(self)
        self.chats = QListView()
        self.chats.setProperty("framed", True)
        self.chats.setModel(self.taught)
        self.chats.setItemDelegate(TaughtDelegate(self.chats))
        self.chats.setUniformItemSizes(True)
        self.chats.setMouseTracking(True)
        self.chats.setAccessibleName(self.tr("Chats that were learned"))
        self.chats.selectionModel().currentChanged.connect(self._on_current_changed)
        self.search.textChanged.connect(self._on_search)

        right = QWidget()
        box = QVBoxLayout(right)
        box.setContentsMargins(12, 0, 0, 0)
        box.setSpacing(8)
        top = QHBoxLayout()
        self._title = label(pixels=15, bold=True, wrap=True)
        top.addWidget(self._title, 1)
        self._open = button(self.tr("Open the chat"), "quiet", self._on_open)
        top.addWidget(self._open, 0, Qt.AlignmentFlag.AlignTop)
        box.addLayout(top)
        self._count = small()
        box.addWidget(self._count)
        self.fact_model = FactModel(self)
        self.fact_model.exclusion_asked.connect(self._on_exclusion_asked)
        self.facts = _FactView()
        self.facts.setModel(self.fact_model)
        self.facts.setItemDelegate(FactDelegate(self.facts))
        self.facts.setAccessibleName(self.tr("What was taught from this chat"))
        box.addWidget(self.facts, 1)

        split = QSplitter()
        split.setChildrenCollapsible(False)
        split.addWidget(self.chats)
        split.addWidget(right)
        split.setSizes([280, 560])
        self.chats.setMinimumWidth(180)

        self._empty = QWidget()
        empty = QVBoxLayout(self._empty)
        empty.addStretch(1)
        words_ = label(
            self.tr(
                "Nothing has been learned yet. Chat for a while, then press “Learn from my chats”: "
                "what Plum takes from each chat is listed here."
            ),
            tone="muted", wrap=True,
        )  # fmt: skip
        words_.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        empty.addWidget(words_)
        learn = button(self.tr("Learn from my chats"), "plain", self.learn_asked.emit)
        empty.addWidget(learn, 0, Qt.AlignmentFlag.AlignHCenter)
        empty.addStretch(2)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(split)
        self.body.addWidget(self._stack, 1)
        self._show_chat(None)

    def refresh(self) -> None:
        def show(memories: list[ChatMemory]) -> None:
            current = self.current_chat()
            self.taught.set_memories(memories)
            self._stack.setCurrentIndex(0 if self.taught.is_empty() else 1)
            self.search.setVisible(not self.taught.is_empty())
            self._choose(current.id if current else None)

        self._bridge.ask(self._memory.by_chat, show, self.say, owner=self)

    def current_chat(self) -> Chat | None:
        index = self.chats.currentIndex()
        return self.taught.memory_at(index.row()).chat if index.isValid() else None

    def _choose(self, chat_id: str | None) -> None:
        if self.taught.rowCount():
            self.chats.setCurrentIndex(self.taught.index(self.taught.row_of(chat_id) or 0))
        else:
            self._show_chat(None)

    def _on_search(self, text: str) -> None:
        current = self.current_chat()
        self.taught.search(text)
        self._choose(current.id if current else None)

    def _on_current_changed(self, index: QModelIndex) -> None:
        self._show_chat(self.taught.memory_at(index.row()) if index.isValid() else None)

    def _show_chat(self, memory: ChatMemory | None) -> None:
        self._open.setVisible(memory is not None)
        if memory is None:
            self._title.setText("")
            self._count.setText(self.tr("Nothing found.") if self.search.text() else "")
            self.fact_model.set_facts([])
            return
        self._title.setText(memory.chat.title)
        count = len(memory.facts)
        facts = self.tr("1 thing") if count == 1 else self.tr("%n things", "", count)
        self._count.setText(f"{facts}, {recall_words(memory)}")
        self.fact_model.set_facts(memory.facts)

    def _on_open(self) -> None:
        if chat := self.current_chat():
            self.chat_chosen.emit(chat.id)

    def _on_exclusion_asked(self, fact_id: str, excluded: bool) -> None:
        act = self._memory.exclude if excluded else self._memory.include

        def done(fact: Fact) -> None:
            self.fact_model.put(fact)
            self.taught.put(fact)

        self._bridge.ask(lambda: act(fact_id), done, self.say, owner=self)


class _FactView(QListView):
    def __init__(self) -> None:
        super().__init__()
        self.setProperty("framed", True)
        self.setMouseTracking(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
