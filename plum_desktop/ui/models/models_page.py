"""The Models page: a card for each model that is here or can be, and a way to add one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from plum_desktop.ui.base import words
from plum_desktop.ui.base.bridge import Bridge
from plum_desktop.ui.base.controls import Notice, Switch, announce, button, label
from plum_desktop.ui.base.export import open_dialog
from plum_desktop.ui.base.page import Page
from plum_desktop.ui.base.undo_bar import UndoBar
from plum_desktop.ui.models.model_cards import FileCard, OfferCard

if TYPE_CHECKING:
    from plum_desktop.app.downloads import Download
    from plum_desktop.app.models import ModelInfo, Offer
    from plum_desktop.base.types import Adapter


class ModelsPage(Page):
    """Signals: models_changed(list of ModelInfo), learn_asked, news(sentence, word of a button or
    nothing, what the button does): of what happens while another page may be in sight.
    """

    models_changed = Signal(object)
    learn_asked = Signal()
    news = Signal(str, str, object)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(
            self.tr("Models"),
            self.tr("Any GGUF chat model works. One that can learn also remembers your chats."),
        )
        self._bridge = bridge
        self._service = bridge.plum.models
        self._downloads = bridge.plum.downloads
        self.add_button = button(self.tr("Add a GGUF file…"), "plain", self.choose_file)
        self.head.addWidget(self.add_button)
        self.body.addLayout(self._make_filter())
        self.cards: dict[str, FileCard] = {}
        self.offers: dict[str, OfferCard] = {}  # by the model's name
        self._told: dict[str, Download] = {}  # since the last look, by the model's name
        self._here, self._files = self._make_section(self.tr("On this computer"))
        self._there, self._catalog = self._make_section(self.tr("To download"))
        self._empty = label(tone="muted", wrap=True)
        self.body.addWidget(self._empty)
        self.body.addStretch(1)
        self._models: Sequence[ModelInfo] = ()
        self._going: set[str] = set()  # removed on screen, and not yet for good
        # The window puts these where every page is.
        self.unfinished = Notice()
        self.unfinished.hide()
        self.undo = UndoBar()
        bridge.download_changed.connect(self._on_download_changed)

    def _make_filter(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(16)
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Search models"))
        self.search.setAccessibleName(self.tr("Search models"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        row.addWidget(self.search, 1)
        self.fits = Switch(self.tr("Fits this computer"))
        self.learns = Switch(self.tr("Can learn"))
        for switch in (self.fits, self.learns):
            switch.toggled.connect(self._filter)
            row.addWidget(switch)
        return row

    def _make_section(self, title: str) -> tuple[QLabel, QVBoxLayout]:
        name = label(title, bold=True)
        name.setContentsMargins(0, 12, 0, 0)
        name.hide()
        self.body.addWidget(name)
        cards = QVBoxLayout()
        cards.setSpacing(12)
        self.body.addLayout(cards)
        return name, cards

    def refresh_files(self) -> None:
        """Read the models on this computer again."""
        self._bridge.ask(self._service.list, self._show, self.say, owner=self, lane="slow")

    def refresh(self) -> None:
        self.refresh_files()
        self._told = {}

        def offered() -> tuple[list[Offer], list[Download]]:
            return self._service.offers(), self._downloads.list()

        self._bridge.ask(
            offered, lambda found: self._show_offers(*found), self.say, owner=self, lane="slow"
        )

    def _show(self, models: Sequence[ModelInfo]) -> None:
        self._models = models
        models = [model for model in models if model.name not in self._going]
        models.sort(key=lambda model: not model.in_use)
        if [card.model for card in self.cards.values()] != models:
            for old in self.cards.values():
                _drop(self._files, old)
            self.cards = {}
            for model in models:
                card = FileCard(model)
                card.use_asked.connect(lambda name=model.name: self.use(name))
                card.remove_asked.connect(lambda name=model.name: self.remove(name))
                self._files.addWidget(card)
                self.cards[model.name] = card
        self._filter()
        self.models_changed.emit(models)

    def _show_offers(self, offers: Sequence[Offer], downloads: Sequence[Download]) -> None:
        # What was told since the list was asked for is newer than the list.
        begun = {each.model.name: each for each in downloads} | self._told
        begun = {name: each for name, each in begun.items() if not _is_over(each)}
        offers = sorted(offers, key=lambda offer: offer.model.name not in begun)
        if [card.offer for card in self.offers.values()] != offers:
            for old in self.offers.values():
                _drop(self._catalog, old)
            self.offers = {}
            for offer in offers:
                self._catalog.addWidget(self._make_offer(offer))
        for name, card in self.offers.items():
            card.show_download(begun.get(name))
        self._filter()

    def _make_offer(self, offer: Offer) -> OfferCard:
        name = offer.model.name
        card = self.offers[name] = OfferCard(offer)
        card.start_asked.connect(lambda: self.download(name))
        card.pause_asked.connect(lambda: self._ask_downloads(lambda: self._downloads.pause(name)))
        card.cancel_asked.connect(lambda: self._ask_downloads(lambda: self._downloads.cancel(name)))
        return card

    def _filter(self) -> None:
        wanted = self.search.text().split()

        def shown(card: FileCard | OfferCard, of: ModelInfo | Offer) -> bool:
            name = card.name.lower()
            show = (
                all(word.lower() in name for word in wanted)
                and (of.fit == "fits" or not self.fits.isChecked())
                and (of.can_learn or not self.learns.isChecked())
            )
            card.setVisible(show)
            return show

        here = [shown(card, card.model) for card in self.cards.values()]
        there = [shown(card, card.offer) for card in self.offers.values()]
        self._here.setVisible(any(here))
        self._there.setVisible(any(there))
        self._empty.setVisible(not any(here + there))
        self._empty.setText(
            self.tr("No model is like that.")
            if here + there
            else self.tr("There is no model yet. Add a GGUF file that you have downloaded.")
        )

    # Downloads

    def download(self, name: str) -> None:
        """Download the model of the catalog called `name`, or go on with it."""
        self.unfinished.hide()
        self._ask_downloads(lambda: self._downloads.start(name))

    def _ask_downloads(self, work: Callable[[], object]) -> None:
        # What comes of it is told by the bridge's signal.
        self._bridge.ask(work, None, self.say, owner=self, lane="slow")

    def _on_download_changed(self, download: Download) -> None:
        name = download.model.name
        self._told[name] = download
        if card := self.offers.get(name):
            card.show_download(None if _is_over(download) else download)
        if download.state == "done":
            file = download.model.file
            self.refresh()
            self.news.emit(
                self.tr("{name} is here.").format(name=name),
                self.tr("Use it"), lambda: self.use(file),
            )  # fmt: skip
        elif download.error:
            announce(self, download.error)
            if not self.isVisible():  # else the card says it
                self._bridge.failed.emit(download.error)

    def look_for_unfinished(self) -> None:
        """Offer to go on with what an earlier window did not finish; nothing begins unasked."""

        def found(downloads: Sequence[Download]) -> None:
            paused = [each for each in downloads if each.state == "paused"]
            if not paused:
                return
            names = [each.model.name for each in paused]
            self.unfinished.say(
                self.tr("The download of {name} is not finished ({share} is here).").format(
                    name=names[0], share=words.percent(paused[0].fraction)
                )
                if len(names) == 1
                else self.tr("These downloads are not finished: {names}.").format(
                    names=", ".join(names)
                )
            )

            def go_on() -> None:
                for name in names:
                    self.download(name)

            self.unfinished.set_buttons(
                button(self.tr("Go on"), "primary", go_on),
                button(self.tr("Not now"), "plain", self.unfinished.hide),
            )
            self.unfinished.show()

        self._bridge.ask(self._downloads.list, found, lambda _: None, owner=self, lane="slow")

    # Files

    def use(self, name: str) -> None:
        """Answer with another model from now on."""
        adapters = self._bridge.plum.adapters

        def switched(answer: tuple[ModelInfo, Adapter | None, bool]) -> None:
            model, active, learned = answer
            self.refresh()
            if learned and active is None:
                self._offer_to_learn(model)

        def switch() -> tuple[ModelInfo, Adapter | None, bool]:
            model = self._service.use(name)
            learned = any(each.state == "ready" for each in adapters.list())
            return model, adapters.active(), learned

        self._bridge.ask(switch, switched, owner=self, lane="slow")

    def _offer_to_learn(self, model: ModelInfo) -> None:
        """Chats and facts are there whatever answers; what was learned belongs to one model."""
        name = words.model_name(model.name)
        if model.can_learn:
            self.news.emit(
                self.tr(
                    "{name} answers now. Your chats are kept, but it has not learned them yet."
                ).format(name=name),
                self.tr("Learn from my chats"), self.learn_asked.emit,
            )  # fmt: skip
        else:
            self.news.emit(
                self.tr(
                    "{name} answers now. Your chats are kept, but it cannot learn from them."
                ).format(name=name),
                "", None,
            )  # fmt: skip

    def choose_file(self) -> None:
        dialog = open_dialog(self, self.tr("Add a model"), self.tr("GGUF models (*.gguf)"))
        dialog.fileSelected.connect(lambda path: self.add(Path(path)))
        dialog.open()

    def add(self, path: Path) -> None:
        self.tell(self.tr("Adding {name}…").format(name=path.name))
        self.add_button.setEnabled(False)

        def added(model: ModelInfo) -> None:
            self.add_button.setEnabled(True)
            self.tell(self.tr("Added {name}.").format(name=model.name))
            self.refresh()

        def failed(error: str) -> None:
            self.add_button.setEnabled(True)
            self.say(error)

        self._bridge.ask(lambda: self._service.add(path), added, failed, owner=self, lane="slow")

    def remove(self, name: str) -> None:
        """Take a model off the page; its file is deleted when the bar with Undo goes."""
        said = self.tr("Removed {name}. What was learned on it is kept, and needs it to answer.")
        self.undo.offer(
            said.format(name=name),
            lambda: self._show_again(name), lambda: self._remove_for_good(name),
        )  # fmt: skip
        self._going.add(name)
        self._show(self._models)

    def _show_again(self, name: str) -> None:
        self._going.discard(name)
        self.refresh()

    def _remove_for_good(self, name: str) -> None:
        def failed(sentence: str) -> None:
            self._show_again(name)
            self._bridge.failed.emit(sentence)

        self._bridge.ask(
            lambda: self._service.remove(name), lambda _: self._show_again(name), failed,
            owner=self, lane="slow",
        )  # fmt: skip


def _is_over(download: Download) -> bool:
    return download.state in ("done", "cancelled")


def _drop(layout: QVBoxLayout, card: QWidget) -> None:
    layout.removeWidget(card)
    card.hide()
    card.deleteLater()
