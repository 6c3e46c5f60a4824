"""What was learned, run by run: which adapter serves, going back, and taking one away."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from plum_desktop.adapters.mlx_format import write_mlx
from plum_desktop.adapters.peft_format import read_peft
from plum_desktop.app.models import ModelService
from plum_desktop.app.serving import ADAPTER_FILE, MERGED_FILE, Serving
from plum_desktop.app.stage import stage_worker
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import atomic_write, disk_errors, open_file, require_free
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sealing import seal_of
from plum_desktop.base.sentence import Sentence
from plum_desktop.base.types import Adapter
from plum_desktop.models.local import ModelFile
from plum_desktop.store import Store

ExportFormat = Literal["peft", "gguf", "mlx", "merged"]
MergedType = Literal["Q8_0", "F16", "F32"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
EXPORT_WARNING = Sentence("Whoever has this file can ask it what you said in the chats it learned.")

# The canonical adapter: what `peft.PeftModel.from_pretrained` reads.
_PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")
_FOLDERS = ("peft", "mlx")  # formats that are a folder
_CHUNK = 1 << 22
Progress = Callable[[float], None]


class AdapterService:
    """The adapters of the model in use, unless a method says otherwise."""

    EXPORT_WARNING = EXPORT_WARNING

    def __init__(
        self, folder: DataFolder, store: Store, models: ModelService, serving: Serving
    ) -> None:
        self._folder = folder
        self._store = store
        self._models = models
        self._serving = serving

    def list(self) -> list[Adapter]:
        """Every adapter of every model, newest first; deleted ones are left out."""
        return [each for each in self._store.adapters.list() if each.state != "deleted"]

    def active(self) -> Adapter | None:
        """The adapter that serves the model in use; None: the base alone."""
        return self._store.adapters.active(self._models.file().sha256)

    def activate(self, adapter_id: str) -> Adapter:
        """Serve this adapter whenever its base model is in use.

        Raises PlumError for one that the gate refused, of another model, or without files.
        """
        adapter = self._store.adapters.get(adapter_id)
        if adapter.state not in ("ready", "undone"):
            raise PlumError(
                "Adapter {id} is {state} and cannot be switched on; learn again.",
                id=adapter.id,
                state=adapter.state,
            )
        self._model_of(adapter)
        if not self.has_files(adapter.id):
            raise PlumError("The files of adapter {id} are gone; learn again.", id=adapter.id)
        with self._store.transaction():
            self._store.adapters.update(adapter.id, state="ready")
            self._store.adapters.activate(adapter.id, adapter.model_sha256)
        self._serving.invalidate()
        return self._store.adapters.get(adapter.id)

    def rollback(self) -> Adapter | None:
        """Undo the active adapter: serve the one it was trained from, or the base (None).

        The undone one keeps its files.  Raises PlumError where there is nothing to undo.
        """
        current = self.active()
        if current is None:
            raise PlumError("There is nothing to undo: the model serves without any memory.")
        previous = self._ancestor(current)
        with self._store.transaction():
            self._store.adapters.update(current.id, state="undone")
            self._store.adapters.activate(previous.id if previous else None, current.model_sha256)
        self._serving.invalidate()
        return self.active()

    def deactivate(self) -> None:
        """Serve the base alone; every adapter stays as it is."""
        self._store.adapters.activate(None, self._models.file().sha256)
        self._serving.invalidate()

    def delete(self, adapter_id: str) -> None:
        """Delete an adapter's files for good.  Raises PlumError for the one that serves."""
        adapter = self._store.adapters.get(adapter_id)
        if adapter.active:
            raise PlumError(
                "Adapter {id} is serving; roll back first, then delete it.", id=adapter.id
            )
        self._serving.invalidate()
        self._store.adapters.update(adapter.id, state="deleted")
        self.remove_files(adapter.id)

    def has_files(self, adapter_id: str) -> bool:
        """Whether an adapter's files are there, so that it can serve."""
        return (self._folder.adapter(adapter_id) / ADAPTER_FILE).is_file()

    def remove_files(self, adapter_id: str) -> None:
        """Remove an adapter's folder, if it is there.  Raises PlumError."""
        try:
            shutil.rmtree(self._folder.adapter(adapter_id))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise PlumError(
                "{filename} cannot be deleted ({strerror}); close what uses it and try again.",
                filename=error.filename,
                strerror=error.strerror,
            ) from error

    def export(
        self,
        adapter_id: str | None,
        format: ExportFormat,
        path: Path,
        on_progress: Progress | None = None,
        at_least: MergedType | None = None,
    ) -> Path:
        """Copy an adapter (None: the active one) to `path` and return where it is now.

        `at_least` merges anew, and writes what changed in no smaller type (`merge.TYPES`).
        `peft` and `mlx` make a folder, `gguf` and `merged` a file; an existing folder gets the file
        under a name of its own, an existing file is never replaced.  Raises PlumError, DiskFull.
        """
        if format not in EXPORT_FORMATS:
            raise PlumError(
                "{format!r} is not a format; there are {export_formats}.",
                format=format,
                export_formats=", ".join(EXPORT_FORMATS),
            )
        adapter = self._store.adapters.get(adapter_id) if adapter_id else self.active()
        if adapter is None:
            raise PlumError("Nothing has been learned yet, so there is nothing to export.")
        names = {"gguf": (ADAPTER_FILE,), "merged": (MERGED_FILE,)}.get(format, _PEFT_FILES)
        sources = [self._file(adapter, name) for name in names]
        if format == "merged" and seal_of(sources[0]):
            raise PlumError(
                "Under a passphrase no merged model is kept, so none can be exported; export the "
                "adapter."
            )
        if missing := [source for source in sources if not source.is_file()]:
            raise PlumError(
                "{missing} is missing, so it cannot be exported; learn again.", missing=missing[0]
            )
        path = path.expanduser().absolute()
        if format not in _FOLDERS and path.is_dir():
            path = path / f"plum-{adapter.id[:8]}-{names[0]}"
        if path.exists() and (format not in _FOLDERS or not path.is_dir() or any(path.iterdir())):
            raise PlumError("{path} already exists; choose another name.", path=path)
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if at_least and format == "merged":
                return self._merge(adapter, path, at_least)
            if format in _FOLDERS:
                path.mkdir(exist_ok=True)
            if format == "mlx":
                return write_mlx(read_peft(sources[0].parent), path)
        targets = [path / name for name in names] if format == "peft" else [path]
        _copy(sources, targets, on_progress)
        return path

    def _merge(self, adapter: Adapter, out: Path, at_least: MergedType) -> Path:
        """Merge an adapter of the model in use into a file that is not the one that serves."""
        model = self._model_of(adapter)
        child = stage_worker(self._folder, "merge worker", low_priority=False)
        try:
            child.call(
                "merge", model=str(model.path), folder=str(self._folder.adapter(adapter.id)),
                out=str(out), at_least=at_least,
            )  # fmt: skip
        finally:
            child.stop()
        return out

    def _model_of(self, adapter: Adapter) -> ModelFile:
        """The model in use.  Raises PlumError where the adapter was learned on another."""
        model = self._models.file()
        if adapter.model_sha256 != model.sha256:
            raise PlumError(
                "Adapter {id} was learned on another model than {name}; use that model first.",
                id=adapter.id,
                name=model.name,
            )
        return model

    def _file(self, adapter: Adapter, name: str) -> Path:
        return self._folder.adapter(adapter.id) / name

    def _ancestor(self, adapter: Adapter) -> Adapter | None:
        """The nearest ancestor that can serve."""
        while adapter.parent_id:
            adapter = self._store.adapters.get(adapter.parent_id)
            if adapter.state == "ready" and self.has_files(adapter.id):
                return adapter
        return None


def _copy(sources: list[Path], targets: list[Path], on_progress: Progress | None) -> None:
    total = sum(source.stat().st_size for source in sources)
    require_free(targets[0].parent, total, "The export")
    done = 0
    for source, target in zip(sources, targets, strict=True):
        with open_file(source) as stream, atomic_write(target) as out:
            while chunk := stream.read(_CHUNK):
                out.write(chunk)
                done += len(chunk)
                if on_progress:
                    on_progress(done / total)
