"""The passphrase of a data folder: `sealed.json`, which holds the folder's key wrapped with it.

The key is random and never changes; the passphrase only opens it.  So another passphrase means
another header and nothing else, and whoever kept an old header opens it with the old passphrase.
"""

from __future__ import annotations

import json
import secrets
import unicodedata
from pathlib import Path
from typing import Any

from plum_desktop.base.errors import DamagedFile, PlumError, WrongPassphrase
from plum_desktop.base.files import read_json, write_json
from plum_desktop.base.sealing import HEADER, Seal, require_libraries

SHORTEST = 8  # characters
# The second choice of RFC 9106, section 4: half a second on a laptop.
_PASSES, _LANES, _KIBIBYTES = 3, 4, 64 * 1024
_MOST_KIBIBYTES = 1 << 22  # more than that is a damaged header, not a careful one


def new_seal() -> Seal:
    return Seal(secrets.token_bytes(32))


def check(passphrase: str) -> None:
    """Raise PlumError for a passphrase that is too short."""
    if len(passphrase) < SHORTEST:
        raise PlumError(
            "A passphrase has at least {shortest} characters; a few words in a row are best.",
            shortest=SHORTEST,
        )


def write(folder: Path, seal: Seal, passphrase: str) -> None:
    """Write the header: from then on `passphrase` opens the key.  Raises PlumError, DiskFull."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    check(passphrase)
    head = {
        "format": 1, "derivation": "argon2id", "salt": secrets.token_hex(16), "passes": _PASSES,
        "lanes": _LANES, "kibibytes": _KIBIBYTES,
    }  # fmt: skip
    nonce = secrets.token_bytes(12)
    wrapped = AESGCM(_stretched(head, passphrase)).encrypt(nonce, seal.key, _bound(head))
    write_json(folder / HEADER, {**head, "nonce": nonce.hex(), "key": wrapped.hex()})


def read(folder: Path, passphrase: str) -> Seal:
    """The key of a sealed folder.

    Raises WrongPassphrase, DamagedFile, or PlumError where what decrypts is not installed.
    """
    require_libraries()
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    path = folder / HEADER
    try:
        header: dict[str, Any] = read_json(path)
        nonce, wrapped = (bytes.fromhex(header.pop(name)) for name in ("nonce", "key"))
        if header["format"] != 1 or not 0 < header["kibibytes"] <= _MOST_KIBIBYTES:
            raise ValueError(header["format"])
        stretched = _stretched(header, passphrase)
        return Seal(AESGCM(stretched).decrypt(nonce, wrapped, _bound(header)))
    except InvalidTag:
        raise WrongPassphrase("This is not the passphrase; try again.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(
            "{path} is damaged, and nothing can be read without it; put back a copy of it.",
            path=path,
        ) from error


def _stretched(head: dict[str, Any], passphrase: str) -> bytes:
    """32 bytes of the passphrase, by Argon2id."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    made: bytes = Argon2id(
        salt=bytes.fromhex(head["salt"]),
        length=32,
        iterations=head["passes"],
        lanes=head["lanes"],
        memory_cost=head["kibibytes"],
    ).derive(unicodedata.normalize("NFC", passphrase).encode())
    return made


def _bound(head: dict[str, Any]) -> bytes:
    """What the wrapped key is bound to, so that nobody makes the derivation cheaper."""
    return json.dumps(head, sort_keys=True).encode()
