"""The primer that ships for a base model: a LoRA that has the skill of answering about the past.

A first run starts from it.  `episodes` says what it is taught and why.
"""

from __future__ import annotations

from pathlib import Path

from plum_desktop.base.paths import resource


def shipped(model_sha256: str) -> Path | None:
    """The PEFT folder of the primer that ships for a base model."""
    folder = Path(str(resource("primers", model_sha256[:16])))
    return folder if folder.is_dir() else None
