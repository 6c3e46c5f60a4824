"""The key in a keychain: a file, the one of systems that have none, and a Linux desktop's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeychain

from plum_desktop.app import keychain, turning
from plum_desktop.app.product import Plum
from plum_desktop.base import passphrase
from plum_desktop.base.errors import PlumError, WrongPassphrase
from plum_desktop.base.paths import DataFolder, open_data_folder

WORDS = "correct horse"


@pytest.fixture
def sealed(
    data_folder: DataFolder, keychain_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DataFolder]:
    monkeypatch.setattr(passphrase, "_KIBIBYTES", 64)
    plum = Plum(data_folder)
    plum.store.chats.create("Quokkas")
    plum.close()
    turning.turn_on(data_folder, WORDS)
    yield data_folder
    turning.lock(data_folder)


def test_it_opens_without_the_passphrase_until_it_is_taken_out(sealed: DataFolder) -> None:
    assert not keychain.is_on(sealed)
    keychain.turn_on(sealed)
    turning.lock(sealed)
    assert keychain.unlock(sealed)
    plum = Plum(sealed)
    assert [chat.title for chat in plum.store.chats.list()] == ["Quokkas"]
    plum.close()
    keychain.turn_off(sealed)
    turning.lock(sealed)
    assert not keychain.unlock(sealed)
    assert not turning.is_unlocked(sealed)


def test_nobody_is_asked_before_it_was_wished(
    sealed: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(keyring, "get_password", lambda *_: asked.append("get"))
    turning.lock(sealed)
    assert not keychain.unlock(sealed)
    assert not asked


def test_another_passphrase_leaves_it_and_removing_takes_it_out(
    sealed: DataFolder, keychain_file: Path
) -> None:
    keychain.turn_on(sealed)
    turning.change(sealed, WORDS, "battery staple")
    turning.lock(sealed)
    assert keychain.unlock(sealed)
    turning.turn_off(sealed, "battery staple")
    assert not keychain.is_on(sealed)
    assert "=" not in keychain_file.read_text()  # no entry is left


def test_a_key_that_does_not_fit_opens_nothing(sealed: DataFolder) -> None:
    """Of a folder that lay there before."""
    keychain.turn_on(sealed)
    turning.lock(sealed)
    keyring.set_password("plum-desktop", str(sealed.root), "ab" * 32)
    assert not keychain.unlock(sealed)
    assert not turning.is_unlocked(sealed)
    keyring.set_password("plum-desktop", str(sealed.root), "no key")
    assert not keychain.unlock(sealed)
    with pytest.raises(WrongPassphrase):
        turning.unlock(sealed, "not this one")
    turning.unlock(sealed, WORDS)


def test_where_there_is_none_it_says_so_and_goes_on_asking(sealed: DataFolder) -> None:
    keyring.set_keyring(NoKeychain())
    with pytest.raises(PlumError, match="keychain did not take the key .NoKeyringError.; Plum"):
        keychain.turn_on(sealed)
    assert not keychain.is_on(sealed)


def test_a_keychain_that_went_away_means_asking(sealed: DataFolder) -> None:
    keychain.turn_on(sealed)
    turning.lock(sealed)
    keyring.set_keyring(NoKeychain())
    assert not keychain.unlock(sealed)
    turning.unlock(sealed, WORDS)
    with pytest.raises(PlumError, match="did not give the key up"):
        keychain.turn_off(sealed)


def test_a_copy_of_the_folder_elsewhere_asks(sealed: DataFolder, tmp_path: Path) -> None:
    keychain.turn_on(sealed)
    shutil.copytree(sealed.root, tmp_path / "copy")
    copy = open_data_folder(tmp_path / "copy")
    assert turning.is_on(copy)
    assert not keychain.unlock(copy)


# Within a session bus of its own, so that nobody's keyring is touched.
_LIFE = """
printf login | gnome-keyring-daemon --unlock --components=secrets > daemon
plum() { "$PYTHON" -m plum_desktop --data-dir data "$@"; }
plum chats list
echo 'correct horse' | plum --passphrase-fd 0 passphrase set --yes
echo 'correct horse' | plum --passphrase-fd 0 passphrase keychain on
echo "taken $(secret-tool search --all service plum-desktop 2>&1 | grep -c '^secret')"
plum chats list < /dev/null && echo opened
plum passphrase keychain off < /dev/null
echo "left $(secret-tool search --all service plum-desktop 2>&1 | grep -c '^secret')"
plum chats list < /dev/null || echo asked
. ./daemon
kill "$GNOME_KEYRING_PID"
"""


@pytest.mark.skipif(
    not all(map(shutil.which, ("dbus-run-session", "gnome-keyring-daemon", "secret-tool"))),
    reason="needs the Secret Service of a Linux desktop",
)
def test_the_keychain_of_a_linux_desktop(tmp_path: Path) -> None:
    done = subprocess.run(
        ["dbus-run-session", "--", "bash", "-c", _LIFE],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHON": sys.executable},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    said = done.stdout.splitlines()
    assert [line for line in said if line.split()[0] in ("taken", "opened", "left", "asked")] == [
        "taken 1", "opened", "left 0", "asked",
    ], done.stderr  # fmt: skip
