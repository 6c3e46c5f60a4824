"""The user's settings: declared once, with type, default and help, kept as one JSON file."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import read_json, write_json


def _setting(
    default: Any, title: str, text: str, choices: tuple[Any, ...] = (), *, secret: bool = False,
    most: int | None = None,
) -> Any:  # fmt: skip
    metadata = {"title": title, "help": text, "choices": choices, "secret": secret, "most": most}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting.  `field.metadata` has `title`, `help`, `choices`, `secret` and `most`."""

    model: str = _setting("", "Model", "File name of the model in use; empty: the starter model.")
    persona: str = _setting("", "Persona", "System prompt of new chats; empty: the model's own.")
    temperature: float = _setting(0.7, "Temperature", "0 always picks the likeliest word.")
    max_tokens: int = _setting(512, "Longest reply", "Most tokens that a reply may have.")
    context: int = _setting(8192, "Context", "Tokens the model sees; at most what it was made for.")
    threads: int = _setting(0, "Threads", "CPU threads for chat; 0: one for each physical core.")
    lookup: str = _setting(
        "off", "Look things up too", "Puts the best excerpts of your chats before a question "
        "about the past.", ("off", "on"),
    )  # fmt: skip
    backend: str = _setting(
        "auto", "Trainer", "What learns: torch, mlx, or whichever fits.", ("auto", "torch", "mlx")
    )
    recipe: str = _setting("default", "Recipe", "How to learn.", ("default", "paper"))
    endpoint: str = _setting(
        "", "Download from", "Address of a mirror of Hugging Face; empty: huggingface.co."
    )
    token: str = _setting(
        "", "Access token", "Of your Hugging Face account, for models that ask for one.",
        secret=True,
    )  # fmt: skip
    schedule: str = _setting(
        "off", "Learn by itself", "While the window is open and the conditions below hold.",
        ("off", "on"),
    )  # fmt: skip
    schedule_chats: int = _setting(
        5, "By itself: new chats", "Waits until so many chats are new.", most=1000
    )
    schedule_idle: int = _setting(
        10, "By itself: idle minutes", "Waits until nobody has used this computer for so long; "
        "0: does not wait.", most=600,
    )  # fmt: skip
    schedule_power: str = _setting(
        "on", "By itself: on power only", "Waits while this computer runs on its battery.",
        ("off", "on"),
    )  # fmt: skip
    schedule_cool: str = _setting(
        "on", "By itself: not when hot", "Waits while the processor is hot.", ("off", "on")
    )
    schedule_from: int = _setting(
        0, "By itself: from", "First hour of the day, 0 to 24; the same as until: all day.", most=24
    )
    schedule_until: int = _setting(
        0, "By itself: until", "Hour of the day at which it ends, 0 to 24.", most=24
    )
    theme: str = _setting("system", "Theme", "Colours of the window.", ("system", "light", "dark"))


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
        raise PlumError(f"There is no setting {key!r}; there are {', '.join(fields)}.")
    kind = get_type_hints(Settings)[key]
    try:
        if isinstance(value, bool):
            raise ValueError(value)
        converted = kind(value)
    except (TypeError, ValueError):
        raise PlumError(f"{key} takes a {kind.__name__}, not {value!r}.") from None
    choices = fields[key].metadata["choices"]
    if choices and converted not in choices:
        raise PlumError(f"{key} is one of {', '.join(choices)}, not {value!r}.")
    if kind in (int, float) and converted < 0:
        raise PlumError(f"{key} cannot be below 0.")
    most = fields[key].metadata["most"]
    if most is not None and converted > most:
        raise PlumError(f"{key} cannot be above {most}.")
    return dataclasses.replace(settings, **{key: converted})
