"""What works on this machine, part by part, each in one sentence."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from plum_desktop import __version__
from plum_desktop.app.backend import apple_silicon, cannot_learn, trainer_for
from plum_desktop.app.models import ModelService
from plum_desktop.app.preferences import Preferences
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import FileLock, megabytes
from plum_desktop.base.paths import DataFolder
from plum_desktop.engine.client import EngineClient
from plum_desktop.store import Store

State = Literal["good", "note", "bad"]
_LITTLE_SPACE = 2_000_000_000  # bytes: a learning run on a small model and its merged file
_SMALL_CONTEXT = 512  # enough to prove that a model loads


@dataclass(frozen=True, slots=True)
class Finding:
    """One part: `bad` stops the main job, a `note` is good to know."""

    subject: str
    state: State
    text: str


def examine(folder: DataFolder) -> list[Finding]:
    """Look at every part; what one part raises is its finding."""
    parts: list[tuple[str, Callable[[DataFolder], Iterator[tuple[State, str]]]]] = [
        ("Program", _program),
        ("Machine", _machine),
        ("Data folder", _data_folder),
        ("Chats", _store),
        ("Model", _model),
        ("Trainer", _trainer),
        ("Window", _window),
    ]
    findings = []
    for subject, look in parts:
        try:
            findings += [Finding(subject, state, text) for state, text in look(folder)]
        except PlumError as error:
            findings.append(Finding(subject, "bad", str(error)))
    return findings


def _program(_: DataFolder) -> Iterator[tuple[State, str]]:
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "good", f"plum-desktop {__version__}, Python {platform.python_version()}, {system}."


def _machine(_: DataFolder) -> Iterator[tuple[State, str]]:
    import psutil

    memory = psutil.virtual_memory()
    yield (
        "good",
        (
            f"{psutil.cpu_count(logical=False) or 1} cores, {megabytes(memory.total)} of memory, "
            f"{megabytes(memory.available)} of it free."
        ),
    )


def _data_folder(folder: DataFolder) -> Iterator[tuple[State, str]]:
    try:
        with tempfile.TemporaryFile(dir=folder.root):
            pass
    except OSError as error:
        raise PlumError(f"{folder.root} cannot be written ({error.strerror}).") from error
    free = shutil.disk_usage(folder.root).free
    yield "good" if free >= _LITTLE_SPACE else "note", f"{folder.root}, {megabytes(free)} free."
    for lock, text in (
        (folder.window_lock, "A window is open on it."),
        (folder.learning_lock, "A learning job is running."),
    ):
        if FileLock(lock).held_by_someone():
            yield "note", text


def _store(folder: DataFolder) -> Iterator[tuple[State, str]]:
    store = Store(folder.database, folder.backups)
    try:
        chats, facts = len(store.chats.list(archived=None)), sum(store.facts.counts().values())
        yield "good", f"{chats} chats, {facts} facts."
        if run := store.runs.unfinished():
            yield "note", f"Learning job {run.id} is unfinished; `learn --resume` goes on with it."
    finally:
        store.close()


def _model(folder: DataFolder) -> Iterator[tuple[State, str]]:
    models = ModelService(folder, Preferences(folder.settings))
    info = models.current()
    if info is None:
        raise PlumError("There is no model; `plum-desktop models add FILE.gguf` brings one in.")
    engine = EngineClient()
    try:
        engine.load(models.file().path, n_ctx=_SMALL_CONTEXT, threads=1)
    finally:
        engine.close()
    yield "good", f"{info.name} loads in the engine."
    if info.why_not:
        yield "note", info.why_not
    if info.fit != "fits":
        yield "note", f"For this machine's memory, {info.name}: {info.fit}."


def _trainer(folder: DataFolder) -> Iterator[tuple[State, str]]:
    trainer = trainer_for(Preferences(folder.settings).current.backend)  # type: ignore[arg-type]
    if why := cannot_learn(trainer):
        yield "note", why
    elif trainer == "mlx":
        yield "good", "Learning uses MLX, which is installed."
    else:
        yield "good", "Learning uses PyTorch and peft, which are installed."
        if apple_silicon() and (why := cannot_learn("mlx")):
            yield "note", why


def _window(_: DataFolder) -> Iterator[tuple[State, str]]:
    if importlib.util.find_spec("PySide6") is None:
        yield "note", "Qt is missing; install with: pip install PySide6-Essentials"
    else:
        yield "good", "Qt is installed."
