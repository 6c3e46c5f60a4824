"""The canonical form on disk: a folder that `peft.PeftModel.from_pretrained` loads.

`adapter_model.safetensors` and `adapter_config.json`, read and written with numpy alone.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plum_desktop.adapters.lora import LoraAdapter, same_rank
from plum_desktop.base.errors import DamagedFile, PlumError, unreadable
from plum_desktop.base.files import (
    atomic_write,
    open_file,
    private_folder,
    read_json,
    require_free,
    write_json,
)

if TYPE_CHECKING:
    from plum_desktop.adapters.lora import Matrix

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"

_PREFIX = "base_model.model."
_KEY = re.compile(r"base_model\.model\.([\w.]+)\.lora_([AB])(?:\.default)?\.weight")
_PLUM = "plum."  # prefix of our entries in the safetensors metadata
_LONGEST_HEADER = 100_000_000  # the safetensors library's own bound
_REFUSED = {
    "use_dora": "DoRA",
    "modules_to_save": "whole retrained modules",
    "trainable_token_indices": "retrained tokens",
    "megatron_config": "Megatron layers",
    "layer_replication": "repeated layers",
    "lora_bias": "LoRA biases",
    "use_qalora": "QA-LoRA",
    "alora_invocation_tokens": "activated LoRA",
    "target_parameters": "adapted parameters",
    "use_bdlora": "block-diagonal LoRA",
    "arrow_config": "routing between adapters",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
}

# Starts that keep a part of the base in the adapter, so that it fits the plain base no more.
_BASE_CHANGING = ("pissa", "olora", "corda", "loftq", "lora_ga")

# Where the language model is a part of one that sees, as Gemma 3's larger ones are.
_LANGUAGE_PART = re.compile(r"(?:model\.)?language_model\.(?:model\.)?(?=layers\.)")


def write_peft(adapter: LoraAdapter, folder: Path, *, half: bool = False) -> Path:
    """Write `adapter` into `folder` (made if missing) and return it; fp32, or fp16 if `half`.

    Raises DiskFull.
    """
    import numpy as np
    from safetensors.numpy import save

    private_folder(folder)
    size = sum(a.nbytes + b.nbytes for a, b in adapter.tensors.values())
    require_free(folder, size + (1 << 20), "Saving the adapter")
    weights: dict[str, Any] = {}
    kind = np.float16 if half else np.float32
    for module, (a, b) in sorted(adapter.tensors.items()):
        weights[f"{_PREFIX}{module}.lora_A.weight"] = np.ascontiguousarray(a, kind)
        weights[f"{_PREFIX}{module}.lora_B.weight"] = np.ascontiguousarray(b, kind)
    metadata = {_PLUM + key: value for key, value in sorted(adapter.metadata.items())}
    with atomic_write(folder / WEIGHTS) as stream:
        stream.write(save(weights, {"format": "pt", **metadata}))
    write_json(folder / CONFIG, _config(adapter))
    return folder


def read_peft(folder: Path) -> LoraAdapter:
    """Read a PEFT LoRA, ours or another tool's.

    Raises PlumError for what is missing or of a kind that a GGUF adapter cannot express,
    DamagedFile for what contradicts itself.
    """
    config, weights, metadata = read_folder(folder, CONFIG, WEIGHTS, "PEFT")
    if not isinstance(config, dict):
        raise DamagedFile("{folder} is damaged: it holds no settings.", folder=folder / CONFIG)
    _require_plain_lora(config)
    parts: dict[str, tuple[Matrix, Matrix, float]] = {}
    for module, halves in _by_module(weights).items():
        a, b = halves["A"], halves["B"]
        parts[module] = (a, b, _scale(config, module, a.shape[0] if a.ndim else 0))
    alpha = _number(config.get("lora_alpha"), "lora_alpha")
    return same_rank(alpha, parts, metadata)


def _config(adapter: LoraAdapter) -> dict[str, Any]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": adapter.rank,
        "lora_alpha": int(adapter.alpha) if adapter.alpha.is_integer() else adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "use_rslora": False,
        "use_dora": False,
        "target_modules": _targets(adapter.tensors),
    }


def _targets(modules: Iterable[str]) -> list[str]:
    """Short names where every layer has them all, else full paths: peft matches by suffix."""
    paths = set(modules)
    layers = {path.split(".")[2] for path in paths}
    tails = {path.split(".", 3)[3] for path in paths}
    if len(paths) == len(layers) * len(tails) and layers == {str(n) for n in range(len(layers))}:
        return sorted(tails)
    return sorted(paths)


def _require_plain_lora(config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        kind = f"{config.get('peft_type')!r:.40}"
        raise PlumError("This adapter is of the type {kind}; Plum reads LoRA adapters.", kind=kind)
    for key, what in _REFUSED.items():
        if config.get(key):
            raise PlumError(
                "This adapter uses {what}, which cannot be served from a GGUF model.", what=what
            )
    if str(config.get("init_lora_weights")).startswith(_BASE_CHANGING):
        raise PlumError(
            "This adapter was made for a changed base model (PiSSA and the like); convert it to a "
            "plain LoRA first."
        )
    if config.get("bias", "none") != "none":
        raise PlumError("This adapter changes biases, which cannot be served from a GGUF model.")


def _by_module(weights: Mapping[str, Matrix]) -> dict[str, dict[str, Matrix]]:
    modules: dict[str, dict[str, Matrix]] = {}
    for key, tensor in weights.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise PlumError("This adapter changes {key!r:.120}, which Plum cannot place.", key=key)
        module = _LANGUAGE_PART.sub("model.", match[1], count=1)
        modules.setdefault(module, {})[match[2]] = tensor
    for module, halves in modules.items():
        if len(halves) != 2:
            raise DamagedFile("The adapter is damaged: half of {module} is missing.", module=module)
    return modules


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    """alpha / rank of one module, rank-stabilised where the config says so."""
    alpha = _pattern(config.get("alpha_pattern"), module)
    alpha = _number(config.get("lora_alpha") if alpha is None else alpha, "lora_alpha")
    said = _pattern(config.get("rank_pattern"), module)
    said = _number(config.get("r") if said is None else said, "r")
    if rank < 1 or rank != said:
        raise DamagedFile(
            "The adapter is damaged: {module} has rank {rank}, and {config} says {said:g}.",
            module=module,
            rank=rank,
            config=CONFIG,
            said=said,
        )
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _pattern(patterns: object, module: str) -> object:
    """The value whose key matches the end of `module`, as peft's `get_pattern_key` looks it up."""
    if isinstance(patterns, dict):
        for key, value in patterns.items():
            try:
                if re.match(rf"(.*\.)?({key})$", module):
                    return value
            except re.error:
                raise DamagedFile(
                    "{config} is damaged: {key!r:.60} is no pattern.", config=CONFIG, key=key
                ) from None
    return None


def _number(value: object, key: str) -> float:
    with contextlib.suppress(OverflowError):  # of a whole number beyond every float
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    raise DamagedFile(
        "{config} is damaged: {key} is {value!r:.40}.", config=CONFIG, key=key, value=value
    )


def read_folder(
    folder: Path, config: str, weights: str, kind: str
) -> tuple[object, dict[str, Matrix], dict[str, str]]:
    """What an adapter's two files hold: JSON, tensors as float32 and our metadata.

    `kind` names the form in the sentence that says what is missing.  Raises PlumError, DamagedFile.
    """
    try:
        return read_json(folder / config), *read_safetensors(folder / weights)
    except FileNotFoundError as error:
        raise PlumError(
            "{folder} holds no {kind} adapter: {name} is missing.",
            folder=folder,
            kind=kind,
            name=Path(error.filename).name,
        ) from error
    except OSError as error:
        raise unreadable(folder, error) from error


def read_safetensors(path: Path) -> tuple[dict[str, Matrix], dict[str, str]]:
    """Tensors as float32 and our metadata.  numpy knows no bfloat16, so it is widened here.

    Raises OSError, DamagedFile.
    """
    import numpy as np

    with open_file(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            raise DamagedFile("{path} is damaged or cut short; copy it again.", path=path)
        try:
            header = json.loads(stream.read(length))
            metadata = header.pop("__metadata__", None) or {}
            entries = [
                (name, entry["dtype"], tuple(entry["shape"]), *entry["data_offsets"])
                for name, entry in header.items()
            ]
            tensors: dict[str, Matrix] = {}
            expected = 0
            # End to end and nothing twice, or a small file could ask for any amount of memory.
            for name, dtype, shape, start, end in sorted(entries, key=lambda entry: entry[3:]):
                if not start == expected <= end <= size - 8 - length:
                    raise ValueError(name)
                expected = end
                stream.seek(8 + length + start)
                raw = stream.read(end - start)
                if dtype == "BF16":
                    flat = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
                else:
                    flat = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2", "F64": "<f8"}[dtype])
                with np.errstate(over="ignore"):  # an infinity is refused by LoraAdapter
                    tensors[name] = flat.astype(np.float32).reshape(shape)
            ours = {
                key.removeprefix(_PLUM): str(value)
                for key, value in metadata.items()
                if key.startswith(_PLUM)
            }
        except (
            ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError,
        ) as error:  # fmt: skip
            raise DamagedFile(
                "{path} is damaged or cut short; copy it again.", path=path
            ) from error
    return tensors, ours
