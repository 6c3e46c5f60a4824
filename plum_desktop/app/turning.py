"""Putting a data folder under a passphrase, and taking it away again: every file, or none.

Everything is written anew beside the old, in `.turning`; one rename to `.turned` decides; then each
file takes the place of the old one.  A kill before the rename leaves the old folder, one after it
is made good at the next start, before anything is opened (`settle`).  Nothing of this needs a key
but the writing.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from plum_desktop.app import keychain
from plum_desktop.app.serving import MERGED_FILE
from plum_desktop.base import passphrase, sealing
from plum_desktop.base.errors import Busy, DamagedFile, PlumError
from plum_desktop.base.files import FileLock, disk_errors, require_free, write_text
from plum_desktop.base.passphrase import check as check
from plum_desktop.base.passphrase import new_seal
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sealing import ALWAYS, HEADER, PLAIN, TURNED, TURNING, Seal, looks_sealed
from plum_desktop.store import driver
from plum_desktop.store.connection import sentence_of
from plum_desktop.store.marker import in_use

_LOCK = "turning.lock"
_SPARE = 64 << 20  # bytes
_REMOVED = ".removed"  # in the new tree: names that have no successor, one a line
_OPEN_ELSEWHERE = "Plum Desktop is open elsewhere; close every window and command, then try again."

Progress = Callable[[float], None]


def is_on(folder: DataFolder) -> bool:
    """Whether the folder is under a passphrase."""
    settle(folder)
    return sealing.is_sealed(folder.root)


def require_on(folder: DataFolder) -> None:
    if not is_on(folder):
        raise PlumError("There is no passphrase; set one first.")


def refuse_to_turn_on(folder: DataFolder) -> None:
    """Raise PlumError where there is a passphrase, or where what encrypts is not installed."""
    if is_on(folder):
        raise PlumError("There is a passphrase already; change it instead.")
    sealing.require_libraries()


def unlock(folder: DataFolder, words: str) -> None:
    """Open the folder for this process.  Raises WrongPassphrase, DamagedFile."""
    sealing.open_folder(folder.root, passphrase.read(folder.root, words))
    sealing.clear_loading(folder.cache)


def is_unlocked(folder: DataFolder) -> bool:
    return folder.root in sealing.opened()


def lock(folder: DataFolder) -> None:
    """Forget the key.  Whatever has the folder open is closed before."""
    sealing.close_folder(folder.root)


def change(folder: DataFolder, old: str, new: str) -> None:
    """Another passphrase for the same key: only the header is written.  Raises WrongPassphrase."""
    seal = passphrase.read(folder.root, old)
    passphrase.write(folder.root, seal, new)


def turn_on(folder: DataFolder, words: str, on_progress: Progress | None = None) -> None:
    """Encrypt the folder, and open it for this process.

    Nobody may have it open, this process included.  Raises Busy, DiskFull, DamagedFile, PlumError.
    """
    check(words)
    refuse_to_turn_on(folder)
    with _alone(folder):
        seal = new_seal()
        new = _fresh(folder.root / TURNING)
        passphrase.write(new, seal, words)
        _write_anew(folder.root, new, None, seal, on_progress or _silent)
        _commit(folder.root)
        sealing.open_folder(folder.root, seal)


def turn_off(folder: DataFolder, words: str, on_progress: Progress | None = None) -> None:
    """Decrypt the folder for good.  Raises WrongPassphrase, and as `turn_on`."""
    require_on(folder)
    with _alone(folder):
        seal = passphrase.read(folder.root, words)
        keychain.turn_off(folder)
        new = _fresh(folder.root / TURNING)
        _write_anew(folder.root, new, seal, None, on_progress or _silent)
        _commit(folder.root)
        sealing.close_folder(folder.root)


def settle(folder: DataFolder) -> None:
    """Finish what a kill cut short, or take it back where it had not been decided.

    Raises Busy while another process is at it.
    """
    turning, turned = folder.root / TURNING, folder.root / TURNED
    if not (turning.exists() or turned.exists()):
        return
    lock = FileLock(folder.root / _LOCK)
    lock.acquire("Plum is putting everything under a passphrase right now; wait until it is done.")
    try:
        shutil.rmtree(turning, ignore_errors=True)
        if turned.exists():
            _put_in_place(folder.root)
    finally:
        lock.release()


@contextlib.contextmanager
def _alone(folder: DataFolder) -> Iterator[None]:
    """Nobody else has the folder open, nor opens it meanwhile (`sealing.require_open`)."""
    settle(folder)
    turning, learning = FileLock(folder.root / _LOCK), FileLock(folder.learning_lock)
    turning.acquire(_OPEN_ELSEWHERE)
    try:
        learning.acquire("Plum is learning right now; stop that first.")
        _fresh(folder.root / TURNING)  # from here on nobody opens it
        if in_use(folder.database):
            raise Busy(_OPEN_ELSEWHERE)
        yield
    finally:
        shutil.rmtree(folder.root / TURNING, ignore_errors=True)
        learning.release()
        turning.release()


def _fresh(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    with disk_errors(path):
        path.mkdir(mode=0o700)
    return path


def _write_anew(
    root: Path, new: Path, old: Seal | None, seal: Seal | None, on_progress: Progress
) -> None:
    """Write every file of `root` into `new`, under the other key, and what has no successor."""
    there, removed = _files(root)
    if old:
        removed.append(root / HEADER)
    total = sum(path.stat().st_size for path in there) or 1
    require_free(root, total + _SPARE, "Writing everything anew")
    done = 0
    for path in there:
        target = new / path.relative_to(root)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with disk_errors(target):
            if path.suffix != ".db":
                _write_file(path, target, old, seal)
            elif not _write_database(path, target, old, seal):
                if path.parent == root:
                    raise DamagedFile(
                        "{path} is damaged; start Plum Desktop once, which saves what can be "
                        "read, then try again.",
                        path=path,
                    )
                removed.append(path)  # a copy that nobody can read
        done += path.stat().st_size
        on_progress(done / total)
    if seal and not (new / ALWAYS).exists():
        with (new / ALWAYS).open("wb") as out:
            seal.seal(io.BytesIO(b"{}"), out)
    for database in [path for path in there if path.suffix == ".db"]:
        removed += [database.with_name(database.name + end) for end in ("-wal", "-shm")]
    names = [path.relative_to(root).as_posix() for path in removed]
    write_text(new / _REMOVED, "\n".join(names))


def _files(root: Path) -> tuple[list[Path], list[Path]]:
    """What is written anew, and what has no successor: merged models, journals and what killed
    processes left.
    """
    there: list[Path] = []
    left: list[Path] = []
    for path in sorted(root.rglob("*")):
        if path.relative_to(root).parts[0] in PLAIN or not path.is_file() or path.suffix == ".lock":
            continue
        journal = path.name.endswith((".db-wal", ".db-shm", ".db-journal"))
        goes = path.name == MERGED_FILE or path.name.startswith(".") or journal
        (left if goes else there).append(path)
    return there, left


def _write_file(path: Path, target: Path, old: Seal | None, seal: Seal | None) -> None:
    with path.open("rb") as source, target.open("wb") as out:
        try:
            if seal:
                seal.seal(source, out)
            elif old and looks_sealed(path):
                old.unseal(source, out)
            else:
                shutil.copyfileobj(source, out)  # of no words: it only is there
        except ValueError as error:
            raise DamagedFile(
                "{path} is damaged: {error}; delete it and try again.", path=path, error=error
            ) from error
        out.flush()
        os.fsync(out.fileno())


def _write_database(path: Path, target: Path, old: Seal | None, seal: Seal | None) -> bool:
    """Write a database under the other key; False: it cannot be read."""
    try:
        driver.export(path, old, target, seal)
    except sqlite3.Error as error:
        told = sentence_of(error, path)
        if not isinstance(told, DamagedFile):
            raise told or error from error
        target.unlink(missing_ok=True)
        return False
    with target.open("rb+") as stream:
        os.fsync(stream.fileno())
    return True


def _commit(root: Path) -> None:
    os.rename(root / TURNING, root / TURNED)
    _sync(root)
    _put_in_place(root)


def _put_in_place(root: Path) -> None:
    """Every new file to the place of the old one.  Can be done again from any point."""
    new = root / TURNED
    with disk_errors(root):
        with contextlib.suppress(FileNotFoundError):
            for name in (new / _REMOVED).read_text(encoding="utf-8").splitlines():
                (root / name).unlink(missing_ok=True)
        for path in sorted(new.rglob("*")):
            if path.is_file() and path.name != _REMOVED:
                os.replace(path, root / path.relative_to(new))
        _sync(root)
        shutil.rmtree(new)


def _sync(folder: Path) -> None:
    """Have a rename on the disk; Windows has no such thing for folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _silent(share: float) -> None:
    """Nobody watches."""
