"""What is offered: complete, addressed as the Hub has it, and judged before it is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from plum_desktop.base.errors import PlumError
from plum_desktop.models.catalog import catalog, find
from plum_desktop.models.fit import Shape, chat_bytes, training_bytes
from plum_desktop.models.header import read_header
from plum_desktop.models.support import why_not_expected


def test_every_entry_is_whole() -> None:
    assert len(catalog()) == 15
    assert len({model.name for model in catalog()}) == len({m.file for m in catalog()}) == 15
    for model in catalog():
        assert model.file.endswith(".gguf")
        assert model.quantization.lower() in model.file.lower()
        assert model.licence_url.startswith("https://")
        assert model.good_for.endswith(".")
        bits = model.approximate_size * 8 / model.parameters
        assert (4 < bits < 7) if model.quantization == "Q4_K_M" else (8 < bits < 11.5)


def test_the_address_is_the_hubs() -> None:
    assert find("Qwen3 4B").url("https://huggingface.co/") == (
        "https://huggingface.co/Qwen/Qwen3-4B-GGUF/resolve/main/Qwen3-4B-Q4_K_M.gguf"
    )


@pytest.mark.parametrize("name", ["qwen3 4b", "Qwen3-4B-Q4_K_M", "qwen3-4b-q4_k_m.gguf"])
def test_names_are_found_as_people_type_them(name: str) -> None:
    assert find(name).name == "Qwen3 4B"


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(PlumError, match="Qwen3 4B"):
        find("GPT")


def test_the_estimates_agree_with_a_header(starter: Path) -> None:
    """The starter is the same model as an entry, in another quantization."""
    real, said = Shape.of(read_header(starter)), find("SmolLM2 135M Instruct").shape
    for name in ("layers", "kv_heads", "head_size", "embedding", "inner", "vocabulary", "context"):
        assert getattr(said, name) == getattr(real, name)
    assert said.sides == pytest.approx(real.sides, rel=0.01)
    more = said.file_size - real.file_size
    assert training_bytes(said) == pytest.approx(training_bytes(real) + more, rel=0.02)
    assert chat_bytes(said, 8192) == chat_bytes(real, 8192) + more


def test_who_will_learn_is_known_before() -> None:
    learns = {
        model.name: why_not_expected(model.name, model.architecture, model.parts) is None
        for model in catalog()
    }
    assert learns["SmolLM2 1.7B Instruct"]
    assert learns["Qwen3 4B"]
    assert learns["Gemma 3 4B"]
    assert learns["Llama 3.2 1B Instruct"]
    phi = find("Phi-3.5 mini Instruct")
    assert "rope_factors_long" in (why_not_expected(phi.name, phi.architecture, phi.parts) or "")
    assert "'falcon' can chat but not learn" in (why_not_expected("Falcon", "falcon") or "")
