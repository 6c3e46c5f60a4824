"""The Memory page: what was taught, chat by chat, in sentences a person reads."""

from __future__ import annotations

from PySide6.QtCore import (
    QModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QMessageBox,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.app.memory import ChatMemory
from plum_desktop.base.types import Fact, FactState
from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import Choice, button, label, small
from plum_desktop.ui.base.page import Page
from plum_desktop.ui.base.theme import scaled
from plum_desktop.ui.memory.fact_editor import FactEditor
from plum_desktop.ui.memory.fact_list import FactModel, FactView
from plum_desktop.ui.memory.taught_list import (
    TaughtDelegate,
    TaughtModel,
    recall_words,
)

_TITLE = 160  # pixels that a chat's title has beside the buttons


class _Heading(QWidget):
    """A title with buttons beside it, or below where they would leave it no room."""

    def __init__(self, title: QLabel, *buttons: QPushButton) -> None:
        super().__init__()
        self._side = QWidget()
        row = QHBoxLayout(self._side)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for each in buttons:
            row.addWidget(each)
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(4)
        self._box.addWidget(title, 1)
        self._box.addWidget(
            self._side, 0, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeading
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        room = self.width() - self._side.sizeHint().width()
        way = QBoxLayout.Direction
        self._box.setDirection(way.TopToBottom if room < scaled(_TITLE) else way.LeftToRight)


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
        self._title = label(pixels=15, bold=True, wrap=True)
        self._open = button(self.tr("Open the chat"), "quiet", self._on_open)
        self.forget_chat_button = button(self.tr("Forget the chat…"), "quiet", self._on_forget_chat)
        box.addWidget(_Heading(self._title, self._open, self.forget_chat_button))
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
