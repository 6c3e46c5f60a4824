"""After a crash: what was kept of it, to be read, copied or deleted.  It is sent nowhere."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from plum_desktop.base.crash import CrashFile
from plum_desktop.ui.base.controls import Notice, button, label
from plum_desktop.ui.base.theme import code_font


class CrashNotice(Notice):
    """Hidden where nothing crashed; what it was closed with is not offered again."""

    def __init__(self, crash: CrashFile | None) -> None:
        super().__init__(closable=True)
        self._crash = crash
        self.closed.connect(self._on_closed)
        self.setVisible(False)

    def show_report(self) -> None:
        """Offer what earlier starts left, if anything."""
        if self._crash is None or not self._crash.report:
            return
        self.say(self.tr("Plum stopped unexpectedly last time."))
        self.set_buttons(
            button(self.tr("Show the report"), "plain", self._on_show),
            button(self.tr("Copy it"), "quiet", self._on_copy),
            button(self.tr("Delete it"), "quiet", self._on_delete),
        )
        self.show()

    def _on_show(self) -> None:
        assert self._crash
        dialog = _Report(self._crash.report, self)
        dialog.open()

    def _on_copy(self) -> None:
        assert self._crash
        QGuiApplication.clipboard().setText(self._crash.report)
        self.say(self.tr("The report is on the clipboard."))

    def _on_delete(self) -> None:
        assert self._crash
        self._crash.delete()
        self.hide()
        self.closed.emit()

    def _on_closed(self) -> None:
        if self._crash:
            self._crash.put_away()


class _Report(QDialog):
    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Crash report"))
        self.resize(720, 480)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 16, 16, 16)
        box.setSpacing(12)
        box.addWidget(
            label(
                self.tr(
                    "Kinds of errors and where in the program they happened. Nothing of your "
                    "chats is in it, and it is sent nowhere."
                ),
                wrap=True,
            )
        )
        view = QPlainTextEdit(text)
        view.setReadOnly(True)
        view.setTabChangesFocus(True)
        view.setFont(code_font())
        view.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        view.setLayoutDirection(Qt.LayoutDirection.LeftToRight)  # file names and code
        view.setAccessibleName(self.tr("Crash report"))
        box.addWidget(view, 1)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(button(self.tr("Close"), "plain", self.close))
        box.addLayout(row)
