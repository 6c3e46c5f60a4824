from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from plum_desktop import __version__
from plum_desktop.base.errors import PlumError
from plum_desktop.cli.root import root
from plum_desktop.ui import probe


def test_help_names_every_command(run) -> None:
    ran = run("--help")
    assert ran.status == 0
    for name in (
        "demo", "chat", "chats", "learn", "memory", "adapters", "models", "serve", "eval",
        "settings", "doctor",
    ):  # fmt: skip
        assert f"\n  {name} " in ran.out


def test_every_command_speaks_json_and_explains_itself(run) -> None:
    def leaves(command, words):
        for name, child in getattr(command, "commands", {}).items():
            yield from leaves(child, [*words, name])
        if not hasattr(command, "commands"):
            yield words, command

    found = list(leaves(root, []))
    assert len(found) > 25
    for words, command in found:
        assert command.help, words
        assert "as_json" in {parameter.name for parameter in command.params}, words
        assert run(*words, "--help").status == 0


def test_version(run) -> None:
    assert run("--version").out == f"plum-desktop {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["--wings"],
        ["chats"],
        ["chats", "show"],
        ["adapters", "export", "--format", "pdf", "-o", "x"],
        ["serve", "--port", "99999"],
        ["learn", "--limit", "0"],
        ["learn", "--resume", "--limit", "2"],
        ["eval", "q.jsonl", "--kinds", "maybe"],
    ],
)
def test_wrong_usage_is_2_and_on_stderr(run, arguments) -> None:
    ran = run(*arguments)
    assert ran.status == 2
    assert ran.err
    assert "Traceback" not in ran.err


def test_a_refusal_is_1_and_one_line_on_stderr(run) -> None:
    ran = run("chats", "show", "nothing")
    assert ran.status == 1
    assert ran.out == ""
    assert ran.err == "plum-desktop: There is no chat 'nothing'.\n"


def test_a_defect_is_a_sentence_with_its_traceback_in_the_log(run, monkeypatch, data_root) -> None:
    words = "-".join(["words", "of", "a", "chat"])  # not in this source, which tracebacks quote

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError(words)

    monkeypatch.setattr("plum_desktop.store.chats.Chats.list", fail)
    ran = run("chats", "list")
    assert ran.status == 1
    assert ran.err.count("\n") == 1
    assert "ZeroDivisionError" in ran.err
    assert words not in ran.err
    log = (data_root / "logs" / "command.log").read_text()
    assert "ZeroDivisionError" in log
    assert "in fail" in log
    assert words not in log


def test_a_data_folder_that_cannot_be_made_is_a_sentence(run, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    ran = run("--data-dir", str(tmp_path / "file" / "below"), "chats", "list")
    assert ran.status == 1
    assert "choose another with --data-dir" in ran.err


def test_a_database_that_is_none_is_a_sentence_and_is_kept(run, data_folder) -> None:
    letter = "This is not a database, it is a letter. " * 100
    data_folder.database.write_text(letter)
    ran = run("chats", "list")
    assert ran.status == 0
    [kept] = data_folder.backups.glob("*-damaged.db")
    assert f"kept as {kept}" in ran.err
    assert ran.err.count("\n") == 1
    assert kept.read_text() == letter


def test_a_database_of_a_newer_version_is_a_sentence_and_is_left_alone(run, data_folder) -> None:
    assert run("chats", "list").status == 0
    with closing(sqlite3.connect(data_folder.database)) as raw:
        raw.execute("UPDATE _sqlite_migrations SET name = 'm999_colour' WHERE name LIKE 'm001%'")
        raw.commit()
    before = data_folder.database.read_bytes()
    for command in (["chats", "list"], ["chat", "--once", "Hello."], ["learn", "--dry-run"]):
        ran = run(*command)
        assert ran.status == 1
        assert "newer Plum Desktop (m999_colour); update this one" in ran.err
        assert ran.err.count("\n") == 1
    assert data_folder.database.read_bytes() == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays elsewhere are a given")
def test_a_system_without_a_library_of_qt_is_a_sentence(run, monkeypatch) -> None:
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setitem(sys.modules, "plum_desktop.ui.application", _Unloadable("application"))
    ran = run()
    assert ran.status == 1
    assert "Qt cannot be loaded (libEGL.so.1: cannot open" in ran.err
    assert ran.err.count("\n") == 1

    monkeypatch.setitem(sys.modules, "PySide6.QtWidgets", _Unloadable("QtWidgets"))
    with pytest.raises(PlumError, match=r"^It lacks libEGL\.so\.1\.$"):
        probe._probe(None)  # type: ignore[arg-type]


class _Unloadable(ModuleType):
    def __getattr__(self, name: str) -> object:
        raise ImportError("libEGL.so.1: cannot open shared object file: No such file")


def test_the_data_dir_option_wins(run, tmp_path, data_root) -> None:
    other = ("--data-dir", str(tmp_path / "other"))
    assert run(*other, "settings", "set", "theme", "dark").status == 0
    assert json.loads((tmp_path / "other" / "settings.json").read_text())["theme"] == "dark"
    assert not (data_root / "settings.json").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays elsewhere are a given")
def test_without_a_display_the_window_is_refused_in_a_sentence(run, monkeypatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    ran = run()
    assert ran.status == 1
    assert "no display" in ran.err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from plum_desktop.cli import root; status = root.run(['--help'])\n"
        "heavy = {'torch', 'transformers', 'peft', 'llama_cpp', 'gguf', 'numpy', 'PySide6',"
        " 'sqlite_utils', 'starlette', 'uvicorn', 'rich', 'psutil'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr); sys.exit(status)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stderr.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way")
@pytest.mark.parametrize("shared", [True, False])
def test_the_window_s_threads_share_a_heap(shared: bool) -> None:
    code = (
        "import ctypes, sys, threading\n"
        "from plum_desktop.cli.root import share_one_heap\n"
        f"if {shared}: share_one_heap()\n"
        "libc = ctypes.CDLL(None)\n"
        "if not hasattr(libc, 'malloc_info'): sys.exit('another C library')\n"
        "libc.fdopen.restype = ctypes.c_void_p\n"
        "ready = threading.Barrier(4)\n"
        "def hold():\n"
        "    held = bytearray(2000)\n"
        "    ready.wait()\n"
        "for thread in [threading.Thread(target=hold) for _ in range(3)]: thread.start()\n"
        "ready.wait()\n"
        "stream = ctypes.c_void_p(libc.fdopen(1, b'w'))\n"
        "libc.malloc_info(0, stream)\n"
        "libc.fflush(stream)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    if "another C library" in ran.stderr:
        pytest.skip("another C library")
    assert (ran.stdout.count("<heap nr=") == 1) is shared, ran


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_reply_with_130_and_no_child_left(run, program, kind) -> None:
    import psutil

    run("settings", "set", "max_tokens", "4000")
    run("settings", "set", "threads", "1")
    run("settings", "set", "temperature", "0")
    with program("chat", "--once", "Write a very long story about a lighthouse.") as running:
        assert running.stdout is not None
        begun = running.stdout.read(8)
        children = psutil.Process(running.pid).children(recursive=True)
        assert children
        os.kill(running.pid, kind)
        try:
            _, err = running.communicate(timeout=30)
        finally:
            running.kill()
    assert running.returncode == 130
    assert "Traceback" not in err
    assert psutil.wait_procs(children, timeout=10)[1] == []
    row = run("chats", "list", "--json").row
    messages = run("chats", "show", row["id"], "--json").row["messages"]
    assert messages[-1]["finish_reason"] == "cancelled"
    assert messages[-1]["text"].startswith(begun)


def test_an_unknown_worker_is_refused() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "plum_desktop", "_worker", "coffee"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "coffee" in ran.stderr


def test_a_reader_that_leaves_is_no_failure(run, program, tmp_path: Path) -> None:
    source = tmp_path / "chats.jsonl"
    turns = [{"role": "user", "content": "word " * 4000}, {"role": "assistant", "content": "ok"}]
    chats = ({"id": f"chat-{number}", "messages": turns} for number in range(40))
    source.write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    assert run("chats", "import", str(source)).status == 0
    with program("chats", "export") as exporting:
        assert exporting.stdout is not None
        assert exporting.stderr is not None
        exporting.stdout.read(1)
        exporting.stdout.close()
        assert exporting.stderr.read() == ""
        assert exporting.wait(timeout=30) == 0
