from __future__ import annotations

import io
import json

import pytest


@pytest.fixture(autouse=True)
def short(run) -> None:
    for key, value in (("max_tokens", "8"), ("threads", "1"), ("temperature", "0")):
        assert run("settings", "set", key, value).status == 0


def test_once_makes_a_chat_that_can_go_on(run) -> None:
    first = run("chat", "--once", "Hello there")
    assert first.status == 0
    (chat,) = run("chats", "list", "--json").rows
    assert chat["title"] == "Hello there"
    reply = run("chat", "--chat", chat["id"][:8], "--once", "And you?", "--json").row
    assert reply["chat_id"] == chat["id"]
    assert reply["finish_reason"] in ("stop", "length")
    shown = run("chats", "show", chat["id"], "--json").row
    assert [message["role"] for message in shown["messages"]] == ["user", "assistant"] * 2
    assert shown["messages"][1]["text"] == first.out.rstrip("\n")
    assert shown["messages"][3]["text"] == reply["text"]


def test_a_conversation_by_lines(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello\n\nBye\n"))
    ran = run("chat", "--json")
    assert ran.status == 0
    assert len(ran.rows) == 2
    assert len({row["chat_id"] for row in ran.rows}) == 1


def test_nothing_said_leaves_no_chat(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run("chat").status == 0
    assert run("chats", "list", "--json").rows == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--once", "  "], "message is empty"),
        (["--chat", "nothing", "--once", "Hello"], "no chat 'nothing'"),
        (["--chat", "nothing"], "no chat 'nothing'"),
        (["--memory", "merged", "--once", "Hello"], "Nothing has been learned"),
    ],
)
def test_refusals(run, arguments: list[str], words: str) -> None:
    ran = run("chat", *arguments)
    assert ran.status == 1
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_a_model_cut_short_is_a_sentence(run, starter, data_folder) -> None:
    (data_folder.models / starter.name).write_bytes(starter.read_bytes()[:1_000_000])
    ran = run("chat", "--once", "Hello")
    assert ran.status == 1
    assert ran.err.count("\n") == 1
    assert starter.name in ran.err


def test_eval_asks_and_marks(run, tmp_path) -> None:
    questions = tmp_path / "q.jsonl"
    rows = [
        {"conversation_id": "c0", "kind": "yes", "question": "Did we talk about kites?"},
        {"conversation_id": "c0", "kind": "no", "question": "Did we talk about tax?"},
        {"conversation_id": "c1", "kind": "open", "question": "What?", "key_facts": ["zebra"]},
    ]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = tmp_path / "answers.jsonl"
    report = run("eval", str(questions), "--answers", str(answers), "--json").row
    assert report["questions"] == 3
    assert report["open_recall"] in (0.0, 1.0)
    written = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [row["question"] for row in written] == [row["question"] for row in rows]
    assert written[0]["verdict"] in ("yes", "no", "unclear")
    words = run("eval", str(questions), "--kinds", "yes", "--limit", "1").out
    assert "questions        1\n" in words
    empty = run("eval", str(questions), "--kinds", "open", "--limit", "1")
    assert empty.status == 1
    assert "no question of these kinds" in empty.err
    assert run("eval", str(tmp_path / "none.jsonl")).status == 1
