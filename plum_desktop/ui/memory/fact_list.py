"""The list of facts: what may be taught, each with a tick and its state."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import (
    QAbstractListModel,
    QCoreApplication,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import QListView, QStyleOptionViewItem

from plum_desktop.base.types import Fact
from plum_desktop.ui.base.theme import Theme, current_theme, scaled, text_font
from plum_desktop.ui.base.ticks import TickDelegate, paint_ground, text_left, visual

translate = QCoreApplication.translate  # which lupdate knows by this name
Index = QModelIndex | QPersistentModelIndex
FactRole = Qt.ItemDataRole.UserRole + 2
_BADGE, _BADGE_HIGH, _ROW = 116, 20, 38


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

    def fact(self, row: int) -> Fact:
        return self._facts[row]

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
    return {
        "waiting": translate("facts", "waiting"),
        "learned": translate("facts", "learned"),
        "weak": translate("facts", "weak"),
        "excluded": translate("facts", "excluded"),
        "contradicted": translate("facts", "no longer so"),
    }[fact.state]


def _air() -> int:
    """Above and below the words, so that the first line is level with the tick."""
    return (scaled(_ROW) - QFontMetrics(text_font(14)).height()) // 2


class FactDelegate(TickDelegate):
    """A tick, the sentence over as many lines as it takes, and its state."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        view = option.widget
        width = view.viewport().width() if isinstance(view, QListView) else option.rect.width()
        rect = QFontMetrics(text_font(14)).boundingRect(
            QRect(0, 0, max(80, width - text_left() - scaled(_BADGE)), 4000),
            Qt.TextFlag.TextWordWrap, str(index.data()),
        )  # fmt: skip
        return QSize(width, max(scaled(_ROW), rect.height() + 2 * _air()))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        fact: Fact = index.data(FactRole)
        theme = current_theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option, theme)
        if index.flags() & Qt.ItemFlag.ItemIsUserCheckable:
            self.paint_tick(painter, option, index, theme)
        area = visual(option, option.rect.adjusted(text_left(), _air(), -scaled(_BADGE), -_air()))
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
        high = scaled(_BADGE_HIGH)
        top = row.top() + (scaled(_ROW) - high) // 2
        badge = visual(option, QRect(row.right() - 10 - width, top, width, high))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(badge, high / 2, high / 2)
        painter.setPen(QColor(ink))
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, text)


class FactView(QListView):
    """Signals: current_changed, when another fact, or none, is the current one."""

    current_changed = Signal()

    def __init__(self, model: FactModel) -> None:
        super().__init__()
        self._model = model
        self.setModel(model)
        self.setItemDelegate(FactDelegate(self))
        self.setProperty("framed", True)
        self.setMouseTracking(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.selectionModel().currentChanged.connect(lambda *_: self.current_changed.emit())
        model.modelReset.connect(self.current_changed)

    def current_fact(self) -> Fact | None:
        index = self.currentIndex()
        return self._model.fact(index.row()) if index.isValid() else None
