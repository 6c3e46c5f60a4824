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
    assert run("chats", "delete", "bread-1", "--yes", "--json").row == {
        "deleted": ["bread-1"],
        "complete": True,
    }
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


def test_search_is_narrowed_by_options_and_by_what_is_typed(run, tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    rows = [
        BREAD | {"id": "work-1", "created": "2026-03-05T12:00:00", "folder": "Work/Clients"},
        BREAD | {"id": "home-1", "created": "2026-09-05T12:00:00", "folder": "Home"},
        BREAD | {"id": "past-1", "created": "2025-03-05T12:00:00", "archived": True},
    ]
    rows[1]["messages"] = [{"role": "system", "content": "You bake."}, *BREAD["messages"]]
    path.write_text("\n".join(map(json.dumps, rows)))
    run("chats", "import", str(path))

    def found(*arguments: str) -> set[str]:
        rows = run("chats", "search", *arguments, "--json").rows
        return {row["chat_id"] for row in rows}

    assert found("sourdough") == {"work-1", "home-1"}
    assert found("sourdough", "--archived") == {"work-1", "home-1", "past-1"}
    assert found("sourdough is:archived") == {"past-1"}
    assert found("sourdough", "--in", "clients") == {"work-1"} == found("sourdough in:Work")
    assert found("sourdough", "--after", "2026-06") == {"home-1"} == found("after:2026-06 rise")
    assert found("sourdough", "--before", "2026-06-01") == {"work-1"}
    assert found("sourdough", "--persona", "bake") == {"home-1"}
    assert found("--in", "Home") == {"home-1"}
    assert "sourdough" in run("chats", "search", "in:Home").out
    assert run("chats", "search").out == "Nothing matches.\n"
    assert "is no day" in run("chats", "search", "x", "--after", "soon").err
    assert "is no day" in run("chats", "search", "x", "--before", "0000").err


DATA = Path(__file__).parent.parent / "data" / "exchange"


def test_what_others_export_comes_in_and_goes_out_in_every_format(run, tmp_path: Path) -> None:
    report = run("chats", "import", str(DATA / "chatgpt.json"), "--json").row
    assert (report["added"], report["skipped"], len(report["problems"])) == (2, 0, 1)
    ran = run("chats", "import", str(DATA / "claude.json"))
    assert "Added 2 chats." in ran.out
    assert "Left out: Conversation 3 (“Empty”): it has no messages." in ran.out
    ids = [row["id"] for row in run("chats", "list", "--json").rows]
    other = ("--data-dir", str(tmp_path / "other"))
    for form, count in (("json", 4), ("jsonl", 2), ("markdown", 2)):
        out = tmp_path / f"out.{form}"
        chosen = ids[:2] if count == 2 else ()  # several, or all of them
        run("chats", "export", *chosen, "-o", str(out), "--format", form)
        if form == "markdown":
            assert out.read_text().count("\n## You\n") == 4
        else:
            again = run(*other, "chats", "import", str(out), "--json").row
            assert again["added"] + again["skipped"] == count
    assert (
        run(*other, "chats", "export", "--format", "json").out
        == (tmp_path / "out.json").read_text()
    )
