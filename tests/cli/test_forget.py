"""chats forget and backup, as typed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from plum_desktop.app.product import Plum
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Adapter

BREAD, TEA = "bread-0001", "tea-0001"


@pytest.fixture
def folder(run, tmp_path: Path, data_folder: DataFolder) -> DataFolder:
    """Two chats, and a day's backup of them."""
    path = tmp_path / "chats.jsonl"
    rows = [
        {"id": chat_id, "title": title, "messages": [
            {"role": "user", "content": f"Tell me about {word}, which I make on Sundays."},
            {"role": "assistant", "content": f"{word.title()} is fine."},
            {"role": "user", "content": "And what else is there?"},
            {"role": "assistant", "content": "Jam."},
        ]}
        for chat_id, title, word in ((BREAD, "Bread", "sourdough"), (TEA, "Tea", "lapsang"))
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    assert run("chats", "import", str(path)).status == 0
    return data_folder


def learned(folder: DataFolder, adapter_id: str, *chats: str, parent: str | None = None) -> None:
    plum = Plum(folder)
    model = plum.models.file().sha256
    adapter = Adapter(adapter_id, None, parent, model, 1.0, "ready", False, chats)
    plum.store.adapters.add(adapter)
    plum.store.adapters.set_seen(adapter_id, dict.fromkeys(chats, "leaf"))
    plum.folder.adapter(adapter_id).mkdir()
    (plum.folder.adapter(adapter_id) / "adapter.gguf").write_bytes(b"weights")
    plum.store.adapters.activate(adapter_id, model)
    plum.close()


def left(folder: DataFolder, word: str) -> list[str]:
    return [
        path.name for path in folder.root.rglob("*")
        if path.is_file() and word.encode() in path.read_bytes().lower()
    ]  # fmt: skip


def test_forgetting_says_first_what_it_takes(run, folder: DataFolder) -> None:
    learned(folder, "first-adapter", BREAD)
    learned(folder, "second-adapter", BREAD, TEA, parent="first-adapter")
    refused = run("chats", "forget", BREAD)
    assert refused.status == 1
    assert "2 learning runs learned with it." in refused.err
    assert "the model serves without memory from then on" in refused.err
    assert "have to be learned again (1, about " in refused.err
    assert "tea-0001" in refused.err
    assert "add --yes" in refused.err
    assert len(left(folder, "sourdough")) == 2  # the database and the day's backup
    ran = run("chats", "forget", TEA, "--yes", "--json")
    assert ran.row == {
        "forgotten": [TEA], "adapters_deleted": ["second-adapter"], "serves": "first-adapter",
        "learn_again": [], "seconds": None, "complete": True,
    }  # fmt: skip
    assert left(folder, "lapsang") == []
    assert len(left(folder, "sourdough")) == 2
    ran = run("chats", "forget", BREAD, "--yes")
    assert ran.out == "Forgot Bread.\n"
    assert left(folder, "sourdough") == []
    assert run("adapters", "list").out.startswith("Nothing was learned yet")


def test_deleting_leaves_the_memory_and_says_so(run, folder: DataFolder) -> None:
    learned(folder, "first-adapter", BREAD)
    ran = run("chats", "delete", BREAD, "--yes")
    assert "What was learned stays in memory." in ran.err
    assert "chats forget --deleted" in ran.out
    assert left(folder, "sourdough") == []
    assert len(run("adapters", "list", "--json").rows) == 1
    ran = run("chats", "forget", "--deleted", "--yes")
    assert ran.out == "Forgot what is remembered of 1 deleted chat.\n"
    assert run("adapters", "list", "--json").rows == []
    assert "Nothing is remembered" in run("chats", "forget", "--deleted", "--yes").err


def test_one_message(run, folder: DataFolder) -> None:
    messages = run("chats", "show", TEA, "--json").row["messages"]
    ran = run("chats", "forget", "--message", messages[1]["id"], "--yes")
    assert ran.out == "Forgot 2 messages.\n"
    assert left(folder, "lapsang") == []
    assert [m["content"] if "content" in m else m["text"] for m in
            run("chats", "show", TEA, "--json").row["messages"]] == [
        "And what else is there?", "Jam.",
    ]  # fmt: skip


def test_everything(run, folder: DataFolder) -> None:
    learned(folder, "first-adapter", BREAD)
    assert run("chats", "forget", "--all", "--yes").out == "Forgot 2 chats.\n"
    assert left(folder, "sourdough") == left(folder, "lapsang") == []
    assert run("chats", "list", "--json").rows == []
    assert run("chats", "forget", "--all", "--yes").err == "plum-desktop: There are no chats.\n"


@pytest.mark.parametrize("wrong", [[], ["--all", "--deleted"], [BREAD, "--all"]])
def test_one_thing_at_a_time(run, folder: DataFolder, wrong: list[str]) -> None:
    assert run("chats", "forget", *wrong).status == 2


def test_backups(run, folder: DataFolder) -> None:
    [daily] = run("backup", "list", "--json").rows  # made as the import ended
    assert daily["label"] == "daily"
    made = run("backup", "create", "--json").row
    assert Path(made["path"]).is_file()
    assert run("backup", "create").out.startswith("Wrote ")
    run("chats", "import", str(folder.root.parent / "chats.jsonl"))
    assert run("chats", "delete", TEA, "--yes").status == 0
    assert "add --yes" in run("backup", "restore", made["name"]).err
    assert "no backup 'none'" in run("backup", "restore", "none", "--yes").err
    ran = run("backup", "restore", made["name"], "--yes", "--json")
    assert ran.row["restored"] == made["name"]
    # What was deleted since does not come back.
    assert [row["id"] for row in run("chats", "list", "--json").rows] == [BREAD]
    assert ran.row["before"] in run("backup", "list").out


def test_a_damaged_database_is_saved_and_said_to_be(run, folder: DataFolder) -> None:
    content = bytearray(folder.database.read_bytes())
    content[100 : len(content)] = random.Random(1).randbytes(len(content) - 100)
    folder.database.write_bytes(content)
    ran = run("chats", "list", "--json")
    assert ran.status == 0
    assert {row["id"] for row in ran.rows} == {BREAD, TEA}  # from the day's backup
    assert "The damaged file is kept as" in ran.err
    assert run("chats", "list", "--json").err == ""
