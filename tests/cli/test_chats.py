from __future__ import annotations

import json
from pathlib import Path

import pytest

KITES = {
    "id": "kites-1",
    "title": "Kites",
    "messages": [
        {"role": "user", "content": "What keeps a kite in the air?"},
        {"role": "assistant", "content": "The wind pushes on its sail."},
    ],
}
BREAD = {
    "id": "bread-1",
    "messages": [
        {"role": "user", "content": "How long does sourdough rise?"},
        {"role": "assistant", "content": "Four to six hours."},
    ],
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    path.write_text(f"{json.dumps(KITES)}\n{json.dumps(BREAD)}\nnot json\n")
    return path


def test_import_list_show_search(run, source: Path) -> None:
    report = run("chats", "import", str(source), "--json").row
    assert (report["added"], report["skipped"], len(report["problems"])) == (2, 0, 1)
    again = run("chats", "import", str(source))
    assert again.status == 0
    assert "Added 0 chats." in again.out
    assert "2 chats that were there already" in again.out
    assert "Line 3" in again.out
    assert {row["id"] for row in run("chats", "list", "--json").rows} == {"kites-1", "bread-1"}
    assert "Kites" in run("chats", "list").out
    shown = run("chats", "show", "kites-1").out
    assert "The wind pushes on its sail." in shown
    (hit,) = run("chats", "search", "sourd", "--json").rows
    assert hit["chat_id"] == "bread-1"
    assert hit["snippet"] == "How long does sourdough rise?"
    assert "sourdough" in run("chats", "search", "sourdough").out
    assert run("chats", "search", '"; DROP').out == "Nothing matches.\n"


def test_what_is_exported_imports_again(run, source: Path, tmp_path: Path) -> None:
    run("chats", "import", str(source))
    out = tmp_path / "out.jsonl"
    assert run("chats", "export", "-o", str(out)).out == f"Wrote {out}\n"
    other = ("--data-dir", str(tmp_path / "other"))
    assert run(*other, "chats", "import", str(out), "--json").row["added"] == 2
    assert run(*other, "chats", "export").out == out.read_text()
    markdown = run("chats", "export", "kites-1", "--format", "markdown").out
    assert "Kites" in markdown
    assert "sourdough" not in markdown


def test_delete_asks_first_and_takes_the_words(run, source: Path, data_folder) -> None:
    run("chats", "import", str(source))
    refused = run("chats", "delete", "bread-1")
    assert refused.status == 1
    assert "add --yes" in refused.err
    assert run("chats", "delete", "bread-1", "nothing", "--yes").status == 1
    assert len(run("chats", "list", "--json").rows) == 2
    assert run("chats", "delete", "bread-1", "--yes", "--json").row == {"deleted": ["bread-1"]}
    assert run("chats", "search", "sourdough").out == "Nothing matches.\n"
    for file in data_folder.root.rglob("*"):
        if file.is_file():
            assert b"sourdough" not in file.read_bytes(), file


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"[]\n", b"not json\n", b"\xff\xfe\x00", b'{"id": "x", "messages": []}\n'],
)
def test_a_file_without_a_chat_is_refused_and_changes_nothing(
    run, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    ran = run("chats", "import", str(path))
    assert ran.status == 1
    assert ran.err.count("\n") == 1
    assert "bad.jsonl" in ran.err
    assert run("chats", "list").out.startswith("There are no chats yet")


def test_a_missing_file(run, tmp_path: Path) -> None:
    ran = run("chats", "import", str(tmp_path / "none.jsonl"))
    assert ran.status == 1
    assert "none.jsonl" in ran.err


def test_an_export_to_a_bad_place(run, source: Path, tmp_path: Path) -> None:
    run("chats", "import", str(source))
    ran = run("chats", "export", "-o", str(tmp_path / "none" / "out.jsonl"))
    assert ran.status == 1
    assert ran.err.count("\n") == 1
