"""A data folder under a passphrase: no byte of it tells, and a kill leaves the old or the new."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from plum_desktop.app import turning
from plum_desktop.app.personas import Persona
from plum_desktop.app.product import Plum
from plum_desktop.base import passphrase, sealing
from plum_desktop.base.errors import Busy, DamagedFile, Locked, PlumError, WrongPassphrase
from plum_desktop.base.files import append_line, read_json, read_text, write_json
from plum_desktop.base.paths import DataFolder
from plum_desktop.learning.augment import Notes
from plum_desktop.learning.job import JobFolder
from plum_desktop.store import Store

WORDS = "correct horse"
PLANTED = b"quokka"

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A passphrase that is soon tried, and a process that knows no key afterwards."""
    monkeypatch.setattr(passphrase, "_KIBIBYTES", 64)
    yield
    turning.lock(data_folder)


@pytest.fixture
def lived_in(data_folder: DataFolder) -> DataFolder:
    """A closed data folder with the planted word wherever a word of the user's can be."""
    word = PLANTED.decode()
    plum = Plum(data_folder)
    chat = plum.store.chats.create(f"A {word}")
    plum.store.chats.update(chat.id, folder=f"{word}s")
    plum.store.chats.add_message(chat.id, "user", f"Tell me of the {word}.")
    plum.store.drafts.set(chat.id, f"and the {word}")
    plum.set_setting("persona", f"You are a {word}.")
    plum.personas.save(Persona(word, f"You are a {word}."))
    plum.backups.create()
    plum.close()
    write_json(data_folder.window_place, {"closed_folders": [f"{word}s"]})
    job = JobFolder(data_folder.job("run"))
    write_json(job.facts, {"subject": word})
    job.paused.touch()
    adapter = data_folder.adapter("one")
    adapter.mkdir()
    for name in ("adapter.gguf", "merged.gguf", "adapter_model.safetensors"):
        (adapter / name).write_bytes(PLANTED * 200_000)
    (data_folder.backups / ".plum-killed.part").write_bytes(PLANTED)
    return data_folder


def telling(folder: DataFolder) -> list[str]:
    """Files with the planted word in them, or in their names."""
    return sorted(
        path.relative_to(folder.root).as_posix()
        for path in folder.root.rglob("*")
        if path.is_file() and (PLANTED in path.read_bytes().lower() or b"quokka" in bytes(path))
    )


def said(folder: DataFolder) -> tuple[list[str], str, str]:
    plum = Plum(folder)
    try:
        plum.store.check()
        hits = [hit.role for hit in plum.store.search("quokk")]
        return hits, plum.settings.persona, plum.personas.all()[-1].name
    finally:
        plum.close()


def test_no_file_tells_the_planted_word(lived_in: DataFolder) -> None:
    before = telling(lived_in)
    assert len(before) == 10, before
    turning.turn_on(lived_in, WORDS)
    assert telling(lived_in) == []
    assert not (lived_in.adapter("one") / "merged.gguf").exists()
    assert said(lived_in) == (["user"], "You are a quokka.", "quokka")
    assert telling(lived_in) == []
    assert read_json(JobFolder(lived_in.job("run")).facts) == {"subject": "quokka"}
    shares: list[float] = []
    turning.turn_off(lived_in, WORDS, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert set(before) - set(telling(lived_in)) == {
        "adapters/one/merged.gguf", "backups/.plum-killed.part",
    }  # fmt: skip
    assert (lived_in.adapter("one") / "adapter.gguf").read_bytes() == PLANTED * 200_000
    assert said(lived_in) == (["user"], "You are a quokka.", "quokka")


def test_a_locked_folder_opens_with_its_passphrase_alone(lived_in: DataFolder) -> None:
    turning.turn_on(lived_in, WORDS)
    turning.lock(lived_in)
    content = lived_in.database.read_bytes()
    with pytest.raises(Locked, match="Plum is locked; it opens with your passphrase"):
        Plum(lived_in)
    with pytest.raises(WrongPassphrase, match="This is not the passphrase; try again"):
        turning.unlock(lived_in, "battery staple")
    assert lived_in.database.read_bytes() == content  # nothing took it for damaged
    turning.unlock(lived_in, WORDS)
    assert said(lived_in)[0] == ["user"]


def test_work_that_outlives_the_lock_writes_nothing(lived_in: DataFolder) -> None:
    turning.turn_on(lived_in, WORDS)
    turning.lock(lived_in)
    facts = JobFolder(lived_in.job("run")).facts
    for work in (lambda: write_json(facts, "quokka"), lambda: read_json(facts)):
        with pytest.raises(Locked):
            work()
    with pytest.raises(Locked), sealing.plain_path(facts):
        pass
    assert telling(lived_in) == []


def test_another_passphrase_writes_the_header_alone(lived_in: DataFolder) -> None:
    turning.turn_on(lived_in, WORDS)
    turning.lock(lived_in)
    content = lived_in.database.read_bytes()
    with pytest.raises(WrongPassphrase):
        turning.change(lived_in, "not this one", "battery staple")
    turning.change(lived_in, WORDS, "battery staple")
    with pytest.raises(WrongPassphrase):
        turning.unlock(lived_in, WORDS)
    turning.unlock(lived_in, "battery staple")
    assert lived_in.database.read_bytes() == content
    with pytest.raises(PlumError, match="at least 8 characters"):
        turning.change(lived_in, "battery staple", "short")


def test_it_is_refused_while_somebody_has_the_folder_open(lived_in: DataFolder) -> None:
    before = telling(lived_in)
    store = Store(lived_in.database, lived_in.backups)
    with pytest.raises(Busy, match="open elsewhere"):
        turning.turn_on(lived_in, WORDS)
    store.close()
    assert telling(lived_in) == before
    assert not turning.is_on(lived_in)


def test_nobody_opens_it_meanwhile(lived_in: DataFolder) -> None:
    refused: list[str] = []

    def look(_: float) -> None:
        with pytest.raises(Locked) as caught:
            Store(lived_in.database, lived_in.backups)
        refused.append(str(caught.value))

    turning.turn_on(lived_in, WORDS, look)
    assert set(refused) == {"Plum is putting everything under a passphrase; wait until it is done."}


def test_a_lost_header_is_told_and_nothing_is_replaced(lived_in: DataFolder) -> None:
    turning.turn_on(lived_in, WORDS)
    turning.lock(lived_in)
    (lived_in.root / sealing.HEADER).rename(lived_in.root.parent / "kept")
    with pytest.raises(DamagedFile, match="nothing can be read without it; put back a copy"):
        Plum(lived_in)
    (lived_in.root.parent / "kept").rename(lived_in.root / sealing.HEADER)
    turning.unlock(lived_in, WORDS)
    assert said(lived_in)[0] == ["user"]


KILLED = """
import os, pathlib, signal, sys
from plum_desktop.app import turning
from plum_desktop.base import passphrase
from plum_desktop.base.paths import DataFolder
passphrase._KIBIBYTES = 64
folder, what, point = DataFolder(pathlib.Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
replace, moved = os.replace, 0
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def counted(source, target):
    global moved
    if ".turned" in str(source):
        moved += 1
        if moved == point:
            die()
    replace(source, target)
os.replace = counted
def told(share):
    if point == 0 and share > 0.5:
        die()
getattr(turning, what)(folder, "correct horse", told)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there a kill is another thing")
@pytest.mark.parametrize(
    ("what", "point", "sealed_after"),
    [("turn_on", 0, False), ("turn_on", 3, True), ("turn_off", 5, False)],
)
def test_killed_at_any_point_it_is_the_old_or_the_new(
    lived_in: DataFolder, what: str, point: int, sealed_after: bool
) -> None:
    if what == "turn_off":
        turning.turn_on(lived_in, WORDS)
        turning.lock(lived_in)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(lived_in.root), what, str(point)], timeout=60
    )
    assert ended.returncode == -signal.SIGKILL
    assert turning.is_on(lived_in) == sealed_after
    assert [path.name for path in lived_in.root.glob(".turn*")] == []
    if sealed_after:
        assert telling(lived_in) == []
        turning.unlock(lived_in, WORDS)
    assert said(lived_in) == (["user"], "You are a quokka.", "quokka")


# Sealed files ---------------------------------------------------------------------------


@pytest.fixture
def sealed(data_folder: DataFolder) -> DataFolder:
    sealing.open_folder(data_folder.root, passphrase.new_seal())
    return data_folder


def sealed_bytes(seal: sealing.Seal, content: bytes) -> bytes:
    out = io.BytesIO()
    seal.seal(io.BytesIO(content), out)
    return out.getvalue()


CHUNK = 1 << 20


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_a_file_comes_back_and_nothing_else_does(size: int) -> None:
    seal, content = passphrase.new_seal(), os.urandom(size)
    made = sealed_bytes(seal, content)
    out = io.BytesIO()
    seal.unseal(io.BytesIO(made), out)
    assert out.getvalue() == content
    assert sealed_bytes(seal, content) != made  # each file has a key of its own
    changed = bytearray(made)
    changed[-1] ^= 1
    head = len(sealing.MAGIC) + 16
    cut = made[: head + CHUNK + 16] if size > CHUNK else made[:-1]
    body = made[head:]
    swapped = made[:head] + body[CHUNK + 16 :] + body[: CHUNK + 16] if size > CHUNK else b""
    for other in (bytes(changed), cut, swapped, made[:20]):
        with pytest.raises(ValueError, match="sealed"):
            seal.unseal(io.BytesIO(other), io.BytesIO())
    with pytest.raises(ValueError, match="another key"):
        passphrase.new_seal().unseal(io.BytesIO(made), io.BytesIO())


def test_keys_are_derived_as_the_standard_says() -> None:
    key, salt = os.urandom(32), os.urandom(16)
    for each in (salt, b""):
        expected = HKDF(SHA256(), 32, each or None, b"plum file").derive(key)
        assert sealing._derived(key, each, b"plum file") == expected


def test_notes_go_on_in_a_sealed_job(sealed: DataFolder) -> None:
    path = JobFolder(sealed.job("run")).model_topics
    for word in ("quokka", "numbat"):
        Notes(path).get(word, lambda word=word: f"about a {word}")
    append_line(path, json.dumps({"key": "third", "value": None}))
    assert Notes(path)._known == {
        "quokka": "about a quokka", "numbat": "about a numbat", "third": None,
    }  # fmt: skip
    assert read_text(path).count("\n") == 3
    assert PLANTED not in path.read_bytes()


def test_what_a_native_library_reads_is_gone_behind_it(sealed: DataFolder) -> None:
    path = sealed.adapters / "adapter.gguf"
    write_json(path, "quokka")
    with sealing.plain_path(path) as plain:
        assert plain.read_bytes() == b'"quokka"'
        assert plain.read_bytes() == b'"quokka"'  # it is opened more than once
        if sys.platform == "linux":
            assert telling(sealed) == []  # it is in no folder even now
    assert not plain.exists()
    assert telling(sealed) == []


def test_what_a_kill_left_of_loading_goes(data_folder: DataFolder) -> None:
    left = data_folder.cache / "loading-999999999-x"
    mine = data_folder.cache / f"loading-{os.getpid()}-x"
    for each in (left, mine):
        each.write_bytes(PLANTED)
    sealing.clear_loading(data_folder.cache)
    assert [path for path in (left, mine) if path.exists()] == [mine]
