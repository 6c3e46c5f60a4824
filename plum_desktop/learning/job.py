"""The job folder: what a learning run leaves between its stages, so that it can go on later."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from plum_desktop import __version__
from plum_desktop.adapters.lora import BASE_SHA256, CREATED, CREATED_BY, RECIPE
from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.files import read_json, read_json_lines, write_json
from plum_desktop.learning import recipe as recipes
from plum_desktop.learning.recipe import Recipe

Stage = Literal["select", "augment", "tokenize", "train", "gate", "merge", "switch"]
STAGES: tuple[Stage, ...] = ("select", "augment", "tokenize", "train", "gate", "merge", "switch")


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a run was asked to do; written once, at its start."""

    run_id: str
    model: str  # path of the base GGUF
    model_sha256: str
    backend: Literal["torch", "mlx"]
    recipe: Recipe
    chats: tuple[str, ...]  # in time order; learning.own.HOME may be among them
    parent_adapter: str | None  # folder of the adapter that served, and that training goes on from
    primer: str | None  # without a parent: folder of the base model's primer, see learning.primer
    persona: str | None  # a system prompt that the product serves, for the prompt shapes

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def metadata(self) -> dict[str, str]:
        """What an adapter's files say of their making; never a word of a chat."""
        return {
            BASE_SHA256: self.model_sha256,
            RECIPE: self.recipe.name,
            CREATED_BY: f"plum-desktop {__version__}",
            CREATED: datetime.now(UTC).isoformat(timespec="seconds"),
        }


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Paths of a job.  A file's presence says that the stage which writes it has finished."""

    root: Path

    @property
    def spec_file(self) -> Path:
        return self.root / "job.json"

    @property
    def conversations(self) -> Path:
        return self.root / "conversations.jsonl"

    @property
    def others(self) -> Path:
        """Every stored chat's words, the new ones' too, against which negatives are checked."""
        return self.root / "others.jsonl"

    @property
    def former(self) -> Path:
        """What the new chats take back of what older ones said, to be taught as no longer so."""
        return self.root / "former.jsonl"

    @property
    def own(self) -> Path:
        """Facts that the user told outside every chat, see learning.own."""
        return self.root / "own.jsonl"

    @property
    def facts(self) -> Path:
        return self.root / "facts.jsonl"

    @property
    def replay_facts(self) -> Path:
        return self.root / "replay.jsonl"

    @property
    def replay_gists(self) -> Path:
        """Gists of the older chats whose facts are asked again, with the ids of their `facts`."""
        return self.root / "replay-gists.jsonl"

    @property
    def model_topics(self) -> Path:
        """What the model wrote so far: augmentation goes on behind its last line."""
        return self.root / "topics.partial.jsonl"

    @property
    def rows(self) -> Path:
        return self.root / "rows.npz"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint.pt"

    @property
    def losses(self) -> Path:
        return self.root / "losses.jsonl"

    @property
    def adapter(self) -> Path:
        """PEFT folder, canonical; `adapter.gguf` in it is what llama.cpp loads."""
        return self.root / "adapter"

    @property
    def adapter_gguf(self) -> Path:
        return self.adapter / "adapter.gguf"

    @property
    def report(self) -> Path:
        return self.root / "gate.json"

    @property
    def merged(self) -> Path:
        return self.adapter / "merged.gguf"

    @property
    def merge_report(self) -> Path:
        return self.root / "merge.json"

    @property
    def paused(self) -> Path:
        """While this file is there, training waits."""
        return self.root / "paused"

    @property
    def excluded(self) -> Path:
        """Subjects that the user does not want taught."""
        return self.root / "excluded.json"

    @property
    def old_facts(self) -> Path:
        """Facts of older chats that the gate asks again."""
        return self.root / "retention.jsonl"

    @property
    def measured(self) -> Path:
        """Seconds and bytes that the stages took so far."""
        return self.root / "measured.json"

    def remove(self) -> None:
        """Delete the folder and every word in it."""
        shutil.rmtree(self.root, ignore_errors=True)

    def write_spec(self, spec: JobSpec) -> None:
        write_json(self.spec_file, spec.to_dict())

    def read_spec(self) -> JobSpec:
        """Raises DamagedFile when the folder holds no readable job."""
        try:
            values = read_json(self.spec_file)
            values["recipe"] = recipes.from_dict(values["recipe"])
            values["chats"] = tuple(values["chats"])
            values.pop("busy_lock", None)  # of a run that an older version began
            return JobSpec(**values)
        except (FileNotFoundError, AttributeError, KeyError, TypeError) as error:
            raise DamagedFile(
                "The learning job in {root} cannot be read; discard it and learn again.",
                root=self.root,
            ) from error

    def read_losses(self) -> list[float]:
        """The loss of every step so far, nats; none before training."""
        rows = read_json_lines(self.losses) if self.losses.exists() else []
        return [row["loss"] for row in rows]

    def done(self, stage: Stage) -> bool:
        """Whether a stage's output is there; outputs appear whole or not at all."""
        output = {
            "select": self.conversations,
            "augment": self.facts,
            "tokenize": self.rows,
            "train": self.adapter_gguf,
            "gate": self.report,
            "merge": self.merge_report,
        }.get(stage)
        return output is not None and output.exists()
