"""The window in the user's own language, where a translation is there."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QLibraryInfo, QLocale, QTranslator
from PySide6.QtWidgets import QApplication

from plum_desktop.base.paths import resource


def load_translations(app: QApplication, locale: QLocale, folder: Path | None = None) -> bool:
    """Load `plum_<language>.qm` from `folder` (else the resources), and Qt's own texts.

    Returns whether there is one; without, everything stays in English, from left to right.
    """
    folder = folder or Path(str(resource("translations")))
    ours = QTranslator(app)
    if not ours.load(locale, "plum", "_", str(folder)):
        return False
    app.installTranslator(ours)
    theirs = QTranslator(app)
    place = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if theirs.load(locale, "qtbase", "_", place):
        app.installTranslator(theirs)
    app.setLayoutDirection(locale.textDirection())
    return True
