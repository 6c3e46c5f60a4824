"""Where the window was when it was closed last, kept in `window.json`."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import read_json, write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """`geometry` as Qt saves it; `side`, the side bar's mode; the page, and the chat's id;
    the folders that are closed in the side bar.
    """

    geometry: bytes = b""
    side: str = ""
    page: str = ""
    chat: str = ""
    closed_folders: tuple[str, ...] = ()


def load_place(path: Path) -> Place:
    """What makes sense of the file; the rest is empty."""
    with contextlib.suppress(FileNotFoundError, DamagedFile):
        stored = read_json(path)
        if isinstance(stored, dict):
            fields = [field.name for field in dataclasses.fields(Place)]
            texts = {name: text for name in fields if isinstance(text := stored.get(name), str)}
            try:
                geometry = base64.b64decode(texts.pop("geometry", ""))
            except (binascii.Error, ValueError):
                geometry = b""
            closed = stored.get("closed_folders")
            folders = tuple(map(str, closed)) if isinstance(closed, list) else ()
            return Place(geometry, **texts, closed_folders=folders)
    return Place()


def save_place(path: Path, place: Place) -> None:
    values = dataclasses.asdict(place)
    try:
        write_json(path, values | {"geometry": base64.b64encode(place.geometry).decode()})
    except PlumError:
        log.warning("the window's place could not be saved")
