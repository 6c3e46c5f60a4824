"""What the card of a run says.  No widgets."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication

from plum_desktop.app.result_card import Card, ImportCard, ResultCard, Score, refusal
from plum_desktop.ui.base import words

translate = QCoreApplication.translate  # which lupdate knows by this name


@dataclass(frozen=True, slots=True)
class CardRow:
    """One line of the card; `before` empty: nothing to compare with."""

    label: str
    value: str
    before: str = ""


def title(card: Card) -> str:
    if isinstance(card, ImportCard):
        return translate("card", "Brought in from {name}").format(name=card.name)
    told = (
        translate("card", "{chats} not switched on")
        if card.reasons
        else translate("card", "Learned {chats}")
    )
    return told.format(chats=words.chats(card.chats))


def reason(card: Card) -> str:
    """Why the gate refused; empty: it did not."""
    return words.said(refusal(card.reasons)) if card.reasons else ""


def rows(card: Card) -> list[CardRow]:
    unchanged = CardRow(
        translate("card", "Otherwise unchanged"),
        translate("card", "{share} of general answers still right").format(
            share=f"{card.unchanged:.0%}"
        ),
    )
    if isinstance(card, ImportCard):
        made = translate("card", "{form}, rank {rank}, {modules} parts").format(
            form=card.form.upper(), rank=card.rank, modules=card.modules
        )
        return [CardRow(translate("card", "Made as"), made), unchanged]
    shown = _of(translate("card", "{right} of {asked} questions it was never shown"), card.yes)
    found = [CardRow(translate("card", "Remembers"), shown, _before(card.yes))]
    if card.old:
        still = translate("card", "{right} of {asked} from earlier chats")
        found.append(
            CardRow(translate("card", "Still remembers"), _of(still, card.old), _before(card.old))
        )
    rightly = CardRow(translate("card", "Says no rightly"), figures(card.no), _before(card.no))
    found.append(rightly)
    return [*found, unchanged]


def figures(score: Score) -> str:
    return _of(translate("card", "{right} of {asked}"), score)


def in_one_line(card: ResultCard) -> str:
    """Learned 12 chats: remembers 41 of 48."""
    told = translate("card", "{title}: remembers {right} of {asked}")
    return _of(told, card.yes, title=title(card))


def _of(text: str, score: Score, **more: str) -> str:
    return text.format(right=words.number(score.right), asked=words.number(score.asked), **more)


def _before(score: Score) -> str:
    return translate("card", "before: {figure}").format(figure=words.number(score.before))
