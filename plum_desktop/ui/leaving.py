"""The question when the window is closed while it learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget

from plum_desktop.ui.base.controls import Switch

translate = QCoreApplication.translate  # which lupdate knows by this name
Leaving = Literal["stay", "tray", "quit"]


def ask_before_leaving(
    window: QWidget, *, tray: bool, answered: Callable[[Leaving, bool], None]
) -> None:
    """Call `answered(what, whether it is to be remembered)` when the box closes.

    `tray` says whether there is one to go on in.
    """
    box = QMessageBox(window)
    box.setWindowTitle(translate("leaving", "Plum is learning"))
    box.setText(translate("leaving", "Plum is still learning from your chats."))
    box.setInformativeText(
        translate(
            "leaving", "What is done so far is kept. You can go on when you open Plum next time."
        )
    )
    roles = QMessageBox.ButtonRole
    buttons: dict[Leaving, QPushButton] = {
        "stay": box.addButton(translate("leaving", "Stay"), roles.RejectRole)
    }
    if tray:
        buttons["tray"] = box.addButton(translate("leaving", "Go on in the tray"), roles.AcceptRole)
    buttons["quit"] = box.addButton(
        translate("leaving", "Quit and go on next time"), roles.AcceptRole
    )
    box.setDefaultButton(buttons["stay"])
    box.setEscapeButton(buttons["stay"])
    remember = Switch(translate("leaving", "Do this from now on, without asking"))
    box.setCheckBox(remember)

    def closed() -> None:
        what: Leaving = next(
            (each for each, made in buttons.items() if made is box.clickedButton()), "stay"
        )
        answered(what, remember.isChecked() and what != "stay")

    box.finished.connect(lambda _: closed())
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()
