"""Files on their way into a message: chips in the composer and in a turn, and their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QObject, QRect, QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QSizePolicy,
    QStyle,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.app.attachments import estimated_tokens, read_attachment
from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Attachment
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import IconButton, IconLabel, button, small
from plum_desktop.ui.base.theme import code_font, scaled
from plum_desktop.ui.base.words import said

_GAP = 6
_WIDEST_NAME = 220


@dataclass(frozen=True, slots=True)
class Attached:
    """A file in the composer, and how many tokens it has."""

    file: Attachment
    tokens: int
    exact: bool = False  # counted by the model; else estimated

    @property
    def name(self) -> str:
        return self.file.name


def paths_in(source: QMimeData) -> list[str]:
    """The files of this machine that are dropped or pasted."""
    return [url.toLocalFile() for url in source.urls() if url.isLocalFile()]


class Chip(QFrame):
    """One file: its name, which shows its text, and what can be said or done beside it.

    Signals: opened, removed.
    """

    opened = Signal()
    removed = Signal()

    def __init__(self, name: str, note: str = "", *, removable: bool = False) -> None:
        super().__init__()
        self.setProperty("kind", "chip")
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 2 if removable else 8, 2)
        row.setSpacing(4)
        row.addWidget(IconLabel("file", size=16))
        self._whole = name
        self._name = button("", "chip", self.opened.emit)
        self._fit()
        self._name.setAccessibleName(self.tr("Show {name}").format(name=name))
        self._name.setToolTip(self.tr("Show the text of {name}").format(name=name))
        row.addWidget(self._name)
        if note:
            row.addWidget(small(note))
        if removable:
            cross = IconButton("close", self.tr("Remove {name}").format(name=name), size=14)
            cross.clicked.connect(self.removed)
            row.addWidget(cross)

    def _fit(self) -> None:
        shown = self._name.fontMetrics().elidedText(
            self._whole, Qt.TextElideMode.ElideMiddle, scaled(_WIDEST_NAME)
        )
        self._name.setText(shown.replace("&", "&&"))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()


class Chips(QWidget):
    """Chips in rows that break where they must.

    Signals: opened(place), removed(place).
    """

    opened = Signal(int)
    removed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._chips: list[Chip] = []
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setSizePolicy(policy)

    def set_chips(self, chips: Sequence[Chip]) -> None:
        for old in self._chips:
            old.hide()
            old.deleteLater()
        self._chips = list(chips)
        for place, chip in enumerate(self._chips):
            chip.setParent(self)
            chip.opened.connect(lambda at=place: self.opened.emit(at))
            chip.removed.connect(lambda at=place: self.removed.emit(at))
            chip.show()
        self.setVisible(bool(chips))
        self._arrange()

    def arrange(self, width: int) -> int:
        """Put the chips into rows of `width`; how high they come."""
        whole = QRect(0, 0, width, 1)
        x = y = high = 0
        for chip in self._chips:
            chip.ensurePolished()
            size = chip.sizeHint()
            if x and x + size.width() > width:
                x, y = 0, y + high + _GAP
                high = 0
            place = QRect(x, y, min(size.width(), width), size.height())
            chip.setGeometry(QStyle.visualRect(self.layoutDirection(), whole, place))
            x += size.width() + _GAP
            high = max(high, size.height())
        return y + high

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.LayoutDirectionChange):
            self._arrange()  # a chip has another size
        return super().event(event)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self.height())

    def _arrange(self) -> None:
        high = self.arrange(max(1, self.width()))
        if high != self.height():
            self.setFixedHeight(high)


class FileSheet(QDialog):
    """The text of a file, as the model gets it."""

    def __init__(self, file: Attachment, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(file.name)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(640, 520)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 16, 16, 16)
        box.setSpacing(12)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(code_font())
        self.text.setPlainText(file.text)
        self.text.setAccessibleName(file.name)
        box.addWidget(self.text, 1)
        row = QHBoxLayout()
        row.addStretch(1)
        copies = button(
            self.tr("Copy all"), "plain", lambda: QGuiApplication.clipboard().setText(file.text)
        )
        row.addWidget(copies)
        closes = button(self.tr("Close"), "primary", self.accept)
        row.addWidget(closes)
        box.addLayout(row)
        closes.setFocus()


class Attaching(QObject):
    """Reads files for the composer off the main thread, and has their tokens counted.

    Signals: changed(files: list[Attached]), refused(sentence).
    """

    changed = Signal(list)
    refused = Signal(str)

    def __init__(self, bridge: Bridge, window: QWidget) -> None:
        super().__init__(window)
        self._bridge = bridge
        self._window = window
        self._files: list[Attached] = []
        self._kept = 0  # what is read for files that were put away meanwhile is dropped

    @property
    def files(self) -> list[Attached]:
        return list(self._files)

    def set_files(self, files: Sequence[Attachment | Attached]) -> None:
        """Hold these in place of whatever was held."""
        self._kept += 1
        self._files = [
            file if isinstance(file, Attached) else Attached(file, estimated_tokens(file.text))
            for file in files
        ]
        self.changed.emit(self.files)
        self.count()

    def add(self, paths: Sequence[str]) -> None:
        """Read files; each that cannot be attached is refused in one sentence."""
        kept = self._kept

        def read() -> tuple[list[Attached], list[str]]:
            files, problems = [], []
            for path in paths:
                try:
                    file = read_attachment(Path(path))
                    files.append(Attached(file, estimated_tokens(file.text)))
                except PlumError as error:
                    problems.append(said(error.sentence))
            return files, problems

        def found(answer: tuple[list[Attached], list[str]]) -> None:
            files, problems = answer
            if kept == self._kept and files:
                self._files += files
                self.changed.emit(self.files)
                self.count()
            if problems:
                self.refused.emit("\n".join(problems))

        self._bridge.ask(read, found, self.refused.emit, owner=self, lane="count")

    def remove(self, place: int) -> None:
        del self._files[place]
        self.changed.emit(self.files)

    def count(self) -> None:
        """Have the model count what is only estimated so far, if one is loaded and free."""
        for attached in self._files:
            if not attached.exact:
                self._count(attached)

    def _count(self, attached: Attached) -> None:
        def counted(tokens: int | None) -> None:
            if tokens is not None and attached in self._files:
                place = self._files.index(attached)
                self._files[place] = Attached(attached.file, tokens, exact=True)
                self.changed.emit(self.files)

        serving = self._bridge.plum.serving
        self._bridge.ask(
            lambda: serving.count(attached.file.text), counted, lambda _: None, owner=self,
            lane="count",
        )  # fmt: skip

    def choose(self) -> None:
        """Ask for files."""
        dialog = QFileDialog(self._window, self.tr("Attach files"), str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self.add)
        dialog.open()

    def show_text(self, file: Attachment) -> FileSheet:
        sheet = FileSheet(file, self._window)
        sheet.open()
        return sheet
