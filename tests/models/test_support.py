"""Who can learn, who can only chat, and who is no model at all; each in one sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from plum_desktop.models.header import GGUFHeader, TensorInfo, read_header
from plum_desktop.models.support import why_not, why_not_chat


@pytest.fixture(scope="module")
def header(starter: Path) -> GGUFHeader:
    return read_header(starter)


def with_metadata(header: GGUFHeader, **values: Any) -> GGUFHeader:
    metadata = {**header.metadata, **{key.replace("__", "."): v for key, v in values.items()}}
    return dataclasses.replace(header, metadata=metadata)


def test_the_starter_learns(header: GGUFHeader) -> None:
    assert why_not_chat(header) is None
    assert why_not(header) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"general__type": "adapter"}, "is an adapter"),
        ({"general__type": "mmproj"}, "part of a model"),
        ({"general__architecture": "clip"}, "part of a model"),
        ({"general__architecture": ""}, "holds no model"),
        ({"split__count": 3}, "split"),
        ({"tokenizer__ggml__model": "no_vocab"}, "no vocabulary"),
    ],
)
def test_no_model_to_chat_with(header: GGUFHeader, values: dict[str, Any], words: str) -> None:
    changed = with_metadata(header, **values)
    assert words in (why_not_chat(changed) or "")
    assert why_not(changed) == why_not_chat(changed)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"general__architecture": "bloom"}, "'bloom' can chat but not learn"),
        ({"llama__expert_count": 8}, "experts"),
        ({"llama__rope__scaling__type": "linear"}, "rope.scaling.type"),
        (
            {"general__architecture": "gemma3", "gemma3__rope__scaling__type": "yarn"},
            "scaling.type",
        ),
        ({"llama__rope__dimension_count": 32}, "rope.dimension_count"),
        (
            {
                "general__architecture": "gemma3",
                "gemma3__attention__sliding_window_pattern": (True, True, False),
            },
            "sliding_window_pattern",
        ),
        ({"plum__base_sha256": "0" * 64}, "already has memories"),
    ],
)
def test_chats_but_does_not_learn(header: GGUFHeader, values: dict[str, Any], words: str) -> None:
    changed = with_metadata(header, **values)
    assert why_not_chat(changed) is None
    assert words in (why_not(changed) or "")


@pytest.mark.parametrize(
    "name", ["rope_factors_long.weight", "blk.0.attn_q.scale", "blk.0.attn_q.bias"]
)
def test_a_part_that_no_trainer_applies(header: GGUFHeader, name: str) -> None:
    extra = {**header.tensors, name: TensorInfo(name, (32,), 0, 0, 128)}
    assert name in (why_not(dataclasses.replace(header, tensors=extra)) or "")


def test_weights_that_cannot_be_read(header: GGUFHeader) -> None:
    first = next(iter(header.tensors.values()))
    strange = {**header.tensors, first.name: dataclasses.replace(first, type=40)}
    assert "NVFP4" in (why_not(dataclasses.replace(header, tensors=strange)) or "")
