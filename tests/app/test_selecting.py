"""What a run takes from the store beside its chats."""

from __future__ import annotations

import pytest

from plum_desktop.app.product import Plum
from plum_desktop.app.selecting import select
from plum_desktop.base.types import Fact
from plum_desktop.learning import recipe
from plum_desktop.learning.augment import read_facts
from plum_desktop.learning.job import JobFolder, JobSpec


@pytest.fixture
def old(plum: Plum, learn) -> str:
    """A chat that was learned, with what was taught of it and beside it."""
    chat = plum.store.chats.create("old")
    said = ("My dentist is Doctor Novak.", "My bicycle is red and rather old.")
    leaf = plum.store.chats.add_message(chat.id, "user", " ".join(said)).id
    never = ("My canoe is called Marigold.", "My piano came from Trieste.")
    plum.store.facts.add(
        Fact(
            f"{chat.id}-{text.split()[1]}", text in said, "said", text, text, "rule", "learned",
            chat.id,
        )
        for text in said + never
    )  # fmt: skip
    plum.store.adapters.set_seen(learn().id, {chat.id: leaf})
    return chat.id


def test_what_no_longer_holds_is_marked_and_not_asked_again(plum: Plum, old: str) -> None:
    new = plum.store.chats.create("new")
    plum.store.chats.add_message(
        new.id, "user", "My new dentist is Doctor Tanaka. My canoe is called Marigold."
    )
    file = plum.models.file()
    job = JobFolder(plum.folder.job("run"))
    spec = JobSpec(
        "run", str(file.path), file.sha256, "torch", recipe.preset("default"), (new.id,), None,
        None, None,
    )  # fmt: skip
    for _ in range(2):  # the second time they are marked already
        select(plum.store, job, spec)
        states = {fact.id: fact.state for fact in plum.store.facts.of_chat(old)}
        assert states == {
            f"{old}-dentist": "contradicted", f"{old}-canoe": "contradicted",
            f"{old}-bicycle": "learned", f"{old}-piano": "learned",
        }  # fmt: skip
        (former,) = read_facts(job.former)
        assert former.subject == "My dentist is Doctor Novak."
        again = read_facts(job.replay_facts) + read_facts(job.old_facts)
        assert {fact.id for fact in again} == {f"{old}-bicycle", f"{old}-piano"}
