"""How long learning takes on this machine: from what earlier runs took, else from a guess."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.files import read_json, write_json
from plum_desktop.base.paths import DataFolder
from plum_desktop.learning.facts import PART
from plum_desktop.learning.recipe import Recipe
from plum_desktop.models.fit import Hold, Shape, choose_hold
from plum_desktop.models.local import ModelFile

_REFERENCE_BYTES = 98e6  # the starter model, on which the guesses below were measured (2 cores)
_USUAL = [16] * 10  # messages of the chats of a usual run
_GUESS = {"augment": 5.0, "train": 1.3, "gate": 3.0, "fixed": 80.0, "merge": 8.0}
# A step's time by how the weights are held, measured on two cores, which have rows of their own
# only where they are floats.
_PACE: dict[Hold, float] = {"floats": 1.0, "packed": 2.0, "frugal": 2.8}
_NUMBER_BYTES = 4  # whether the processor computes in 2 is for the trainer to find out


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Expected seconds of each stage of one job."""

    augment: float
    train: float
    gate: float
    merge: float

    @property
    def total(self) -> float:
        return self.augment + self.train + self.gate + self.merge

    def after(self, stage: str) -> float:
        """Seconds of the stages behind `stage`."""
        order = ("select", "augment", "tokenize", "train", "gate", "merge", "switch")
        later = order[order.index(stage) + 1 :]
        seconds: dict[str, float] = asdict(self)
        return sum(seconds.get(name, 0.0) for name in later)


class Estimates:
    """Speeds of this machine for one model and trainer, kept in the cache folder.

    Seconds: `augment` and `gate` a chat, `train` a step, `merge` and `fixed` a job.
    """

    def __init__(self, folder: DataFolder, model: ModelFile, backend: str) -> None:
        self._path = folder.cache / f"speed-{backend}-{model.sha256[:16]}.json"
        self._size = model.size
        scale = max(0.2, model.size / _REFERENCE_BYTES)
        self._speed = {key: guess * scale for key, guess in _GUESS.items()}
        # A cache: whatever is wrong with it, the guesses do.
        damaged = (DamagedFile, ValueError, TypeError, AttributeError)
        with contextlib.suppress(FileNotFoundError, *damaged):
            stored = read_json(self._path)
            self._speed |= {k: float(v) for k, v in stored.items() if k in _GUESS}

    def job(self, recipe: Recipe, messages: Sequence[int], older: int) -> StageSeconds:
        """What learning conversations of so many messages each takes, `older` learned before."""
        chats = len(messages)
        lessons = sum(-(-count // PART) for count in messages)
        visits = recipe.visits(lessons)
        between = recipe.visits_between_open(visits, lessons + older)
        steps = visits + (visits // between if between else 0)
        return StageSeconds(
            augment=self._speed["augment"] * chats,
            train=self._speed["train"] * steps,
            gate=self._speed["gate"] * chats + self._speed["fixed"],
            merge=self._speed["merge"],
        )

    def a_chat(self, recipe: Recipe, size: int, pace: float = 1.0) -> float:
        """Seconds a chat in a usual run on a model of `size` bytes, as this model's speed has it.

        What learns and answers reads all of a model for each token, so size is what counts, and
        how many times as long as this model's its steps take at the same size, `pace`.
        """
        usual = self.job(recipe, _USUAL, older=0)
        return (usual.total + usual.train * (pace - 1)) / len(_USUAL) * size / self._size

    def learn(self, measured: Mapping[str, float]) -> None:
        """Keep what a run measured; the newest counts as much as all before it."""
        for key, seconds in measured.items():
            if seconds > 0:
                self._speed[key] = (self._speed[key] + seconds) / 2
        write_json(self._path, self._speed)


def pace(model: Shape, available: int) -> float:
    """How much longer a step takes where the model does not fit `available` bytes as floats."""
    return _PACE[choose_hold(model, available, _NUMBER_BYTES)[0]]
