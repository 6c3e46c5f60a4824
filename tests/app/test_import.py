"""What other programs export comes in with its branches and times, once, whatever is broken."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plum_desktop.app.exchange import export_chats, import_file, reading, source
from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Message, SearchFilter
from plum_desktop.store import Store
from plum_desktop.store.forgetting import Doomed

DATA = Path(__file__).parent.parent / "data" / "exchange"


@pytest.fixture
def store(data_folder: DataFolder) -> Iterator[Store]:
    store = Store(data_folder.database, data_folder.backups)
    yield store
    store.close()


def said(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


def everything(store: Store) -> list[tuple[Any, list[Message]]]:
    return [(chat, store.chats.tree(chat.id)) for chat in store.chats.list(archived=None)]


# ChatGPT


def test_chatgpt_comes_in_with_branches_and_times_and_without_tools(store: Store) -> None:
    report = import_file(store, DATA / "chatgpt.json")
    assert (report.added, report.skipped) == (2, 0)
    assert report.problems == ["Conversation 3 (“Only a picture”): nothing in it was said in text."]
    chat = store.chats.get("6556a0b0-0000-8000-8000-000000000001")
    assert (chat.title, chat.created, chat.updated) == (
        "Trip to Porto", 1_700_000_000.25, 1_700_000_300.0,
    )  # fmt: skip
    assert chat.archived
    question = ("user", "What will the weather be?\n\nIn Porto, I mean.")
    shown = store.chats.branch(chat.id)
    assert said(shown) == [question, ("assistant", "Rain until Friday , then sun.")]
    assert [message.created for message in shown] == [1_700_000_100.5, 1_700_000_300.0]
    assert [message.finish_reason for message in shown] == [None, "cancelled"]
    first, second = store.chats.siblings(shown[1].id)  # in ChatGPT's own order
    assert (first.text, first.finish_reason, second.id) == ("I cannot know.", "stop", shown[1].id)
    store.chats.show(chat.id, first.id)
    other = store.chats.branch(chat.id)
    assert said(other)[2:] == [("user", "Then look it up.")]
    assert other[2].created == 1_700_000_200.0  # as what it answers
    assert store.search("secret", within=SearchFilter(archived=None)) == []


def test_an_old_chatgpt_conversation_without_id_is_the_same_one_again(store: Store) -> None:
    import_file(store, DATA / "chatgpt.json")
    old = next(chat for chat in store.chats.list() if not chat.archived)
    assert old.title == "Why is the sky blue?"
    assert said(store.chats.branch(old.id))[-1] == ("assistant", "It scatters.")
    before = everything(store)
    again = import_file(store, DATA / "chatgpt.json")
    assert (again.added, again.skipped, len(again.problems)) == (0, 2, 1)
    assert everything(store) == before


def test_a_deep_conversation_is_no_trouble(store: Store, tmp_path: Path) -> None:
    mapping = {
        f"n{at}": {
            "parent": f"n{at - 1}" if at else None,
            "children": [f"n{at + 1}"],
            "message": {
                "author": {"role": "assistant" if at % 2 else "user"},
                "content": {"content_type": "text", "parts": [f"turn {at}"]},
            },
        }
        for at in range(5000)
    }
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([{"id": "deep", "mapping": mapping, "current_node": "n4999"}]))
    assert import_file(store, path).added == 1
    assert len(store.chats.branch("deep")) == 5000


def said_later(path: Path, target: Path, seconds: float = 60.0) -> Path:
    """The file as it is exported again, with a question and a reply more in the first chat."""
    records = json.loads(path.read_text(encoding="utf-8"))
    record = records[0]
    last = record["current_node"]
    when = max(
        node["message"].get("create_time") or 0.0
        for node in record["mapping"].values()
        if node.get("message")
    )
    for number, (role, text) in enumerate([("user", "And by tram?"), ("assistant", "Line 1.")]):
        name = f"later{number}"
        record["mapping"][last]["children"].append(name)
        record["mapping"][name] = {
            "id": name, "parent": last, "children": [], "message": {
                "author": {"role": role}, "create_time": when + seconds * (number + 1),
                "content": {"content_type": "text", "parts": [text]}, "recipient": "all",
            },
        }  # fmt: skip
        last = name
    record["current_node"] = last
    target.write_text(json.dumps(records), encoding="utf-8")
    return target


PORTO = "6556a0b0-0000-8000-8000-000000000001"
LATER = [("user", "And by tram?"), ("assistant", "Line 1.")]


def test_a_chat_that_went_on_grows_at_its_next_import(store: Store, tmp_path: Path) -> None:
    import_file(store, DATA / "chatgpt.json")
    before = said(store.chats.branch(PORTO))
    again = said_later(DATA / "chatgpt.json", tmp_path / "again.json")
    report = import_file(store, again)
    assert (report.added, report.grown, report.skipped) == (0, 1, 1)
    assert said(store.chats.branch(PORTO)) == before + LATER
    assert store.chats.get(PORTO).updated == store.chats.branch(PORTO)[-1].created
    report = import_file(store, again)
    assert (report.added, report.grown, report.skipped) == (0, 0, 2)
    assert import_file(store, DATA / "chatgpt.json").grown == 0


def test_what_was_deleted_here_does_not_come_back_and_what_was_said_here_stays_in_sight(
    store: Store, tmp_path: Path
) -> None:
    import_file(store, DATA / "chatgpt.json")
    shown = store.chats.branch(PORTO)
    gone = next(each for each in store.chats.siblings(shown[1].id) if each.id != shown[1].id)
    doomed = [each.id for each in store.chats.deleted_with(gone.id)]
    store.forgetting.begin(Doomed(messages=tuple(doomed)), lambda _: False)
    store.chats.add_message(PORTO, "user", "Said here.")
    here = said(store.chats.branch(PORTO))
    report = import_file(store, said_later(DATA / "chatgpt.json", tmp_path / "again.json"))
    assert report.grown == 1
    assert said(store.chats.branch(PORTO)) == here, "what is shown was changed"
    texts = [each.text for each in store.chats.tree(PORTO)]
    assert gone.text not in texts
    assert {text for _, text in LATER} <= set(texts)


# Claude


def test_claude_comes_in_by_parents_or_in_line(store: Store) -> None:
    report = import_file(store, DATA / "claude.json")
    assert (report.added, report.skipped) == (2, 0)
    assert report.problems == ["Conversation 3 (“Empty”): it has no messages."]
    bread = store.chats.get("c1a0de00-0000-4000-8000-000000000001")
    assert (bread.title, bread.created) == ("Sourdough", 1_772_352_000.0)
    assert said(store.chats.branch(bread.id)) == [
        ("user", "How long does it rise?"),
        ("assistant", "Four hours.\n\nOr more."),  # no thoughts, no tools
        ("user", "Thanks!"),
    ]
    assert [m.created - bread.created for m in store.chats.branch(bread.id)] == [1, 2, 2]
    cat = store.chats.get("c1a0de00-0000-4000-8000-000000000002")
    assert cat.title == "A name for a cat?"
    shown = store.chats.branch(cat.id)
    assert said(shown)[1:] == [("assistant", "Waldo."), ("user", "Nice one.")]
    assert [m.text for m in store.chats.siblings(shown[1].id)] == ["Waldo.", "Minka."]
    assert import_file(store, DATA / "claude.json").skipped == 2


def test_ids_that_utf8_cannot_write_are_ids(store: Store, tmp_path: Path) -> None:
    records = json.loads((DATA / "claude.json").read_text())
    records[0]["chat_messages"][0]["uuid"] = "\ud800"
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps(records))
    assert import_file(store, path).added == 2


# Our own JSON


def test_our_own_json_comes_in_again_exactly(store: Store, tmp_path: Path) -> None:
    chat = store.chats.create("Größe", persona="Be brief.", learn=False, memory=False)
    asked = store.chats.add_message(chat.id, "user", "One?")
    first = store.chats.add_message(chat.id, "assistant", "one", finish_reason="length", tokens=3)
    store.chats.add_message(chat.id, "assistant", "two", parent_id=asked.id, finish_reason="stop")
    store.chats.show(chat.id, first.id)
    store.chats.update(chat.id, pinned=True, archived=True, folder="Work/Clients", model="m.gguf")
    store.chats.create("Empty")
    before = everything(store)
    path = tmp_path / "chats.json"
    export_chats(store, None, path, "json")
    assert import_file(store, path).skipped == 2
    other = Store(tmp_path / "other.db", tmp_path)
    try:
        report = import_file(other, path)
        assert (report.added, report.problems) == (2, [])
        assert everything(other) == before
        assert export_chats(other, None, None, "json") == path.read_text(encoding="utf-8")
    finally:
        other.close()


def test_our_own_json_may_be_written_anew_by_another_program(store: Store, tmp_path: Path) -> None:
    chat = store.chats.create("Tea")
    store.chats.add_message(chat.id, "user", "Green?")
    text = export_chats(store, None, None, "json") or ""
    store.chats.delete(chat.id)
    path = tmp_path / "chats.json"
    for indent in (None, 2):
        path.write_text(json.dumps(json.loads(text), sort_keys=True, indent=indent))
        report = import_file(store, path)
        assert (report.added + report.skipped, report.problems) == (1, [])
    assert said(store.chats.branch(chat.id)) == [("user", "Green?")]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"id": ""}, "its id is not"),
        ({"messages": None}, "no list of messages"),
        ({"messages": [7]}, "message 1: it is not an object"),
        ({"leaf": "gone"}, "the end of its shown branch"),
        ({"pinned": 1}, "its pinned"),
        ({"updated": "soon"}, "its updated"),
        ({0: {"role": "tool"}}, "message 1: its role"),
        ({0: {"role": []}}, "message 1: its role"),
        ({0: {"text": None}}, "message 1: its text"),
        ({1: {"parent_id": "gone"}}, "message 2: what it answers"),
        ({1: {"parent_id": "m2"}}, "message 2: what it answers"),
        ({1: {"id": "m1"}}, "message 2: its id is that of another"),
        ({1: {"id": 5}}, "message 2: its id"),
    ],
)
def test_a_bad_chat_of_our_own_is_named(
    store: Store, tmp_path: Path, changes: dict[Any, Any], problem: str
) -> None:
    rows = [
        {"id": "m1", "parent_id": None, "role": "user", "text": "a", "created": 1},
        {"id": "m2", "parent_id": "m1", "role": "assistant", "text": "b", "created": 2},
    ]
    record: dict[str, Any] = {"id": "c1", "title": "Bad", "created": 1, "updated": 2, "leaf": "m2"}
    for place in (0, 1):
        rows[place] = rows[place] | changes.get(place, {})
    record = record | {"messages": rows} | {k: v for k, v in changes.items() if k not in (0, 1)}
    good = {"id": "c2", "created": 1, "updated": 2, "leaf": None, "messages": []}
    path = tmp_path / "chats.json"
    path.write_text(
        json.dumps({"format": "plum-desktop chats", "version": 1, "chats": [record, good]})
    )
    report = import_file(store, path)
    assert report.added == 1
    (told,) = report.problems
    assert told.startswith("Conversation 1 (“Bad”): ")
    assert problem in told


def test_a_message_that_is_in_another_chat_already_keeps_its_own_out(
    store: Store, tmp_path: Path
) -> None:
    chat = store.chats.create("Tea")
    store.chats.add_message(chat.id, "user", "Green?")
    text = (export_chats(store, None, None, "json") or "").replace(chat.id, "c" * 32)
    path = tmp_path / "chats.json"
    path.write_text(text)
    report = import_file(store, path)
    assert (report.added, report.skipped) == (0, 0)
    assert "already, in another chat" in report.problems[0]
    assert len(store.chats.list()) == 1


def test_a_newer_format_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "chats.json"
    path.write_text('{"format": "plum-desktop chats", "version": 2, "chats": []}')
    with pytest.raises(PlumError, match="newer Plum Desktop"):
        import_file(store, path)


# Archives and files


@pytest.mark.parametrize(
    "names",
    [
        ["conversations.json"],
        ["data/conversations.json"],
        ["conversations-000.json", "conversations-001.json"],
    ],
)
def test_an_archive_is_read_as_it_came(store: Store, tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("chat.html", "<html>")
        archive.writestr("user.json", "{}")
        for name, data in zip(names, ("chatgpt.json", "claude.json"), strict=False):
            archive.write(DATA / data, name)
    report = import_file(store, path)
    assert report.added == 2 * len(names)
    assert [problem.split(" (")[0] for problem in report.problems] == [
        "Conversation 3", "Conversation 6",
    ][: len(names)]  # fmt: skip


def test_a_broken_archive_is_a_sentence(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("other.json", "[]")
    with pytest.raises(PlumError, match=r"no conversations\.json"):
        import_file(store, path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([{"uuid": "x" * 50}] * 500))
    whole = path.read_bytes()
    for broken in (whole[:200], whole[:45] + b"\0\xff" * 10 + whole[65:]):
        path.write_bytes(broken)
        with pytest.raises(PlumError, match="cannot be unpacked"):
            import_file(store, path)
    assert store.chats.list() == []


def test_what_is_broken_is_named_and_nothing_else_is_lost(store: Store) -> None:
    report = import_file(store, DATA / "broken.json")
    assert {chat.title for chat in store.chats.list()} == {"Good", "Good too"}
    assert [told.split(":")[0] for told in report.problems] == [
        "Conversation 2 (“No id”)", "Conversation 3 (“Words”)", "Conversation 4 (“List”)",
        "Conversation 5 (“Circle”)", "Conversation 6 (“Odd”)", "Conversation 7",
        "Conversation 8", "Conversation 9 (“Nothing known”)", "Conversation 11",
    ]  # fmt: skip
    assert "nothing after it can be read" in report.problems[-1]
    assert all(told.endswith(".") for told in report.problems)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[]", "it is empty"),
        (b"[7]", "conversation 1: it is not an object"),
        (b"[", "conversation 1: it is not valid JSON"),
        (b"[" * 100_000, "conversation 1: it is not valid JSON"),
        (b'[{"a": "\xff"}]', "not UTF-8"),
        (b'{"id": "x",\n "title": "y"}', "conversation 1 \\(“y”\\): it has no list"),
        (b'{"chats": {}}', "conversation 1: its id"),
    ],
)
def test_a_file_without_conversations_changes_nothing(
    store: Store, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "conversations.json"
    path.write_bytes(content)
    with pytest.raises(PlumError, match=reason):
        import_file(store, path)
    assert store.chats.list() == []


def test_one_conversation_may_be_a_file_of_its_own(store: Store, tmp_path: Path) -> None:
    first = json.loads((DATA / "claude.json").read_text())[0]
    path = tmp_path / "one.json"
    for indent in (2, None):
        path.write_text(json.dumps(first, indent=indent), encoding="utf-8-sig")
        assert import_file(store, path).problems == []
    assert [chat.title for chat in store.chats.list()] == ["Sourdough"]


def test_a_first_line_that_is_broken_leaves_the_others(store: Store, tmp_path: Path) -> None:
    good = {"id": "a", "messages": [{"role": "user", "content": "Hello"}]}
    path = tmp_path / "chats.jsonl"
    path.write_text('{"id": "cut of\n' + json.dumps(good))
    report = import_file(store, path)
    assert (report.added, report.problems) == (1, ["Line 1: it is not valid JSON."])


def claude_file(path: Path, count: int, letters: int) -> None:
    with path.open("w") as stream:
        stream.write("[")
        for number in range(count):
            turn = {"uuid": "m", "sender": "human", "text": f"{number} " + "word " * (letters // 5)}
            record = {"uuid": f"chat {number}", "chat_messages": [turn]}
            stream.write(("," if number else "") + json.dumps(record))
        stream.write("]")


def test_a_large_file_is_never_whole_in_memory(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    claude_file(path, 600, 50_000)  # 30 MB
    tracemalloc.start()
    try:
        assert sum(item.problem is None for item in source.items(path)) == 600
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_a_conversation_longer_than_any_chat_ends_the_reading(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_LONGEST", 10_000)
    monkeypatch.setattr(source, "_CHUNK", 1000)
    path = tmp_path / "conversations.json"
    claude_file(path, 5, 5000)  # longer than what is read at once, and all right
    assert import_file(store, path).added == 5
    claude_file(path, 1, 50_000)
    with pytest.raises(PlumError, match="nothing after it can be read"):
        import_file(store, path)


def test_progress_is_told(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BATCH", 2)
    path = tmp_path / "conversations.json"
    claude_file(path, 5, 20)
    told: list[float] = []
    import_file(store, path, told.append)
    assert told == [0.4, 0.8, 1.0]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["id", "uuid", "title", "name", "mapping", "chat_messages", "messages", "leaf",
             "message", "author", "role", "content", "parts", "content_type", "parent", "children",
             "sender", "text", "create_time", "created_at", "metadata", "current_node"]
        ),
        inner, max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=st.lists(json_values, max_size=4))
def test_no_json_is_a_defect(store: Store, tmp_path: Path, records: list[Any]) -> None:
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps(records))
    try:
        report = import_file(store, path)
    except PlumError:
        return
    assert report.added + report.grown + report.skipped + len(report.problems) == len(records)


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: what holds it, and its key there."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from nodes(value[key])


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_export_that_was_tampered_with_is_a_defect(
    store: Store, tmp_path: Path, data: st.DataObject
) -> None:
    """Real exports, with something else in place of a few of their parts, or cut, or spoiled."""
    name = data.draw(st.sampled_from(["chatgpt.json", "claude.json"]))
    whole = json.loads((DATA / name).read_text())
    records = len(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(list(nodes(whole))))
        if isinstance(holder, dict) and data.draw(st.booleans()):
            del holder[key]
        else:
            holder[key] = data.draw(json_values | st.just(10**400) | st.just("\ud800"))
    content = bytearray(json.dumps(whole).encode())
    if data.draw(st.integers(0, 3)) == 0:
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        del content[data.draw(st.integers(1, len(content))) :]
        records = 0  # it may be anything now
    path = tmp_path / "conversations.json"
    path.write_bytes(content)
    before = len(store.chats.list(archived=None))
    try:
        report = import_file(store, path)
    except PlumError:
        assert len(store.chats.list(archived=None)) == before
        return
    assert len(store.chats.list(archived=None)) == before + report.added
    if records:
        assert report.added + report.grown + report.skipped + len(report.problems) == records
    for chat in store.chats.list(archived=None):
        assert len(store.chats.branch(chat.id)) >= 1
