"""Chats come in line by line, and go out so that they come in again unchanged."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plum_desktop.app.exchange import export_chats, import_file, reading, source
from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Attachment
from plum_desktop.store import Store
from plum_desktop.store.folders import folder_path

TEA: dict[str, Any] = {
    "id": "tea-1",
    "title": "Tea",
    "created": 1_700_000_000.5,
    "messages": [
        {"role": "user", "content": "Green tea?"},
        {"role": "assistant", "content": "Yes, please."},
    ],
}
Write = Callable[..., Path]


@pytest.fixture
def store(data_folder: DataFolder) -> Iterator[Store]:
    store = Store(data_folder.database, data_folder.backups)
    yield store
    store.close()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of lines; what is no text is written as JSON."""

    def write(*lines: object) -> Path:
        path = tmp_path / "chats.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(texts), encoding="utf-8")
        return path

    return write


def test_a_conversation_comes_in_whole(store: Store, write: Write) -> None:
    report = import_file(store, write(TEA))
    assert (report.added, report.skipped, report.problems) == (1, 0, [])
    chat = store.chats.get("tea-1")
    assert (chat.title, chat.created, chat.updated) == ("Tea", 1_700_000_000.5, 1_700_000_000.5)
    assert chat.learn
    asked, reply = store.chats.branch("tea-1")
    assert (asked.role, asked.text, asked.finish_reason) == ("user", "Green tea?", None)
    assert (reply.role, reply.text, reply.finish_reason) == ("assistant", "Yes, please.", "stop")
    assert store.chats.close_interrupted() == 0
    assert [hit.chat_id for hit in store.search("green")] == ["tea-1"]


def test_only_id_and_messages_are_needed(store: Store, write: Write) -> None:
    before = datetime.now(UTC).timestamp()
    turns = [{"role": "user", "content": "What is\nthe boiling point of water? " * 5}]
    import_file(
        store,
        write(
            {"id": "a", "messages": turns, "extra": [1]},
            "",
            "  ",
            {"id": "b", "title": " ", "created": None, "messages": turns},
        ),
    )
    newest, oldest = store.chats.list()
    assert (newest.id, oldest.id) == ("b", "a")
    assert before <= oldest.created < newest.created  # the file's order is kept
    assert newest.title.startswith("What is the boiling point")
    assert len(newest.title) < 60


@pytest.mark.parametrize(
    ("created", "seconds"),
    [
        (0, 0.0),
        (1_700_000_000, 1_700_000_000.0),
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14T22:13:20", 1_700_000_000.0),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000.0),
        ("1970-01-02", 86_400.0),
    ],
)
def test_created_is_seconds_or_iso(
    store: Store, write: Write, created: object, seconds: float
) -> None:
    import_file(store, write(TEA | {"created": created}))
    assert store.chats.get("tea-1").created == seconds


def test_a_first_system_message_is_the_persona(store: Store, write: Write) -> None:
    turns = [{"role": "system", "content": "Be brief."}, *TEA["messages"]]
    import_file(store, write(TEA | {"messages": turns}))
    assert store.chats.get("tea-1").persona == "Be brief."
    assert [message.role for message in store.chats.branch("tea-1")] == ["user", "assistant"]


def test_what_is_there_already_is_left_as_it_is(store: Store, write: Write) -> None:
    import_file(store, write(TEA))
    store.chats.update("tea-1", title="Mine now")
    report = import_file(store, write(TEA, TEA | {"id": "tea-2"}, TEA | {"id": "tea-2"}))
    assert (report.added, report.skipped, report.problems) == (1, 2, [])
    assert store.chats.get("tea-1").title == "Mine now"
    assert len(store.chats.branch("tea-2")) == 2


def turn(**changes: object) -> dict[str, object]:
    return TEA | {"messages": [TEA["messages"][0], TEA["messages"][1] | changes]}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("1" * 5000, "not valid JSON"),
        ("[]", "not an object"),
        ("null", "not an object"),
        ({"messages": TEA["messages"]}, "its id"),
        (TEA | {"id": 7}, "its id"),
        (TEA | {"id": ""}, "its id"),
        (TEA | {"id": "x" * 201}, "its id"),
        (TEA | {"id": "a\nb"}, "its id"),
        (TEA | {"id": "\ud800"}, "its id"),
        ({"id": "x"}, "no list of messages"),
        (TEA | {"messages": {}}, "no list of messages"),
        (TEA | {"messages": []}, "no messages"),
        (TEA | {"messages": [{"role": "system", "content": "Be brief."}]}, "no messages"),
        (TEA | {"messages": ["Hello"]}, "message 1: it is not an object"),
        (turn(role="tool"), "message 2: its role"),
        (turn(role=None), "message 2: its role"),
        (turn(role=["user"]), "message 2: its role"),
        (turn(content=None), "message 2: its content is not a text"),
        (turn(content=[{"type": "text"}]), "message 2: its content is not a text"),
        (turn(content=" \n"), "message 2: its content is empty"),
        (turn(created="soon"), "message 2: its created"),
        (TEA | {"created": "yesterday"}, "its created"),
        (TEA | {"created": -1}, "its created"),
        (TEA | {"created": 1e300}, "its created"),
        (TEA | {"created": True}, "its created"),
        (TEA | {"created": "1900-01-01"}, "its created"),
        (json.dumps(TEA).replace("1700000000.5", "NaN"), "its created"),
        (TEA | {"title": 5}, "its title"),
        (TEA | {"folder": []}, "its folder"),
        (TEA | {"learn": "no"}, "its learn"),
    ],
)
def test_a_bad_line_is_named_and_nothing_else_is_lost(
    store: Store, write: Write, line: object, problem: str
) -> None:
    report = import_file(store, write(TEA | {"id": "one"}, line, TEA | {"id": "two"}))
    (told,) = report.problems
    assert told.startswith("Line 2: ")
    assert problem in told
    assert report.added == 2
    assert {chat.id for chat in store.chats.list()} == {"one", "two"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"hello\n", "line 1: it is not valid JSON"),
        (json.dumps(TEA).encode() + b"\n\xff\xfe\n", "not UTF-8"),
        (json.dumps(TEA).encode("utf-16"), "not UTF-8"),
        (b"\0" * 100, "line 1"),
    ],
)
def test_a_file_without_conversations_changes_nothing(
    store: Store, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_bytes(content)
    with pytest.raises(PlumError, match=reason):
        import_file(store, path)
    assert store.chats.list() == []


def test_a_line_without_end_is_not_read_into_memory(
    store: Store, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_LONGEST", 1000)
    with pytest.raises(PlumError, match="line 2 has no end"):
        import_file(store, write(TEA, "x" * 5000))


def test_a_missing_file_and_a_folder_are_sentences(store: Store, tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(PlumError, match="cannot be read"):
            import_file(store, path)


def test_a_byte_order_mark_is_no_problem(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps(TEA), encoding="utf-8-sig")
    assert import_file(store, path).added == 1


def test_progress_goes_up_to_the_end(
    store: Store, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_BATCH", 2)
    told: list[float] = []
    lines = [TEA | {"id": f"c{number}"} for number in range(5)]
    import_file(store, write(*lines), told.append)
    assert told == [0.4, 0.8, 1.0]


def imported_again(text: str) -> str | None:
    """What a fresh store exports after it has imported `text`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chats.jsonl"
        path.write_bytes(text.encode())
        store = Store(Path(folder) / "plum.db", Path(folder))
        try:
            assert import_file(store, path).problems == []
            return export_chats(store, None, None, "jsonl")
        finally:
            store.close()


def test_an_export_keeps_what_was_chosen_for_a_chat(store: Store) -> None:
    chat = store.chats.create("Secret", persona="Be brief.", learn=False, memory=False)
    store.chats.update(chat.id, pinned=True, archived=True, folder="Work")
    asked = store.chats.add_message(chat.id, "user", "q\u2028\x85?")
    store.chats.add_message(chat.id, "assistant", "first", finish_reason="stop")
    store.chats.add_message(
        chat.id, "assistant", "half", parent_id=asked.id, finish_reason="cancelled"
    )
    store.chats.create("never used")
    text = export_chats(store, None, None, "jsonl")
    assert text is not None
    (record,) = map(json.loads, text.split("\n")[:-1])
    assert [turn["content"] for turn in record["messages"]] == ["Be brief.", "q\u2028\x85?", "half"]
    assert record["messages"][2]["finish_reason"] == "cancelled"  # or it would be learned
    assert {name: record[name] for name in ("learn", "memory", "pinned", "archived", "folder")} == {
        "learn": False,
        "memory": False,
        "pinned": True,
        "archived": True,
        "folder": "Work",
    }
    assert imported_again(text) == text


some_text = st.text(min_size=1).filter(str.strip)
some_time = st.floats(0, 253_402_300_799, allow_subnormal=False)
some_turn = st.builds(
    lambda role, text, created: {"role": role, "content": text, "created": created},
    st.sampled_from(["user", "assistant", "system"]),
    some_text,
    some_time,
)
some_turns = st.lists(some_turn, min_size=1, max_size=6).filter(
    lambda turns: turns[0]["role"] != "system" or len(turns) > 1
)


@settings(max_examples=25, deadline=None)
@given(
    chats=st.lists(
        st.tuples(some_turns, some_text, some_time, st.booleans(), st.none() | some_text),
        min_size=1,
        max_size=4,
    )
)
def test_an_export_comes_in_again_unchanged(chats: list[tuple[Any, ...]]) -> None:
    lines = [
        json.dumps(
            {
                "id": f"chat {number}",
                "title": title,
                "created": created,
                "learn": learn,
                "folder": folder,
                "messages": turns,
            }
        )
        for number, (turns, title, created, learn, folder) in enumerate(chats)
    ]
    once = imported_again("\n".join(lines))
    assert once is not None
    records = sorted(map(json.loads, once.split("\n")[:-1]), key=lambda each: each["id"])
    assert len(records) == len(chats)
    for record, (turns, title, created, learn, folder) in zip(records, chats, strict=True):
        assert (record["title"], record["created"]) == (title, created)
        assert record.get("learn", True) == learn
        assert record.get("folder") == folder_path(folder)
        assert [(turn["role"], turn["content"]) for turn in record["messages"]] == [
            (turn["role"], turn["content"]) for turn in turns
        ]
    assert imported_again(once) == once


def test_json_has_every_branch_and_field(store: Store, tmp_path: Path) -> None:
    chat = store.chats.create("Tea")
    asked = store.chats.add_message(chat.id, "user", "Größe?")
    store.chats.add_message(chat.id, "assistant", "one", finish_reason="stop", tokens=1)
    store.chats.add_message(chat.id, "assistant", "two", parent_id=asked.id)
    store.chats.create("Empty")
    path = tmp_path / "out.json"
    assert export_chats(store, None, path, "json") is None
    exported = json.loads(path.read_text(encoding="utf-8"))
    assert [each["title"] for each in exported["chats"]] == ["Tea", "Empty"]
    first = exported["chats"][0]
    messages = first.pop("messages")
    assert first == dataclasses.asdict(store.chats.get(chat.id))
    stored = [dataclasses.asdict(each) for each in store.chats.tree(chat.id)]
    assert messages == json.loads(json.dumps(stored))
    assert len(messages) == 3
    assert "Größe" in path.read_text(encoding="utf-8")


def test_markdown_reads_as_a_conversation(store: Store, write: Write) -> None:
    import_file(store, write(TEA, TEA | {"id": "tea-2", "title": "More\ntea"}))
    assert export_chats(store, ["tea-2", "tea-1", "tea-2"], None, "markdown") == (
        "# More tea\n\n2023-11-14\n\n## You\n\nGreen tea?\n\n## Assistant\n\nYes, please.\n"
        "\n# Tea\n\n2023-11-14\n\n## You\n\nGreen tea?\n\n## Assistant\n\nYes, please.\n"
    )


def test_nothing_to_export_is_still_a_file(store: Store) -> None:
    assert export_chats(store, None, None, "jsonl") == ""
    assert export_chats(store, None, None, "markdown") == ""
    assert json.loads(export_chats(store, None, None, "json") or "")["chats"] == []


def test_an_export_that_cannot_be_is_refused_before_anything_is_written(
    store: Store, write: Write, tmp_path: Path
) -> None:
    import_file(store, write(TEA))
    path = tmp_path / "out.md"
    with pytest.raises(PlumError, match="There is no chat 'coffee'"):
        export_chats(store, ["tea-1", "coffee"], path, "markdown")
    assert not path.exists()
    for bad in (tmp_path, tmp_path / "none" / "out.md", write(TEA) / "out.md"):
        with pytest.raises(PlumError, match="cannot be written"):
            export_chats(store, None, bad, "markdown")


def test_files_go_out_with_their_message_and_come_in_again(
    store: Store, tmp_path: Path, data_folder: DataFolder
) -> None:
    file = Attachment("tides.csv", "hour,height\n9,```1.2")
    chat = store.chats.create("Tides")
    store.chats.add_message(chat.id, "user", "When is it high?", attachments=[file])
    path = tmp_path / "out.jsonl"
    export_chats(store, [chat.id], path, "jsonl")
    other = Store(tmp_path / "other.db", data_folder.backups)
    try:
        assert import_file(other, path).added == 1
        (message,) = other.chats.branch(chat.id)
        assert (message.text, message.attachments) == ("When is it high?", (file,))
    finally:
        other.close()
    read = export_chats(store, [chat.id], None, "markdown")
    assert read is not None
    assert "### tides.csv\n\n````\nhour,height\n9,```1.2\n````" in read


@pytest.mark.parametrize("files", ["a", [1], [{"name": "a"}], [{"name": "a", "text": 1}], [{}]])
def test_files_that_are_none_are_a_problem_of_their_line(
    store: Store, write: Write, files: object
) -> None:
    turn = {"role": "user", "content": "Hello there", "attachments": files}
    report = import_file(store, write({"id": "x", "messages": [turn]}, TEA))
    assert report.added == 1
    assert report.problems == [
        "Line 1: message 1: its attachments are not a list of objects with name and text."
    ]
