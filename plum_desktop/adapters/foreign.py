"""An adapter made elsewhere, in any form that Plum reads, as the canonical one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from plum_desktop import __version__
from plum_desktop.adapters import gguf_format, mlx_format, peft_format
from plum_desktop.adapters.lora import (
    BASE_SHA256,
    CREATED,
    CREATED_BY,
    RECIPE,
    LoraAdapter,
    require_base,
)
from plum_desktop.adapters.names import placed
from plum_desktop.base.errors import PlumError, unreadable
from plum_desktop.models.header import MAGIC, GGUFHeader
from plum_desktop.models.support import MERGED_FROM

Reader = Callable[[Path, GGUFHeader], LoraAdapter]

_LONGEST_VALUE = 200  # characters of another tool's metadata that are kept


def _read_peft(folder: Path, base: GGUFHeader) -> LoraAdapter:
    return peft_format.read_peft(folder)


def _read_mlx(folder: Path, base: GGUFHeader) -> LoraAdapter:
    return mlx_format.read_mlx(folder)


# What a form is called -> how it is read.  To add one, add it here and to `form_of`.
READERS: Mapping[str, Reader] = {
    "peft": _read_peft, "gguf": gguf_format.read_gguf, "mlx": _read_mlx,
}  # fmt: skip


def form_of(path: Path) -> tuple[str, Path]:
    """Which of READERS takes `path`, and the file or folder that it takes.

    A file of a PEFT or MLX folder stands for its folder.  Raises PlumError for anything else.
    """
    try:
        if path.is_dir():
            folder = path
        elif path.name in (peft_format.WEIGHTS, mlx_format.WEIGHTS, peft_format.CONFIG):
            folder = path.parent
        else:
            with path.open("rb") as stream:
                if stream.read(len(MAGIC)) == MAGIC:
                    return "gguf", path
            raise PlumError(
                "{name} is no adapter that Plum can read; choose a GGUF adapter, or the "
                "{weights} of a PEFT folder or the {mlx_weights} of an MLX one.",
                name=path.name,
                weights=peft_format.WEIGHTS,
                mlx_weights=mlx_format.WEIGHTS,
            )
        if (folder / mlx_format.WEIGHTS).is_file():  # the settings are called alike in both
            return "mlx", folder
        if (folder / peft_format.CONFIG).is_file() or (folder / peft_format.WEIGHTS).is_file():
            return "peft", folder
    except FileNotFoundError:
        raise PlumError("There is no {path}; choose another adapter.", path=path) from None
    except OSError as error:
        raise unreadable(path, error) from error
    raise PlumError(
        "{folder} holds no adapter: a PEFT folder has {config} and {weights}, an MLX folder "
        "{mlx_weights}.",
        folder=folder,
        config=peft_format.CONFIG,
        weights=peft_format.WEIGHTS,
        mlx_weights=mlx_format.WEIGHTS,
    )


def read_adapter(path: Path, base: GGUFHeader, base_sha256: str) -> LoraAdapter:
    """The adapter in `path`, checked: it is of this base, and every part of it has its place.

    Of its metadata only what Plum itself writes is kept.  Raises PlumError, DamagedFile.
    """
    if MERGED_FROM in base.metadata:
        raise PlumError(
            "{name} already has memories merged into it; use the model that it was made from, "
            "and bring the adapter in there.",
            name=base.path.name,
        )
    form, path = form_of(path)
    adapter = READERS[form](path, base)
    require_base(adapter, base_sha256)
    placed(adapter, base)
    told = {
        key: value[:_LONGEST_VALUE]
        for key, value in adapter.metadata.items()
        if key in (RECIPE, CREATED_BY, CREATED)
    }
    elsewhere = {RECIPE: "unknown", CREATED_BY: f"another program, for plum-desktop {__version__}"}
    return adapter.with_metadata(elsewhere | told | {BASE_SHA256: base_sha256})
