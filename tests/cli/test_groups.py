"""memory, adapters, models, settings and serve, as typed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import pytest

from plum_desktop.app.product import Plum
from plum_desktop.base.types import Adapter, Fact


def test_settings(run) -> None:
    assert run("settings", "set", "temperature", "0.3").out == "temperature = 0.3\n"
    assert run("settings", "get", "temperature").out == "0.3\n"
    assert run("settings", "get", "--json").row["temperature"] == 0.3
    assert "Longest" not in run("settings", "get").err
    for arguments, words in (
        (["set", "temperature", "hot"], "takes a number, not"),
        (["set", "colour", "red"], "no setting 'colour'"),
        (["get", "colour"], "no setting 'colour'"),
        (["set", "theme", "plaid"], "theme is one of"),
        (["set", "threads", "-1"], "cannot be below 0"),
        (["set", "model", "none.gguf"], "no model called"),
    ):
        ran = run("settings", *arguments)
        assert ran.status == 1
        assert words in ran.err


def test_models(run, starter: Path, tmp_path: Path) -> None:
    (only,) = run("models", "list", "--json").rows
    assert only["in_use"]
    assert run("models", "list").out.startswith(f"* {starter.name}\n")
    copy = tmp_path / "mine.gguf"
    copy.symlink_to(starter)
    assert run("models", "add", str(copy), "--json").row["name"] == "mine.gguf"
    assert run("models", "use", "mine").out.startswith("* mine.gguf\n")
    assert run("settings", "get", "model").out == "mine.gguf\n"
    assert "in use" in run("models", "remove", "mine", "--yes").err
    assert run("models", "use", starter.name).status == 0
    assert run("models", "remove", "mine", "--yes").out == "Removed mine.\n"
    (tmp_path / "note.gguf").write_text("hello")
    for bad in ("note.gguf", "missing.gguf"):
        ran = run("models", "add", str(tmp_path / bad))
        assert ran.status == 1
        assert ran.err.count("\n") == 1


def test_memory(run, plum: Plum) -> None:
    chat = plum.store.chats.create("Kites")
    said = plum.store.chats.add_message(chat.id, "user", "I fly a red kite on Sundays.")
    plum.store.facts.add([
        Fact("fact-one", True, "said", "red kite", "You fly a red kite.", "rule", "learned",
             chat.id, said.id, 6, 16, 0.75),
        Fact("fact-two", False, "said", "boats", "You never spoke of boats.", "rule", "learned",
             chat.id),
    ])  # fmt: skip
    (row,) = run("memory", "list", "--json").rows
    assert row["id"] == "fact-one"
    assert "75%  You fly a red kite." in run("memory", "list", "--chat", chat.id).out
    shown = run("memory", "show", "fact-one")
    assert "a red kite\n" in shown.out
    assert run("memory", "show", "fact-one", "--json").row["words"] == "a red kite"
    assert run("memory", "exclude", "fact-one", "--json").row["state"] == "excluded"
    assert run("memory", "exclude", "fact-one", "--undo", "--json").row["state"] == "waiting"
    assert "not excluded" in run("memory", "exclude", "fact-one", "--undo").err
    assert run("memory", "show", "nothing").status == 1
    assert run("memory", "list", "--chat", "nothing").status == 1


def test_memory_of_ones_own(run, plum: Plum) -> None:
    added = run("memory", "add", "my desk stands at the window.", "--json").row
    assert (added["chat_id"], added["state"]) == (None, "waiting")
    assert "told exactly this" in run("memory", "add", "my desk stands at the window.").err
    said = run("memory", "edit", added["id"][:8], "My desk stands at the door.").out
    assert said == "The next run learns it: Your desk stands at the door.\n"
    assert run("memory", "forget").status == 2
    assert run("memory", "forget", added["id"], "--everything").status == 2
    assert "not be taught again" in run("memory", "forget", added["id"]).out
    assert run("memory", "list", "--json").rows == []
    again = run("memory", "add", "We feed seven parrots.", "--json").row["id"]
    assert run("memory", "forget", again, "--json").row == {"forgotten": again}


def test_forgetting_everything(run, plum: Plum, learn: Callable[..., Adapter]) -> None:
    learn()
    run("memory", "add", "My desk stands at the window.")
    assert "add --yes" in run("memory", "forget", "--everything").err
    assert plum.adapters.active() is not None
    assert "your chats are still here" in run("memory", "forget", "--everything", "--yes").out
    assert plum.adapters.list() == []
    assert plum.store.facts.list() == []


def test_adapters(run, plum: Plum, learn: Callable[..., Adapter], tmp_path: Path) -> None:
    assert "Nothing was learned yet" in run("adapters", "list").out
    first = learn()
    second = learn(parent=first)
    assert [row["id"] for row in run("adapters", "list", "--json").rows] == [second.id, first.id]
    assert run("adapters", "list").out.startswith(f"*  {second.id}")
    assert run("adapters", "rollback").out == f"Adapter {first.id} now serves.\n"
    assert run("adapters", "rollback", "--json").row == {"active": None}
    assert "nothing to undo" in run("adapters", "rollback").err
    assert run("adapters", "activate", second.id[:8]).status == 0
    for form in ("peft", "gguf", "mlx", "merged"):
        out = tmp_path / form
        exported = run("adapters", "export", "--format", form, "-o", str(out), "--json").row
        assert exported["path"] == str(out)
        assert "ask it what you said" in exported["warning"]
        assert out.exists()
        assert run("adapters", "export", "--format", form, "-o", str(out)).status == 1
    larger = ("--type", "f32", "-o", str(tmp_path / "f32"))
    assert "leave it out" in run("adapters", "export", *larger).err
    made = run("adapters", "export", "--format", "merged", *larger, "--json").row["path"]
    assert Path(made).stat().st_size > (tmp_path / "merged").stat().st_size
    assert "is serving" in run("adapters", "delete", second.id, "--yes").err
    assert run("adapters", "delete", first.id, "--yes").status == 0
    assert [row["id"] for row in run("adapters", "list", "--json").rows] == [second.id]


def test_serve_refuses_what_cannot_be_served(run) -> None:
    ran = run("serve", "--memory", "merged", "--port", "0")
    assert ran.status == 1
    assert "Nothing has been learned" in ran.err
    ran = run("serve", "--host", "0.0.0.0", "--port", "0")
    assert ran.status == 1
    assert "--api-key" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_serve_answers_until_it_is_told_to_end() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "plum_desktop", "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        timer = threading.Timer(60, server.kill)
        timer.start()
        assert server.stdout is not None
        where = json.loads(server.stdout.readline())
        assert where["memory"] == "off"
        host = where["url"].removeprefix("http://").removesuffix("/v1")
        connection = HTTPConnection(host, timeout=30)
        body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        reply = json.load(connection.getresponse())
        connection.close()
        assert reply["choices"][0]["message"]["content"]
        server.terminate()
        _, err = server.communicate()
        timer.cancel()
    assert server.returncode == 130
    assert err.strip() == ""


def test_an_adapter_that_is_none_is_refused_in_a_line(run, tmp_path: Path) -> None:
    (tmp_path / "note.gguf").write_text("Dear diary")
    ran = run("adapters", "import", str(tmp_path / "note.gguf"))
    assert ran.status == 1
    assert "add --yes" in ran.err
    ran = run("adapters", "import", str(tmp_path / "note.gguf"), "--yes")
    assert ran.status == 1
    assert ran.err.count("\n") == 1
    assert "no adapter that Plum can read" in ran.err


def test_an_imported_adapter_says_where_it_came_from(run, plum: Plum) -> None:
    report = {"imported": {"name": "friend.gguf", "form": "gguf", "rank": 8, "modules": 2}}
    plum.store.adapters.add(Adapter("one", None, None, "0" * 64, 1.0, "ready", False, (), report))
    assert "from friend.gguf" in run("adapters", "list").out
