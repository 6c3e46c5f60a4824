"""Text, token by token: sampling, grammar, stop words, whole characters.  Worker side only."""

from __future__ import annotations

import codecs
import ctypes
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.engine.native import Context, lib
from plum_desktop.engine.template import PromptTokenizer

_PENALTY_WINDOW = 64  # tokens that a repeat penalty looks back on
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; temperature 0 takes the likeliest."""

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    seed: int | None = None
    grammar: str | None = None  # GBNF, rule "root"


@dataclass(frozen=True, slots=True)
class Generated:
    text: str
    finish_reason: Literal["stop", "length"]
    tokens: int
    evaluated: int  # tokens of the prompt that the cache did not hold
    first_token_s: float
    seconds: float


class Sampler:
    """A chain of llama.cpp's samplers, and a grammar if one is asked for.  Close it."""

    def __init__(self, context: Context, sampling: Sampling) -> None:
        self._context = context
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        self._grammar = self._open_grammar(sampling.grammar) if sampling.grammar else None
        add = self._add
        if sampling.repeat_penalty != 1.0:
            penalty = sampling.repeat_penalty
            add(lib.llama_sampler_init_penalties(_PENALTY_WINDOW, penalty, 0.0, 0.0))
        if sampling.temperature <= 0:
            add(lib.llama_sampler_init_greedy())
            return
        add(lib.llama_sampler_init_top_k(sampling.top_k))
        add(lib.llama_sampler_init_top_p(sampling.top_p, 1))
        add(lib.llama_sampler_init_min_p(sampling.min_p, 1))
        add(lib.llama_sampler_init_temp(sampling.temperature))
        seed = secrets.randbits(31) if sampling.seed is None else sampling.seed & 0x7FFFFFFF
        add(lib.llama_sampler_init_dist(seed))

    def _add(self, sampler: Any) -> None:
        lib.llama_sampler_chain_add(self._chain, sampler)

    def _open_grammar(self, text: str) -> Any:
        grammar = lib.llama_sampler_init_grammar(self._context.model.vocab, text.encode(), b"root")
        if not grammar:
            raise PlumError("The grammar of this request has an error.")
        return grammar

    def next(self) -> int:
        """The next token after what the context has read."""
        if not self._grammar:
            return int(lib.llama_sampler_sample(self._chain, self._context.handle, -1))
        # A grammar is slow over a whole vocabulary: first see whether it allows the token
        # that the chain would choose anyway (as llama.cpp's common_sampler does).
        token = self._choose(masked=False)
        if not self._allows(token):
            token = self._choose(masked=True)
        lib.llama_sampler_accept(self._grammar, token)
        lib.llama_sampler_accept(self._chain, token)
        return token

    def _choose(self, *, masked: bool) -> int:
        logits = self._context.last_logits()
        candidates = np.empty(len(logits), _CANDIDATE)
        candidates["id"] = np.arange(len(logits))
        candidates["logit"] = logits
        candidates["p"] = 0
        array = _array(candidates)
        if masked:
            lib.llama_sampler_apply(self._grammar, ctypes.byref(array))
        lib.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(array.data[array.selected].id)

    def _allows(self, token: int) -> bool:
        candidate = np.array([(token, 1.0, 0.0)], _CANDIDATE)
        array = _array(candidate)
        lib.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return bool(np.isfinite(candidate["logit"][0]))

    def close(self) -> None:
        lib.llama_sampler_free(self._chain)
        if self._grammar:
            lib.llama_sampler_free(self._grammar)


def _array(candidates: Any) -> Any:
    """llama.cpp's view of `candidates`, which must outlive it."""
    return lib.llama_token_data_array(
        data=candidates.ctypes.data_as(lib.llama_token_data_p),
        size=len(candidates),
        selected=-1,
        sorted=False,
    )


class StopWords:
    """Passes text on as it comes, up to the first of some stop words."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = [word for word in words if word]
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """What of the text so far can be shown; an unfinished stop word is held back."""
        self._held += text
        places = [at for word in self._words if (at := self._held.find(word)) >= 0]
        if places:
            self.found = True
            shown, self._held = self._held[: min(places)], ""
            return shown
        begun = (word[:size] for word in self._words for size in range(1, len(word)))
        unsure = max((len(start) for start in begun if self._held.endswith(start)), default=0)
        cut = len(self._held) - unsure
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def rest(self) -> str:
        """What was held back, now that the text has ended."""
        shown, self._held = self._held, ""
        return shown


def generate(
    context: Context,
    tokenizer: PromptTokenizer,
    prompt: Sequence[int],
    *,
    max_tokens: int,
    sampling: Sampling,
    stop: Sequence[str],
    on_text: Callable[[str], None],
    should_stop: Callable[[], bool],
) -> Generated:
    """Write on after `prompt` until the model ends, a stop word comes or no room is left.

    `on_text` gets whole characters.  Raises Cancelled.
    """
    began = time.monotonic()
    first_token = 0.0
    sampler = Sampler(context, sampling)
    try:
        evaluated = context.read(prompt, should_stop)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        words = StopWords(stop)
        pieces: list[str] = []

        def show(text: str) -> None:
            if text:
                pieces.append(text)
                on_text(text)

        reason: Literal["stop", "length"] = "length"
        count = 0
        room = min(max_tokens, context.n_ctx - len(prompt))
        while count < room:
            if should_stop():
                raise Cancelled
            token = sampler.next()
            count += 1
            first_token = first_token or time.monotonic() - began
            if tokenizer.is_end(token):
                reason = "stop"
                break
            show(words.feed(decoder.decode(tokenizer.piece(token))))
            if words.found:
                reason = "stop"
                break
            if count < room:
                context.step(token)
        if not words.found:
            show(words.feed(decoder.decode(b"", final=True)) + words.rest())
        seconds = time.monotonic() - began
        return Generated("".join(pieces), reason, count, evaluated, first_token, seconds)
    finally:
        sampler.close()
