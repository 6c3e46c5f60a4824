"""A store in this test's own folder, and small records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Adapter, Fact, Run
from plum_desktop.store import Store


@pytest.fixture
def open_store(data_folder: DataFolder) -> Iterator[Callable[[], Store]]:
    """Opens the data folder's database, once or again; all are closed at the end."""
    opened: list[Store] = []

    def again() -> Store:
        opened.append(Store(data_folder.database, data_folder.backups))
        return opened[-1]

    yield again
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


@pytest.fixture
def a_fact() -> Callable[..., Fact]:
    def make(fact_id: str, **fields: object) -> Fact:
        given = {
            "label": True,
            "kind": "said",
            "subject": "a dog",
            "statement": "You have a dog.",
            "source": "rule",
        }
        return Fact(id=fact_id, **given | fields)

    return make


@pytest.fixture
def a_run() -> Callable[..., Run]:
    def make(run_id: str, **fields: object) -> Run:
        given = {
            "created": 1.0,
            "state": "running",
            "stage": "select",
            "model_sha256": "m",
            "recipe": "default",
            "chats": ("c1",),
        }
        return Run(id=run_id, **given | fields)

    return make


@pytest.fixture
def an_adapter() -> Callable[..., Adapter]:
    def make(adapter_id: str, **fields: object) -> Adapter:
        given = {
            "run_id": None,
            "parent_id": None,
            "model_sha256": "m",
            "created": 1.0,
            "state": "ready",
            "active": False,
            "chats": (),
        }
        return Adapter(id=adapter_id, **given | fields)

    return make
