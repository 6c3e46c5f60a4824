"""The MLX form on disk: a folder that mlx-lm loads with `--adapter-path`.

`adapters.safetensors` and `adapter_config.json` as mlx_lm.tuner.utils.load_adapters reads them:
transformers' module names, both halves transposed, and alpha / rank under the name `scale`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plum_desktop.adapters.lora import LoraAdapter, same_rank
from plum_desktop.adapters.peft_format import read_folder
from plum_desktop.base.errors import DamagedFile, PlumError
from plum_desktop.base.files import (
    atomic_write,
    private_folder,
    require_free,
    write_json,
)

if TYPE_CHECKING:
    from plum_desktop.adapters.lora import Matrix

WEIGHTS, CONFIG = "adapters.safetensors", "adapter_config.json"

_KEY = re.compile(r"(.+)\.lora_([ab])")
_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
_PLUM = "plum."  # prefix of our entries in the safetensors metadata
_ALPHA = "alpha"  # among them: `scale` alone does not always give it back to the last bit


def write_mlx(adapter: LoraAdapter, folder: Path) -> Path:
    """Write `adapter` into `folder` (made if missing) in fp32 and return it.  Raises DiskFull."""
    import numpy as np
    from safetensors.numpy import save

    private_folder(folder)
    size = sum(a.nbytes + b.nbytes for a, b in adapter.tensors.values())
    require_free(folder, size + (1 << 20), "Saving the adapter")
    weights: dict[str, Any] = {}
    for module, (a, b) in sorted(adapter.tensors.items()):
        weights[f"{module}.lora_a"] = np.ascontiguousarray(a.T, np.float32)
        weights[f"{module}.lora_b"] = np.ascontiguousarray(b.T, np.float32)
    metadata = {**adapter.metadata, _ALPHA: repr(adapter.alpha)}
    with atomic_write(folder / WEIGHTS) as stream:
        stream.write(save(weights, {_PLUM + key: text for key, text in sorted(metadata.items())}))
    layers, keys = _keys(adapter)
    write_json(
        folder / CONFIG,
        {
            "fine_tune_type": "lora",
            "num_layers": layers,
            "lora_parameters": {
                "rank": adapter.rank,
                "scale": adapter.scale,
                "dropout": 0.0,
                "keys": keys,
            },
        },
    )
    return folder


def read_mlx(folder: Path) -> LoraAdapter:
    """Read an MLX LoRA, ours or another tool's.

    Raises PlumError for what is missing or no plain LoRA, DamagedFile for what contradicts itself.
    """
    config, weights, metadata = read_folder(folder, CONFIG, WEIGHTS, "MLX")
    scale = _scale(config)
    parts = {module: (a, b, scale) for module, (a, b) in _by_module(weights).items()}
    rank = max((len(a) for a, _, _ in parts.values()), default=1)
    return same_rank(_alpha(scale, rank, metadata.pop(_ALPHA, "")), parts, metadata)


def _keys(adapter: LoraAdapter) -> tuple[int, list[str]]:
    """What mlx-lm adapts: so many layers, counted from the last, and the modules in each.

    Whole paths where the layers differ, which it looks up in the model itself.
    """
    found = [_LAYER.fullmatch(module) for module in adapter.tensors]
    layers = {int(match[1]) for match in found if match}
    tails = {match[2] for match in found if match}
    if len(found) == len(layers) * len(tails) and layers == set(range(len(layers))):
        return len(layers), sorted(tails)
    return max(layers, default=0) + 1, sorted(adapter.tensors)


def _scale(config: object) -> float:
    if not isinstance(config, dict) or not isinstance(config.get("lora_parameters"), dict):
        raise DamagedFile(
            "{config} is damaged: it holds no settings of a LoRA for MLX.", config=CONFIG
        )
    if (kind := config.get("fine_tune_type", "lora")) != "lora":
        raise PlumError(
            "This adapter is of the kind {kind!r}; Plum reads plain LoRA adapters.", kind=kind
        )
    scale = config["lora_parameters"].get("scale")
    if isinstance(scale, bool) or not isinstance(scale, (int, float)):
        raise DamagedFile("{config} is damaged: scale is {scale!r}.", config=CONFIG, scale=scale)
    return float(scale)


def _by_module(weights: Mapping[str, Matrix]) -> dict[str, tuple[Matrix, Matrix]]:
    """Module -> (A (rank, in), B (out, rank))."""
    halves: dict[str, dict[str, Matrix]] = {}
    for key, tensor in weights.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise PlumError("This adapter changes {key}, which Plum cannot place.", key=key)
        halves.setdefault(match[1], {})[match[2]] = tensor.T.copy()
    for module, both in halves.items():
        if len(both) != 2:
            raise DamagedFile("The adapter is damaged: half of {module} is missing.", module=module)
    return {module: (both["a"], both["b"]) for module, both in halves.items()}


def _alpha(scale: float, rank: int, kept: str) -> float:
    """scale * rank, or the number that was kept where both say the same."""
    try:
        alpha = float(kept)
    except ValueError:
        return scale * rank
    return alpha if alpha / rank == scale else scale * rank
