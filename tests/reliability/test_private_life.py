"""Nothing leaks: a whole life of the app, watched from start to end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.reliability import tiny
from tests.reliability.conftest import Run, lines_of

# Words that nothing but the user brings: in a chat, its title, a reply, a fact.
PLANTED = ("Quixabelle", "zanzibarque", "Vorpalhaven", "kumquatine")
CHATS = (
    {
        "id": "one", "title": "Vorpalhaven",
        "messages": [
            {"role": "user", "content": "My sister Quixabelle moved to Bergen and keeps seven "
             "parrots. What could I bring her?"},
            {"role": "assistant", "content": "A book of maps, as kumquatine as can be."},
        ],
    },
    {
        "id": "two",
        "messages": [
            {"role": "user", "content": "I am allergic to hazelnuts, so I always carry a red "
             "inhaler. Which snacks are safe for me?"},
            {"role": "assistant", "content": "Fruit is safe."},
        ],
    },
)  # fmt: skip
_CHAT_FILES = ("plum.db", "plum.db-wal")  # where the words of chats belong

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and signals of POSIX")


@pytest.mark.usefixtures("readable_umask")
def test_a_whole_life_stays_on_this_machine_and_with_its_owner(
    plum_root: Path, tmp_path: Path, run: Run, guarded: tuple[dict[str, str], Path]
) -> None:
    environment, record = guarded
    chats, out = tmp_path / "chats.jsonl", tmp_path / "out"
    chats.write_text("\n".join(map(json.dumps, CHATS)))
    out.mkdir(mode=0o700)

    run("chats", "import", str(chats))
    reply = run("chat", "--json", said="Tell me of zanzibarque, please.\n")
    assert json.loads(reply.stdout)["tokens"] > 0
    learned = run("learn", "--yes", "--json")
    assert json.loads(learned.stdout.splitlines()[-1])["state"] == "done", learned.stdout
    for form in ("peft", "gguf", "merged"):
        run("adapters", "export", "--format", form, "-o", str(out / form))
    run("chats", "export", "-o", str(out / "chats.jsonl"))
    run("doctor")
    open_a_window(environment)

    found = lines_of(record)
    assert [line for line in found if "socket" in line] == []
    assert all(line["native"] for line in found if "argv" in line and sys.platform == "linux")
    hubs = [line["hub"] for line in found if "hub" in line]
    assert hubs, "training was to import the hub's library"
    assert all(set(switches.values()) == {"1"} for switches in hubs)
    kinds = {word for line in found for word in line.get("argv", ()) if word in ("engine", "stage")}
    assert kinds == {"engine", "stage"}, "the children were not watched"
    spoken = " ".join(word for line in found for word in line.get("argv", ()))
    assert not [word for word in PLANTED if word.lower() in spoken.lower()]

    assert not any((plum_root / "jobs").iterdir()), "a job folder keeps the words of chats"
    places = (plum_root, out, tmp_path / "home", tmp_path / "tmpdir", tmp_path / "xdg_cache_home")
    files = [path for place in places for path in place.rglob("*")]
    assert any(path.suffix == ".log" for path in files)
    opened = {
        str(path): oct(path.stat().st_mode & 0o777)
        for path in files
        if path.stat().st_mode & 0o077 and not path.samefile(plum_root / "models" / tiny.NAME)
    }
    assert opened == {}, "others can read these"
    copies = plum_root / "backups"
    assert any(copies.iterdir())
    for path in files:
        said_to = path.name in _CHAT_FILES or path.parent == copies or path == out / "chats.jsonl"
        if path.is_file() and not said_to:
            content = path.read_bytes().lower()
            assert not [word for word in PLANTED if word.lower().encode() in content], path
    kept = (plum_root / "plum.db").read_bytes() + (out / "chats.jsonl").read_bytes()
    assert all(word.encode() in kept for word in PLANTED), "the words were never there to leak"


def test_who_wants_to_hear_of_new_versions_is_the_only_one_to_ask(
    plum_root: Path, run: Run, guarded: tuple[dict[str, str], Path]
) -> None:
    """And what counts internet sockets would see a look that nobody wanted."""
    environment, record = guarded
    environment["NO_PROXY"] = "*"  # which would be asked instead

    def asked() -> list[dict[str, Any]]:
        return [line for line in lines_of(record) if "socket" in line]

    run("settings", "set", "updates", "on")
    assert asked() == []
    open_a_window(environment, until=lambda: bool(asked()))
    assert {line["name"] for line in asked()} == {"api.github.com"}


def open_a_window(environment: dict[str, str], until: Callable[[], bool] = lambda: True) -> None:
    """The window as a person starts it, until its engine is up and `until`; then it is asked to
    close.
    """
    window = subprocess.Popen(
        [sys.executable, tiny.__file__],
        env={**environment, "QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.DEVNULL,
    )
    process = psutil.Process(window.pid)
    deadline = time.monotonic() + 60
    while not (process.children() and until()) and window.poll() is None:
        assert time.monotonic() < deadline, "the window did not come to what it should"
        time.sleep(0.05)
    window.send_signal(signal.SIGTERM)
    assert window.wait(60) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import socket; socket.socket(socket.AF_UNIX)", 0),
        ("import socket; socket.create_connection(('127.0.0.1', 1))", 1),
        ("import ctypes; ctypes.CDLL(None).socket(1, 1, 0)", 0),
        ("import ctypes; ctypes.CDLL(None).socket(2, 1, 0)", -signal.SIGSYS),
        ("import ctypes; ctypes.CDLL(None).socket(10, 2, 0)", -signal.SIGSYS),
    ],
)
def test_the_guard_itself_sees_what_it_is_to_see(
    code: str, status: int, guarded: tuple[dict[str, str], Path]
) -> None:
    environment, record = guarded
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL, check=False
    )
    assert done.returncode == status
    assert any("socket" in line for line in lines_of(record)) == (status == 1)
