"""Which trainer this machine has, and what is missing for it."""

from __future__ import annotations

import importlib.util
import platform
import sys
from typing import Literal

from plum_desktop.base.errors import PlumError

Backend = Literal["auto", "torch", "mlx"]
Trainer = Literal["torch", "mlx"]

_NEEDED = ("torch", "transformers", "peft")


def trainer_for(backend: Backend) -> Trainer:
    """The trainer that `backend` names here.  Raises PlumError for one that there is not."""
    if backend == "mlx":
        raise PlumError("Learning with MLX is not built yet; choose --backend torch.")
    return "torch"


def cannot_learn() -> str | None:
    """Why nothing can be learned here, and what to do about it; None where it can."""
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        return "Intel Macs can chat but not learn, since PyTorch no longer supports them."
    if getattr(sys, "frozen", False):
        return None  # a bundle has everything in it
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    return (
        f"Learning needs {', '.join(missing)}, which is not installed; run "
        "`pip install 'plum-desktop[learn]'`."
    )
