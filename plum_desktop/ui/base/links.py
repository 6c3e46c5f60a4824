"""A link in a chat: nothing opens without a word."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QMessageBox, QWidget


def ask_about_link(window: QWidget, address: str) -> None:
    """Show the whole address first, and go there only if that is wanted."""
    box = QMessageBox(window)
    box.setWindowTitle(_tr("Open a link"))
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(_tr("Open this address in your browser?"))
    box.setInformativeText(address)
    opens = box.addButton(_tr("Open"), QMessageBox.ButtonRole.AcceptRole)
    copies = box.addButton(_tr("Copy address"), QMessageBox.ButtonRole.ActionRole)
    cancels = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(cancels)
    box.setEscapeButton(cancels)

    def answered() -> None:
        if box.clickedButton() is opens:
            QDesktopServices.openUrl(QUrl(address))
        elif box.clickedButton() is copies:
            QGuiApplication.clipboard().setText(address)

    box.finished.connect(lambda _: answered())
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()


def _tr(text: str) -> str:
    return QCoreApplication.translate("links", text)
