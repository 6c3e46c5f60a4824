"""Where everything lies: the data folder, and the resources that ship with the program."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import platformdirs

from plum_desktop.base.files import private_folder

ENV_DATA_DIR = "PLUM_DATA_DIR"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Every path below the user's data folder.  Folders are made on first use, owner-only."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "plum.db"

    @property
    def settings(self) -> Path:
        return self.root / "settings.json"

    @property
    def personas(self) -> Path:
        return self.root / "personas.json"

    @property
    def window_place(self) -> Path:
        """Where the window was when it was closed."""
        return self.root / "window.json"

    @property
    def models(self) -> Path:
        return private_folder(self.root / "models")

    @property
    def adapters(self) -> Path:
        return private_folder(self.root / "adapters")

    @property
    def jobs(self) -> Path:
        return private_folder(self.root / "jobs")

    @property
    def backups(self) -> Path:
        return private_folder(self.root / "backups")

    @property
    def logs(self) -> Path:
        return private_folder(self.root / "logs")

    @property
    def cache(self) -> Path:
        """Things that can be computed again and hold no word of the user's."""
        return private_folder(self.root / "cache")

    @property
    def window_lock(self) -> Path:
        return self.root / "window.lock"

    @property
    def learning_lock(self) -> Path:
        return self.root / "learning.lock"

    @property
    def busy_lock(self) -> Path:
        """Held while a chat generates, in whichever process; training gives way to it."""
        return self.root / "busy.lock"

    @property
    def download_lock(self) -> Path:
        return self.root / "download.lock"

    def adapter(self, adapter_id: str) -> Path:
        return self.adapters / adapter_id

    def job(self, run_id: str) -> Path:
        return private_folder(self.jobs / run_id)


def default_data_folder() -> Path:
    """`$PLUM_DATA_DIR`, else the platform's own place for an application's data."""
    if chosen := os.environ.get(ENV_DATA_DIR):
        return Path(chosen).expanduser()
    return Path(platformdirs.user_data_dir("plum-desktop", appauthor=False))


def open_data_folder(root: Path | None = None) -> DataFolder:
    """The data folder, made if missing.  Raises PlumError where it cannot be written."""
    return DataFolder(private_folder((root or default_data_folder()).expanduser().resolve()))


def resource(*parts: str) -> Traversable:
    """A file that ships with the program, the same in a checkout, a wheel and a bundle."""
    place = _resources()
    for part in parts:
        place = place / part
    return place


@cache
def _resources() -> Traversable:
    return resources.files("plum_desktop") / "resources"


def is_bundle() -> bool:
    """Whether this program is one with its Python, as PyInstaller packs it."""
    return bool(getattr(sys, "frozen", False))


def worker_command(*arguments: str) -> list[str]:
    """Command line of a child of ours: `plum-desktop _worker …`, frozen or not."""
    return program_command("_worker", *arguments)


def program_command(*arguments: str) -> list[str]:
    """Command line of this program itself: `plum-desktop …`, frozen or not."""
    if is_bundle():
        program = Path(sys.executable)
        if sys.platform == "win32":
            # There the window is a program of its own, to which the system gives no stdin.
            program = program.with_name("plum-desktop.exe")
        return [str(program), *arguments]
    return [sys.executable, "-m", "plum_desktop", *arguments]
