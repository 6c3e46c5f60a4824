"""Random adapters, and both engines' logits of tiny models of every kind and of the starter."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.lora import BASE_SHA256, CREATED_BY, RECIPE, LoraAdapter
from plum_desktop.adapters.merge import MergeReport, merge
from plum_desktop.adapters.names import adaptable_modules, tensor_name
from plum_desktop.adapters.peft_format import CONFIG, WEIGHTS, write_peft
from plum_desktop.models.header import GGUFHeader, read_header
from plum_desktop.models.support import LEARNABLE
from tests.adapters.tiny_bases import KINDS, write_base

HERE = Path(__file__).parent
RANK, ALPHA = 4, 8.0

# A chat of two turns about birds, as the starter model's tokenizer and template write it.
TEXT = [
    1, 4093, 198, 1780, 314, 253, 1123, 970, 288, 835, 260, 3834, 282, 4255, 338, 3048, 957, 4480,
    47, 2, 198, 1, 520, 9531, 198, 11117, 351, 260, 2911, 346, 963, 897, 1194, 28, 284, 2965, 601,
    1187, 30,
]  # fmt: skip


@pytest.fixture(scope="session")
def make_adapter() -> Callable[..., LoraAdapter]:
    return random_adapter


def random_adapter(header: GGUFHeader, size: float = 0.1) -> LoraAdapter:
    """Every linear module changed by about `size` of a unit weight matrix, in norm."""
    rng = np.random.default_rng(0)
    tensors = {}
    for module in adaptable_modules(header):
        out, width = header.tensors[tensor_name(header.architecture, module)].shape
        a = rng.normal(0, 1 / np.sqrt(width), (RANK, width)).astype(np.float32)
        b = rng.normal(0, size / np.sqrt(RANK), (out, RANK)).astype(np.float32)
        tensors[module] = (a, b)
    return LoraAdapter(
        ALPHA, RANK, tensors, {BASE_SHA256: "0" * 64, RECIPE: "default", CREATED_BY: "test"}
    )


def as_another_tool_would(adapter: LoraAdapter, folder: Path) -> Path:
    """The same numbers in a PEFT folder with all that scales them: rsLoRA, own ranks and alphas."""
    write_peft(adapter, folder)
    weights = load_file(folder / WEIGHTS)
    for key, matrix in weights.items():
        if ".layers.1.mlp.up_proj." in key:
            weights[key] = matrix[:2].copy() if "lora_A" in key else matrix[:, :2].copy()
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    config = json.loads((folder / CONFIG).read_text())
    config |= {
        "use_rslora": True,
        "rank_pattern": {"layers.1.mlp.up_proj": 2},
        "alpha_pattern": {"q_proj": 3, r".*\.0\.mlp\.down_proj": 1.5},
    }
    (folder / CONFIG).write_text(json.dumps(config))
    return folder


@dataclass(frozen=True)
class Compared:
    """One base with one adapter: where its files lie and what each engine made of them.

    `logits`: by torch, without the adapter, with the change added to the weights by the formula
    (`torch_added`), and with peft (and both of a folder as another tool writes it, `foreign`); as
    training loads the base (`trainer_base`, where it can learn); by llama.cpp without the adapter,
    with it hot, and merged; by the MLX trainer without the adapter and with it, where MLX is
    installed (not the starter, for which it is too slow here).
    """

    base: Path
    adapter: LoraAdapter
    hot: Path
    merged: Path
    report: MergeReport
    logits: dict[str, np.ndarray]


@pytest.fixture(scope="session")
def compared(
    tmp_path_factory: pytest.TempPathFactory,
    starter: Path,
    run_script: Callable[..., None],
) -> dict[str, Compared]:
    """The starter model and the tiny ones through torch, hot and merged; one process an engine."""
    folder = tmp_path_factory.mktemp("compared")
    bases = {name: write_base(kind, folder / f"{name}.gguf") for name, kind in KINDS.items()}
    bases["starter"] = starter
    jobs: dict[str, list[dict[str, Any]]] = {"torch": [], "llama": []}
    if importlib.util.find_spec("mlx_lm"):
        jobs["mlx"] = []
    found: dict[str, tuple[LoraAdapter, Path, Path, MergeReport]] = {}
    for name, base in bases.items():
        header = read_header(base)
        adapter = random_adapter(header, 0.2 if name == "starter" else 0.1)
        place = folder / name
        write_peft(adapter, place)
        hot = write_gguf(adapter, header, place / "adapter.gguf")
        merged = place / "merged.gguf"
        report = merge(base, adapter, merged)
        found[name] = (adapter, hot, merged, report)
        asked = {"ids": TEXT if name == "starter" else list(range(10, 50))}
        if name == "starter" or header.architecture in LEARNABLE:
            jobs["torch"].append(asked | job(place / "trainer_base", base))
        if name == "starter":
            jobs["torch"].append(asked | job(place / "torch_adapter", base, place))
        else:
            routes = [("base", None), ("added", place), ("adapter", place)]
            if name == "llama":
                other = as_another_tool_would(adapter, place / "foreign")
                routes += [("foreign_added", other), ("foreign", other)]
            for out, lora in routes:
                jobs["torch"].append(asked | job(place / f"torch_{out}", base, lora, name))
        for out, model, lora in (
            ("base", base, None), ("hot", base, hot), ("merged", merged, None),
        ):  # fmt: skip
            jobs["llama"].append(asked | job(place / f"llama_{out}", model, lora))
        if "mlx" in jobs and name != "starter":
            jobs["mlx"].append(asked | job(place / "mlx_base", base))
            jobs["mlx"].append(asked | job(place / "mlx_adapter", base, place))
    for engine, listed in jobs.items():
        run_script(HERE / f"{engine}_logits.py", listed)
    return {
        name: Compared(
            bases[name],
            *parts,
            {path.stem: np.load(path) for path in (folder / name).glob("*.npy")},
        )
        for name, parts in found.items()
    }


def job(out: Path, model: Path, adapter: Path | None = None, kind: str | None = None) -> dict:
    """What `torch_logits.py` and `llama_logits.py` are given, without the ids."""
    return {
        "out": f"{out}.npy", "model": str(model), "adapter": str(adapter) if adapter else None,
        "kind": kind,
    }  # fmt: skip
