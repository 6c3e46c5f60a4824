"""The user's settings: declared once, with type, default and help, kept as one JSON file."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import read_json, write_json
from plum_desktop.base.sentence import Sentence


def _about(
    title: str, text: str, choices: tuple[Any, ...] = (), *, group: str, least: float = 0,
    most: float | None = None, unit: str = "", secret: bool = False,
) -> dict[str, Any]:  # fmt: skip
    return {
        "title": title, "help": text, "choices": choices, "group": group, "least": least,
        "most": most, "unit": unit, "secret": secret,
    }  # fmt: skip


def _setting(default: Any, *about: Any, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata=_about(*about, **more))


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting.

    `field.metadata` has, for a settings page, `title`, `help`, `choices` (empty: any value), the
    heading (`group`) it stands under, whether it must not be seen (`secret`), and for a number its
    `least`, `most` and `unit`.
    """

    model: str = _setting(
        "", "Model", "File name of the model in use; empty: the starter model.", group="Models"
    )
    persona: str = _setting(
        "", "Persona", "System prompt of new chats; empty: the model's own.", group="Answers"
    )
    temperature: float = _setting(
        0.7, "Temperature", "0 always picks the likeliest word.", group="Answers"
    )
    max_tokens: int = _setting(
        512, "Longest reply", "Most tokens that a reply may have.", group="Answers"
    )
    lookup: str = _setting(
        "learned", "Look things up too", "Puts the best excerpts of your chats before a question "
        "about the past. Learning teaches a model to read them.", ("off", "learned", "always"),
        group="Answers",
    )  # fmt: skip
    context: int = _setting(
        8192, "Context", "Tokens the model sees; at most what it was made for.",
        group="This computer",
    )  # fmt: skip
    threads: int = _setting(
        0, "Threads", "CPU threads for chat; 0: one for each physical core.",
        group="This computer",
    )  # fmt: skip
    backend: str = _setting(
        "auto", "Trainer", "What learns: torch, mlx, or whichever fits.", ("auto", "torch", "mlx"),
        group="Learning",
    )  # fmt: skip
    recipe: str = _setting(
        "default", "Recipe", "How to learn.", ("default", "paper"), group="Learning"
    )
    endpoint: str = _setting(
        "", "Download from", "Address of a mirror of Hugging Face; empty: huggingface.co.",
        group="Models",
    )  # fmt: skip
    token: str = _setting(
        "", "Access token", "Of your Hugging Face account, for models that ask for one.",
        group="Models", secret=True,
    )  # fmt: skip
    schedule: str = _setting(
        "off", "Learn by itself", "While the window is open and the conditions below hold.",
        ("off", "on"), group="Learning by itself",
    )  # fmt: skip
    schedule_chats: int = _setting(
        5, "New chats", "Waits until so many chats are new.", group="Learning by itself", most=1000
    )
    schedule_idle: int = _setting(
        10, "Idle time", "Waits until nobody has used this computer for so long; 0: does not wait.",
        group="Learning by itself", most=600, unit="\u00a0min",
    )  # fmt: skip
    schedule_power: str = _setting(
        "on", "On power only", "Waits while this computer runs on its battery.", ("off", "on"),
        group="Learning by itself",
    )  # fmt: skip
    schedule_cool: str = _setting(
        "on", "Not when hot", "Waits while the processor is hot.", ("off", "on"),
        group="Learning by itself",
    )  # fmt: skip
    schedule_from: int = _setting(
        0, "From", "First hour of the day, 0 to 24; the same as until: all day.",
        group="Learning by itself", most=24,
    )  # fmt: skip
    schedule_until: int = _setting(
        0, "Until", "Hour of the day at which it ends, 0 to 24.", group="Learning by itself",
        most=24,
    )  # fmt: skip
    updates: str = _setting(
        "off", "Look for a new version once a week", "Asks github.com while the window is open, "
        "and says nothing of you or your chats. Nothing is downloaded.", ("off", "on"),
        group="Updates",
    )  # fmt: skip
    lock_minutes: int = _setting(
        0, "Lock when idle", "After so long without a key or a click in Plum, if there is a "
        "passphrase; 0: never. Waits while Plum answers or learns.", group="Passphrase", most=600,
        unit="\u00a0min",
    )  # fmt: skip
    notify: str = _setting(
        "on", "Say when learning ends", "A notification, if the window is not in front.",
        ("on", "off"), group="Learning",
    )  # fmt: skip
    leaving: str = _setting(
        "ask", "Closing while it learns", "Ask; go on in the tray, where there is one; or quit "
        "and go on next time.", ("ask", "tray", "quit"), group="Learning",
    )  # fmt: skip
    theme: str = _setting(
        "system", "Theme", "Colours of the window.", ("system", "light", "dark"), group="Window"
    )
    text_size: int = _setting(
        100, "Text size", "Size of all text in percent, 80 to 200.", group="Window", least=80,
        most=200, unit="\u00a0%",
    )  # fmt: skip
    keys: dict[str, str] = dataclasses.field(
        default_factory=dict,
        metadata=_about(
            "Keys", "Keys of commands that are not the default, by the command's name.",
            group="Keys",
        ),
    )  # fmt: skip


_KINDS = {
    int: Sentence("a whole number"), float: Sentence("a number"), str: Sentence("a text"),
}  # fmt: skip


def load(path: Path) -> Settings:
    """Settings from `path`; unknown keys and values of a wrong type fall back to defaults."""
    try:
        stored = read_json(path)
    except (FileNotFoundError, DamagedFile):
        return Settings()
    settings = Settings()
    if isinstance(stored, dict):
        for key, value in stored.items():
            # A newer or hand-edited file: keep what still makes sense.
            with contextlib.suppress(PlumError):
                settings = change(settings, key, value)
    return settings


def save(path: Path, settings: Settings) -> None:
    write_json(path, dataclasses.asdict(settings))


def change(settings: Settings, key: str, value: Any) -> Settings:
    """A copy with `key` set; text is converted.  Raises PlumError for a bad key or value."""
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    if key not in fields:
        raise PlumError(
            "There is no setting {key!r}; there are {fields}.", key=key, fields=", ".join(fields)
        )
    kind, field = get_type_hints(Settings)[key], fields[key]
    if get_origin(kind) is dict:
        mapping: Any = _mapping(key, value)
        return dataclasses.replace(settings, **{key: mapping})
    try:
        if isinstance(value, bool):
            raise ValueError(value)
        converted = kind(value)
    except (TypeError, ValueError):
        raise PlumError(
            "{key} takes {kind}, not {value!r}.", key=key, kind=_KINDS[kind], value=value
        ) from None
    choices = field.metadata["choices"]
    if choices and converted not in choices:
        raise PlumError(
            "{key} is one of {choices}, not {value!r}.",
            key=key,
            choices=", ".join(choices),
            value=value,
        )
    if kind in (int, float):
        least, most = field.metadata["least"], field.metadata["most"]
        if converted < least:
            raise PlumError("{key} cannot be below {least:g}.", key=key, least=least)
        if most is not None and converted > most:
            raise PlumError("{key} cannot be above {most:g}.", key=key, most=most)
    return dataclasses.replace(settings, **{key: converted})


def _mapping(key: str, value: Any) -> dict[str, str]:
    """`value`, a mapping or one as JSON text."""
    with contextlib.suppress(ValueError, TypeError):
        found = json.loads(value) if isinstance(value, str) else value
        if isinstance(found, dict) and all(isinstance(each, str) for each in found.values()):
            return {str(name): each for name, each in found.items()}
    raise PlumError('{key} takes names with text each, as in {{"learn": "Ctrl+J"}}.', key=key)
