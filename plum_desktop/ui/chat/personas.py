"""The list of personas: what each is called and told, and which one new chats begin with."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.app.personas import Persona
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import Notice, Switch, button, label, small
from plum_desktop.ui.base.theme import scaled
from plum_desktop.ui.base.undo_bar import UndoBar

_LIST_WIDTH = 200


class PersonaDialog(QDialog):
    """Signals: changed, the list or the default."""

    changed = Signal()

    def __init__(self, bridge: Bridge, parent: QWidget) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._plum = bridge.plum
        self._personas: list[Persona] = []
        self._going: str | None = None  # the one removed on screen, and not yet for good
        self.setWindowTitle(self.tr("Personas"))
        self.resize(scaled(680), scaled(440))
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 16, 16, 16)
        box.setSpacing(12)
        box.addWidget(
            small(self.tr("What Plum is told before a chat begins. A chat keeps what it had."))
        )
        columns = QHBoxLayout()
        columns.setSpacing(16)
        box.addLayout(columns, 1)

        left = QVBoxLayout()
        left.setSpacing(8)
        self.list = QListWidget()
        self.list.setProperty("framed", True)
        self.list.setFixedWidth(scaled(_LIST_WIDTH))
        self.list.setAccessibleName(self.tr("Personas"))
        self.list.currentRowChanged.connect(self._on_chosen)
        left.addWidget(self.list, 1)
        row = QHBoxLayout()
        row.addWidget(button(self.tr("New"), "plain", self.begin))
        self._removes = button(self.tr("Remove"), "danger", self._on_remove)
        row.addWidget(self._removes)
        left.addLayout(row)
        columns.addLayout(left)

        right = QVBoxLayout()
        right.setSpacing(8)
        self.name = QLineEdit()
        self.prompt = QPlainTextEdit()
        self.prompt.setTabChangesFocus(True)
        for text, field in ((self.tr("Name"), self.name), (self.tr("Prompt"), self.prompt)):
            named = label(text)
            named.setBuddy(field)
            field.setAccessibleName(text)
            right.addWidget(named)
            right.addWidget(field)
        self.name.textChanged.connect(self._on_edited)
        self.prompt.textChanged.connect(self._on_edited)
        self.default = Switch(self.tr("For new chats"))
        self.default.clicked.connect(self._on_default)
        right.addWidget(self.default)
        columns.addLayout(right, 1)

        self.notice = Notice(closable=True)
        self.notice.hide()
        box.addWidget(self.notice)
        self.undo = UndoBar()
        box.addWidget(self.undo)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(button(self.tr("Close"), "plain", self.accept))
        self._saves = button(self.tr("Save"), "primary", self._on_save)
        row.addWidget(self._saves)
        box.addLayout(row)
        self._refresh()

    def begin(self) -> None:
        """Empty fields for a new one."""
        self.list.setCurrentRow(-1)
        self.name.setFocus()

    def _refresh(self, chosen: str | None = None) -> None:
        def show(found: list[Persona]) -> None:
            self._personas = personas = [one for one in found if one.name != self._going]
            self.list.blockSignals(True)
            self.list.clear()
            self.list.addItems([one.name for one in personas])
            self.list.blockSignals(False)
            names = [one.name for one in personas]
            row = names.index(chosen) if chosen in names else min(0, len(names) - 1)
            self.list.setCurrentRow(row)
            self._on_chosen(row)

        self._bridge.ask(self._plum.personas.all, show, self._say, owner=self)

    def _chosen(self) -> Persona | None:
        row = self.list.currentRow()
        return self._personas[row] if 0 <= row < len(self._personas) else None

    def _on_chosen(self, _row: int) -> None:
        chosen = self._chosen()
        self.name.setText(chosen.name if chosen else "")
        self.prompt.setPlainText(chosen.prompt if chosen else "")
        self._removes.setEnabled(chosen is not None)
        self.default.setEnabled(chosen is not None)
        prompt = self._plum.settings.persona
        self.default.setChecked(chosen is not None and chosen.prompt == prompt)
        self._on_edited()

    def _on_edited(self) -> None:
        shown = Persona(self.name.text().strip(), self.prompt.toPlainText().strip())
        self._saves.setEnabled(bool(shown.name and shown.prompt) and shown != self._chosen())

    def _on_save(self) -> None:
        self.undo.commit()  # the name that went may be wanted again
        before = self._chosen()
        persona = Persona(self.name.text(), self.prompt.toPlainText())
        is_default = before is not None and before.prompt == self._plum.settings.persona

        def save() -> None:
            self._plum.personas.save(persona, before.name if before else None)
            if is_default:
                self._plum.set_setting("persona", persona.prompt.strip())

        self._change(save, " ".join(persona.name.split()))

    def _on_remove(self) -> None:
        """Take it off the list; it is removed when the bar with Undo goes."""
        if chosen := self._chosen():
            name = chosen.name
            self.undo.offer(
                self.tr("Removed {name}. Chats that have its prompt keep it.").format(name=name),
                lambda: self._bring_back(name), lambda: self._remove_for_good(name),
            )  # fmt: skip
            self._going = name
            self._refresh()

    def _bring_back(self, name: str) -> None:
        self._going = None
        self._refresh(name)

    def _remove_for_good(self, name: str) -> None:
        self._going = None
        chosen = self._chosen()
        self._change(lambda: self._plum.personas.remove(name), chosen.name if chosen else None)

    def done(self, result: int) -> None:
        self.undo.commit()
        super().done(result)

    def _on_default(self, on: bool) -> None:
        if chosen := self._chosen():
            prompt = chosen.prompt if on else ""
            self._change(lambda: self._plum.set_setting("persona", prompt), chosen.name)

    def _change(self, work: Callable[[], None], chosen: str | None = None) -> None:
        def done(_: None) -> None:
            self.notice.hide()
            self._refresh(chosen)
            self.changed.emit()

        self._bridge.ask(work, done, self._say, owner=self)

    def _say(self, sentence: str) -> None:
        self.notice.say(sentence, "danger")
        self.notice.show()
