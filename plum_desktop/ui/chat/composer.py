"""Where one writes: it grows by a few lines, and the colour of its edge tells about memory.

Files are shown here as chips; `Attaching` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from PySide6.QtCore import QEvent, QMimeData, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QTextEdit, QVBoxLayout

from plum_desktop.ui.base import words
from plum_desktop.ui.base.commands import set_tip, with_keys
from plum_desktop.ui.base.controls import IconButton, button, small
from plum_desktop.ui.base.theme import TEXT_PIXELS, set_property, set_type
from plum_desktop.ui.chat.attachments import Attached, Chip, Chips, paths_in

MemoryState = Literal["on", "off", "temporary"]
_MOST_LINES = 8


class _Field(QTextEdit):
    """Plain text whatever is pasted; Enter sends, Shift+Enter starts a line.

    Signals: entered, files_given(paths: list[str]), pasted or dropped.
    """

    entered = Signal()
    files_given = Signal(list)

    def __init__(self) -> None:
        super().__init__()
        self.setAcceptRichText(False)
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        set_type(self, TEXT_PIXELS)
        self.document().setDocumentMargin(2)
        self.setStyleSheet("background: transparent; border: none; padding: 0;")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.textChanged.connect(self._fit)
        self._fit()

    def _fit(self) -> None:
        line = self.fontMetrics().lineSpacing()
        wanted = round(self.document().size().height())
        self.setFixedHeight(max(line + 4, min(wanted, line * _MOST_LINES + 4)))
        scrolls = wanted > line * _MOST_LINES + 4
        policy = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(
            policy.ScrollBarAsNeeded if scrolls else policy.ScrollBarAlwaysOff
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self.height())

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        return bool(paths_in(source)) or source.hasText()

    def insertFromMimeData(self, source: QMimeData) -> None:
        if paths := paths_in(source):
            self.files_given.emit(paths)
        else:
            self.insertPlainText(source.text())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.entered.emit()
        else:
            super().keyPressEvent(event)


class Composer(QFrame):
    """Signals: sent(text), stop_asked, edit_cancelled, changed (the text), files_asked,
    files_given(paths: list[str]), file_opened(place), file_removed(place).
    """

    sent = Signal(str)
    stop_asked = Signal()
    edit_cancelled = Signal()
    changed = Signal()
    files_asked = Signal()
    files_given = Signal(list)
    file_opened = Signal(int)
    file_removed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("composer")
        self._busy = False
        self._has_files = False
        self._memory: MemoryState = "on"
        box = QVBoxLayout(self)
        box.setContentsMargins(8, 8, 8, 8)
        box.setSpacing(4)

        self._editing = QFrame()
        bar = QHBoxLayout(self._editing)
        bar.setContentsMargins(0, 0, 0, 0)
        bar.addWidget(small(self.tr("Changing what you said; the old version is kept.")), 1)
        bar.addWidget(button(self.tr("Cancel"), "quiet", self.cancel_edit))
        self._editing.hide()
        box.addWidget(self._editing)

        self._chips = Chips()
        self._chips.opened.connect(self.file_opened)
        self._chips.removed.connect(self.file_removed)
        self._chips.hide()
        box.addWidget(self._chips)
        self._too_long = small(tone="warn", wrap=True)
        self._too_long.setObjectName("too_long")
        self._too_long.hide()
        box.addWidget(self._too_long)

        row = QHBoxLayout()
        row.setSpacing(8)
        self._attach = IconButton("attach", self.tr("Attach files"), command="attach")
        self._attach.clicked.connect(self.files_asked)
        row.addWidget(self._attach, 0, Qt.AlignmentFlag.AlignBottom)
        self._field = _Field()
        self._field.files_given.connect(self.files_given)
        self._field.textChanged.connect(self.changed)
        self._field.entered.connect(self._on_entered)
        self._field.textChanged.connect(self._show_button)
        row.addWidget(self._field, 1, Qt.AlignmentFlag.AlignVCenter)
        self._go = IconButton("send", self.tr("Send"), tone="on_accent", size=18)
        self._go.setProperty("kind", "send")
        self._go.clicked.connect(self._on_go)
        row.addWidget(self._go, 0, Qt.AlignmentFlag.AlignBottom)
        box.addLayout(row)
        self.set_memory("on")
        self._show_button()

    def setFocus(self) -> None:  # type: ignore[override]
        """Go to the text.  With a focus proxy the tab key would pass the other controls by."""
        self._field.setFocus()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self.setFocus()

    def text(self) -> str:
        return self._field.toPlainText()

    def set_text(self, text: str) -> None:
        self._field.setPlainText(text)
        cursor = self._field.textCursor()
        cursor.movePosition(cursor.MoveOperation.End)
        self._field.setTextCursor(cursor)

    def set_memory(self, state: MemoryState) -> None:
        """The edge and the words say whether what was learned answers, and is kept."""
        self._memory = state
        set_property(self, "memory", state)
        self._show_hint()

    def _show_hint(self) -> None:
        if self._has_files:
            hint = self.tr("What do you want to know of it?")
        else:
            hint = {
                "on": self.tr("Message Plum"),
                "off": self.tr("Message Plum, memory off"),
                "temporary": self.tr("Message Plum, nothing is kept"),
            }[self._memory]
        self._field.setPlaceholderText(hint)
        self._field.setAccessibleName(hint)

    def show_files(self, files: Sequence[Attached]) -> None:
        """The files that go with the message, each with how long it is."""
        self._chips.set_chips([
            Chip(one.name, words.tokens(one.tokens, exact=one.exact), removable=True)
            for one in files
        ])  # fmt: skip
        self._has_files = bool(files)
        self._show_hint()
        if not files:  # whether the words alone are too long is said when they are counted
            self._too_long.hide()

    def show_too_long(self, tokens: int, *, exact: bool) -> None:
        """Say by how much the message is too long for the model; 0: it is not."""
        text = self.tr(
            "This is {tokens} more than the model can read at once, so the beginning would be "
            "left out; remove a file or send less."
        ).format(tokens=words.tokens(tokens, exact=exact))
        self._too_long.setText(text if tokens else "")
        self._too_long.setVisible(bool(tokens))

    def quote(self, text: str) -> None:
        """Put `text` as a quotation before what is being written."""
        quoted = "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())
        rest = self.text().lstrip("\n")
        self.set_text(f"{quoted}\n\n{rest}")
        self._field.setFocus()

    def set_busy(self, busy: bool) -> None:
        """While a reply is written the button stops it."""
        self._busy = busy
        self._show_button()

    @property
    def editing(self) -> bool:
        return not self._editing.isHidden()

    def begin_edit(self, text: str) -> None:
        self._editing.show()
        self.set_text(text)
        self._field.setFocus()

    def end_edit(self) -> None:
        self._editing.hide()
        self.set_text("")

    def cancel_edit(self) -> None:
        self.edit_cancelled.emit()

    def _show_button(self) -> None:
        self._go.set_icon("stop" if self._busy else "send")
        if self._busy:
            self._go.set_text(self.tr("Stop"), "escape")
        else:
            self._go.set_text(self.tr("Send"))
            set_tip(self._go, with_keys(self.tr("Send"), self.tr("Enter")))
        self._go.setEnabled(self._busy or bool(self.text().strip()))

    def _on_entered(self) -> None:
        if not self._busy and self.text().strip():
            self.sent.emit(self.text().strip("\n"))

    def _on_go(self) -> None:
        if self._busy:
            self.stop_asked.emit()
        else:
            self._on_entered()
