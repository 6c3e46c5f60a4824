"""What each ingredient of the recipe is worth: learn the same chats without one at a time.

    .venv/bin/python scripts/ablate.py --bench FOLDER --work FOLDER [--chats 25] [VARIANT...]

FOLDER holds conversations.jsonl and questions.jsonl.  Prints a line for each variant and keeps
it in `--work`; what stands there is not done again, so a run may be stopped at any time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.peft_format import read_peft
from plum_desktop.app import evaluate
from plum_desktop.base.files import read_json_lines, write_json_lines
from plum_desktop.base.types import Fact
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning import anchors, augment, gate, primer, tokenize
from plum_desktop.learning.conversation import Conversation, Turn
from plum_desktop.learning.facts import to_dict
from plum_desktop.learning.job import JobFolder, JobSpec
from plum_desktop.learning.recipe import Recipe, preset
from plum_desktop.learning.train import train
from plum_desktop.models.header import read_header
from plum_desktop.models.local import find_starter

DEFAULT = preset("default")


@dataclass(frozen=True)
class Variant:
    """A recipe, and which facts it may use."""

    recipe: Recipe
    keeps: Callable[[Fact], bool] = lambda fact: True


def without(**changes: Any) -> Variant:
    return Variant(replace(DEFAULT, **changes))


VARIANTS = {
    "default": Variant(DEFAULT),
    "paper": Variant(preset("paper")),
    "no negatives": Variant(DEFAULT, lambda fact: fact.label),
    "no near misses": Variant(
        replace(DEFAULT, near_share=0.0, near_subjects=0.0, altered_share=0.0)
    ),
    "no more of short names": without(topic_share=0.0),
    "no altered details": without(altered_share=0.0),
    "two parts at once": without(spliced_share=0.1),
    "no facts by rule": Variant(DEFAULT, lambda fact: fact.source == "model"),
    "no facts by the model": Variant(DEFAULT, lambda fact: fact.source != "model"),
    "all tokens weigh alike": without(question_weight=1.0, answer_weight=1.0),
    "no pull to the base": without(anchor_texts=0, anchor_questions=0),
    "no stop at certain tokens": without(certain=1.0),
    "no primer": without(primed=False),
    "no open questions": without(open_every=0),
    "no excerpts": without(readings=0.0),
}


class Watch:
    """What `train` reports to."""

    def progress(self, fraction: float, text: str = "", **fields: object) -> None:
        """Nothing is shown."""

    def check(self) -> None:
        """Never stops by itself."""


def conversations(path: Path) -> list[Conversation]:
    found = []
    for row in read_json_lines(path):
        turns = tuple(Turn(m["role"], m["content"], str(n)) for n, m in enumerate(row["messages"]))
        found.append(Conversation(row["id"], turns, row["id"]))
    return found


def facts_for(recipe: Recipe, chats: list[Conversation], model: Path, work: Path) -> list[Fact]:
    """Augment's facts, kept by what of the recipe they depend on."""
    uses = (recipe.near_share, recipe.near_subjects, recipe.altered_share, recipe.questions)
    key = hashlib.sha256(repr((uses, len(chats))).encode()).hexdigest()[:10]
    job = JobFolder(work / f"facts-{key}")
    if not job.facts.exists():
        job.root.mkdir(parents=True, exist_ok=True)
        write_json_lines(job.conversations, [chat.to_dict() for chat in chats])
        write_json_lines(job.others, [{"id": chat.id, "text": chat.text} for chat in chats])
        engine = EngineClient()
        engine.load(model, n_ctx=2048)
        # Whatever the recipe leaves out is left out below.
        every = replace(recipe, model_facts=True, rule_facts=True)
        augment.augment(job, every, engine, set(), lambda share: None, lambda: None)
        engine.close()
    return augment.read_facts(job.facts)


def learn(
    variant: Variant, facts: list[Fact], chats: list[Conversation], model: Path, start: Path,
    job: JobFolder,
) -> dict[str, float]:  # fmt: skip
    """Fit one variant; leaves `adapter.gguf` in the job's adapter folder."""
    from plum_desktop.learning.trainers.torch_peft import TorchTrainer

    recipe = variant.recipe
    parent = start if recipe.primed else None
    spec = JobSpec(
        "ablation", str(model), "", "torch", recipe, tuple(chat.id for chat in chats),
        parent_adapter=None, primer=parent and str(parent), persona=None,
    )  # fmt: skip
    job.write_spec(spec)
    write_json_lines(job.conversations, [chat.to_dict() for chat in chats])
    write_json_lines(job.facts, [to_dict(fact) for fact in facts if variant.keeps(fact)])
    still = start / anchors.SHIPPED if recipe.anchored else None
    tokenize.make_rows(job, still, lambda: None, lambda share, text: None).save(job.rows)
    result = train(job, lambda: TorchTrainer(model, recipe, parent), recipe, Watch())
    write_gguf(read_peft(job.adapter), read_header(model), job.adapter / "adapter.gguf")
    return {"steps": result.steps, "train seconds": round(result.seconds, 1)}


def judged(
    engine: EngineClient, adapter: Path, questions: list[evaluate.Question], scratch: Path
) -> dict[str, float]:
    """The judge's figures, with the AUC of the first token's yes against its no, and drift."""
    engine.set_adapter(adapter)
    yes, no = (engine.tokenize(word)[0] for word in ("Yes", "No"))
    scores: dict[str, list[float]] = defaultdict(list)
    lean: dict[bool, list[float]] = {True: [], False: []}
    for question in questions:
        turns = [{"role": "user", "content": question.text}]
        answer = engine.chat(turns, max_tokens=question.max_tokens, temperature=0.0).text  # type: ignore[arg-type]
        scores[question.slice].append(evaluate.mark(question, answer).score)
        if question.kind != "open":
            ids = engine.render(turns)  # type: ignore[arg-type]
            engine.logits([ids], scratch / "first.npy", from_position=[len(ids) - 1])
            first = np.load(scratch / "first.npy")[0]
            lean[question.kind == "yes"].append(float(first[yes] - first[no]))
    pairs = [(a > b) + 0.5 * (a == b) for a in lean[True] for b in lean[False]]
    drift = gate.measure_drift(engine, adapter, scratch, lambda: None)
    found = {name: round(float(np.mean(values)), 3) for name, values in scores.items()}
    closed = [one for name, values in scores.items() if name != "open" for one in values]
    return {
        "accuracy": round(float(np.mean(closed)), 3),
        "auc": round(float(np.mean(pairs)), 3),
        **found,
        "kl": round(drift.kl, 4),
        "perplexity": round(drift.perplexity, 4),
        "canaries": round(drift.canaries, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("variants", nargs="*", default=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--bench", type=Path, required=True, help="folder of chats and questions")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is under way")
    parser.add_argument("--chats", type=int, default=25, help="the first so many")
    arguments = parser.parse_args()
    model = find_starter()
    assert model, "There is no starter model; run `make venv`."
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    start = primer.shipped(digest)
    assert start, "The starter has no primer."
    chats = conversations(arguments.bench / "conversations.jsonl")[: arguments.chats]
    questions = evaluate.read_questions(arguments.bench / "questions.jsonl", limit=len(chats))
    arguments.work.mkdir(parents=True, exist_ok=True)
    results = arguments.work / "results.jsonl"
    done = {row["variant"] for row in read_json_lines(results)} if results.exists() else set()
    for name in arguments.variants:
        if name in done:
            continue
        variant, begun = VARIANTS[name], time.monotonic()
        facts = facts_for(variant.recipe, chats, model, arguments.work)
        job = JobFolder(arguments.work / name.replace(" ", "-"))
        job.root.mkdir(exist_ok=True)
        row: dict[str, Any] = {"variant": name, "chats": len(chats)}
        row |= learn(variant, facts, chats, model, start, job)
        engine = EngineClient()
        engine.load(model, n_ctx=2048)
        row |= judged(engine, job.adapter / "adapter.gguf", questions, job.root)
        engine.close()
        row["seconds"] = round(time.monotonic() - begun, 1)
        with results.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
