"""The cards of the Models page: a model that is here, and one to download."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from plum_desktop.base.files import megabytes
from plum_desktop.ui.base import words
from plum_desktop.ui.base.controls import ElidedLabel, IconButton, IconLabel, Tone, button, small
from plum_desktop.ui.base.theme import SMALL_PIXELS, current_theme, set_property, set_type

if TYPE_CHECKING:
    from plum_desktop.app.downloads import Download
    from plum_desktop.app.models import ModelInfo, Offer

_BAR = 1000  # steps of a progress bar


def _catalog_text(text: str) -> str:
    """What the catalog says of a model, in the user's language."""
    return QCoreApplication.translate("Catalog", text)


class ModelCard(QFrame):
    """What every card shows: a name, one button whose word changes, facts and two verdicts."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.setAccessibleName(name)
        self.name = name
        self.box = QVBoxLayout(self)
        self.box.setContentsMargins(16, 12, 12, 12)
        self.box.setSpacing(6)
        self.top = QHBoxLayout()
        self.top.setSpacing(8)
        self.top.addWidget(ElidedLabel(name, pixels=15, bold=True), 1)
        self.box.addLayout(self.top)

    def _add_button(self, made: QPushButton, menu: QMenu) -> None:
        self.top.addWidget(made)
        more = IconButton("more", self.tr("More about {name}").format(name=self.name))
        more.setPopupMode(IconButton.ToolButtonPopupMode.InstantPopup)
        menu.setParent(more, menu.windowFlags())
        more.setMenu(menu)
        self.top.addWidget(more)

    def _add_verdict(self, text: str, tone: Tone) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        sign = IconLabel("check" if tone == "good" else "alert", tone=tone, size=16)
        row.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(small(words.breakable(text), tone="plain", wrap=True), 1)
        self.box.addLayout(row)

    def _add_verdicts(self, of: ModelInfo | Offer) -> None:
        fits = {
            "fits": self.tr("Fits."),
            "slow": self.tr("Fits only just."),
            "will not fit": self.tr("Will not fit."),
        }[of.fit]
        self._add_verdict(
            f"{fits} {words.said(of.fit_reason)}", "good" if of.fit == "fits" else "warn"
        )
        if not of.can_learn:
            learns = self.tr("Chats, but cannot learn: {reason}").format(
                reason=words.said(of.why_not)
            )
        elif of.learn_seconds:
            learns = self.tr("Can learn from your chats, {time} for each.").format(
                time=words.about(of.learn_seconds)
            )
        else:
            learns = self.tr("Can learn from your chats.")
        self._add_verdict(learns, "good" if of.can_learn else "warn")


class FileCard(ModelCard):
    """A model that is here.  Signals: use_asked, remove_asked."""

    use_asked = Signal()
    remove_asked = Signal()

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(words.model_name(model.name))
        self.model = model
        self.use_button = button(
            self.tr("In use") if model.in_use else self.tr("Use"), "plain", self.use_asked.emit
        )
        usable = bool(model.architecture) and model.fit != "will not fit"
        self.use_button.setEnabled(usable and not model.in_use)
        menu = QMenu()
        remove = menu.addAction(self.tr("Remove from this computer"), self.remove_asked.emit)
        remove.setEnabled(not model.in_use and not model.starter)
        self._add_button(self.use_button, menu)
        if model.good_for:
            self.box.addWidget(small(_catalog_text(model.good_for), tone="plain", wrap=True))
        self.box.addWidget(small(self._figures(), wrap=True))
        if model.architecture:
            self._add_verdicts(model)
        else:
            self._add_verdict(
                words.said(model.why_not) or self.tr("This file cannot be read."), "warn"
            )

    def _figures(self) -> str:
        model = self.model
        parts = [megabytes(model.size)]
        if model.architecture:
            parts.append(model.architecture)
        if model.quantization:
            parts.append(model.quantization)
        if model.context:
            parts.append(self.tr("{count} tokens").format(count=words.number(model.context)))
        if model.licence:
            parts.append(self.tr("licence: {name}").format(name=model.licence))
        if model.starter:
            parts.append(self.tr("came with Plum"))
        return "  ·  ".join(parts)


class OfferCard(ModelCard):
    """A model to download.  Signals: start_asked, pause_asked, cancel_asked."""

    start_asked = Signal()
    pause_asked = Signal()
    cancel_asked = Signal()

    def __init__(self, offer: Offer) -> None:
        model = offer.model
        super().__init__(model.name)
        self.offer = offer
        self._running = self._pausing = False
        self.button = button(self.tr("Download"), "plain", self._on_pressed)
        menu = QMenu()
        self._cancel = menu.addAction(
            self.tr("Cancel, and delete what has come"), self.cancel_asked.emit
        )
        self._add_button(self.button, menu)
        self.box.addWidget(small(_catalog_text(model.good_for), tone="plain", wrap=True))
        self._figures = _Linked()
        self.box.addWidget(self._figures)
        self._doing = QWidget()
        doing = QVBoxLayout(self._doing)
        doing.setContentsMargins(0, 4, 0, 4)
        doing.setSpacing(6)
        self.bar = QProgressBar()
        self.bar.setRange(0, _BAR)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(self.tr("Download of {name}").format(name=model.name))
        doing.addWidget(self.bar)
        self.state = small(wrap=True)
        doing.addWidget(self.state)
        self.box.addWidget(self._doing)
        self._add_verdicts(offer)
        self.show_download(None)

    def show_download(self, download: Download | None) -> None:
        """How it stands; None: nothing was begun."""
        self._running = download is not None and download.state in ("waiting", "downloading")
        self._pausing = self._pausing and self._running
        if download is None:
            word = self.tr("Download")
        else:
            word = self.tr("Pause") if self._running else self.tr("Resume")
        self.button.setText(word)
        self.button.setAccessibleName(f"{word}: {self.name}")
        possible = self._running or self.offer.fit != "will not fit"
        self.button.setEnabled(possible and not self._pausing)
        self._cancel.setEnabled(download is not None)
        self._doing.setVisible(download is not None)
        self._show_figures(download)
        if download:
            self.bar.setValue(int(download.fraction * _BAR))
            self.state.setText(words.breakable(self._words(download)))
            tone = "warn" if download.error else "muted"
            set_property(self.state, "tone", "danger" if download.state == "failed" else tone)

    def _show_figures(self, download: Download | None) -> None:
        model = self.offer.model
        known = download is not None and download.total != model.approximate_size
        size = megabytes(download.total if download and known else model.approximate_size)
        parts = [size if known else self.tr("about {size}").format(size=size)]
        parts += [
            self.tr("{count} billion parameters").format(count=f"{model.parameters / 1e9:.2g}")
            if model.parameters >= 1e9
            else self.tr("{count} million parameters").format(count=round(model.parameters / 1e6)),
            model.quantization,
        ]
        self._figures.show_parts(parts, model.licence, model.licence_url)

    def _words(self, download: Download) -> str:
        amount = self.tr("{done} of {total}").format(
            done=megabytes(download.done) if download.done else "0 MB",
            total=megabytes(download.total),
        )
        if self._pausing:
            return self.tr("Pausing…")
        if download.state == "waiting":
            return self.tr("Waiting for the download before it.")
        if download.checking:
            return self.tr("Checking the {size} that are here…").format(
                size=megabytes(download.done)
            )
        if download.error:
            return f"{amount}. {words.said(download.error)}"
        if download.state == "paused":
            return self.tr("Paused at {amount}.").format(amount=amount)
        parts = [amount] if download.rate > 0 else [self.tr("Starting…")]
        if download.rate > 0:
            parts.append(self.tr("{rate} MB a second").format(rate=f"{download.rate / 1e6:.1f}"))
        if left := words.left(download.seconds_left):
            parts.append(left)
        return "  ·  ".join(parts)

    def _on_pressed(self) -> None:
        if not self._running:
            self.start_asked.emit()
            return
        self._pausing = True
        self.button.setEnabled(False)
        self.state.setText(self.tr("Pausing…"))
        self.pause_asked.emit()


class _Linked(QLabel):
    """A line of facts that ends in a link.  All of it is ours, none a file's or a chat's."""

    def __init__(self) -> None:
        super().__init__()
        set_type(self, SMALL_PIXELS)
        self.setProperty("tone", "muted")
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setOpenExternalLinks(True)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        self.setWordWrap(True)
        self._shown: tuple[str, ...] = ()

    def show_parts(self, parts: Sequence[str], name: str, address: str) -> None:
        if self._shown == (*parts, name, address):
            return  # setting it again would take the keyboard from the link
        self._shown = (*parts, name, address)
        self.setAccessibleName(", ".join([*parts, self.tr("licence: {name}").format(name=name)]))
        self.setToolTip(address)
        self._draw()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._shown:
            self._draw()

    def _draw(self) -> None:
        *parts, name, address = map(escape, self._shown)
        link = f'<a href="{address}" style="color: {current_theme().accent}">{name}</a>'
        self.setText("&nbsp; · &nbsp;".join([*parts, link]))
