"""Which trainer this machine has, and what is missing for it."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Mapping
from typing import Literal

from plum_desktop.base.paths import is_bundle
from plum_desktop.base.sentence import Sentence

Backend = Literal["auto", "torch", "mlx"]
Trainer = Literal["torch", "mlx"]

NEEDED: Mapping[Trainer, tuple[str, ...]] = {
    "torch": ("torch", "transformers", "peft"),
    "mlx": ("mlx", "mlx_lm"),
}
_INSTALL = "run `pip install 'plum-desktop[learn]'`"


def trainer_for(backend: Backend) -> Trainer:
    """The trainer that `backend` names; `auto`: MLX on Apple silicon if it is there, else torch."""
    if backend != "auto":
        return backend
    return "mlx" if apple_silicon() and not _missing("mlx") else "torch"


def cannot_learn(trainer: Trainer) -> str | None:
    """Why `trainer` cannot learn here, and what to do about it; None where it can."""
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        return Sentence("Intel Macs can chat but not learn, since PyTorch no longer supports them.")
    missing = ", ".join(_missing(trainer))
    if not missing:
        return None
    if trainer == "torch":
        return Sentence(
            "Learning needs {missing}, which is not installed; {install}.",
            missing=missing,
            install=_INSTALL,
        )
    if apple_silicon():
        return Sentence(
            "Learning with MLX needs {missing}, which is not installed; {install}, or "
            "choose the trainer torch.",
            missing=missing,
            install=_INSTALL,
        )
    return Sentence(
        "MLX is for Macs with Apple silicon and is not installed here; choose the trainer torch, "
        "in the settings or with --backend torch."
    )


def apple_silicon() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _missing(trainer: Trainer) -> list[str]:
    """The libraries of `trainer` that are not installed.  A bundle always has torch's in it."""
    if trainer == "torch" and is_bundle():
        return []
    return [name for name in NEEDED[trainer] if importlib.util.find_spec(name) is None]
