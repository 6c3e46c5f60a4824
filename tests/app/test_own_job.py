"""A job's dealings with what the user told outside every chat; no learning, only its records."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plum_desktop.app import selecting
from plum_desktop.app.estimate import Estimates
from plum_desktop.app.job import Job, JobParts
from plum_desktop.app.product import Plum
from plum_desktop.app.switching import keep_facts
from plum_desktop.base.files import read_json_lines
from plum_desktop.learning import own, recipe
from plum_desktop.learning.augment import read_facts
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.job import JobFolder, JobSpec


@pytest.fixture
def job(plum: Plum) -> Job:
    plum.memory.add("My desk stands at the window.")
    plum.memory.add("We feed seven parrots at home.")
    left_out = plum.memory.add("My bicycle is green and old.")
    plum.memory.exclude(left_out.id)
    chat = plum.store.chats.create("Ines")
    plum.store.chats.add_message(chat.id, "user", "My sister Ines moved to Bergen in spring.")
    file = plum.models.file()
    folder = JobFolder(plum.folder.job("run"))
    folder.write_spec(
        JobSpec(
            "run", str(file.path), file.sha256, "torch", recipe.preset("default"),
            (own.HOME, chat.id), None, None, None,
        )
    )  # fmt: skip
    parts = JobParts(plum.folder, plum.store, plum.serving, Estimates(plum.folder, file, "torch"))
    return Job(parts, folder, lambda _: None, lambda _: None, lambda: None)


def test_it_is_selected_like_a_chat(job: Job, plum: Plum) -> None:
    selecting.select(plum.store, job._folder, job._spec)
    first, second = (Conversation.from_dict(row) for row in read_json_lines(
        job._folder.conversations))  # fmt: skip
    assert first.id == own.HOME
    assert [turn.text for turn in first.turns] == [
        "My desk stands at the window.", "We feed seven parrots at home.",
    ]  # fmt: skip
    assert second.title == "Ines"
    assert [fact.chat_id for fact in read_facts(job._folder.own)] == [own.HOME] * 2
    others = {row["id"]: row["text"] for row in read_json_lines(job._folder.others)}
    assert "parrots" in others[own.HOME], "a thing never discussed could be one that was told"


def test_what_became_of_it_is_kept_and_nothing_else_changes(job: Job, plum: Plum) -> None:
    selecting.select(plum.store, job._folder, job._spec)
    conversations = [
        Conversation.from_dict(row) for row in read_json_lines(job._folder.conversations)
    ]
    desk, parrots = read_facts(job._folder.own)
    taught = [
        replace(desk, state="learned", last_recall=1.0),
        replace(parrots, state="weak", last_recall=0.0),
        replace(desk, id="own-n0", label=False, message_id=None, source="rule"),
    ]
    plum.memory.forget(parrots.id)  # while the run goes on
    later = plum.memory.add("I never eat any nuts.")
    for _ in range(2):  # a second run takes the place of the first
        keep_facts(plum.store, conversations, taught)
        now = {fact.id: fact for fact in plum.store.facts.of_chat(None)}
        assert now[desk.id].state == "learned"
        assert now[desk.id].message_id is None
        assert parrots.id not in now
        assert now[later.id].state == "waiting"
        assert [fact.id for fact in now.values() if not fact.label] == ["own-n0"]


def test_what_was_learned_before_is_asked_again(job: Job, plum: Plum, learn) -> None:
    adapter = learn()
    plum.store.adapters.set_seen(adapter.id, {own.HOME: "before"})
    for fact in plum.store.facts.of_chat(None):
        plum.store.facts.update(fact.id, state="learned")
    plum.store.facts.add([replace(fact, id="own-n0", label=False, state="learned")])
    spec = job._spec
    job._spec = replace(spec, chats=spec.chats[1:])
    selecting.select(plum.store, job._folder, job._spec)
    again = read_facts(job._folder.old_facts) + read_facts(job._folder.replay_facts)
    assert {fact.chat_id for fact in again} == {own.HOME}
    assert len(again) == 4
