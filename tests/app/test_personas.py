"""The list of personas: what ships, and what a user makes of it."""

from __future__ import annotations

import pytest

from plum_desktop.app.personas import Persona
from plum_desktop.app.product import Plum
from plum_desktop.base.errors import DamagedFile, PlumError


def names(plum: Plum) -> list[str]:
    return [one.name for one in plum.personas.all()]


def test_a_few_ship_and_the_users_list_takes_their_place(plum: Plum) -> None:
    shipped = names(plum)
    assert len(shipped) >= 4
    assert not plum.folder.personas.exists()
    plum.personas.save(Persona("  My   cook ", " You cook. "))
    assert plum.personas.all()[-1] == Persona("My cook", "You cook.")
    plum.personas.save(Persona("Chef", "You cook well."), before="My cook")
    assert names(plum) == [*shipped, "Chef"]
    plum.personas.remove(shipped[0])
    assert names(plum) == [*shipped[1:], "Chef"]
    for name in names(plum):
        plum.personas.remove(name)
    assert names(plum) == []  # and the shipped ones do not come back


@pytest.mark.parametrize(
    ("name", "prompt", "sentence"),
    [
        ("", "x", "needs a name"),
        ("x", " ", "needs a name and a prompt"),
        ("n" * 61, "x", "at most 60"),
        ("x", "p" * 8001, "at most 60 characters, and its prompt 8000"),
        ("Brief", "x", "called Brief already"),
    ],
)
def test_a_bad_persona_is_refused_in_words(
    plum: Plum, name: str, prompt: str, sentence: str
) -> None:
    before = plum.personas.all()
    with pytest.raises(PlumError, match=sentence):
        plum.personas.save(Persona(name, prompt))
    assert plum.personas.all() == before


def test_a_damaged_list_is_said_to_be_one(plum: Plum) -> None:
    plum.folder.personas.write_text('{"a": 1}')
    with pytest.raises(DamagedFile, match="no list of personas"):
        plum.personas.all()
