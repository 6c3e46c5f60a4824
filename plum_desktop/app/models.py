"""The models a person can choose from, each with whether it fits this machine and can learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from plum_desktop.app.backend import trainer_for
from plum_desktop.app.estimate import Estimates, pace
from plum_desktop.app.graphics import card_bytes
from plum_desktop.app.preferences import Preferences
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import megabytes
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sentence import Sentence
from plum_desktop.learning import recipe as recipes
from plum_desktop.models import local
from plum_desktop.models.catalog import CatalogModel, catalog
from plum_desktop.models.fit import (
    Fit,
    Memory,
    Shape,
    chat_bytes,
    fit,
    memory,
    training_bytes,
    why_fit,
    why_no_room,
)
from plum_desktop.models.header import read_header
from plum_desktop.models.local import ModelFile
from plum_desktop.models.support import why_not, why_not_chat, why_not_expected

Seconds = Callable[[Shape], float]  # of learning a chat


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
    fit_reason: str = ""  # a sentence; empty where the file cannot be read
    learn_seconds: float | None = None  # a chat, about; None: it cannot learn, or nobody knows
    good_for: str = ""  # of a model of the catalog
    licence: str = ""  # its name; empty where nobody says


@dataclass(frozen=True, slots=True)
class Offer:
    """A model of the catalog that is not here, as it would be on this machine."""

    model: CatalogModel
    fit: Fit
    fit_reason: str
    can_learn: bool
    why_not: str | None
    learn_seconds: float | None  # a chat, about; None: it cannot learn


class ModelService:
    """Lists, adds, chooses and removes model files; the choice is the setting `model`."""

    def __init__(self, folder: DataFolder, preferences: Preferences) -> None:
        self._folder = folder
        self._preferences = preferences

    def offers(self) -> list[Offer]:
        """The models of the catalog that are not here, in its order."""
        here = {file.name for file in local.list_models(self._folder.models)}
        seconds = self._seconds(read=True)
        return [self._offer(model, seconds) for model in catalog() if model.file not in here]

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
            raise PlumError("{name} is in use; choose another model first.", name=file.name)
        local.remove_model(self._folder.models, file.name)

    def why_not(self, file: ModelFile) -> str | None:
        """None where the model can learn; else one sentence that says why it cannot.

        Raises DamagedFile.
        """
        return why_not(read_header(file.path))

    def fits_in_memory(self, path: Path) -> bool:
        """Whether this machine can hold the GGUF file at the context that is set."""
        needed = self._chat_bytes(Shape.of(read_header(path)))
        return fit(needed, _for_chatting()) == "fits"

    def _info(self, file: ModelFile) -> ModelInfo:
        try:
            header = read_header(file.path)
        except PlumError as error:
            return ModelInfo(
                file.name, file.size, "", "", 0, False, str(error), self._in_use(file),
                "will not fit", file.starter,
            )  # fmt: skip
        shape = Shape.of(header)
        reason = why_not(header) or _too_large_to_learn(shape)
        verdict, why = why_fit(self._chat_bytes(shape), _for_chatting())
        seconds = self._seconds() if reason is None else None
        known = next((each for each in catalog() if each.file == file.name), None)
        return ModelInfo(
            name=file.name,
            size=file.size,
            architecture=header.architecture,
            quantization=header.quantization,
            context=header.context_length,
            can_learn=reason is None,
            why_not=reason,
            in_use=self._in_use(file),
            fit=verdict,
            starter=file.starter,
            fit_reason=why,
            learn_seconds=seconds(shape) if seconds else None,
            good_for=known.good_for if known else "",
            licence=known.licence if known else header.licence,
        )

    def _offer(self, model: CatalogModel, seconds: Seconds | None) -> Offer:
        verdict, why = why_fit(self._chat_bytes(model.shape), _for_chatting())
        if no_room := why_no_room(model.approximate_size, self._folder.models):
            verdict, why = "will not fit", no_room
        reason = why_not_expected(model.name, model.architecture, model.parts)
        reason = reason or _too_large_to_learn(model.shape)
        learns = seconds(model.shape) if seconds and reason is None else None
        return Offer(model, verdict, why, reason is None, reason, learns)

    def _seconds(self, *, read: bool = False) -> Seconds | None:
        """How long a chat takes to learn on a model, as the model in use measured it.

        Its measures lie under its digest, for which the file is only read where `read` says so.
        """
        settings = self._preferences.current
        try:
            trainer = trainer_for(settings.backend)  # type: ignore[arg-type]
            file = self.file()
            if not (read or file.known_sha256):
                return None
            estimates = Estimates(self._folder, file, trainer)
            measured = Shape.of(read_header(file.path))
        except PlumError:
            return None
        recipe, free = recipes.preset(settings.recipe), memory().available

        def seconds(model: Shape) -> float:
            slower = pace(model, free) / pace(measured, free) if trainer == "torch" else 1.0
            return estimates.a_chat(recipe, model.file_size, slower)

        return seconds

    def _in_use(self, file: ModelFile) -> bool:
        chosen = self._preferences.current.model
        return file.starter if not chosen else chosen in (file.name, file.path.stem)

    def _chat_bytes(self, shape: Shape) -> int:
        return chat_bytes(shape, self._preferences.current.context or shape.context)


def _for_chatting() -> Memory:
    return replace(memory(), cards=card_bytes())


def _too_large_to_learn(shape: Shape) -> str | None:
    needed, machine = training_bytes(shape), memory()
    if fit(needed, machine) != "will not fit":
        return None
    return Sentence(
        "Learning on it needs {needed} of memory, and this computer has {total}.",
        needed=megabytes(needed),
        total=megabytes(machine.total),
    )
