"""What the benches of the model work on: conversations, a job folder, a LoRA of no meaning."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.lora import LoraAdapter
from plum_desktop.adapters.names import module_name
from plum_desktop.adapters.peft_format import write_peft
from plum_desktop.base.child import Child
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import read_json_lines, write_json_lines
from plum_desktop.base.paths import worker_command
from plum_desktop.learning import primer, stock
from plum_desktop.learning.conversation import Conversation, Turn
from plum_desktop.learning.job import JobFolder, JobSpec
from plum_desktop.learning.recipe import preset
from plum_desktop.models.header import read_header
from plum_desktop.models.local import ModelFile

_MODULES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_DELTA = 0.01  # of a LoRA's numbers: about what a run leaves


@dataclass(frozen=True, slots=True)
class Model:
    """A model file and how many threads work on it."""

    path: Path
    sha256: str
    threads: int

    @classmethod
    def of(cls, file: ModelFile, threads: int) -> Model:
        return cls(file.path, file.sha256, threads)


def conversations(path: Path | None, most: int) -> list[Conversation]:
    """The first `most` of a file of conversations, one a line, else of the program's stock.

    Raises PlumError where there are none.
    """
    if path is None:
        found = stock.conversations()
    else:
        try:
            found = [
                Conversation(
                    str(row["id"]),
                    tuple(
                        Turn(said["role"], said["content"], f"{row['id']}-{place}")
                        for place, said in enumerate(row["messages"])
                    ),
                    str(row["id"]),
                )
                for row in read_json_lines(path)
            ]
        except (KeyError, TypeError) as error:
            raise PlumError(
                "{path} holds no conversations; give one a line, as JSON.", path=path
            ) from error
    if not found:
        raise PlumError("There are no conversations to work on.")
    # As a user's own, since the stock's are nobody's.
    return [replace(one, chat_id=one.id) for one in found[:most]]


def make_job(root: Path, model: Model, chats: Sequence[Conversation]) -> JobFolder:
    """A fresh job folder at `root`, with the conversations selected; facts by rule alone."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    job = JobFolder(root)
    first = primer.shipped(model.sha256)
    job.write_spec(
        JobSpec(
            run_id=root.name,
            model=str(model.path),
            model_sha256=model.sha256,
            backend="torch",
            recipe=preset("default"),
            chats=tuple(chat.id for chat in chats),
            parent_adapter=None,
            primer=str(first) if first else None,
            persona=None,
        )
    )
    write_json_lines(job.conversations, [chat.to_dict() for chat in chats])
    write_json_lines(job.others, [{"id": chat.id, "text": chat.text} for chat in chats])
    return job


def write_adapter(model: Path, folder: Path, rank: int = 16) -> None:
    """A LoRA on every linear layer of `model`, random: what it costs does not ask what it says."""
    header = read_header(model)
    rng = np.random.default_rng(5)
    tensors = {}
    for name, info in header.tensors.items():
        if name.startswith("blk.") and name.split(".")[-2] in _MODULES:
            rows, width = info.shape
            tensors[module_name(header.architecture, name)] = (
                rng.normal(0, _DELTA, (rank, width)).astype(np.float32),
                rng.normal(0, _DELTA, (rows, rank)).astype(np.float32),
            )
    adapter = LoraAdapter(float(2 * rank), rank, tensors)
    folder.mkdir(parents=True, exist_ok=True)
    write_peft(adapter, folder)
    write_gguf(adapter, header, folder / "adapter.gguf")


@contextmanager
def child(name: str, *, low_priority: bool = False) -> Iterator[Child]:
    """A worker of ours, `stage` or `peer`, as long as the block runs."""
    made = Child(worker_command(name), name=name, low_priority=low_priority)
    try:
        yield made
    finally:
        made.stop()
