"""One setting on the Settings page: its name, what it means, its default, and where it is set."""

from __future__ import annotations

import dataclasses
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, Signal
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import Choice, IconButton, label, small
from plum_desktop.ui.base.theme import scaled

_LONG = ("persona",)


def field_width() -> int:
    """Of what a setting is set in, in pixels; the words beside it need room as well."""
    return min(scaled(240), 340)


def setting_text(text: str) -> str:
    """What a field of `Settings` says of itself, in the user's language."""
    return QCoreApplication.translate("Settings", text)


class SettingRow(QWidget):
    """Signals: changed(value), by the user's hand."""

    changed = Signal(object)

    def __init__(self, field: dataclasses.Field[Any], kind: type) -> None:
        super().__init__()
        self._default: Any = field.default
        self._choices: tuple[str, ...] = field.metadata["choices"]
        self._long = field.name in _LONG
        self._unit: str = field.metadata["unit"]
        title, text, group = (setting_text(field.metadata[at]) for at in ("title", "help", "group"))
        default = self.tr("Default: {value}").format(value=self._shown(field.default))
        self.words = f"{title} {text} {group}".casefold()
        self.editor = self._make_editor(kind, field.metadata)
        self.editor.setAccessibleName(title)
        self.editor.setAccessibleDescription(f"{text} {default}")

        said = QVBoxLayout()
        said.setSpacing(2)
        name = label(title, wrap=True)
        name.setBuddy(self.editor)
        said.addWidget(name)
        said.addWidget(small(f"{text} · {default}", wrap=True))
        self.reset_button = IconButton(
            "undo", self.tr("{setting}: back to the default").format(setting=title), size=16
        )
        policy = self.reset_button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset_button.setSizePolicy(policy)
        self.reset_button.clicked.connect(self._on_reset)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addLayout(said, 1)
        if self._long:
            column = QVBoxLayout(self)
            column.setContentsMargins(0, 8, 0, 8)
            column.addLayout(row)
            column.addWidget(self.editor)
            column.setSpacing(8)
        else:
            self.setLayout(row)
            row.setContentsMargins(0, 8, 0, 8)
            row.addSpacing(16)
            row.addWidget(self.editor)
        row.addWidget(self.reset_button)
        QWidget.setTabOrder(self.editor, self.reset_button)
        self._fit()

    def set_value(self, value: Any) -> None:
        """Show what is set; what is being written is left alone."""
        made = self.editor
        made.blockSignals(True)
        if isinstance(made, QComboBox):
            made.setCurrentIndex(made.findData(value))
        elif isinstance(made, QSpinBox | QDoubleSpinBox):
            made.setValue(value)
        elif isinstance(made, QPlainTextEdit):
            if not made.hasFocus():
                made.setPlainText(value)
        elif isinstance(made, QLineEdit):
            made.setText(value)
        made.blockSignals(False)
        differs = value != self._default
        if not differs and self.reset_button.hasFocus():
            made.setFocus()
        self.reset_button.setVisible(differs)

    def _on_reset(self) -> None:
        if isinstance(self.editor, QPlainTextEdit):
            self.editor.setPlainText(self._default)
        self.changed.emit(self._default)

    def _make_editor(self, kind: type, metadata: Any) -> QWidget:
        if self._choices:
            box = Choice()
            for choice in self._choices:
                box.addItem(self._word(choice), choice)
            _scroll_past(box)
            box.activated.connect(lambda _: self.changed.emit(box.currentData()))
            return box
        if kind is int:
            number = QSpinBox()
            _scroll_past(number)
            number.setRange(int(metadata["least"]), int(metadata["most"] or 1_000_000))
            number.lineEdit().setTextMargins(6, 0, 0, 0)
            number.setGroupSeparatorShown(True)
            number.setSuffix(metadata["unit"])
            number.editingFinished.connect(lambda: self.changed.emit(number.value()))
            return number
        if kind is float:
            real = QDoubleSpinBox()
            _scroll_past(real)
            real.setRange(metadata["least"], metadata["most"] or 10.0)
            real.lineEdit().setTextMargins(6, 0, 0, 0)
            real.setSingleStep(0.1)
            real.setDecimals(2)
            real.editingFinished.connect(lambda: self.changed.emit(real.value()))
            return real
        if self._long:
            text = _Text()
            text.left.connect(lambda: self.changed.emit(text.toPlainText()))
            return text
        line = QLineEdit()
        if metadata["secret"]:
            line.setEchoMode(QLineEdit.EchoMode.Password)
        line.editingFinished.connect(lambda: self.changed.emit(line.text()))
        return line

    def _shown(self, value: object) -> str:
        if isinstance(value, str):
            return self._word(value) if value else self.tr("empty")
        number = words.number(value) if isinstance(value, int) else words.real(float(str(value)))
        return number + self._unit

    def _word(self, choice: str) -> str:
        return {
            "learned": self.tr("Once it has learned"), "always": self.tr("Always"),
            "auto": self.tr("Automatic"), "torch": "PyTorch", "mlx": "MLX",
            "default": self.tr("Default"), "paper": self.tr("As in the paper"),
            "system": self.tr("As the system"), "light": self.tr("Light"),
            "dark": self.tr("Dark"), "on": self.tr("On"), "off": self.tr("Off"),
            "ask": self.tr("Ask"), "tray": self.tr("Go on in the tray"),
            "quit": self.tr("Quit and go on next time"),
        }.get(choice, choice.capitalize())  # fmt: skip

    def _fit(self) -> None:
        if self._long:
            self.editor.setFixedHeight(scaled(84))
        else:
            self.editor.setFixedWidth(field_width())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()


class _ScrollPast(QObject):
    """Lets the wheel scroll the page, where else it would turn a setting in passing."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return super().eventFilter(watched, event)


def _scroll_past(field: QWidget) -> None:
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    field.installEventFilter(_ScrollPast(field))


class _Text(QPlainTextEdit):
    """Signals: left, when the focus goes elsewhere."""

    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setTabChangesFocus(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.left.emit()
