"""The GGUF form of a LoRA: what llama.cpp loads beside its base model.

Layout: llama.cpp convert_lora_to_gguf.py and src/llama-adapter.cpp.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from plum_desktop.adapters import ggml
from plum_desktop.adapters.gguf_bytes import (
    PlacedTensor,
    float_entry,
    preamble,
    text_entry,
)
from plum_desktop.adapters.lora import LoraAdapter, same_rank
from plum_desktop.adapters.names import from_gguf_rows, module_name, placed, require_shape
from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import atomic_write, require_free
from plum_desktop.models.header import (
    DEFAULT_ALIGNMENT,
    GGML_TYPES,
    GGUFHeader,
    TensorInfo,
    padded,
    read_header,
)

if TYPE_CHECKING:
    from plum_desktop.adapters.lora import Matrix

_PLUM = "plum."  # prefix of our metadata keys
_A, _B = ".lora_a", ".lora_b"
_F32 = 0  # ggml type


def write_gguf(adapter: LoraAdapter, base: GGUFHeader, path: Path) -> Path:
    """Write `adapter` for the model of `base` to `path`; the file is whole or absent.

    Raises PlumError where the adapter does not belong to that base, DiskFull.
    """
    tensors: dict[str, Matrix] = {}
    for name, (a, b) in placed(adapter, base).items():
        tensors[name + _A], tensors[name + _B] = a, b
    entries = [
        text_entry("general.architecture", base.architecture),
        text_entry("general.type", "adapter"),
        text_entry("adapter.type", "lora"),
        float_entry("adapter.lora.alpha", adapter.alpha),
        *(text_entry(_PLUM + key, value) for key, value in sorted(adapter.metadata.items())),
    ]
    listed: list[PlacedTensor] = []
    end = 0
    for name, matrix in tensors.items():
        listed.append(PlacedTensor(name, matrix.shape, _F32, end))
        end = padded(end + matrix.size * 4, DEFAULT_ALIGNMENT)
    require_free(path.parent, end + (1 << 20), "Saving the adapter")
    with atomic_write(path) as stream:
        stream.write(preamble(len(entries), b"".join(entries), listed, DEFAULT_ALIGNMENT))
        for matrix in tensors.values():
            raw = matrix.astype("<f4").tobytes()
            stream.write(raw.ljust(padded(len(raw), DEFAULT_ALIGNMENT), b"\0"))
    return path


def read_gguf(path: Path, base: GGUFHeader) -> LoraAdapter:
    """Read a GGUF LoRA made for the model of `base`, ours or another tool's.

    Raises PlumError where it is no LoRA or belongs to another model, DamagedFile.
    """
    header = read_header(path)
    if header.kind != "adapter" or header.metadata.get("adapter.type") != "lora":
        raise PlumError("{name} is not a LoRA adapter.", name=path.name)
    if header.architecture != base.architecture:
        raise PlumError(
            "{name} belongs to a {architecture} model, and {path_name} is a {base_architecture} "
            "model.",
            name=path.name,
            architecture=header.architecture,
            path_name=base.path.name,
            base_architecture=base.architecture,
        )
    alpha = header.metadata.get("adapter.lora.alpha", 0.0)
    if not isinstance(alpha, float):
        raise DamagedFile(
            "{name} is damaged: its alpha is {alpha!r:.40}.", name=path.name, alpha=alpha
        )
    halves: dict[str, dict[str, Matrix]] = {}
    for name, info in header.tensors.items():
        tensor, dot, half = name.rpartition(".")
        if dot + half not in (_A, _B):
            raise PlumError(
                "{name} changes {tensor}, which Plum cannot place.", name=path.name, tensor=name
            )
        if len(info.shape) != 2:
            raise DamagedFile(
                "{name} is damaged: {tensor} is not a matrix.", name=path.name, tensor=name
            )
        halves.setdefault(tensor, {})[dot + half] = read_matrix(path, info)
    parts: dict[str, tuple[Matrix, Matrix, float]] = {}
    for tensor, both in halves.items():
        if len(both) != 2:
            raise DamagedFile(
                "{name} is damaged: half of {tensor} is missing.", name=path.name, tensor=tensor
            )
        module = module_name(base.architecture, tensor)
        a, b = both[_A], both[_B]
        require_shape(base, module, a, b)
        # llama.cpp: no alpha means the product as it is.
        scale = alpha / len(a) if alpha else 1.0
        parts[module] = (a, from_gguf_rows(base, module, b), scale)
    rank = max((len(a) for a, _, _ in parts.values()), default=1)
    metadata = {
        key.removeprefix(_PLUM): str(value)
        for key, value in header.metadata.items()
        if key.startswith(_PLUM)
    }
    return same_rank(alpha or float(rank), parts, metadata)


def read_matrix(path: Path, info: TensorInfo) -> Matrix:
    """A whole 2-dimensional tensor as float32, whatever type it is stored in."""
    import numpy as np

    raw = np.memmap(path, np.uint8, "r", info.offset, (info.shape[0], info.nbytes // info.shape[0]))
    return np.array(dequantize(raw, info.type), np.float32)


def dequantize(raw: Any, kind: int) -> Matrix:
    """Stored rows (rows, bytes a row) of ggml type `kind` -> float32 (rows, width).

    Raises PlumError for a type that gguf cannot read.
    """
    if (found := ggml.dequantize(raw, kind)) is not None:
        return found
    import gguf
    import numpy as np

    try:
        with np.errstate(all="ignore"):  # infinities of a damaged file: refused by who uses them
            weights: Matrix = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType(kind))
    except NotImplementedError:
        raise PlumError(
            "Plum cannot read weights stored as {ggml_types}; choose another quantization of "
            "the model.",
            ggml_types=GGML_TYPES[kind][0],
        ) from None
    return weights
