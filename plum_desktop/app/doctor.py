"""What works on this machine, part by part, found out by trying; and what mends what does not."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from plum_desktop import __version__
from plum_desktop.app.backend import NEEDED, Trainer, apple_silicon, cannot_learn, trainer_for
from plum_desktop.app.learn import disk_bytes
from plum_desktop.app.models import ModelService
from plum_desktop.app.preferences import Preferences
from plum_desktop.app.serving import ADAPTER_FILE
from plum_desktop.base import crash
from plum_desktop.base.child import Child
from plum_desktop.base.errors import DamagedFile, PlumError, WorkerCrashed
from plum_desktop.base.files import FileLock, megabytes, read_json
from plum_desktop.base.paths import DataFolder, is_bundle, open_data_folder, worker_command
from plum_desktop.engine.client import EngineClient
from plum_desktop.models.fit import DISK_RESERVE
from plum_desktop.models.header import read_header
from plum_desktop.store import Store

State = Literal["ok", "warn", "fail"]
_LITTLE_MEMORY = 1_000_000_000  # bytes
_SMALL_CONTEXT = 512  # tokens; enough to prove that a model answers
_PATIENCE = 180.0  # seconds for a child to say a word
_PACKAGES = (
    "llama-cpp-python", "torch", "transformers", "peft", "mlx", "mlx-lm", "PySide6-Essentials",
)  # fmt: skip
_SHOWN = ("AVX", "AVX2", "AVX512", "FMA", "NEON", "DOTPROD", "SVE", "ACCELERATE", "METAL")


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was found of the part `name`; `fail`: the main job stops there.

    `fix` is what to do about it; empty where there is nothing to do.
    """

    name: str
    state: State
    what: str
    fix: str = ""


Look = Callable[[DataFolder], Iterator[tuple[State, str, str]]]


def examine(root: Path | None = None, only: Sequence[str] = ()) -> list[Finding]:
    """Look at every part, or at those named; what one part raises is its finding.

    `root` is the data folder, the usual one if None.  Raises PlumError for a part that there
    is not.
    """
    if unknown := [name for name in only if name not in PARTS]:
        raise PlumError(
            "There is no part {unknown!r} to look at; there are {parts}.",
            unknown=unknown[0],
            parts=", ".join(PARTS),
        )
    try:
        folder = open_data_folder(root)
    except PlumError as error:
        return [Finding("Data folder", "fail", *_split(error))]
    findings = []
    for name, look in PARTS.items():
        if only and name not in only:
            continue
        try:
            findings += [Finding(name, *found) for found in look(folder)]
        except (PlumError, OSError) as error:
            findings.append(Finding(name, "fail", *_split(error)))
    return findings


def _split(error: Exception) -> tuple[str, str]:
    """Our sentences say what happened and, behind a semicolon, what to do."""
    what, _, fix = str(error).partition("; ")
    if not fix:
        return what, "Run `plum-desktop doctor` again; the logs in the data folder say more."
    return f"{what}.", fix[:1].upper() + fix[1:]


def _program(_: DataFolder) -> Iterator[tuple[State, str, str]]:
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    form = "a bundle" if is_bundle() else f"Python {platform.python_version()}"
    yield "ok", f"plum-desktop {__version__} ({form}), {system}.", ""
    installed = [f"{name} {found}" for name in _PACKAGES if (found := _version(name))]
    yield "ok", f"Installed: {', '.join(installed) or 'nothing that chats or learns'}.", ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _memory(folder: DataFolder) -> Iterator[tuple[State, str, str]]:
    import psutil

    from plum_desktop.base.cores import usable_cores

    now = psutil.virtual_memory()
    cores = usable_cores()
    what = f"{cores} cores, {megabytes(now.total)} of memory, {megabytes(now.available)} free."
    little = now.available < _LITTLE_MEMORY
    yield ("warn" if little else "ok"), what, "Close other programs." if little else ""
    if (info := _models(folder).current()) and info.architecture and info.fit != "fits":
        smaller = "Choose a smaller model: `plum-desktop models catalog` says which fit."
        yield ("fail" if info.fit == "will not fit" else "warn"), info.fit_reason, smaller


def _data_folder(folder: DataFolder) -> Iterator[tuple[State, str, str]]:
    try:
        with tempfile.TemporaryFile(dir=folder.root):
            pass
    except OSError as error:
        yield (
            "fail",
            f"{folder.root} cannot be written ({error.strerror}).",
            "Give yourself the right to write there, or choose another folder with --data-dir.",
        )
        return
    yield "ok", f"{folder.root} can be written.", ""
    if os.name == "posix" and folder.root.stat().st_mode & 0o077:
        yield "warn", "Others on this computer may read it.", f"Run: chmod 700 '{folder.root}'"
    try:
        read_json(folder.settings)
    except FileNotFoundError:
        pass
    except DamagedFile:
        again = "Set again what you had set; that writes the file anew."
        yield "warn", f"{folder.settings.name} is damaged, so everything is at its default.", again
    for lock, text in (
        (folder.window_lock, "A window is open on it."),
        (folder.learning_lock, "A learning job is running."),
    ):
        if FileLock(lock).held_by_someone():
            yield "ok", text, ""


def _disk(folder: DataFolder) -> Iterator[tuple[State, str, str]]:
    free = shutil.disk_usage(folder.root).free
    if free < DISK_RESERVE:
        yield "fail", f"Only {megabytes(free)} are free.", "Free some space on the disk."
        return
    try:
        needed = disk_bytes(_models(folder).file())
    except PlumError:
        yield "ok", f"{megabytes(free)} free.", ""
        return
    what = f"{megabytes(free)} free; learning on the model in use takes {megabytes(needed)}"
    if free < needed:
        yield "warn", f"{what}.", "Free some space before you learn."
    else:
        yield "ok", f"{what} at most.", ""


def _database(folder: DataFolder) -> Iterator[tuple[State, str, str]]:
    store = Store(folder.database, folder.backups)
    try:
        store.check()
        chats, facts = len(store.chats.list(archived=None)), sum(store.facts.counts().values())
        size = megabytes(folder.database.stat().st_size)
        yield "ok", f"Every page of {size} is whole: {chats} chats, {facts} facts.", ""
        if run := store.runs.unfinished():
            go_on = "Go on with it: `plum-desktop learn --resume`."
            yield "warn", f"Learning job {run.id} is unfinished.", go_on
        for adapter in store.adapters.list():
            if adapter.active and not (folder.adapter(adapter.id) / ADAPTER_FILE).is_file():
                undo = "Undo it, `plum-desktop adapters rollback`, and learn again."
                yield "fail", f"The files of adapter {adapter.id}, which serves, are gone.", undo
    finally:
        store.close()


def _model(folder: DataFolder) -> Iterator[tuple[State, str, str]]:
    models = _models(folder)
    wanted = Preferences(folder.settings).current.model
    try:
        file = models.file()
    except PlumError:
        missing = f"The model {wanted} is missing." if wanted else "There is no model."
        bring = "Bring one in, `plum-desktop models add FILE.gguf`, or take another: "
        yield "fail", missing, f"{bring}`plum-desktop models list`."
        return
    read_header(file.path)
    engine = EngineClient()
    try:
        features = engine.system()
        loaded = engine.load(file.path, n_ctx=_SMALL_CONTEXT, threads=1)
        engine.complete("1, 2, 3,", max_tokens=4, temperature=0.0)
    except WorkerCrashed as error:
        what, _ = _split(error)
        yield "fail", what, (
            "This computer's processor may lack what llama.cpp was built for (AVX2), or memory "
            "ran out: choose a smaller model, or install from source."
        )  # fmt: skip
        return
    finally:
        engine.close()
    with_what = [name for name in features["features"] if name in _SHOWN]
    where = "a graphics card and the processor" if features["gpu"] else "the processor"
    yield "ok", f"{file.name} loads and answers, on {where} ({', '.join(with_what)}).", ""
    if not loaded.template:
        yield "warn", "It says nothing of how to chat with it; a usual form is taken.", ""
    if (info := models.current()) and info.why_not:
        yield "warn", info.why_not, "To learn, choose a model that can: `plum-desktop models list`."


def _trainer(folder: DataFolder) -> Iterator[tuple[State, str, str]]:
    chosen = trainer_for(Preferences(folder.settings).current.backend)  # type: ignore[arg-type]
    wanted: tuple[Trainer, ...] = ("mlx",) if apple_silicon() and chosen != "mlx" else ()
    for trainer in (chosen, *wanted):
        if why := cannot_learn(trainer):
            yield ("warn", *_split(PlumError(why)))
    for library, modules in NEEDED.items():
        if any(importlib.util.find_spec(name) is None for name in modules):
            continue
        try:
            devices = _asked("stage", "probe", library=library)["devices"]
        except PlumError as error:
            again = f"Install {library} anew: " + (
                "install this bundle again, over itself."
                if is_bundle()
                else "`pip install --force-reinstall 'plum-desktop[learn]'`."
            )
            yield "fail", f"{library} does not work: {error}", again
            continue
        if works := [name for name, reason in devices.items() if not reason]:
            yield "ok", f"{library} trains here, on: {', '.join(works)}.", ""
        for name, reason in devices.items():
            if reason:
                driver = "Update the driver of the graphics card; learning on the processor works."
                yield "warn", f"{library} does not train on {name}: {reason}", driver


def _window(_: DataFolder) -> Iterator[tuple[State, str, str]]:
    if importlib.util.find_spec("PySide6") is None:
        yield "warn", "Qt is missing.", "Run: pip install PySide6-Essentials"
        return
    try:
        found = _asked("window", "probe")
    except WorkerCrashed:
        yield "fail", "Qt does not start on this system.", (
            "Install the libraries it needs; `make run` in a checkout names them, and "
            "`QT_DEBUG_PLUGINS=1 plum-desktop` the one that is missing."
        )  # fmt: skip
        return
    except PlumError as error:
        yield "fail", f"Qt does not start on this system. {error}", (
            "Install your system's package that has it; "
            + (
                "Plum's .deb brings all that it needs."
                if is_bundle()
                else "`make run` in a checkout names the package."
            )
        )  # fmt: skip
        return
    if found["display"]:
        yield "ok", f"Qt {found['qt']} opens windows ({found['platform']}).", ""
    else:
        yield "ok", f"Qt {found['qt']} works; there is no display here for a window.", ""


def _crashes(folder: DataFolder) -> Iterator[tuple[State, str, str]]:
    report = folder.logs / crash.KEPT
    if report.exists():
        see = f"The next window offers it for a report; it is {report} and holds no word of a chat."
        yield "warn", "There was one since you last looked.", see
    else:
        yield "ok", "None that you have not seen.", ""


def _models(folder: DataFolder) -> ModelService:
    return ModelService(folder, Preferences(folder.settings))


def _asked(worker: str, op: str, **args: Any) -> dict[str, Any]:
    """What a child of ours answers.  Raises PlumError, also where it says nothing for long."""
    child = Child(worker_command(worker), name=worker)
    try:
        return child.call(op, timeout=_PATIENCE, **args)
    except TimeoutError as error:
        raise PlumError(
            "The {worker} did not answer in {patience:.0f} seconds.",
            worker=worker,
            patience=_PATIENCE,
        ) from error
    finally:
        child.stop()


PARTS: dict[str, Look] = {
    "Program": _program,
    "Memory": _memory,
    "Data folder": _data_folder,
    "Disk": _disk,
    "Chats": _database,
    "Model": _model,
    "Trainer": _trainer,
    "Window": _window,
    "Crashes": _crashes,
}
