"""The search field, and under it, while there is something in it, where to search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.base.types import SearchFilter
from plum_desktop.ui.base import words
from plum_desktop.ui.base.commands import with_keys
from plum_desktop.ui.base.theme import current_theme, icon, set_property

_SOON_MS = 120
_NAME_AT_MOST = 48  # characters of a persona in the menu
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
Value = str | None


class SearchBox(QWidget):
    """Signals: changed, a moment after the last key; went_down, to the list; entered."""

    changed = Signal()
    went_down = Signal()
    entered = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.field = _Field()
        self.field.setObjectName("search")
        self.field.setClearButtonEnabled(True)
        self.show_keys("")
        self.field.setAccessibleName(self.tr("Search all chats"))
        self.field.setToolTip(
            self.tr("Also: in:Work  after:2026-10-01  before:2026-11  is:archived  persona:teacher")
        )
        self._glass = QAction(self.field)
        self.field.addAction(self._glass, QLineEdit.ActionPosition.LeadingPosition)
        self.field.went_down.connect(self.went_down)
        self.field.returnPressed.connect(self.entered)
        self._soon = QTimer(self, singleShot=True, interval=_SOON_MS)
        self._soon.timeout.connect(self.changed)
        self.field.textChanged.connect(self._on_text_changed)

        self.when = Chip(self.tr("When"), self._soon.start)
        self.when.set_choices(
            [
                (None, self.tr("Any time")), ("week", self.tr("Last 7 days")),
                ("month", self.tr("Last 30 days")), ("year", self.tr("This year")),
            ]
        )  # fmt: skip
        self.folder = Chip(self.tr("Folder"), self._soon.start)
        self.persona = Chip(self.tr("Persona"), self._soon.start)
        self.archived = Chip(self.tr("Archived chats"), self._soon.start)
        self.archived.set_choices(
            [(None, self.tr("Not archived")), ("too", self.tr("Archived too"))]
        )
        self._chips = QWidget()
        grid = QGridLayout(self._chips)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        self._all = (self.when, self.archived, self.folder, self.persona)
        for at, chip in enumerate(self._all):
            grid.addWidget(chip, at // 2, at % 2)
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 0, 12, 0)
        box.setSpacing(6)
        box.addWidget(self.field)
        box.addWidget(self._chips)
        self._chips.hide()
        self.set_places([], [])
        self._draw()

    def show_keys(self, keys: str) -> None:
        """Say which keys lead here."""
        self.field.setPlaceholderText(with_keys(self.tr("Search"), keys))

    def text(self) -> str:
        return self.field.text().strip()

    def within(self, now: datetime | None = None) -> SearchFilter:
        """The filter that is chosen, beside what is typed."""
        now = now or datetime.now().astimezone()
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        after = {
            "week": today - timedelta(days=6),
            "month": today - timedelta(days=29),
            "year": today.replace(month=1, day=1),
        }.get(self.when.value or "")
        return SearchFilter(
            after=after.timestamp() if after else None,
            folder=self.folder.value,
            persona=self.persona.value,
            archived=None if self.archived.value else False,
        )

    def narrowed(self) -> bool:
        """Whether a chip keeps some chats from being searched that could be."""
        return any(chip.value for chip in (self.when, self.folder, self.persona))

    def set_places(self, folders: Sequence[str], personas: Sequence[str]) -> None:
        """What can be chosen; where there is nothing to choose there is no chip."""
        self.folder.set_choices(
            [(None, self.tr("Any folder")), *((path, path) for path in folders)]
        )
        self.persona.set_choices(
            [
                (None, self.tr("Any persona")),
                *((text, words.shortened(text, _NAME_AT_MOST)) for text in personas),
            ]
        )
        self.folder.setVisible(bool(folders))
        self.persona.setVisible(bool(personas))

    def _on_text_changed(self, text: str) -> None:
        searching = bool(text.strip())
        if not searching:  # the search is over, and the next begins anywhere
            for chip in self._all:
                chip.choose(None)
        self._chips.setVisible(searching)
        self._soon.start()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()

    def _draw(self) -> None:
        self._glass.setIcon(icon("search", current_theme().muted))


class Chip(QToolButton):
    """One of several choices in a small button; the first stands for none."""

    def __init__(self, title: str, chosen: Callable[[], object]) -> None:
        super().__init__()
        self._title, self._chosen = title, chosen
        self._choices: dict[Value, str] = {}
        self.value: Value = None
        self.setProperty("kind", "chip")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._menu = QMenu(self)
        self.setMenu(self._menu)

    def set_choices(self, choices: Sequence[tuple[Value, str]]) -> None:
        """Values and their names; what was chosen stays chosen as long as it is there."""
        if dict(choices) == self._choices:
            return
        self._choices = dict(choices)
        self._menu.clear()
        group = QActionGroup(self._menu)
        for value, name in choices:
            action = self._menu.addAction(name.replace("&", "&&"))
            action.setCheckable(True)
            group.addAction(action)
            action.triggered.connect(partial(self._on_triggered, value))
        self.choose(self.value if self.value in self._choices else None)

    def choose(self, value: Value) -> None:
        """Show a choice, with nobody told."""
        self.value = value
        for action, each in zip(self._menu.actions(), self._choices, strict=True):
            action.setChecked(each == value)
        name = self._choices[value]
        self.setAccessibleName(f"{self._title}: {name}")
        self.setToolTip(f"{self._title}: {name}")
        set_property(self, "chosen", value is not None)
        self._fit()

    def _on_triggered(self, value: Value) -> None:
        self.choose(value)
        self._chosen()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in _ENTER:
            self.showMenu()
        else:
            super().keyPressEvent(event)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and self._choices:
            self._fit()

    def _fit(self) -> None:
        name = self._choices[self.value]
        room = max(0, self.width() - 20)
        self.setText(self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, room))


class _Field(QLineEdit):
    """Signals: went_down, to the list."""

    went_down = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Down:
            self.went_down.emit()
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)
