"""Make the primer of a base model, as it ships in plum_desktop/resources/primers.

    .venv/bin/python scripts/make_primer.py [--model FILE.gguf] --work FOLDER

Takes about half an hour for the starter model on 2 cores.  Stopped, it goes on from `--work`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import shutil
import time
from dataclasses import replace
from pathlib import Path

from plum_desktop.adapters.peft_format import read_peft, write_peft
from plum_desktop.engine.client import EngineClient
from plum_desktop.engine.template import open_vocab
from plum_desktop.learning import anchors, episodes, recipe, stock, tokenize
from plum_desktop.learning.job import JobFolder
from plum_desktop.learning.reading import Reading
from plum_desktop.learning.rows import Plan
from plum_desktop.learning.train import train
from plum_desktop.models.local import find_starter

EPISODES, STEPS = 14, 46
TEXTS, QUESTIONS = 192, 999  # anchors
RESOURCES = Path(__file__).parents[1] / "plum_desktop" / "resources" / "primers"
# Less of what a primer has to forget again, and the reading of excerpts from the ground up.
RECIPE = replace(
    recipe.preset("default"), questions=4, spliced_share=0.25, readings=1.2, own_readings=0.4,
    read_no_weight=1.0, anchor_questions=2, open_every=5,
    open_questions=1, open_never=1, open_weight=0.02,
    answered_share=0.3, final_share=0.3,
)  # fmt: skip


class Watch:
    """Prints how far the training is, now and then."""

    def __init__(self) -> None:
        self._told = 0.0

    def progress(self, fraction: float, text: str = "", **fields: object) -> None:
        if time.monotonic() - self._told > 20:
            self._told = time.monotonic()
            print(f"{fraction:6.1%}  {text}  {fields}", flush=True)

    def check(self) -> None:
        """Never stops by itself."""


def make_rows(model: Path, work: Path, rows: Path) -> None:
    """Everything that needs the engine, and the rows of every step."""
    cached = work / anchors.SHIPPED
    watch = Watch()
    with contextlib.closing(EngineClient()) as engine:
        engine.load(model, n_ctx=2048)
        anchors.make(
            engine, cached, lambda share, _: watch.progress(share, "anchors"),
            most_texts=TEXTS, most_questions=QUESTIONS,
        )  # fmt: skip
    vocab = open_vocab(model)
    reading = Reading(stock.conversations(), stock.asked())
    asked = stock.asked()
    batches = list(episodes.episodes(stock.practised(), asked, reading, RECIPE, EPISODES, STEPS))
    loaded = anchors.load(cached, RECIPE.anchor_tokens)
    tokenize.plan_of(tokenize.Encoder(vocab, RECIPE), batches, loaded, RECIPE).save(rows)
    vocab.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, help="default: the starter model")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is under way")
    arguments = parser.parse_args()
    model = arguments.model or find_starter()
    assert model, "There is no starter model; run `make venv`."
    with model.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    job = JobFolder(work)
    if not job.rows.exists():
        make_rows(model, work, job.rows)
    print(f"{len(Plan.load(job.rows).steps)} steps", flush=True)

    def trainer() -> object:
        from plum_desktop.learning.trainers.torch_peft import TorchTrainer

        return TorchTrainer(model, RECIPE)

    result = train(job, trainer, RECIPE, Watch())  # type: ignore[arg-type]
    print(result)
    metadata = {"base_sha256": digest, "recipe": "primer"}
    folder = RESOURCES / digest[:16]
    write_peft(read_peft(job.adapter).with_metadata(metadata), folder, half=True)
    shutil.copyfile(work / anchors.SHIPPED, folder / anchors.SHIPPED)
    print(f"wrote {folder}")


if __name__ == "__main__":
    main()
