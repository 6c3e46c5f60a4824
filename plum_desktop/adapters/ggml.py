"""ggml's own conversions of rows of weights, many times as fast as gguf's in numpy.

They lie in the libraries that llama-cpp-python brings, which are opened here without importing
it.  Where a library or a type is missing, None says so, and gguf does the work.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plum_desktop.models.header import GGML_TYPES

if TYPE_CHECKING:
    from plum_desktop.adapters.lora import Matrix

_F16, _Q8_0 = 1, 8  # ggml types
_WRITERS = {_F16: "ggml_cpu_fp32_to_fp16", _Q8_0: "quantize_row_q8_0"}


def dequantize(raw: Any, kind: int) -> Matrix | None:
    """Stored rows (rows, bytes a row) of ggml type `kind` -> float32 (rows, width)."""
    import numpy as np

    read = _reader(kind)
    if read is None:
        return None
    _, elements, size = GGML_TYPES[kind]
    rows = np.ascontiguousarray(raw)
    weights = np.empty((rows.shape[0], rows.shape[1] // size * elements), np.float32)
    read(rows.ctypes.data, weights.ctypes.data, weights.size)
    return weights


def quantize(weights: Matrix, kind: int) -> Any | None:
    """Float32 (rows, width), a whole number of blocks a row -> the bytes (rows, bytes a row)."""
    import numpy as np

    write = _writer(kind)
    if write is None:
        return None
    _, elements, size = GGML_TYPES[kind]
    rows = np.ascontiguousarray(weights, np.float32)
    raw = np.empty((rows.shape[0], rows.shape[1] // elements * size), np.uint8)
    write(rows.ctypes.data, raw.ctypes.data, rows.size)
    return raw


@cache
def _reader(kind: int) -> Any | None:
    name = GGML_TYPES[kind][0]
    symbol = "ggml_fp16_to_fp32_row" if kind == _F16 else f"dequantize_row_{_in_c(name)}"
    return _function("ggml-base", symbol)


@cache
def _writer(kind: int) -> Any | None:
    return _function("ggml-cpu", _WRITERS[kind]) if kind in _WRITERS else None


def _in_c(name: str) -> str:
    """Q4_K is q4_K there, and IQ4_NL iq4_nl."""
    return name[:-1].lower() + "K" if name.endswith("_K") else name.lower()


def _function(library: str, symbol: str) -> Any | None:
    """A function (source, target, how many elements)."""
    function = getattr(_library(library), symbol, None)
    if function is not None:
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        function.restype = None
    return function


@cache
def _library(name: str) -> ctypes.CDLL | None:
    found = find_spec("llama_cpp")
    for folder in (found and found.submodule_search_locations) or ():
        place = Path(folder) / "lib"
        for file in (f"lib{name}{_SUFFIX}", f"{name}{_SUFFIX}"):
            try:
                return ctypes.CDLL(str(place / file))
            except OSError:
                continue
    return None


_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
