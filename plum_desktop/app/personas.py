"""Personas: system prompts with a name.  A few ship; the user's own list takes their place."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import read_json, write_json
from plum_desktop.base.paths import resource

_LONGEST_NAME = 60
_LONGEST_PROMPT = 8_000  # characters; some 2,000 tokens that no conversation has then


@dataclass(frozen=True, slots=True)
class Persona:
    """Who the model is to be: what it is called, and what it is told before every chat."""

    name: str
    prompt: str


class Personas:
    """The list, in one JSON file that is there once something was changed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[Persona]:
        """Every persona, in the list's order.  Raises DamagedFile."""
        try:
            stored = read_json(self._path)
        except FileNotFoundError:
            text = resource("personas.json").read_text(encoding="utf-8")
            return [Persona(**one) for one in json.loads(text)]
        try:
            return [Persona(str(one["name"]), str(one["prompt"])) for one in stored]
        except (TypeError, KeyError) as error:
            raise DamagedFile(
                "{path} is no list of personas; move it away.", path=self._path
            ) from error

    def save(self, persona: Persona, before: str | None = None) -> None:
        """Put `persona` in the place of the one named `before`, or at the end.

        Raises PlumError for a name or a prompt that is missing, too long or taken.
        """
        name, prompt = " ".join(persona.name.split()), persona.prompt.strip()
        if not name or not prompt:
            raise PlumError("A persona needs a name and a prompt.")
        if len(name) > _LONGEST_NAME or len(prompt) > _LONGEST_PROMPT:
            raise PlumError(
                "A persona's name has at most {longest_name} characters, and its prompt "
                "{longest_prompt}.",
                longest_name=_LONGEST_NAME,
                longest_prompt=_LONGEST_PROMPT,
            )
        personas = self.all()
        names = [one.name for one in personas]
        if name != before and name in names:
            raise PlumError(
                "There is a persona called {name} already; choose another name.", name=name
            )
        if before in names:
            personas[names.index(before)] = Persona(name, prompt)
        else:
            personas.append(Persona(name, prompt))
        self._write(personas)

    def remove(self, name: str) -> None:
        """Take one out of the list; chats that have its prompt keep it."""
        self._write(one for one in self.all() if one.name != name)

    def _write(self, personas: Iterable[Persona]) -> None:
        write_json(self._path, [asdict(one) for one in personas])
