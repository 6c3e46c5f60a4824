"""Tiny random models of each architecture, random adapters, and both engines' logits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from plum_desktop.adapters.gguf_format import write_gguf
from plum_desktop.adapters.lora import BASE_SHA256, CREATED_BY, RECIPE, LoraAdapter
from plum_desktop.adapters.merge import MergeReport, merge
from plum_desktop.adapters.names import adaptable_modules, tensor_name
from plum_desktop.adapters.peft_format import write_peft
from plum_desktop.models.header import GGUFHeader, read_header

ROOT = Path(__file__).parents[2]
TINY = ("llama", "qwen2", "qwen3")
RANK, ALPHA = 4, 8.0

# A chat of two turns about birds, as the starter model's tokenizer and template write it.
TEXT = [
    1, 4093, 198, 1780, 314, 253, 1123, 970, 288, 835, 260, 3834, 282, 4255, 338, 3048, 957, 4480,
    47, 2, 198, 1, 520, 9531, 198, 11117, 351, 260, 2911, 346, 963, 897, 1194, 28, 284, 2965, 601,
    1187, 30,
]  # fmt: skip

# Sizes that tell mistakes apart: query and key heads differ, no two sides are equal.
WIDTH, INNER, HEADS, KV_HEADS, LAYERS, VOCABULARY = 64, 96, 4, 2, 2, 160


def plain(matrix: np.ndarray) -> tuple[np.ndarray, None]:
    return matrix, None


def tiny_model(
    path: Path,
    architecture: str,
    store: Callable[[np.ndarray], tuple[np.ndarray, Any]] = plain,
    scale: int = 1,
) -> Path:
    """A random model with no vocabulary.

    `store` turns a matrix into (data, type or None); `scale` makes every side longer.
    """
    rng = np.random.default_rng(7)
    width, inner = WIDTH * scale, INNER * scale
    head = 24 if architecture == "qwen3" else width // HEADS
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(f"tiny {architecture}")
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("no_vocab")
    if architecture == "qwen3":
        writer.add_key_length(head)
        writer.add_value_length(head)

    def matrix(name: str, out: int, side: int) -> None:
        data, kind = store(rng.normal(0, 2 / np.sqrt(side), (out, side)).astype(np.float32))
        writer.add_tensor(name, data, raw_dtype=kind)

    def vector(name: str, length: int, mean: float) -> None:
        writer.add_tensor(name, rng.normal(mean, 0.2, length).astype(np.float32))

    matrix("token_embd.weight", VOCABULARY, width)
    if architecture != "qwen2":  # the small ones of that family tie their embeddings
        matrix("output.weight", VOCABULARY, width)
    vector("output_norm.weight", width, 1)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        vector(block + "attn_norm.weight", width, 1)
        vector(block + "ffn_norm.weight", width, 1)
        for part, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            matrix(f"{block}attn_{part}.weight", heads * head, width)
            if architecture == "qwen2":
                vector(f"{block}attn_{part}.bias", heads * head, 0)
            if architecture == "qwen3" and part != "v":
                vector(f"{block}attn_{part}_norm.weight", head, 1)
        matrix(block + "attn_output.weight", width, HEADS * head)
        matrix(block + "ffn_gate.weight", inner, width)
        matrix(block + "ffn_up.weight", inner, width)
        matrix(block + "ffn_down.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def make_tiny() -> Callable[..., Path]:
    return tiny_model


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


def run_script(name: str, jobs: list[dict[str, Any]]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).parent / name), json.dumps(jobs)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@dataclass(frozen=True)
class Compared:
    """One base with one adapter: where its files lie and what each engine made of them."""

    base: Path
    adapter: LoraAdapter
    hot: Path
    merged: Path
    report: MergeReport
    logits: dict[str, np.ndarray]  # torch_base torch_adapter llama_base llama_hot llama_merged


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> dict[str, Compared]:
    """The starter model and the tiny ones through torch, hot and merged; one process an engine."""
    folder = tmp_path_factory.mktemp("compared")
    bases = {name: tiny_model(folder / f"{name}.gguf", name) for name in TINY}
    bases["starter"] = starter
    jobs: dict[str, list[dict[str, Any]]] = {"torch": [], "llama": []}
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
        ids = TEXT if name == "starter" else list(range(10, 50))
        for kind, engine, model, lora in (
            ("torch_base", "torch", base, None),
            ("torch_adapter", "torch", base, place),
            ("llama_base", "llama", base, None),
            ("llama_hot", "llama", base, hot),
            ("llama_merged", "llama", merged, None),
        ):
            out = str(place / f"{kind}.npy")
            lora_path = str(lora) if lora else None
            jobs[engine].append({"model": str(model), "adapter": lora_path, "ids": ids, "out": out})
    for engine, listed in jobs.items():
        run_script(f"{engine}_logits.py", listed)
    return {
        name: Compared(
            bases[name],
            *parts,
            {path.stem: np.load(path) for path in (folder / name).glob("*.npy")},
        )
        for name, parts in found.items()
    }
