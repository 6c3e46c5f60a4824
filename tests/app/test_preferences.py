from __future__ import annotations

import os

import pytest

from plum_desktop.app.preferences import Preferences
from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import DataFolder


def test_a_change_by_another_process_is_noticed(data_folder: DataFolder) -> None:
    ours, theirs = Preferences(data_folder.settings), Preferences(data_folder.settings)
    assert ours.current.temperature == 0.7
    theirs.set("temperature", "0.2")
    os.utime(data_folder.settings, ns=(1, 1))  # a clock too coarse to differ must not hide it
    assert ours.current.temperature == 0.2


def test_a_bad_value_changes_nothing(data_folder: DataFolder) -> None:
    preferences = Preferences(data_folder.settings)
    preferences.set("theme", "dark")
    with pytest.raises(PlumError, match="theme is one of"):
        preferences.set("theme", "plaid")
    assert Preferences(data_folder.settings).current.theme == "dark"
