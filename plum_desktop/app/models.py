"""The models a person can choose from, each with whether it fits this machine and can learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plum_desktop.app.preferences import Preferences
from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.models import local
from plum_desktop.models.fit import Fit, chat_bytes, fit, memory
from plum_desktop.models.header import GGUFHeader, read_header
from plum_desktop.models.local import ModelFile
from plum_desktop.models.support import why_not, why_not_chat


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model file as a list shows it."""

    name: str
    size: int  # bytes
    architecture: str  # empty: the file cannot be read, and `why_not` says why
    quantization: str
    context: int  # tokens it was made for; 0: the file does not say
    can_learn: bool
    why_not: str | None  # why it cannot learn
    in_use: bool
    fit: Fit
    starter: bool


class ModelService:
    """Lists, adds, chooses and removes model files; the choice is the setting `model`."""

    def __init__(self, folder: DataFolder, preferences: Preferences) -> None:
        self._folder = folder
        self._preferences = preferences

    def list(self) -> list[ModelInfo]:
        """Every model by name, damaged ones too."""
        return [self._info(file) for file in local.list_models(self._folder.models)]

    def current(self) -> ModelInfo | None:
        """The model in use; None where there is none, or it has gone."""
        try:
            return self._info(self.file())
        except PlumError:
            return None

    def file(self, name: str | None = None) -> ModelFile:
        """The file of the model called `name`; None: of the one in use.

        Raises PlumError where there is none.
        """
        wanted = self._preferences.current.model if name is None else name
        return local.resolve(self._folder.models, wanted)

    def add(self, path: Path, on_progress: Callable[[float], None] | None = None) -> ModelInfo:
        """Bring a GGUF file into the data folder.

        Raises PlumError for what is no chat model, DamagedFile, DiskFull.
        """
        path = path.expanduser()
        return self._info(local.add_model(self._folder.models, path, on_progress=on_progress))

    def use(self, name: str) -> ModelInfo:
        """Chat and learn with this model from now on.  Raises PlumError where it cannot chat."""
        file = self.file(name)
        if reason := why_not_chat(read_header(file.path)):
            raise PlumError(reason)
        self._preferences.set("model", "" if file.starter else file.name)
        return self._info(file)

    def remove(self, name: str) -> None:
        """Delete a model's file.  Raises PlumError for the one in use."""
        file = self.file(name)
        if self._in_use(file):
            raise PlumError(f"{file.name} is in use; choose another model first.")
        local.remove_model(self._folder.models, file.name)

    def why_not(self, file: ModelFile) -> str | None:
        """None where the model can learn; else one sentence that says why it cannot.

        Raises DamagedFile.
        """
        return why_not(read_header(file.path))

    def fits_in_memory(self, path: Path) -> bool:
        """Whether this machine can hold the GGUF file at the context that is set."""
        return self._fit(read_header(path)) == "fits"

    def _info(self, file: ModelFile) -> ModelInfo:
        try:
            header = read_header(file.path)
        except PlumError as error:
            return ModelInfo(
                file.name, file.size, "", "", 0, False, str(error), self._in_use(file),
                "will not fit", file.starter,
            )  # fmt: skip
        reason = why_not(header)
        return ModelInfo(
            name=file.name,
            size=file.size,
            architecture=header.architecture,
            quantization=header.quantization,
            context=header.context_length,
            can_learn=reason is None,
            why_not=reason,
            in_use=self._in_use(file),
            fit=self._fit(header),
            starter=file.starter,
        )

    def _in_use(self, file: ModelFile) -> bool:
        chosen = self._preferences.current.model
        return file.starter if not chosen else chosen in (file.name, file.path.stem)

    def _fit(self, header: GGUFHeader) -> Fit:
        context = self._preferences.current.context or header.context_length
        return fit(chat_bytes(header, context), memory())
