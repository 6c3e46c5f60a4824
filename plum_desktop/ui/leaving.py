"""The question when the window is closed while it learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget

from plum_desktop.ui.base.controls import Switch

Leaving = Literal["stay", "tray", "quit"]


def ask_before_leaving(
    window: QWidget, *, tray: bool, answered: Callable[[Leaving, bool], None]
) -> None:
    """Call `answered(what, whether it is to be remembered)` when the box closes.

    `tray` says whether there is one to go on in.
    """
    box = QMessageBox(window)
    box.setWindowTitle(_tr("Plum is learning"))
    box.setText(_tr("Plum is still learning from your chats."))
    box.setInformativeText(
        _tr("What is done so far is kept. You can go on when you open Plum next time.")
    )
    roles = QMessageBox.ButtonRole
    buttons: dict[Leaving, QPushButton] = {"stay": box.addButton(_tr("Stay"), roles.RejectRole)}
    if tray:
        buttons["tray"] = box.addButton(_tr("Go on in the tray"), roles.AcceptRole)
    buttons["quit"] = box.addButton(_tr("Quit and go on next time"), roles.AcceptRole)
    box.setDefaultButton(buttons["stay"])
    box.setEscapeButton(buttons["stay"])
    remember = Switch(_tr("Do this from now on, without asking"))
    box.setCheckBox(remember)

    def closed() -> None:
        what: Leaving = next(
            (each for each, made in buttons.items() if made is box.clickedButton()), "stay"
        )
        answered(what, remember.isChecked() and what != "stay")

    box.finished.connect(lambda _: closed())
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()


def _tr(text: str) -> str:
    return QCoreApplication.translate("leaving", text)
