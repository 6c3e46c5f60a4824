"""How much memory the graphics cards have that the engine would put a model on.

Only where llama.cpp was built for them is anything asked, and then of an engine process: this
one loads neither llama.cpp nor a driver.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path

from plum_desktop.base.errors import PlumError
from plum_desktop.engine.client import EngineClient

# llama.cpp's libraries for cards with memory of their own; Metal shares the processor's.
_LIBRARIES = ("*ggml-cuda*", "*ggml-hip*", "*ggml-vulkan*", "*ggml-sycl*")


def built_for_cards(folder: Path | None = None) -> bool:
    """Whether the llama.cpp in `folder`, else the one that is installed, can use cards."""
    if folder is None:
        found = importlib.util.find_spec("llama_cpp")
        if found is None or found.origin is None or sys.platform == "darwin":
            return False
        folder = Path(found.origin).parent
    return any(next(folder.rglob(pattern), None) for pattern in _LIBRARIES)


@functools.cache
def card_bytes() -> int:
    """Memory of all cards that the engine uses, in bytes; 0: it works on the processor alone."""
    return sum(ask_engine()) if built_for_cards() else 0


def ask_engine() -> list[int]:
    """Memory of each card, in bytes, as a new engine process finds it."""
    engine = EngineClient(name="look at the graphics cards")
    try:
        cards: list[int] = engine.system()["cards"]
        return cards
    except PlumError:  # what uses none has none
        return []
    finally:
        engine.close()
