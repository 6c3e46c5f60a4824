"""Adapters: one serves at a time, and each knows what it has seen."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Adapter, Run
from plum_desktop.store import Store

MakeAdapter = Callable[..., Adapter]


def active_id(store: Store, model: str = "m") -> str | None:
    active = store.adapters.active(model)
    return active.id if active else None


def test_an_adapter_comes_back_as_it_went_in(
    store: Store, an_adapter: MakeAdapter, a_run: Callable[..., Run]
) -> None:
    store.runs.create(a_run("r1"))
    parent = store.adapters.add(an_adapter("a1", report={"kept": 0.995}, chats=("c1",)))
    child = an_adapter("a2", run_id="r1", parent_id="a1", chats=("c1", "c2"), state="refused")
    assert store.adapters.add(child) == child
    assert store.adapters.get("a1") == parent
    assert store.adapters.get("a2") == child


def test_an_adapter_of_an_unknown_parent_is_refused(store: Store, an_adapter: MakeAdapter) -> None:
    with pytest.raises(PlumError):
        store.adapters.add(an_adapter("a1", parent_id="none"))
    assert store.adapters.list() == []


def test_adapters_are_listed_newest_first_by_model(store: Store, an_adapter: MakeAdapter) -> None:
    for adapter_id, created, model in (("a1", 1.0, "m"), ("a2", 2.0, "n"), ("a3", 3.0, "m")):
        store.adapters.add(an_adapter(adapter_id, created=created, model_sha256=model))
    assert [adapter.id for adapter in store.adapters.list()] == ["a3", "a2", "a1"]
    assert [adapter.id for adapter in store.adapters.list("m")] == ["a3", "a1"]


def test_at_most_one_is_active_for_each_model(store: Store, an_adapter: MakeAdapter) -> None:
    for adapter_id, model in (("a1", "m"), ("a2", "m"), ("b1", "n")):
        store.adapters.add(an_adapter(adapter_id, model_sha256=model))
    assert active_id(store) is None
    store.adapters.activate("a1", "m")
    store.adapters.activate("b1", "n")
    store.adapters.activate("a2", "m")
    assert (active_id(store, "m"), active_id(store, "n")) == ("a2", "b1")
    assert [adapter.id for adapter in store.adapters.list() if adapter.active] == ["b1", "a2"]
    store.adapters.activate(None, "m")
    assert (active_id(store, "m"), active_id(store, "n")) == (None, "b1")


def test_the_database_itself_refuses_two_active_ones(
    store: Store, data_folder: DataFolder, an_adapter: MakeAdapter
) -> None:
    store.adapters.add(an_adapter("a1", active=True))
    store.adapters.add(an_adapter("a2"))
    raw = sqlite3.connect(data_folder.database)
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute("UPDATE adapters SET active = 1")
    raw.close()


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [("none", "no adapter"), ("other", "another model"), ("deleted", "has been deleted")],
)
def test_what_cannot_serve_leaves_the_active_one(
    store: Store, an_adapter: MakeAdapter, wanted: str, reason: str
) -> None:
    store.adapters.add(an_adapter("a1", active=True))
    store.adapters.add(an_adapter("other", model_sha256="n"))
    store.adapters.add(an_adapter("deleted", state="deleted"))
    with pytest.raises(PlumError, match=reason):
        store.adapters.activate(wanted, "m")
    assert active_id(store) == "a1"


def test_a_deleted_adapter_serves_no_more(store: Store, an_adapter: MakeAdapter) -> None:
    store.adapters.add(an_adapter("a1", active=True))
    store.adapters.update("a1", report={"recall": 1.0})
    assert active_id(store) == "a1"
    store.adapters.update("a1", state="deleted")
    assert active_id(store) is None
    assert store.adapters.get("a1").report == {"recall": 1.0}


def test_a_switch_and_what_goes_with_it_are_one(store: Store, an_adapter: MakeAdapter) -> None:
    store.adapters.add(an_adapter("a1", active=True))

    def fail_half_way() -> None:
        with store.transaction():
            store.adapters.add(an_adapter("a2"))
            store.adapters.activate("a2", "m")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert [adapter.id for adapter in store.adapters.list()] == ["a1"]
    assert active_id(store) == "a1"


def test_what_was_seen_is_kept_for_each_adapter(store: Store, an_adapter: MakeAdapter) -> None:
    for adapter_id in ("a1", "a2"):
        store.adapters.add(an_adapter(adapter_id))
    store.adapters.set_seen("a1", {"c1": "m1"})
    store.adapters.set_seen("a2", {"c1": "m2", "c2": "m3"})
    assert store.learned_state("m") == {}
    store.adapters.activate("a1", "m")
    assert store.learned_state("m") == {"c1": "m1"}
    store.adapters.activate("a2", "m")
    assert store.learned_state("m") == {"c1": "m2", "c2": "m3"}
    assert store.learned_state("n") == {}
    store.adapters.set_seen("a2", {"c2": "m4"})
    assert store.adapters.seen("a2") == {"c2": "m4"}
    assert store.adapters.seen("a1") == {"c1": "m1"}
    with pytest.raises(PlumError):
        store.adapters.set_seen("none", {"c1": "m1"})


def test_an_unknown_adapter_or_field_is_refused(store: Store, an_adapter: MakeAdapter) -> None:
    with pytest.raises(PlumError, match="There is no adapter 'none'"):
        store.adapters.update("none", state="ready")
    store.adapters.add(an_adapter("a1"))
    with pytest.raises(TypeError, match="active"):
        store.adapters.update("a1", active=True)  # type: ignore[call-arg]
