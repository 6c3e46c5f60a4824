"""llama.cpp itself: one model, one context, its KV cache and its adapters.  Worker side only.

Uses the low-level bindings, since the high-level `Llama` can neither swap an adapter nor stop
while it reads a prompt.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from llama_cpp import llama_cpp  # noqa: TID253  only workers import this module

from plum_desktop.base.errors import Cancelled, DamagedFile, PlumError
from plum_desktop.engine.modelfile import Header, read_header

# The bindings' own annotations do not hold for pointers and callbacks.
lib: Any = llama_cpp

_BATCH = 512
_SCORED_AT_ONCE = 128  # positions; each has as many logits as the vocabulary has tokens
_LOG_ERROR = 4
_ABORTED = 2
_CARD = 1  # of ggml_backend_dev_type: a graphics card, but none built into the processor
_NEVER_ABORT = lib.ggml_abort_callback(0)

_log_lines: deque[str] = deque(maxlen=20)


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_log(level: int, text: bytes, _: object) -> None:
    if level == _LOG_ERROR:
        _log_lines.append(text.decode("utf-8", "replace").strip())


lib.llama_log_set(_keep_log, ctypes.c_void_p(0))
lib.llama_backend_init()


def system() -> dict[str, Any]:
    """What llama.cpp has: `features` of the processor, whether `gpu`, `cards` (see there)."""
    said = lib.llama_print_system_info().decode("utf-8", "replace")
    return {
        "features": re.findall(r"(\w+) = 1", said),
        "gpu": bool(lib.llama_supports_gpu_offload()),
        "cards": cards(),
    }


def cards() -> list[int]:
    """Memory in bytes of each graphics card with its own that a model is put on."""
    if sys.platform == "darwin" or not lib.llama_supports_gpu_offload():
        return []  # Metal's memory is the processor's
    ggml: Any = lib._lib
    if not hasattr(ggml, "ggml_backend_dev_count"):  # Windows looks in no other library
        ggml = ctypes.CDLL(str(Path(lib.__file__).parent / "lib" / "ggml.dll"))
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    found = []
    for at in range(ggml.ggml_backend_dev_count()):
        device = ctypes.c_void_p(ggml.ggml_backend_dev_get(ctypes.c_size_t(at)))
        if ggml.ggml_backend_dev_type(device) == _CARD:
            free, total = ctypes.c_size_t(), ctypes.c_size_t()
            ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
            found.append(total.value)
    return found


class Model:
    """A GGUF model's weights, or its vocabulary and metadata alone."""

    def __init__(
        self,
        path: Path,
        *,
        header: Header | None = None,
        vocab_only: bool = False,
        on_cards: bool = True,
        on_progress: Callable[[float], bool] | None = None,
    ) -> None:
        """Open `path`, whose `header` may have been read already.

        `on_cards` puts it on the graphics cards, all of it, where llama.cpp can use any.
        `on_progress` gets 0..1 and returns False to give up.  Raises PlumError or DamagedFile
        with the reason in words, or Cancelled.
        """
        self.path = path
        self.header = header or read_header(path)
        if self.header.kind != "model":
            raise PlumError(
                "{name} is not a model but of type {kind!r}.", name=path.name, kind=self.header.kind
            )
        gave_up = False

        @lib.llama_progress_callback  # type: ignore[untyped-decorator]
        def progress(fraction: float, _: object) -> bool:
            nonlocal gave_up
            gave_up = gave_up or (on_progress is not None and not on_progress(fraction))
            return not gave_up

        params = lib.llama_model_default_params()
        params.vocab_only = vocab_only
        if not on_cards:
            params.n_gpu_layers = 0  # the default is all
        params.progress_callback = progress
        _log_lines.clear()
        self.handle = lib.llama_model_load_from_file(str(path).encode(), params)
        if gave_up:
            self.close()
            raise Cancelled
        if not self.handle:
            raise _load_error(path)
        self.vocab = lib.llama_model_get_vocab(self.handle)
        if not vocab_only and not lib.llama_model_has_decoder(self.handle):
            self.close()
            raise PlumError("{name} does not write text; choose a chat model.", name=path.name)

    @property
    def n_ctx_train(self) -> int:
        return int(lib.llama_model_n_ctx_train(self.handle))

    @property
    def n_vocab(self) -> int:
        return int(lib.llama_vocab_n_tokens(self.vocab))

    @property
    def chat_template(self) -> str | None:
        text = lib.llama_model_chat_template(self.handle, None)
        return text.decode("utf-8", "replace") if text else None

    def metadata(self, key: str) -> str | None:
        """One metadata value as text; None where there is none."""
        name = key.encode()
        size = lib.llama_model_meta_val_str(self.handle, name, None, 0)
        if size < 0:
            return None
        buffer = ctypes.create_string_buffer(size + 1)
        lib.llama_model_meta_val_str(self.handle, name, buffer, size + 1)
        return buffer.value.decode("utf-8", "replace")

    def close(self) -> None:
        if self.handle:
            lib.llama_model_free(self.handle)
            self.handle = None


class Context:
    """A model's working memory: evaluates tokens, keeps what it has read, holds the adapter."""

    def __init__(self, model: Model, n_ctx: int, threads: int) -> None:
        """`n_ctx` tokens (0: as many as the model was made for).  Raises PlumError."""
        self.model = model
        self.n_ctx = min(n_ctx or model.n_ctx_train, model.n_ctx_train)
        self.n_batch = min(self.n_ctx, _BATCH)
        params = lib.llama_context_default_params()
        params.n_ctx = self.n_ctx
        params.n_batch = params.n_ubatch = self.n_batch
        params.n_threads = params.n_threads_batch = threads
        # As llama-cpp-python's own server, so that an exported model answers the same there.
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        # llama.cpp fills the whole cache at once, and a system that overcommits would kill us.
        fits = self._cache_bytes() < psutil.virtual_memory().available
        self.handle = lib.llama_init_from_model(model.handle, params) if fits else None
        if not self.handle:
            raise PlumError(
                "There is not enough memory for {name} with a context of {n_ctx} tokens; choose "
                "a smaller context or model, or close other programs.",
                name=model.path.name,
                n_ctx=self.n_ctx,
            )
        self._memory = lib.llama_get_memory(self.handle)
        self._batch = lib.llama_batch_init(self.n_batch, 0, 1)
        self._adapter: Any = None
        self._kept: list[int] = []  # the tokens whose keys and values the cache holds
        self._should_stop: Callable[[], bool] = lambda: False
        self._abort = lib.ggml_abort_callback(lambda _: self._should_stop())

    def _cache_bytes(self) -> int:
        """What keys and values of a full context take, two bytes a number."""
        model, arch = self.model.handle, self.model.header.architecture
        heads = lib.llama_model_n_head_kv(model)
        width = lib.llama_model_n_embd(model) // max(1, lib.llama_model_n_head(model))
        sizes = (
            self.model.metadata(f"{arch}.attention.{which}_length") for which in ("key", "value")
        )
        per_token = (
            sum(int(size or width) for size in sizes) * heads * lib.llama_model_n_layer(model)
        )
        return int(per_token * self.n_ctx * 2)

    def reset(self) -> None:
        """Forget every token read, and every number: a broken adapter's NaN would live on."""
        self._kept = []
        lib.llama_memory_clear(self._memory, True)

    def read(self, ids: Sequence[int], should_stop: Callable[[], bool]) -> int:
        """Evaluate `ids` so that the next token can be sampled; returns how many were computed.

        What the cache already holds of a common beginning is kept.  Raises Cancelled, within
        a fraction of a batch, once `should_stop` says so.
        """
        start = self._keep_common(ids, len(ids) - 1)
        for at in range(start, len(ids), self.n_batch):
            self._decode(ids[at : at + self.n_batch], 0, should_stop)
        return len(ids) - start

    def step(self, token: int) -> None:
        """Evaluate one more token."""
        self._decode([token], 0, None)

    def scores(
        self, ids: Sequence[int], first: int, should_stop: Callable[[], bool]
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the logits that follow positions `first`.. of `ids`, as (rows, n_vocab) blocks.

        A block is float32 and valid until the next one is asked for.  A beginning that the
        cache holds is computed only from `first` on.
        """
        at = self._keep_common(ids, first)
        while at < len(ids):
            # Before `first` no logits are wanted, hence whole batches.
            room = min(self.n_batch, first - at if at < first else _SCORED_AT_ONCE)
            chunk = ids[at : at + room]
            wanted = len(chunk) if at >= first else 0
            self._decode(chunk, wanted, should_stop)
            at += len(chunk)
            if wanted:
                pointer = lib.llama_get_logits(self.handle)
                yield np.ctypeslib.as_array(pointer, shape=(wanted, self.model.n_vocab))

    def last_logits(self) -> npt.NDArray[np.float32]:
        """Logits after the last evaluated token, shape (n_vocab,); valid until the next one."""
        pointer = lib.llama_get_logits_ith(self.handle, -1)
        return np.ctypeslib.as_array(pointer, shape=(self.model.n_vocab,))

    def _keep_common(self, ids: Sequence[int], most: int) -> int:
        """Cut the cache back to what it shares with `ids`, at most `most` tokens; its length."""
        common = 0
        for kept, wanted in zip(self._kept, ids[:most], strict=False):
            if kept != wanted:
                break
            common += 1
        return self._cut(common)

    def _cut(self, length: int) -> int:
        """Keep the first `length` tokens of the cache; some kinds of model can only keep none."""
        if lib.llama_memory_seq_rm(self._memory, 0, length, -1):
            del self._kept[length:]
        else:
            self.reset()
        return len(self._kept)

    def _decode(
        self, ids: Sequence[int], outputs: int, should_stop: Callable[[], bool] | None
    ) -> None:
        """Evaluate `ids` after the cache; logits of the last `outputs` tokens, at least one."""
        batch, count, past = self._batch, len(ids), len(self._kept)
        batch.n_tokens = count
        for i, token in enumerate(ids):
            batch.token[i] = token
            batch.pos[i] = past + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i >= count - max(outputs, 1)
        if should_stop is None:
            # One token is soon done, and asking Python at every graph node would slow it.
            lib.llama_set_abort_callback(self.handle, _NEVER_ABORT, None)
        else:
            self._should_stop = should_stop
            lib.llama_set_abort_callback(self.handle, self._abort, None)
        code = lib.llama_decode(self.handle, batch)
        if code == _ABORTED:
            self._cut(past)
            raise Cancelled
        if code:
            self._cut(past)
            raise MemoryError(f"llama_decode returned {code}")
        self._kept.extend(ids)

    def set_adapter(self, path: Path | None, scale: float = 1.0) -> None:
        """Serve with the LoRA in `path`, or with none.  The cache is forgotten.

        Raises PlumError or DamagedFile, and then serves on as before.
        """
        fresh = self._open_adapter(path) if path else None
        adapters = (lib.llama_adapter_lora_p_ctypes * 1)(fresh) if fresh else None
        scales = (ctypes.c_float * 1)(scale)
        count = 1 if fresh else 0
        if lib.llama_set_adapters_lora(self.handle, adapters, count, scales):
            if fresh:
                lib.llama_adapter_lora_free(fresh)
            raise PlumError("The adapter {path} could not be applied; learn it again.", path=path)
        if self._adapter:
            lib.llama_adapter_lora_free(self._adapter)
        self._adapter = fresh
        self.reset()

    def _open_adapter(self, path: Path) -> Any:
        header = read_header(path)
        if header.kind != "adapter":
            raise PlumError(
                "{name} is not an adapter but of type {kind!r}.", name=path.name, kind=header.kind
            )
        other = PlumError(
            "The adapter {name} was made for another model than {path_name}.",
            name=path.name,
            path_name=self.model.path.name,
        )
        if header.architecture != self.model.header.architecture:
            raise other
        _log_lines.clear()
        # A failure is a NULL pointer object, which `is None` does not see.
        adapter = lib.llama_adapter_lora_init(self.model.handle, str(path).encode())
        if not adapter:
            raise other
        return adapter

    def close(self) -> None:
        if not self.handle:
            return
        lib.llama_set_adapters_lora(self.handle, None, 0, None)
        if self._adapter:
            lib.llama_adapter_lora_free(self._adapter)
            self._adapter = None
        lib.llama_batch_free(self._batch)
        lib.llama_free(self.handle)
        self.handle = None


def _load_error(path: Path) -> PlumError:
    """The reason why llama.cpp refused `path`, picked from what it logged."""
    said = "\n".join(_log_lines)
    if found := re.search(r"unknown (?:model architecture|pre-tokenizer type): '([^']*)'", said):
        return PlumError(
            "{name} is of a kind ({found}) that this version of Plum Desktop cannot run; choose "
            "another model.",
            name=path.name,
            found=found[1],
        )
    if re.search(r"allocate|insufficient memory|bad_alloc|out of memory|mmap failed", said):
        return PlumError(
            "There is not enough memory for {name}; choose a smaller model or close other "
            "programs.",
            name=path.name,
        )
    if "not within the file bounds" in said or "failed to read" in said:
        return DamagedFile("{name} is incomplete; get the file again.", name=path.name)
    return DamagedFile(
        "{name} cannot be run ({said}); choose another model.", name=path.name, said=_reason(said)
    )


def _reason(said: str) -> str:
    """The last error that says more than that loading failed."""
    reasons = re.findall(r"error loading model: (.+)", said)
    return reasons[-1] if reasons else "llama.cpp gives no reason"
