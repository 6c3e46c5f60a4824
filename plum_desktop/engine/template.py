"""From chat messages to the token ids that a model reads: its own template and tokenizer.

The engine serves with this and the learning pipeline teaches with it, so that both see the
same prompts.  Worker side only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import WireMessage

if TYPE_CHECKING:
    from plum_desktop.engine.native import Model

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class ChatTemplate:
    """A model's Jinja template, in a sandbox, with what transformers gives to templates."""

    def __init__(self, source: str | None, bos: str = "", eos: str = "") -> None:
        """`source` None falls back to ChatML.  Raises PlumError for a template with an error."""
        import jinja2
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        self.fallback = source is None
        self._specials = {"bos_token": bos, "eos_token": eos}
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _generation_tag()]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = time.strftime
        try:
            self._template = environment.from_string(source or CHATML)
        except jinja2.TemplateError as error:
            raise PlumError(
                "The chat template of this model has an error ({error}); choose another model.",
                error=error,
            ) from error

    def render(self, messages: Sequence[WireMessage], add_generation_prompt: bool = True) -> str:
        """The prompt as text.  Raises PlumError for a conversation that the model cannot take.

        A template without a system role gets the system text before the first user message.
        """
        try:
            return self._render(messages, add_generation_prompt)
        except Exception as error:  # a template is a program: it can raise anything
            if len(messages) > 1 and messages[0]["role"] == "system":
                with contextlib.suppress(Exception):
                    return self._render(_without_system(messages), add_generation_prompt)
            raise PlumError(
                "This model's chat template refused the messages: {error}.", error=error
            ) from error

    def _render(self, messages: Sequence[WireMessage], add_generation_prompt: bool) -> str:
        return str(
            self._template.render(
                messages=list(messages),
                add_generation_prompt=add_generation_prompt,
                tools=None,
                documents=None,
                **self._specials,
            )
        )


class PromptTokenizer:
    """The tokenizer and template of one model, through llama.cpp."""

    def __init__(self, model: Model) -> None:
        from plum_desktop.engine.native import lib

        self._lib: Any = lib
        self._model = model
        self._vocab = model.vocab
        self.n_vocab = model.n_vocab
        self.bos = int(lib.llama_vocab_bos(self._vocab))  # -1: none
        self.eos = int(lib.llama_vocab_eos(self._vocab))
        turn = int(lib.llama_vocab_eot(self._vocab))
        self.end_of_turn = self.eos if turn < 0 else turn
        self.add_bos = bool(lib.llama_vocab_get_add_bos(self._vocab)) and self.bos >= 0
        self.template = ChatTemplate(
            model.chat_template, self._special_text(self.bos), self._special_text(self.eos)
        )

    def render(self, messages: Sequence[WireMessage], add_generation_prompt: bool = True) -> str:
        return self.template.render(messages, add_generation_prompt)

    def render_ids(
        self, messages: Sequence[WireMessage], add_generation_prompt: bool = True
    ) -> list[int]:
        """Token ids of a whole prompt, exactly what the engine evaluates."""
        return self.prompt_ids(self.render(messages, add_generation_prompt))

    def prompt_ids(self, text: str) -> list[int]:
        """Ids of a prompt that starts a sequence: control tokens parsed, BOS exactly once."""
        ids = self.ids(text, special=True)
        if self.add_bos and ids[:1] != [self.bos]:
            ids.insert(0, self.bos)
        return ids

    def ids(self, text: str, special: bool = False) -> list[int]:
        """Ids of a piece of text, no BOS; `special` reads control tokens' names as such."""
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        while True:
            tokens = (self._lib.llama_token * size)()
            count = self._lib.llama_tokenize(
                self._vocab, data, len(data), tokens, size, False, special
            )
            if count >= 0:
                return list(tokens[:count])
            size = -count

    def piece(self, token: int, special: bool = False) -> bytes:
        """The bytes of one token, which may be a part of a character; control tokens are empty."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = self._lib.llama_token_to_piece(self._vocab, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def text(self, ids: Sequence[int], special: bool = False) -> str:
        return b"".join(self.piece(token, special) for token in ids).decode("utf-8", "replace")

    def is_end(self, token: int) -> bool:
        """Whether the model says with `token` that it has finished."""
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    def close(self) -> None:
        self._model.close()

    def _special_text(self, token: int) -> str:
        if token < 0:
            return ""
        return bytes(self._lib.llama_vocab_get_text(self._vocab, token)).decode("utf-8", "replace")


def open_vocab(path: Path) -> PromptTokenizer:
    """The tokenizer and template of the model in `path`, without its weights."""
    from plum_desktop.engine.native import Model

    return PromptTokenizer(Model(path, vocab_only=True))


def _without_system(messages: Sequence[WireMessage]) -> list[WireMessage]:
    system, first, *rest = messages
    joined = f"{system['content']}\n\n{first['content']}"
    return [{"role": first["role"], "content": joined}, *rest]


def _raise(message: str) -> None:
    raise ValueError(message)


def _to_json(value: Any, indent: int | None = None, ensure_ascii: bool = False) -> str:
    # Jinja's own filter escapes HTML, which templates made for transformers do not expect.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _generation_tag() -> Any:
    """`{% generation %}` of transformers' templates, which marks text and changes none."""
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return Generation
