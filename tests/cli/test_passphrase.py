from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from plum_desktop.app import turning
from plum_desktop.base import passphrase
from plum_desktop.base.paths import DataFolder
from tests.cli.conftest import Ran, Run

FIRST, SECOND = "correct horse", "battery staple"
Tell = Callable[..., Ran]


@pytest.fixture
def tell(run: Run, data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tell]:
    """Run a command in a process that knows no key, with these lines for its passphrases."""
    monkeypatch.setattr(passphrase, "_KIBIBYTES", 64)

    def with_lines(*command: str, typed: tuple[str, ...] = ()) -> Ran:
        if turning.is_on(data_folder):
            turning.lock(data_folder)
        read, write = os.pipe()
        os.write(write, "".join(f"{line}\n" for line in typed).encode())
        os.close(write)
        return run("--passphrase-fd", str(read), *command)

    yield with_lines
    turning.lock(data_folder)


def test_set_changed_and_removed(tell: Tell, run: Run, data_folder: DataFolder) -> None:
    run("settings", "set", "persona", "You are a quokka.")
    assert tell("passphrase", "status", "--json").row == {"passphrase": False, "keychain": False}
    short = tell("passphrase", "set", "--yes", typed=("short",))
    assert short.status == 1
    assert "at least 8 characters" in short.err
    assert tell("passphrase", "set", "--yes", typed=(FIRST,)).status == 0
    assert b"quokka" not in (data_folder.root / "settings.json").read_bytes()
    assert "quokka" in tell("settings", "get", typed=(FIRST,)).out
    wrong = tell("settings", "get", typed=(SECOND,))
    assert wrong.status == 1
    assert "This is not the passphrase" in wrong.err
    assert tell("passphrase", "change", typed=(FIRST, SECOND)).status == 0
    assert tell("chats", "list", typed=(FIRST,)).status == 1
    assert tell("passphrase", "remove", "--json", typed=(SECOND,)).row == {
        "passphrase": False,
        "keychain": False,
    }
    assert b"quokka" in (data_folder.root / "settings.json").read_bytes()


@pytest.mark.usefixtures("keychain_file")
def test_with_the_key_in_the_keychain_nobody_is_asked(
    tell: Tell, run: Run, data_folder: DataFolder
) -> None:
    assert "There is no passphrase" in tell("passphrase", "keychain", "on").err
    tell("passphrase", "set", "--yes", typed=(FIRST,))
    assert tell("passphrase", "keychain", "on", typed=(SECOND,)).status == 1
    assert tell("passphrase", "keychain", "on", "--json", typed=(FIRST,)).row["keychain"]
    turning.lock(data_folder)
    assert run("chats", "list").status == 0
    assert "The keychain has the key" in run("passphrase", "status").out
    assert run("passphrase", "keychain", "off").status == 0
    turning.lock(data_folder)
    asked = run("chats", "list")
    assert asked.status == 1
    assert "--passphrase-fd" in asked.err
