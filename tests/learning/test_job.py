from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plum_desktop.base.errors import DamagedFile
from plum_desktop.learning.job import STAGES
from plum_desktop.learning.recipe import preset

OUTPUTS = {
    "select": "conversations.jsonl",
    "augment": "facts.jsonl",
    "tokenize": "rows.npz",
    "train": "adapter/adapter.gguf",
    "gate": "gate.json",
    "merge": "merge.json",
}


def test_a_stage_is_done_when_its_own_output_is_there(job) -> None:
    (job.root / "adapter").mkdir()
    for stage, name in OUTPUTS.items():
        assert not any(job.done(other) for other in STAGES)
        (job.root / name).touch()
        assert [other for other in STAGES if job.done(other)] == [stage]
        (job.root / name).unlink()
    assert not job.done("switch")


def test_what_comes_before_an_output_finishes_no_stage(job) -> None:
    (job.root / "adapter").mkdir()
    for path in (
        job.others, job.excluded, job.former, job.replay_facts, job.replay_gists, job.old_facts,
        job.model_topics, job.checkpoint, job.losses, job.merged,
        job.adapter / "adapter_model.safetensors",
        job.measured, job.paused,
    ):  # fmt: skip
        path.touch()
    assert not any(job.done(stage) for stage in STAGES)


def test_a_spec_survives(job, spec) -> None:
    full = replace(
        spec,
        recipe=replace(preset("paper"), seed=7, learning_rate=3e-5),
        parent_adapter="/data/adapters/ä",
        primer=None,
        persona='You are "Pim" — äöü.',
    )
    job.write_spec(full)
    assert job.read_spec() == full
    assert hash(job.read_spec().chats)  # still a tuple


def test_a_run_that_an_older_version_began_goes_on(job, spec) -> None:
    job.write_spec(spec)
    values = json.loads(job.spec_file.read_text())
    job.spec_file.write_text(json.dumps({**values, "busy_lock": "/data/busy.lock"}))
    assert job.read_spec() == spec


def test_metadata_holds_no_word_of_a_chat(spec) -> None:
    told = replace(spec, persona="My sister Ines", chats=("secret",)).metadata()
    assert told["base_sha256"] == spec.model_sha256
    assert told["recipe"] == spec.recipe.name
    assert datetime.now(UTC) - datetime.fromisoformat(told["created"]) < timedelta(minutes=1)
    assert not any("Ines" in value or "secret" in value for value in told.values())


def damaged(values: dict) -> dict[str, str]:
    whole = json.dumps(values)
    return {
        "empty": "",
        "cut short": whole[: len(whole) // 2],
        "a list": "[]",
        "nothing": "null",
        "no fields": "{}",
        "no recipe": json.dumps({**values, "recipe": None}),
        "a list for a recipe": json.dumps({**values, "recipe": ["default"]}),
        "no chats": json.dumps({**values, "chats": None}),
        "a field too many": json.dumps({**values, "colour": "plum"}),
        "a field too few": json.dumps({k: v for k, v in values.items() if k != "model"}),
    }


@pytest.mark.parametrize("how", damaged({"recipe": {}, "chats": []}))
def test_a_damaged_job_is_a_sentence(job, spec, how: str) -> None:
    job.write_spec(spec)
    values = json.loads(job.spec_file.read_text())
    job.spec_file.write_text(damaged(values)[how])
    with pytest.raises(DamagedFile):
        job.read_spec()


def test_no_job_is_a_sentence(job) -> None:
    with pytest.raises(DamagedFile, match="discard it"):
        job.read_spec()


def test_removing_leaves_no_word(job, spec) -> None:
    job.write_spec(spec)
    job.adapter.mkdir()
    job.conversations.write_text("My sister Ines")
    (job.adapter / "adapter.gguf").touch()
    job.remove()
    assert not Path(job.root).exists()
    job.remove()  # twice is fine
