"""Downloading in the window, from a real server on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from plum_desktop.app.downloads import ENV_ENDPOINT
from plum_desktop.models import download as downloading
from plum_desktop.ui.base.theme import apply_theme, load_theme
from plum_desktop.ui.models.model_cards import OfferCard
from plum_desktop.ui.models.models_page import ModelsPage
from plum_desktop.ui.window import MainWindow
from tests.hub import Hub, serve, tiny_gguf
from tests.ui.conftest import button
from tests.ui.double import DoublePlum

Open = Callable[[], MainWindow]
NAME, FILE = "SmolLM2 360M Instruct", "SmolLM2-360M-Instruct-Q8_0.gguf"


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(downloading, "_PAUSES", (0.01,) * 4)
    with serve(Hub(tiny_gguf(3_000_000))) as running:
        monkeypatch.setenv(ENV_ENDPOINT, running.url)
        yield running


@pytest.fixture
def page(window: MainWindow, qtbot: QtBot) -> ModelsPage:
    window.show_page("models")
    qtbot.wait_until(lambda: len(window.models.offers) == 15)
    return window.models


def press(qtbot: QtBot, card: OfferCard) -> None:
    qtbot.mouseClick(card.button, Qt.MouseButton.LeftButton)


def test_the_catalog_is_cards(page: ModelsPage) -> None:
    card = page.offers[NAME]
    assert card.button.text() == "Download"
    assert card.button.accessibleName() == f"Download: {NAME}"
    assert not card.bar.isVisible()
    facts = card._figures.accessibleName()
    assert facts == "about 386 MB, 362 million parameters, Q8_0, licence: Apache-2.0"
    assert 'href="https://www.apache.org/licenses/LICENSE-2.0"' in card._figures.text()


def test_a_model_that_is_here_says_its_licence(page: ModelsPage) -> None:
    (card,) = page.cards.values()
    texts = [each.text() for each in card.findChildren(QLabel)]
    assert any("licence: apache-2.0" in text for text in texts), texts


def test_links_follow_the_theme(page: ModelsPage, qapp: QApplication) -> None:
    facts = page.offers[NAME]._figures
    assert load_theme("light").accent in facts.text()
    apply_theme(qapp, "dark")
    assert load_theme("dark").accent in facts.text()


def test_pause_and_resume(
    page: ModelsPage, window: MainWindow, qtbot: QtBot, hub: Hub, double: DoublePlum
) -> None:
    hub.pace = 0.02
    card = page.offers[NAME]
    press(qtbot, card)
    qtbot.wait_until(lambda: card.bar.isVisible() and card.bar.value() > 100)
    assert card.button.text() == "Pause"
    qtbot.wait_until(lambda: "of 3 MB  ·" in card.state.text())
    assert "MB a second" in card.state.text()
    press(qtbot, card)
    assert not card.button.isEnabled()
    qtbot.wait_until(lambda: card.button.text() == "Resume")
    assert card.state.text().startswith("Paused at ")
    hub.pace = 0
    press(qtbot, card)
    qtbot.wait_until(lambda: FILE in page.cards)
    assert page.notice.text() == f"{NAME} is here."
    qtbot.wait_until(lambda: NAME not in page.offers)  # read after the files
    qtbot.mouseClick(button(page, "Use it"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: page.cards[FILE].use_button.text() == "In use")
    assert double.models.current().name == FILE


def test_cancelling(page: ModelsPage, qtbot: QtBot, hub: Hub, double: DoublePlum) -> None:
    hub.pace = 0.02
    card = page.offers[NAME]
    assert not card._cancel.isEnabled()
    press(qtbot, card)
    qtbot.wait_until(lambda: card.bar.value() > 100)
    card._cancel.trigger()
    qtbot.wait_until(lambda: card.button.text() == "Download")
    assert not card.bar.isVisible()
    assert list(double.folder.models.glob("*.part*")) == []


def test_a_failure_stands_on_its_card(page: ModelsPage, qtbot: QtBot, hub: Hub) -> None:
    hub.statuses = [(404, {})]
    card = page.offers[NAME]
    press(qtbot, card)
    qtbot.wait_until(lambda: "any more; choose another model" in card.state.text())
    assert card.state.property("tone") == "danger"
    assert card.button.text() == "Resume"
    assert page.notice.isHidden()


def test_a_failure_elsewhere_is_told_where_the_reader_is(
    page: ModelsPage, window: MainWindow, qtbot: QtBot, hub: Hub
) -> None:
    hub.statuses = [(404, {})]
    window.show_page("chat")
    page.download(NAME)
    qtbot.wait_until(lambda: "any more" in window.conversation.notice.text())


def test_the_next_window_offers_to_go_on(
    open_window: Open, qtbot: QtBot, hub: Hub, double: DoublePlum
) -> None:
    hub.pace = 0.02
    first = open_window()
    first.models.download(NAME)
    part = double.folder.models / f"{FILE}.part"
    qtbot.wait_until(lambda: part.exists() and part.stat().st_size > 200_000)
    first.leave()
    kept = part.stat().st_size
    hub.pace = 0
    second = open_window()
    qtbot.wait_until(second.models.unfinished.isVisible)
    assert part.stat().st_size == kept
    assert second.models.unfinished.text().startswith(f"The download of {NAME} is not finished (")
    qtbot.mouseClick(button(second.models.unfinished, "Go on"), Qt.MouseButton.LeftButton)
    qtbot.wait_until(lambda: (double.folder.models / FILE).exists())
    assert not second.models.unfinished.isVisible()
    assert hub.of("store", "GET")[-1].headers["range"].startswith("bytes=")


def test_finding(page: ModelsPage, qtbot: QtBot) -> None:
    def shown() -> set[str]:
        return {name for name, card in page.offers.items() if card.isVisible()}

    page.search.setText("qwen 4b")
    assert shown() == {"Qwen3 4B"}
    assert not page._here.isVisible()
    page.search.setText("nowhere")
    assert page._empty.isVisible()
    assert page._empty.text() == "No model is like that."
    page.search.clear()
    page.learns.click()
    assert "Phi-3.5 mini Instruct" not in shown()
    assert NAME in shown()
    page.fits.click()
    assert all(page.offers[name].offer.fit == "fits" for name in shown())


def test_what_does_not_fit_is_not_downloaded(
    open_window: Open, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plum_desktop.models import fit

    usage = fit.shutil.disk_usage("/")._replace(free=1_000_000_000)
    monkeypatch.setattr(fit.shutil, "disk_usage", lambda _: usage)
    window = open_window()
    window.show_page("models")
    qtbot.wait_until(lambda: len(window.models.offers) == 15)
    assert window.models.offers[NAME].button.isEnabled()
    assert not window.models.offers["Qwen3 1.7B"].button.isEnabled()


def test_a_model_that_has_not_learned_says_so(
    open_window: Open, qtbot: QtBot, double: DoublePlum, starter: Path
) -> None:
    chat_id = double.add_chat("Porto", "What to pack?", "A bag.")
    double.add_lesson([chat_id])
    other = double.folder.models / "Other-1B.Q8_0.gguf"
    content = bytearray(starter.read_bytes())
    content[-1] ^= 1  # another model, of which nothing was learned
    other.write_bytes(content)
    window = open_window()
    window.show_page("models")
    page = window.models
    qtbot.wait_until(lambda: other.name in page.cards)
    page.use(other.name)
    qtbot.wait_until(lambda: "has not learned them yet" in page.notice.text())
    qtbot.mouseClick(button(page.notice, "Learn from my chats"), Qt.MouseButton.LeftButton)
    assert window.sheet.isVisible()
    window.show_page("models")
    page.use(starter.name)
    qtbot.wait_until(lambda: page.cards[starter.name].use_button.text() == "In use")
    qtbot.wait(50)
    assert page.notice.isHidden()  # it answers with what it learned


def test_a_model_that_cannot_learn_says_so(
    open_window: Open, qtbot: QtBot, double: DoublePlum, hub: Hub
) -> None:
    double.add_lesson([double.add_chat("Porto", "What to pack?", "A bag.")])
    (double.folder.models / "odd.gguf").write_bytes(tiny_gguf(2000).replace(b"llama", b"bloom"))
    window = open_window()
    window.models.use("odd.gguf")
    notice = window.conversation.notice
    qtbot.wait_until(lambda: "cannot learn from them" in notice.text())
    assert notice.buttons() == []
