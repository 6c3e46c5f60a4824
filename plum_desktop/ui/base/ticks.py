"""Rows with a tick: painted in the colours of the theme, flipped by the mouse or the space bar."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from plum_desktop.ui.base.theme import Theme, current_theme, icon, scaled, text_font

Index = QModelIndex | QPersistentModelIndex
_SIZE, _LEFT, _TOP, _GAP = 16, 10, 11, 8


def text_left() -> int:
    """Where the words begin, after the tick."""
    return _LEFT + scaled(_SIZE) + _GAP


def paint_ground(
    painter: QPainter, option: QStyleOptionViewItem, theme: Theme, inset: int = 2
) -> None:
    """The ground of a row that is chosen, focused, or under the pointer.

    `inset`: pixels at its sides, by default those of a framed list.
    """
    state = option.state
    chosen = bool(state & QStyle.StateFlag.State_Selected)
    if chosen or state & QStyle.StateFlag.State_MouseOver:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.accent_soft if chosen else theme.hover))
        painter.drawRoundedRect(option.rect.adjusted(inset, 1, -inset, -1), 6, 6)
    if state & QStyle.StateFlag.State_HasFocus:
        painter.setPen(QColor(theme.accent))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        line = inset + 0.5
        painter.drawRoundedRect(QRectF(option.rect).adjusted(line, 1.5, -line, -1.5), 6, 6)


def visual(option: QStyleOptionViewItem, area: QRect) -> QRect:
    """A part of a row, told as from the left, where the direction of the window puts it."""
    return QStyle.visualRect(option.direction, option.rect, area)


class TickDelegate(QStyledItemDelegate):
    """One line of text behind a tick; a row that cannot be ticked is greyed."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(120, scaled(38))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        theme = current_theme()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tickable = bool(index.flags() & Qt.ItemFlag.ItemIsUserCheckable)
        if tickable:
            paint_ground(painter, option, theme)
            self.paint_tick(painter, option, index, theme)
        painter.setFont(text_font(14))
        painter.setPen(QColor(theme.text if tickable else theme.muted))
        area = visual(option, option.rect.adjusted(text_left(), 0, -10, 0))
        text = painter.fontMetrics().elidedText(
            str(index.data()), Qt.TextElideMode.ElideRight, area.width()
        )
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()

    @staticmethod
    def tick_rect(option: QStyleOptionViewItem) -> QRect:
        size = scaled(_SIZE)
        top = option.rect.top() + max(_TOP, (scaled(38) - size) // 2)
        return visual(option, QRect(option.rect.left() + _LEFT, top, size, size))

    def paint_tick(
        self, painter: QPainter, option: QStyleOptionViewItem, index: Index, theme: Theme
    ) -> None:
        on = index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
        box = self.tick_rect(option)
        painter.setPen(QColor(theme.accent if on else theme.edge))
        painter.setBrush(QColor(theme.accent if on else theme.surface))
        painter.drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        if on:
            icon("check", theme.on_accent).paint(painter, box.adjusted(1, 1, -1, -1))

    def editorEvent(
        self, event: QEvent, model: QAbstractItemModel, option: QStyleOptionViewItem, index: Index
    ) -> bool:
        if not index.flags() & Qt.ItemFlag.ItemIsUserCheckable:
            return False
        if isinstance(event, QMouseEvent):
            near = self.tick_rect(option).adjusted(-6, -6, 6, 6)
            inside = near.contains(event.position().toPoint())
            flips = event.type() == QEvent.Type.MouseButtonRelease and inside
        else:
            flips = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Space
        if not flips:
            return False
        on = index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
        flipped = Qt.CheckState.Unchecked if on else Qt.CheckState.Checked
        return bool(model.setData(index, flipped, Qt.ItemDataRole.CheckStateRole))
