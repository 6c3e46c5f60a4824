"""The Settings page, built from the fields of `base.settings.Settings`."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

from PySide6.QtCore import QEvent, QObject, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QFocusEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.base.settings import Settings
from plum_desktop.ui.bridge import Bridge
from plum_desktop.ui.controls import Choice, button, label, small
from plum_desktop.ui.page import Page
from plum_desktop.ui.words import breakable

_ELSEWHERE = ("model",)  # chosen on the Models page
_LONG = ("persona",)
_FIELD_WIDTH = 240


class SettingsPage(Page):
    """Signals: setting_changed(key)."""

    setting_changed = Signal(str)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(self.tr("Settings"))
        self._bridge = bridge
        self.fields: dict[str, QWidget] = {}
        card = QFrame()
        card.setProperty("kind", "card")
        box = QVBoxLayout(card)
        box.setContentsMargins(16, 8, 16, 8)
        box.setSpacing(0)
        kinds = get_type_hints(Settings)
        for field in dataclasses.fields(Settings):
            if field.name in _ELSEWHERE:
                continue
            made = self._make_field(field, kinds[field.name])
            self.fields[field.name] = made
            box.addWidget(self._row(field, made))
        self.body.addWidget(card)

        place = QHBoxLayout()
        folder = bridge.plum.folder.root
        place.addWidget(
            small(
                self.tr("Everything is kept in {folder}").format(folder=breakable(str(folder))),
                wrap=True,
            ),
            1,
        )
        place.addWidget(
            button(
                self.tr("Open the folder"), "quiet",
                lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))),
            )
        )  # fmt: skip
        self.body.addLayout(place)
        self.body.addStretch(1)
        self.refresh()

    def _row(self, field: dataclasses.Field[Any], made: QWidget) -> QWidget:
        row = QWidget()
        words = QVBoxLayout()
        words.setSpacing(2)
        title = self.tr(field.metadata["title"])
        name = label(title)
        name.setBuddy(made)
        words.addWidget(name)
        words.addWidget(small(self.tr(field.metadata["help"]), wrap=True))
        made.setAccessibleName(title)
        made.setAccessibleDescription(self.tr(field.metadata["help"]))
        if field.name in _LONG:
            column = QVBoxLayout(row)
            column.setContentsMargins(0, 8, 0, 8)
            column.addLayout(words)
            column.addWidget(made)
        else:
            line = QHBoxLayout(row)
            line.setContentsMargins(0, 8, 0, 8)
            line.setSpacing(24)
            line.addLayout(words, 1)
            made.setFixedWidth(_FIELD_WIDTH)
            line.addWidget(made)
        return row

    def _make_field(self, field: dataclasses.Field[Any], kind: type) -> QWidget:
        key = field.name
        if choices := field.metadata["choices"]:
            box = Choice()
            for choice in choices:
                box.addItem(self._word(choice), choice)
            _scroll_past(box)
            box.activated.connect(lambda _: self._set(key, box.currentData()))
            return box
        if kind is int:
            number = QSpinBox()
            _scroll_past(number)
            number.setRange(0, field.metadata["most"] or 1_000_000)
            number.lineEdit().setTextMargins(6, 0, 0, 0)
            number.setGroupSeparatorShown(True)
            number.editingFinished.connect(lambda: self._set(key, number.value()))
            return number
        if kind is float:
            real = QDoubleSpinBox()
            _scroll_past(real)
            real.setRange(0.0, 10.0)
            real.lineEdit().setTextMargins(6, 0, 0, 0)
            real.setSingleStep(0.1)
            real.setDecimals(2)
            real.editingFinished.connect(lambda: self._set(key, real.value()))
            return real
        if key in _LONG:
            text = _Text()
            text.setFixedHeight(84)
            text.left.connect(lambda: self._set(key, text.toPlainText()))
            return text
        line = QLineEdit()
        if field.metadata["secret"]:
            line.setEchoMode(QLineEdit.EchoMode.Password)
        line.editingFinished.connect(lambda: self._set(key, line.text()))
        return line

    def _word(self, choice: str) -> str:
        return {
            "auto": self.tr("Automatic"), "torch": "PyTorch", "mlx": "MLX",
            "default": self.tr("Default"), "paper": self.tr("As in the paper"),
            "system": self.tr("As the system"), "light": self.tr("Light"),
            "dark": self.tr("Dark"),
        }.get(choice, choice.capitalize())  # fmt: skip

    def refresh(self) -> None:
        settings = self._bridge.plum.settings
        for key, made in self.fields.items():
            value = getattr(settings, key)
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

    def _set(self, key: str, value: object) -> None:
        if getattr(self._bridge.plum.settings, key) == value:
            return

        def failed(error: str) -> None:
            self.say(error)
            self.refresh()

        def done(_: object) -> None:
            self.notice.hide()
            self.setting_changed.emit(key)

        self._bridge.ask(
            lambda: self._bridge.plum.set_setting(key, value), done, failed, owner=self
        )


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
