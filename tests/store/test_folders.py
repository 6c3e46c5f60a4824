"""Folders are paths: they nest, take other names, and go without taking a chat with them."""

from __future__ import annotations

import pytest

from plum_desktop.base.errors import PlumError
from plum_desktop.store import Store
from plum_desktop.store.folders import folder_path


def add(store: Store, *folders: str | None) -> list[str]:
    ids = []
    for number, folder in enumerate(folders):
        chat = store.chats.create(f"chat {number}")
        store.chats.update(chat.id, folder=folder)
        ids.append(chat.id)
    return ids


def where(store: Store, ids: list[str]) -> list[str | None]:
    return [store.chats.get(chat_id).folder for chat_id in ids]


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        (None, None),
        ("", None),
        (" / // ", None),
        ("Work", "Work"),
        (" Work /  big\n Clients/", "Work/big Clients"),
        ("/etc", "etc"),
    ],
)
def test_a_path_has_no_empty_names(typed: str | None, path: str | None) -> None:
    assert folder_path(typed) == path


def test_a_folder_is_there_while_it_has_chats(store: Store) -> None:
    ids = add(store, "Work", " Work / Clients", None, "Work")
    store.chats.update(ids[1], archived=True)
    assert store.folders.paths() == ["Work", "Work/Clients"]
    store.chats.update(ids[0], ids[3], folder=None)
    assert store.folders.paths() == ["Work", "Work/Clients"]


def test_chats_are_put_and_put_back(store: Store) -> None:
    ids = add(store, "Work", "Home", None, "Work")
    before = store.folders.put(dict.fromkeys(ids[:3], "Garden / Roses"))
    assert where(store, ids) == ["Garden/Roses"] * 3 + ["Work"]
    assert before == dict(zip(ids, ["Work", "Home", None], strict=False))
    store.chats.delete(ids[1])
    store.folders.put(before)  # what is gone is left out
    assert where(store, [ids[0], ids[2], ids[3]]) == ["Work", None, "Work"]


def test_a_new_name_takes_what_is_inside_along_and_nothing_else(store: Store) -> None:
    ids = add(store, "Work", "Work/Clients", "Work/Clients/A_B", "Workshop", "work", "Home/Work")
    store.folders.rename("Work", "Old / Job")
    assert where(store, ids) == [
        "Old/Job", "Old/Job/Clients", "Old/Job/Clients/A_B", "Workshop", "work", "Home/Work",
    ]  # fmt: skip
    with pytest.raises(PlumError, match="needs a name"):
        store.folders.rename("Workshop", " / ")
    assert store.chats.get(ids[3]).folder == "Workshop"


def test_a_removed_folder_leaves_its_chats_one_level_up(store: Store) -> None:
    ids = add(store, "Work", "Work/Clients", "Work/Clients/Ann", "Clients", "Work%")
    before = store.folders.remove("Work")
    assert where(store, ids) == [None, "Clients", "Clients/Ann", "Clients", "Work%"]
    store.folders.put(before)
    assert where(store, ids) == ["Work", "Work/Clients", "Work/Clients/Ann", "Clients", "Work%"]
    store.folders.remove("Work/Clients")
    assert where(store, ids) == ["Work", "Work", "Work/Ann", "Clients", "Work%"]


def test_a_folder_is_found_by_its_name_or_its_path_with_what_is_in_it(store: Store) -> None:
    add(store, "Work", "Work/Clients", "Work/Clients/Ann", "Workshop", "Ärzte")
    assert store.folders.named("work") == ["Work", "Work/Clients", "Work/Clients/Ann"]
    assert store.folders.named("clients") == ["Work/Clients", "Work/Clients/Ann"]
    assert store.folders.named("Work / Clients/") == ["Work/Clients", "Work/Clients/Ann"]
    assert store.folders.named("ärzte") == ["Ärzte"]
    assert store.folders.named("Wor") == []
