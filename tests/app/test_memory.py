from __future__ import annotations

import pytest

from plum_desktop.app.memory import nearest
from plum_desktop.app.product import Plum
from plum_desktop.base.errors import Busy, PlumError
from plum_desktop.base.files import FileLock
from plum_desktop.base.types import Fact
from plum_desktop.learning import own


def fact(fact_id: str, subject: str, **fields: object) -> Fact:
    values = {"chat_id": None, "state": "learned", "source": "rule"} | fields
    return Fact(id=fact_id, label=True, kind="said", subject=subject, statement=subject, **values)  # type: ignore[arg-type]


@pytest.fixture
def taught(plum: Plum) -> str:
    chat = plum.store.chats.create("Ines")
    plum.store.chats.add_message(chat.id, "user", "My sister Ines moved to Bergen in spring.")
    plum.store.facts.add([fact("f1", "My sister Ines moved to Bergen.", chat_id=chat.id)])
    return chat.id


def test_a_fact_of_ones_own_waits_and_is_planned(plum: Plum) -> None:
    added = plum.memory.add("my desk stands at the window.")
    assert (added.chat_id, added.source, added.state) == (None, "user", "waiting")
    assert added.statement == "Your desk stands at the window."
    with pytest.raises(PlumError, match="told exactly this"):
        plum.memory.add("my desk  stands at the window.")
    plan = plum.learning.plan()
    assert [(chat.id, chat.title, chat.is_new) for chat in plan.chats] == [
        (own.HOME, "What you told Plum", True)
    ]
    assert plan.refusal is None
    assert plan.seconds > 0
    assert plum.learning.plan([own.HOME]).chats == plan.chats
    plum.memory.exclude(added.id)
    assert plum.learning.plan().chats == []


def test_what_was_seen_is_planned_again_only_when_it_changes(plum: Plum, learn) -> None:
    first = plum.memory.add("My desk stands at the window.")
    adapter = learn()
    made = own.conversation(own.teachable(map(own.at_home, plum.store.facts.of_chat(None))))
    assert made is not None
    plum.store.adapters.set_seen(adapter.id, {own.HOME: made.leaf or ""})
    assert plum.learning.plan().chats == []
    plum.memory.edit(first.id, "My desk stands at the door.")
    assert [chat.is_new for chat in plum.learning.plan().chats] == [False]


def test_what_is_told_is_listed_before_the_chats(plum: Plum, taught: str) -> None:
    plum.memory.add("My desk stands at the window.")
    groups = plum.memory.by_chat()
    assert [(group.id, group.title) for group in groups] == [
        (own.HOME, "What you told Plum"), (taught, "Ines"),
    ]  # fmt: skip
    assert groups[0].recall is None


def test_editing_ones_own_fact_and_one_of_a_chat(plum: Plum, taught: str) -> None:
    mine = plum.memory.add("My desk stands at the window.")
    plum.store.facts.update(mine.id, state="learned", last_recall=1.0)
    edited = plum.memory.edit(mine.id, "My desk stands at the door.")
    assert (edited.id, edited.state, edited.last_recall) == (mine.id, "waiting", None)
    assert edited.statement == "Your desk stands at the door."

    assert plum.memory.edit("f1", "My sister Ines moved to Bergen.").state == "learned"
    other = plum.memory.edit("f1", "My sister Ines moved to Oslo.")
    assert other.chat_id is None
    assert plum.memory.get("f1").state == "excluded"
    with pytest.raises(PlumError, match="too short"):
        plum.memory.edit(other.id, "Oslo")


def test_an_edit_that_is_there_already_changes_nothing(plum: Plum, taught: str) -> None:
    plum.memory.add("My sister Ines moved to Oslo.")
    with pytest.raises(PlumError, match="told exactly this"):
        plum.memory.edit("f1", "My sister Ines moved to Oslo.")
    assert plum.memory.get("f1").state == "learned"


def test_forgetting_one(plum: Plum, taught: str) -> None:
    mine = plum.memory.add("My desk stands at the window.")
    plum.memory.forget(mine.id)
    plum.memory.forget("f1")
    assert [each.id for each in plum.memory.list()] == ["f1"]
    assert plum.memory.get("f1").state == "excluded"


def test_forgetting_everything(plum: Plum, taught: str, learn) -> None:
    first = learn()
    second = learn(parent=first)
    with FileLock(plum.folder.learning_lock), pytest.raises(Busy, match="stop that first"):
        plum.memory.forget_everything()
    assert plum.adapters.active() is not None
    plum.memory.forget_everything()
    assert plum.adapters.active() is None
    assert plum.adapters.list() == []
    assert not plum.folder.adapter(second.id).exists()
    assert plum.store.facts.list() == []
    assert [chat.id for chat in plum.store.chats.list()] == [taught]
    assert plum.serving.served().memory == "off"


def test_what_an_answer_may_rest_on() -> None:
    ines = fact("a", "My sister Ines moved to Bergen.")
    again = fact("b", "my sister Ines moved to Bergen.")
    facts = [
        fact("c", "I bake bread on Sundays."), ines, again,
        fact("d", "Ines keeps parrots.", state="weak"),
        fact("e", "Ines hates Bergen.", state="excluded"),
    ]  # fmt: skip
    found = nearest("Where does my sister live?", "Ines lives in Bergen.", facts)
    assert [each.subject.casefold() for each in found] == [
        "my sister ines moved to bergen.", "ines keeps parrots.",
    ]  # fmt: skip
    assert nearest("What is a kite?", "A toy that flies.", facts) == []
    assert len(nearest("sister", "Ines Bergen parrots", facts, most=1)) == 1


def test_related_facts_know_their_chat(plum: Plum, taught: str) -> None:
    [found] = plum.memory.related("Where is my sister?", "Ines is in Bergen.")
    assert found.chat is not None
    assert (found.fact.id, found.chat.id) == ("f1", taught)
