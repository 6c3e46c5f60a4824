"""A thousand adapters and models with something wrong in them: each is a sentence, or harmless.

Where a file comes from is the same every time, so a case that failed once fails until it is
mended; its number and its seed are all that it takes to see it again.
"""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plum_desktop.adapters.foreign import read_adapter
from plum_desktop.adapters.gguf_format import read_gguf, write_gguf
from plum_desktop.adapters.names import placed
from plum_desktop.adapters.peft_format import CONFIG, WEIGHTS, write_peft
from plum_desktop.base.errors import PlumError
from plum_desktop.models.header import GGUFHeader, read_header
from plum_desktop.models.support import why_not

CASES = 1000
ODD: list[Any] = [
    None, True, False, -1, 0, 1, 3, 2**31, 2**63, 10**30, 10**400, 0.0, 1.5, -2.0, 1e38, 1e308,
    float("nan"), float("inf"), "", "x", "8", "(", "lora", [], [1], [0, 2**40], [-1, 64], {},
    {"(": 1}, {"q_proj": None}, {"q_proj": 0}, {".*": 1e308}, {"up_proj": -3}, [[[[]]]],
]  # fmt: skip
READ = (
    "peft_type", "r", "lora_alpha", "bias", "use_rslora", "use_dora", "rank_pattern",
    "alpha_pattern",
)  # fmt: skip
SIZES = [0, 1, 7, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def damaged(content: bytes, head: int, rng: random.Random) -> bytes:
    """Other bytes, sizes that lie, less or more than there was; mostly in the first `head`."""
    mangled = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        end = head if rng.random() < 0.9 else len(mangled)
        at = rng.randrange(max(1, min(end, len(mangled)) - 8))
        match rng.randrange(6):
            case 0:
                mangled[at] = rng.randrange(256)
            case 1:
                mangled[at] ^= 1 << rng.randrange(8)
            case 2:
                mangled[at : at + 8] = struct.pack("<Q", rng.choice(SIZES))
            case 3:
                mangled[at : at + 4] = struct.pack("<I", rng.randrange(64))
            case 4:
                del mangled[at : at + rng.choice((1, 4, 8, 100, len(mangled)))]
            case 5:
                mangled[at:at] = rng.randbytes(rng.choice((1, 4, 32, 4096)))
        if len(mangled) < 16:
            break
    return bytes(mangled)


def other_value(holder: Any, rng: random.Random) -> None:
    """Put something odd in one place of a JSON value, at any depth."""
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key = rng.choice(keys)
    below = holder[key]
    if isinstance(below, (dict, list)) and below and rng.random() < 0.8:
        other_value(below, rng)
    elif rng.random() < 0.1:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(rng.choice(ODD))


def peft_files(folder: Path, rng: random.Random) -> None:
    """Spoil the settings, the header's values, or the bytes of a PEFT folder."""
    match rng.randrange(3):
        case 0:
            config = json.loads((folder / CONFIG).read_text())
            config |= {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"k_proj": 2}}
            read = {key: config.pop(key) for key in READ if key in config}
            for _ in range(rng.randint(1, 3)):
                other_value(read, rng)
            (folder / CONFIG).write_text(json.dumps(config | read))
        case 1:
            content = (folder / WEIGHTS).read_bytes()
            end = 8 + int.from_bytes(content[:8], "little")
            header = json.loads(content[8:end])
            for _ in range(rng.randint(1, 3)):
                other_value(header, rng)
            raw = json.dumps(header).encode()
            (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(raw)) + raw + content[end:])
        case 2:
            name = rng.choice((CONFIG, WEIGHTS))
            content = (folder / name).read_bytes()
            head = 8 + int.from_bytes(content[:8], "little") if name == WEIGHTS else len(content)
            (folder / name).write_bytes(damaged(content, head, rng))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, make_tiny: Callable[..., Path]) -> GGUFHeader:
    return read_header(make_tiny(tmp_path_factory.mktemp("base") / "base.gguf", "llama"))


def is_a_sentence(text: str) -> bool:
    return 20 < len(text) < 1500 and "\n" not in text and "Traceback" not in text


def bad_adapters(folder: Path, base: GGUFHeader, make_adapter: Any) -> Iterator[Callable[[], Any]]:
    """Two in three cases: a PEFT folder, or a GGUF adapter, and how it is read."""
    adapter = make_adapter(base)
    peft = write_peft(adapter, folder / "peft")
    whole = {name: (peft / name).read_bytes() for name in (CONFIG, WEIGHTS)}
    lora = write_gguf(adapter, base, folder / "adapter.gguf")
    content, head = lora.read_bytes(), read_header(lora).data_offset
    for case in range(2 * CASES // 3):
        rng = random.Random(f"adapter {case}")
        if case % 2:
            for name, original in whole.items():
                (peft / name).write_bytes(original)
            peft_files(peft, rng)
            yield lambda: read_adapter(peft, base, "1" * 64)
        else:
            lora.write_bytes(damaged(content, head, rng))
            yield lambda: read_gguf(lora, base)


def test_bad_adapters(base: GGUFHeader, make_adapter: Any, tmp_path: Path) -> None:
    said: dict[int, str] = {}
    for case, read in enumerate(bad_adapters(tmp_path, base, make_adapter)):
        try:
            adapter = read()
            tensors = placed(adapter, base)
        except PlumError as error:
            said[case] = str(error)
        except Exception as error:
            raise AssertionError(f"case {case}: {error!r}") from error
        else:
            assert all(np.isfinite(a).all() and np.isfinite(b).all() for a, b in tensors.values())
    assert [(case, text) for case, text in said.items() if not is_a_sentence(text)] == []
    assert 400 < len(said) < 2 * CASES // 3


def test_bad_models(base: GGUFHeader, tmp_path: Path) -> None:
    content = base.path.read_bytes()
    path = tmp_path / "model.gguf"
    said: dict[int, str] = {}
    for case in range(2 * CASES // 3, CASES):
        path.write_bytes(damaged(content, base.data_offset, random.Random(f"model {case}")))
        try:
            header = read_header(path)
            why_not(header)
        except PlumError as error:
            said[case] = str(error)
        except Exception as error:
            raise AssertionError(f"case {case}: {error!r}") from error
        else:
            size = path.stat().st_size
            assert all(t.offset + t.nbytes <= size for t in header.tensors.values())
    assert [(case, text) for case, text in said.items() if not is_a_sentence(text)] == []
    assert 200 < len(said) < CASES // 3
