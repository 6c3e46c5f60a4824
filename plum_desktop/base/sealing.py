"""Sealed data folders: which files are encrypted on the disk, and the key while it is known.

In a sealed folder every file that this program writes is encrypted but those in `PLAIN`, which
hold no word of a user's.  Whoever reads and writes through `base.files` and `store.driver` need not
know.  The key is in this process's memory between `open_folder` and `close_folder`; a child gets it
over its stdin (`base.child`).

A sealed file is MAGIC, 16 random bytes, and chunks of AES-256-GCM.  Each file has a key of its own,
made of the folder's by HKDF with those bytes, so that nonces can be numbers: that of the chunk, and
whether it is the last.  So a file that was cut, or whose chunks changed places, does not open.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from plum_desktop.base.errors import DamagedFile, Locked, PlumError

HEADER = "sealed.json"  # its presence says that a folder is sealed, see base.passphrase
TURNING, TURNED = ".turning", ".turned"  # a folder that becomes sealed or plain, see app.turning
KEYCHAIN = "in-keychain"  # its presence says that the system's keychain has the key
ALWAYS = "settings.json"  # which a sealed folder has, so that one without its header is known
PLAIN = ("models", "logs", "cache", HEADER, KEYCHAIN, TURNING, TURNED)
INSTALL = "run `pip install 'plum-desktop[passphrase]'`"

MAGIC = b"plum sealed 1\n"
_SALT, _TAG = 16, 16  # bytes
_CHUNK = 1 << 20
_LOADING = "loading-"  # in the cache folder: what a native library reads right now

_opened: dict[Path, Seal | None] = {}  # None: it was locked again


@dataclass(frozen=True)
class Seal:
    """The key of a data folder: 32 bytes."""

    key: bytes = field(repr=False)

    @property
    def database_key(self) -> bytes:
        """32 bytes for SQLCipher."""
        return _derived(self.key, b"", b"plum database")

    def seal(self, source: IO[bytes], target: IO[bytes]) -> None:
        """Encrypt a whole stream."""
        salt = secrets.token_bytes(_SALT)
        cipher = _cipher(self.key, salt)
        target.write(MAGIC + salt)
        chunk, number = source.read(_CHUNK), 0
        while True:
            after = source.read(_CHUNK)
            target.write(cipher.encrypt(_nonce(number, last=not after), chunk, None))
            if not after:
                return
            chunk, number = after, number + 1

    def unseal(self, source: IO[bytes], target: IO[bytes]) -> None:
        """Decrypt a whole stream.  Raises ValueError for anything but what `seal` wrote."""
        from cryptography.exceptions import InvalidTag

        head = source.read(len(MAGIC) + _SALT)
        if not head.startswith(MAGIC) or len(head) < len(MAGIC) + _SALT:
            raise ValueError("it is not sealed")
        cipher = _cipher(self.key, head[len(MAGIC) :])
        chunk, number = source.read(_CHUNK + _TAG), 0
        while True:
            after = source.read(_CHUNK + _TAG)
            try:
                target.write(cipher.decrypt(_nonce(number, last=not after), chunk, None))
            except InvalidTag as error:
                raise ValueError("it was changed, or sealed with another key") from error
            if not after:
                return
            chunk, number = after, number + 1


def _derived(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) to 32 bytes: one block of its second step."""
    extracted = hmac.digest(salt or bytes(32), key, hashlib.sha256)
    return hmac.digest(extracted, purpose + b"\x01", hashlib.sha256)


def _cipher(key: bytes, salt: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_derived(key, salt, b"plum file"))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


# Which folders are sealed, and open in this process ------------------------------------


def open_folder(root: Path, seal: Seal) -> None:
    """From now on this process reads and writes the sealed folder `root`."""
    _opened[root] = seal


def close_folder(root: Path) -> None:
    """Forget the key.  Work that still goes on below a sealed `root` gets Locked from now on, so
    that it writes nothing for anyone to read.
    """
    if is_sealed(root):
        _opened[root] = None
    else:
        _opened.pop(root, None)


def opened() -> dict[Path, Seal]:
    """The sealed folders that this process can read."""
    return {root: seal for root, seal in _opened.items() if seal}


def is_sealed(root: Path) -> bool:
    return (root / HEADER).exists()


def require_open(root: Path) -> None:
    """Raise Locked where `root` is sealed and this process has no key, or is just being sealed."""
    if (root / TURNING).exists() or (root / TURNED).exists():
        raise Locked("Plum is putting everything under a passphrase; wait until it is done.")
    if is_sealed(root) != bool(_opened.get(root)):
        if _opened.get(root):
            raise Locked("{root} is no longer under a passphrase; start again.", root=root)
        raise _locked()


def _locked() -> Locked:
    return Locked("Plum is locked; it opens with your passphrase.")


def require_header(root: Path) -> None:
    """Raise DamagedFile for a sealed folder whose header is gone."""
    if not is_sealed(root) and looks_sealed(root / ALWAYS):
        raise DamagedFile(
            "{root} is missing, and nothing can be read without it; put back a copy.",
            root=root / HEADER,
        )


def seal_of(path: Path) -> Seal | None:
    """With what the file `path` is sealed; None: it is a plain file.  Raises Locked."""
    for root, seal in _opened.items():  # of none, nearly always
        if path.is_relative_to(root) and not _is_plain(path.relative_to(root)):
            if seal is None and is_sealed(root):
                raise _locked()
            return seal
    return None


def _is_plain(inside: Path) -> bool:
    return inside.parts[0] in PLAIN or inside.suffix == ".lock"


def looks_sealed(path: Path) -> bool:
    """Whether the file is in the form that `Seal.seal` writes."""
    with contextlib.suppress(OSError), path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC
    return False


# Reading --------------------------------------------------------------------------------


def open_file(path: Path) -> IO[bytes]:
    """A file's bytes, whether it is sealed or not.  Raises OSError, DamagedFile."""
    seal = seal_of(path)
    if seal is None:
        return path.open("rb")
    plain = io.BytesIO()
    with path.open("rb") as stream, _damage_of(path):
        seal.unseal(stream, plain)
    plain.seek(0)
    return plain


@contextlib.contextmanager
def plain_path(path: Path) -> Iterator[Path]:
    """A name under which a native library can read what is in `path`, for as long as the block.

    Linux: a file of memory alone, which ends with the process.  Elsewhere such a file has no
    name, so it is one in the cache folder; `clear_loading` removes what a kill left of it.
    """
    seal = seal_of(path)
    if seal is None:
        yield path
        return
    if sys.platform == "linux":
        descriptor = os.memfd_create(path.name)
        name = Path(f"/proc/self/fd/{descriptor}")
    else:
        folder = next(root for root in _opened if path.is_relative_to(root)) / "cache"
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor, made = tempfile.mkstemp(prefix=f"{_LOADING}{os.getpid()}-", dir=folder)
        name = Path(made)
    try:
        plain = open(descriptor, "wb", closefd=sys.platform != "linux")  # noqa: SIM115
        with plain, path.open("rb") as stream, _damage_of(path):
            seal.unseal(stream, plain)
        yield name
    finally:
        if sys.platform == "linux":
            os.close(descriptor)
        else:
            with contextlib.suppress(OSError):
                name.unlink()


def clear_loading(cache: Path) -> None:
    """Remove what a killed process was loading."""
    import psutil

    for path in cache.glob(f"{_LOADING}*"):
        process = path.name.removeprefix(_LOADING).partition("-")[0]
        if not (process.isdecimal() and psutil.pid_exists(int(process))):
            with contextlib.suppress(OSError):
                path.unlink()


@contextlib.contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise DamagedFile("{path} is damaged: {error}.", path=path, error=error) from error


def require_libraries() -> None:
    """Raise PlumError where what encrypts is not installed."""
    try:
        import sqlcipher3  # noqa: F401
        from cryptography.hazmat.primitives.kdf import argon2  # noqa: F401
    except ImportError as error:
        raise PlumError(
            "A passphrase needs {name}, which is not installed; {install}.",
            name=error.name,
            install=INSTALL,
        ) from error
