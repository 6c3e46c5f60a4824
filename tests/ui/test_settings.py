from __future__ import annotations

import dataclasses

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QLineEdit
from pytestqt.qtbot import QtBot

from plum_desktop.base.settings import Settings
from plum_desktop.ui.base import words
from plum_desktop.ui.settings.settings_page import SettingsPage
from plum_desktop.ui.window import MainWindow
from tests.ui.double import DoublePlum


@pytest.fixture
def page(window: MainWindow) -> SettingsPage:
    window.show_page("settings")
    return window.settings


def texts(page: SettingsPage) -> str:
    return "\n".join(each.text() for each in page.findChildren(QLabel) if each.isVisible())


def test_each_setting_is_explained_under_a_heading(page: SettingsPage) -> None:
    shown = texts(page)
    for field in dataclasses.fields(Settings):
        if field.name not in ("model", "keys"):
            assert field.metadata["title"] in shown
            assert f"{field.metadata['help']} · Default: " in shown
    for heading in (
        "Window", "Answers", "Learning", "Learning by itself", "Models", "This computer", "Keys",
    ):  # fmt: skip
        assert f"\n{heading}\n" in shown
    assert "Default: As the system" in shown
    assert f"Default: {words.number(8192)}\n" in shown
    assert "Default: 100\u00a0%" in shown
    assert "Default: empty" in shown


def test_search_leaves_what_has_the_words(page: SettingsPage, qtbot: QtBot) -> None:
    QTest.keyClicks(page.search, "tokens reply")
    assert [key for key, row in page.rows.items() if row.isVisible()] == ["max_tokens"]
    assert not any(row.isVisible() for row in page.key_rows.values())
    assert "\nWindow\n" not in texts(page)
    page.search.setText("learn")
    assert page.rows["recipe"].isVisible()  # by its heading
    assert page.key_rows["learn"].isVisible()
    page.search.setText("nothing like it")
    assert "No setting has these words" in texts(page)
    page.search.clear()
    assert all(row.isVisible() for row in page.rows.values())


def test_a_reset_brings_the_default_back(
    page: SettingsPage, double: DoublePlum, qtbot: QtBot
) -> None:
    row = page.rows["context"]
    assert not row.reset_button.isVisible()
    double.set_setting("context", 512)
    double.set_setting("persona", "Be brief.")
    page.refresh()
    assert row.reset_button.isVisible()
    row.reset_button.setFocus()
    row.reset_button.click()
    qtbot.wait_until(lambda: double.settings.context == 8192)
    qtbot.wait_until(lambda: not row.reset_button.isVisible())
    assert row.editor.hasFocus()  # which does not vanish with the button
    page.rows["persona"].reset_button.click()
    qtbot.wait_until(lambda: double.settings.persona == "")
    assert double.settings == Settings()


def test_a_secret_cannot_be_read_on_the_screen(page: SettingsPage) -> None:
    token, endpoint = page.fields["token"], page.fields["endpoint"]
    assert isinstance(token, QLineEdit)
    assert isinstance(endpoint, QLineEdit)
    assert token.echoMode() == QLineEdit.EchoMode.Password
    assert endpoint.echoMode() == QLineEdit.EchoMode.Normal
