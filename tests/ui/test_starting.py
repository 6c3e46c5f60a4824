"""A start that comes to nothing says why, also where it was begun from a menu."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from PySide6.QtWidgets import QApplication, QMessageBox

from plum_desktop.app.product import Plum
from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.ui import application


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [False, True])
def test_a_newer_database(
    qapp: QApplication, data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    Plum(data_folder).close()
    with closing(sqlite3.connect(data_folder.database)) as raw:
        raw.execute("UPDATE _sqlite_migrations SET name = 'm999_colour' WHERE name LIKE 'm001%'")
        raw.commit()
    said: list[str] = []
    monkeypatch.setattr(QMessageBox, "critical", lambda *words: said.append(words[-1]))
    monkeypatch.setattr(application, "make_application", lambda _: qapp)
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    with pytest.raises(PlumError, match="newer Plum Desktop") as refused:
        application.run(data_folder)
    assert said == ([] if terminal else [str(refused.value)])
    one = application.OneWindow(data_folder)
    assert one.acquire()  # nothing is left held
    one.release()


def test_dates_can_be_read_where_the_system_names_no_place() -> None:
    code = (
        "from plum_desktop.ui.application import make_application; app = make_application(['x']);"
        "from plum_desktop.ui.base import words; print(words.moment(1.5e9), words.number(8192))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "LC_ALL": "C"}, capture_output=True,
        text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert told.split() == ["7/14/17", "8,192"]
