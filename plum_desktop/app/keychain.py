"""The key of a data folder in the system's keychain, for whoever does not want to be asked.

Then the passphrase protects the disk, and no longer this computer from somebody who is logged in
as its user.  Locking still asks.
"""

from __future__ import annotations

import logging

from plum_desktop.base import sealing
from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import write_text
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.sealing import ALWAYS, KEYCHAIN, Seal

_SERVICE = "plum-desktop"

log = logging.getLogger(__name__)


def is_on(folder: DataFolder) -> bool:
    """Whether the key was put there; else no keychain is asked, which might ask the user."""
    return (folder.root / KEYCHAIN).exists()


def turn_on(folder: DataFolder) -> None:
    """Put the key there.  The folder is open in this process.

    Raises PlumError where the system has no keychain, or refuses.
    """
    import keyring

    sealing.require_open(folder.root)
    try:
        keyring.set_password(_SERVICE, str(folder.root), sealing.opened()[folder.root].key.hex())
    except Exception as error:
        log.exception("the keychain refused")  # each system's has errors of its own
        raise PlumError(
            "The system's keychain did not take the key ({kind}); Plum goes on asking for the "
            "passphrase.",
            kind=type(error).__name__,
        ) from error
    write_text(folder.root / KEYCHAIN, "")


def unlock(folder: DataFolder) -> bool:
    """Open the folder for this process with the key that is kept, if there is one that fits."""
    if not is_on(folder):
        return False
    try:
        import keyring

        kept = keyring.get_password(_SERVICE, str(folder.root))
        seal = Seal(bytes.fromhex(kept or ""))
    except Exception:
        log.exception("the keychain did not answer")
        return False
    sealing.open_folder(folder.root, seal)
    try:
        sealing.open_file(folder.root / ALWAYS).close()
    except (DamagedFile, OSError, ValueError):  # another folder's, from before
        sealing.close_folder(folder.root)
        return False
    sealing.clear_loading(folder.cache)
    return True


def turn_off(folder: DataFolder) -> None:
    """Take the key out.  Raises PlumError where the keychain refuses: it may be there still."""
    if not is_on(folder):
        return
    import keyring
    from keyring.errors import PasswordDeleteError

    try:
        keyring.delete_password(_SERVICE, str(folder.root))
    except PasswordDeleteError:
        pass  # somebody has removed it
    except Exception as error:
        log.exception("the keychain refused")
        raise PlumError(
            "The system's keychain did not give the key up ({kind}); remove the entry {name} there "
            "yourself.",
            kind=type(error).__name__,
            name=_SERVICE,
        ) from error
    (folder.root / KEYCHAIN).unlink(missing_ok=True)
