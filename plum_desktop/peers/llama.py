"""llama-cpp-python's own loop, with nothing of ours around it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any


class BareLlama:
    """One model, loaded as our engine loads it."""

    def __init__(self, path: str, n_ctx: int, threads: int) -> None:
        from llama_cpp import Llama

        self._llama: Any = Llama(
            path, n_ctx=n_ctx, n_batch=512, n_ubatch=512, n_threads=threads,
            n_threads_batch=threads, flash_attn=False, verbose=False,
        )  # fmt: skip

    def generate(self, prompt: Sequence[int], tokens: int) -> dict[str, Any]:
        """Read `prompt` anew and write `tokens` tokens on, the likeliest ones, as text.

        Returns `ids`, `first_s` until the first of them and `seconds` for all.
        """
        self._llama.reset()
        began = time.perf_counter()
        first, ids, text = 0.0, [], b""
        for token in self._llama.generate(list(prompt), temp=0.0, reset=False):
            first = first or time.perf_counter() - began
            ids.append(token)
            text += self._llama.detokenize([token])
            if len(ids) == tokens:
                break
        return {"ids": ids, "first_s": first, "seconds": time.perf_counter() - began}
