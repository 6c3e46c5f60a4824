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


def test_a_mapping_is_taken_as_it_is_and_as_text(data_folder: DataFolder) -> None:
    preferences = Preferences(data_folder.settings)
    preferences.set("keys", {"learn": "Ctrl+J"})
    assert Preferences(data_folder.settings).current.keys == {"learn": "Ctrl+J"}
    preferences.set("keys", '{"quit": ""}')
    assert Preferences(data_folder.settings).current.keys == {"quit": ""}


@pytest.mark.parametrize("value", ["learn", "[1]", 5, {"learn": 5}, [["learn", "Ctrl+J"]]])
def test_what_is_no_mapping_is_refused(data_folder: DataFolder, value: object) -> None:
    preferences = Preferences(data_folder.settings)
    with pytest.raises(PlumError, match="names with text each"):
        preferences.set("keys", value)
    assert preferences.current.keys == {}


@pytest.mark.parametrize(("value", "said"), [(79, "below 80"), (201, "above 200")])
def test_a_number_keeps_to_its_bounds(data_folder: DataFolder, value: int, said: str) -> None:
    with pytest.raises(PlumError, match=said):
        Preferences(data_folder.settings).set("text_size", value)
    assert Preferences(data_folder.settings).current.text_size == 100
