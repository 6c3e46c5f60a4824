from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from plum_desktop.app.product import Plum
from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Adapter

Learn = Callable[..., Adapter]


def test_with_nothing_learned_the_base_serves(plum: Plum) -> None:
    assert plum.serving.served().memory == "off"
    for memory in ("merged", "adapter"):
        with pytest.raises(PlumError, match="Nothing has been learned"):
            plum.serving.served(memory)


def test_the_window_gets_the_merged_file_where_it_fits(
    plum: Plum, learn: Learn, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = learn()
    folder = plum.folder.adapter(first.id)
    served = plum.serving.served()
    assert (served.memory, served.model) == ("hybrid", folder / "merged.gguf")
    second = learn(parent=first)
    monkeypatch.setattr(plum.models, "fits_in_memory", lambda path: False)
    served = plum.serving.served()
    assert served.adapter == plum.folder.adapter(second.id) / "adapter.gguf"
    assert served.model == plum.models.file().path
    assert plum.serving.served("off").adapter is None


def test_until_it_is_merged_the_adapter_serves_hot(plum: Plum, learn: Learn) -> None:
    folder = plum.folder.adapter(learn().id)
    (folder / "merged.gguf").unlink()
    assert plum.serving.served().adapter == folder / "adapter.gguf"
    (folder / "adapter.gguf").unlink()
    with pytest.raises(PlumError, match="is missing, so what was learned cannot be served"):
        plum.serving.served()


def test_another_process_switching_is_noticed(plum: Plum, learn: Learn) -> None:
    adapter = learn()
    with plum.serving.borrow() as engine:
        info = engine.info()
        assert info is not None
        assert info.path.name == "merged.gguf"
    other = Plum(plum.folder)
    try:
        other.adapters.rollback()
    finally:
        other.close()
    assert plum.adapters.active() is None
    with plum.serving.borrow() as engine:
        info = engine.info()
        assert info is not None
        assert info.path == plum.models.file().path
    assert plum.store.adapters.get(adapter.id).state == "undone"


def test_the_hot_adapter_goes_on_and_off_without_loading_again(plum: Plum, learn: Learn) -> None:
    learn()
    loads: list[float] = []
    plum.serving.on_progress = lambda fraction, text: loads.append(fraction)
    plum.serving.engine("off")
    assert loads
    loads.clear()
    for memory in ("adapter", "off", "adapter"):
        info = plum.serving.engine(memory).info()
        assert info is not None
        assert (info.adapter is None) == (memory == "off")
    assert not loads


def test_a_borrowed_engine_is_not_changed_by_another_thread(plum: Plum, learn: Learn) -> None:
    learn()
    loaded = threading.Event()
    with plum.serving.borrow("merged") as engine:
        other = threading.Thread(target=lambda: (plum.serving.engine("off"), loaded.set()))
        other.start()
        assert not loaded.wait(0.3)
        info = engine.info()
        assert info is not None
        assert info.path.name == "merged.gguf"
    assert loaded.wait(10)
    other.join()


def test_a_changed_setting_serves_from_the_next_request_on(plum: Plum) -> None:
    plum.serving.engine()
    plum.set_setting("context", 512)
    info = plum.serving.engine().info()
    assert info is not None
    assert info.n_ctx == 512
