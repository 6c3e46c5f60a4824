"""Graphics cards count where the engine would use them, and nowhere else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from plum_desktop.app import graphics, models
from plum_desktop.app.graphics import ask_engine, built_for_cards, card_bytes
from plum_desktop.app.models import ModelService
from plum_desktop.app.preferences import Preferences
from plum_desktop.base.paths import DataFolder
from plum_desktop.models.fit import Memory


@pytest.mark.parametrize(
    ("library", "uses"),
    [
        ("lib/libggml-cuda.so", True),
        ("lib/libggml-vulkan.so.0", True),
        ("bin/ggml-cuda.dll", True),
        ("lib/libggml-cpu.so", False),
        ("lib/libggml-metal.dylib", False),
    ],
)
def test_what_llama_cpp_was_built_for_is_seen_by_its_libraries(
    tmp_path: Path, library: str, uses: bool
) -> None:
    made = tmp_path / library
    made.parent.mkdir()
    made.touch()
    assert built_for_cards(tmp_path) is uses


def test_nothing_is_asked_where_it_was_built_for_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = importlib.util.spec_from_file_location("llama_cpp", tmp_path / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
    monkeypatch.setattr(graphics, "EngineClient", None)  # starting one would fail
    loaded = "llama_cpp" in sys.modules
    card_bytes.cache_clear()
    try:
        assert card_bytes() == 0
    finally:
        card_bytes.cache_clear()
    assert ("llama_cpp" in sys.modules) is loaded, "the window must stay without it"


def test_a_real_engine_says_which_cards_it_uses() -> None:
    cards = ask_engine()
    assert all(card > 0 for card in cards)
    if not built_for_cards():
        assert cards == []


def test_a_model_that_only_the_card_holds_fits(
    data_folder: DataFolder, starter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = ModelService(data_folder, Preferences(data_folder.settings))
    monkeypatch.setattr(models, "memory", lambda: Memory(300_000_000, 200_000_000))
    monkeypatch.setattr(models, "card_bytes", lambda: 0)
    (before,) = service.list()
    assert before.fit == "will not fit"
    monkeypatch.setattr(models, "card_bytes", lambda: 8_000_000_000)
    (after,) = service.list()
    assert after.fit == "fits"
    assert "the graphics card has 8.0 GB" in after.fit_reason
    assert not after.can_learn, "training is measured by the processor's memory"
