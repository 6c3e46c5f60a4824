"""Facts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Fact
from plum_desktop.store import Store

MakeFact = Callable[..., Fact]


def test_a_fact_comes_back_as_it_went_in(store: Store, a_fact: MakeFact) -> None:
    chat = store.chats.create()
    message = store.chats.add_message(chat.id, "user", "I have a dog.")
    fact = a_fact(
        "f1",
        label=False,
        state="weak",
        chat_id=chat.id,
        message_id=message.id,
        start=2,
        end=7,
        last_recall=0.25,
    )
    assert store.facts.add([fact, a_fact("f2")]) == 2
    assert store.facts.get("f1") == fact
    assert store.facts.get("f2") == a_fact("f2")


def test_adding_again_keeps_what_a_person_changed(store: Store, a_fact: MakeFact) -> None:
    store.facts.add([a_fact("f1")])
    store.facts.update("f1", state="excluded", statement="You had a dog.", subject="the dog")
    assert store.facts.add([a_fact("f1"), a_fact("f2")]) == 1
    changed = store.facts.get("f1")
    assert (changed.state, changed.statement, changed.subject) == (
        "excluded",
        "You had a dog.",
        "the dog",
    )
    assert store.facts.add([]) == 0


def test_facts_of_a_deleted_chat_are_refused_all_together(store: Store, a_fact: MakeFact) -> None:
    with pytest.raises(PlumError, match="deleted meanwhile"):
        store.facts.add([a_fact("f1"), a_fact("f2", chat_id="gone")])
    assert store.facts.list() == []


def test_facts_are_selected_in_the_order_they_came(store: Store, a_fact: MakeFact) -> None:
    one, two = store.chats.create(), store.chats.create()
    store.facts.add(
        [
            a_fact("z", chat_id=one.id),
            a_fact("y", chat_id=two.id, label=False),
            a_fact("x", chat_id=one.id, label=False, state="learned"),
            a_fact("w"),
        ]
    )

    def ids(facts: list[Fact]) -> str:
        return "".join(fact.id for fact in facts)

    assert ids(store.facts.list()) == "zyxw"
    assert ids(store.facts.list(label=False)) == "yx"
    assert ids(store.facts.list(label=True, state="waiting")) == "zw"
    assert ids(store.facts.list(state="learned")) == "x"
    assert ids(store.facts.of_chat(one.id)) == "zx"
    assert store.facts.counts() == {"waiting": 3, "learned": 1}
    assert store.facts.delete_of_chat(one.id) == 2
    assert ids(store.facts.list()) == "yw"


def test_recall_is_noted(store: Store, a_fact: MakeFact) -> None:
    store.facts.add([a_fact("f1")])
    store.facts.update("f1", last_recall=0.9, state="learned")
    assert store.facts.get("f1").last_recall == 0.9
    store.facts.update("f1", last_recall=None)
    assert store.facts.get("f1").last_recall is None


def test_an_unknown_fact_or_field_is_refused(store: Store, a_fact: MakeFact) -> None:
    with pytest.raises(PlumError, match="There is no fact 'none'"):
        store.facts.update("none", state="weak")
    with pytest.raises(PlumError, match="There is no fact 'none'"):
        store.facts.get("none")
    store.facts.add([a_fact("f1")])
    with pytest.raises(TypeError, match="label"):
        store.facts.update("f1", label=False)  # type: ignore[call-arg]


def test_facts_of_no_chat_are_a_home_of_their_own(store: Store, a_fact: MakeFact) -> None:
    chat = store.chats.create()
    store.facts.add(
        [a_fact("told"), a_fact("never", label=False), a_fact("of a chat", chat_id=chat.id)]
    )
    assert [fact.id for fact in store.facts.of_chat(None)] == ["told", "never"]
    assert store.facts.delete_of_chat(None, label=False) == 1
    assert [fact.id for fact in store.facts.list()] == ["told", "of a chat"]
    store.facts.delete("told")
    with pytest.raises(PlumError, match="no fact 'told'"):
        store.facts.delete("told")
    assert store.facts.delete_all() == 1
    assert store.facts.list() == []
