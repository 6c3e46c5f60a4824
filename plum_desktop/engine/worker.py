"""The engine process: requests on stdin, llama.cpp behind them.  See `base.wire`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plum_desktop.base import sealing, wire
from plum_desktop.base.cores import usable_cores
from plum_desktop.base.errors import PlumError
from plum_desktop.base.files import FileLock
from plum_desktop.base.wire import Request
from plum_desktop.engine.fitting import Fitted, fit

if TYPE_CHECKING:
    from plum_desktop.base.types import WireMessage
    from plum_desktop.engine.modelfile import Header
    from plum_desktop.engine.native import Context
    from plum_desktop.engine.template import PromptTokenizer

# A long conversation is fitted so that at least this share of the context is left to answer.
_REPLY_SHARE = 4


class Engine:
    """What is loaded, and the requests that it answers.  One method a request."""

    def __init__(self) -> None:
        self._context: Context | None = None
        self._tokenizer: PromptTokenizer | None = None
        self._adapter: str | None = None
        self._busy: FileLock | None = None

    def load(self, request: Request) -> dict[str, Any]:
        from plum_desktop.engine.modelfile import read_header
        from plum_desktop.engine.native import cards

        args = request.args
        path = Path(args["path"])
        header = read_header(path)  # refuse a bad file while the model before it still serves
        self._unload()
        busy = args.get("busy_lock")
        self._busy = FileLock(Path(busy)) if busy else None

        said = -1.0

        def on_progress(fraction: float) -> bool:
            nonlocal said
            if fraction - said >= 0.01 or fraction == 1.0:
                said = fraction
                request.progress(fraction, "Loading the model")
            return not request.cancelled.is_set()

        try:
            self._open(request, header, on_progress, on_cards=True)
        except PlumError:
            if not cards():
                raise
            said = -1.0  # it did not fit on the graphics cards; the processor's memory may do
            self._open(request, header, on_progress, on_cards=False)
        return self.info(request)

    def _open(
        self,
        request: Request,
        header: Header,
        on_progress: Callable[[float], bool],
        *,
        on_cards: bool,
    ) -> None:
        from plum_desktop.engine.native import Context, Model
        from plum_desktop.engine.template import PromptTokenizer

        args = request.args
        path = Path(args["path"])
        model = Model(path, header=header, on_cards=on_cards, on_progress=on_progress)
        try:
            tokenizer = PromptTokenizer(model)
            context = Context(model, args.get("n_ctx", 0), args.get("threads") or usable_cores())
        except BaseException:
            model.close()
            raise
        self._tokenizer, self._context = tokenizer, context

    def system(self, _: Request) -> dict[str, Any]:
        from plum_desktop.engine.native import system

        return system()

    def info(self, _: Request) -> dict[str, Any]:
        if self._context is None or self._tokenizer is None:
            return {"path": None}
        model = self._context.model
        return {
            "path": str(model.path),
            "adapter": self._adapter,
            "n_ctx": self._context.n_ctx,
            "n_ctx_train": model.n_ctx_train,
            "architecture": model.header.architecture,
            "vocab": model.n_vocab,
            "template": not self._tokenizer.template.fallback,
            "bos": self._tokenizer.bos,
            "eos": self._tokenizer.eos,
            "end_of_turn": self._tokenizer.end_of_turn,
        }

    def adapter(self, request: Request) -> None:
        path = request.args.get("path")
        context, scale = self._loaded()[0], request.args.get("scale", 1.0)
        if path is None:
            context.set_adapter(None, scale)
        else:
            # Where the folder is sealed, it is a plain file only while it loads.
            with sealing.plain_path(Path(path)) as plain:
                context.set_adapter(plain, scale)
        self._adapter = path

    def chat(self, request: Request) -> dict[str, Any]:
        tokenizer = self._loaded()[1]
        # Of what was said, so the names of control tokens in it are words.
        begun = tokenizer.ids(request.args.get("begun", ""))
        if len(begun) > self._limit(request) // 2:
            raise PlumError("This reply is too long for the context to be gone on with.")
        fitted = self._fitted(request, self._limit(request) - len(begun))
        prompt = [*tokenizer.render_ids(fitted.messages), *begun]
        return {**self._generate(request, prompt), "dropped_turns": fitted.dropped}

    def measure(self, request: Request) -> dict[str, Any]:
        messages, limit = _messages(request), self._limit(request)
        head = [messages[0]] if len(messages) > 1 and messages[0]["role"] == "system" else []
        last = self._count([*head, messages[-1]])
        if last > limit:  # it would be cut; where, is not asked
            tokens, dropped = limit, len(messages) - len(head) - 1
        else:
            fitted = self._fitted(request, limit)
            tokens, dropped = self._count(fitted.messages), fitted.dropped
        return {
            "tokens": tokens,
            "dropped": dropped,
            "last": last,
            "limit": limit,
            "n_ctx": self._loaded()[0].n_ctx,
        }

    def _limit(self, request: Request) -> int:
        """The longest prompt that leaves room to answer."""
        n_ctx, wanted = self._loaded()[0].n_ctx, int(request.args["max_tokens"])
        return n_ctx - max(1, min(wanted, n_ctx // _REPLY_SHARE))

    def _count(self, messages: Sequence[WireMessage]) -> int:
        return len(self._loaded()[1].render_ids(messages))

    def _fitted(self, request: Request, limit: int) -> Fitted:
        return fit(_messages(request), limit, self._count)

    def complete(self, request: Request) -> dict[str, Any]:
        prompt = self._loaded()[1].prompt_ids(request.args["prompt"])
        return self._generate(request, prompt)

    def _generate(self, request: Request, prompt: list[int]) -> dict[str, Any]:
        from plum_desktop.engine.generation import Sampling, generate

        context, tokenizer = self._loaded()
        if not 0 < len(prompt) < context.n_ctx:
            raise PlumError(
                "A prompt of {prompt} tokens does not fit the context of {n_ctx}.",
                prompt=len(prompt),
                n_ctx=context.n_ctx,
            )
        args = request.args
        known = Sampling.__dataclass_fields__
        with self._busy_while() as keep_busy:

            def should_stop() -> bool:
                keep_busy()
                return request.cancelled.is_set()

            done = generate(
                context,
                tokenizer,
                prompt,
                max_tokens=args["max_tokens"],
                sampling=Sampling(**{key: args[key] for key in known if key in args}),
                stop=args.get("stop", ()),
                on_text=lambda text: request.emit("token", text=text),
                should_stop=should_stop,
            )
        return {
            "text": done.text,
            "finish_reason": done.finish_reason,
            "prompt_tokens": len(prompt),
            "completion_tokens": done.tokens,
            "evaluated_tokens": done.evaluated,
            "first_token_s": round(done.first_token_s, 4),
            "seconds": round(done.seconds, 4),
        }

    def count(self, request: Request) -> dict[str, Any]:
        tokenizer = self._loaded()[1]
        if "text" in request.args:
            return {"tokens": len(tokenizer.ids(request.args["text"]))}
        return {"tokens": len(tokenizer.render_ids(_messages(request)))}

    def tokenize(self, request: Request) -> dict[str, Any]:
        special = request.args.get("special", False)
        return {"ids": self._loaded()[1].ids(request.args["text"], special)}

    def render(self, request: Request) -> dict[str, Any]:
        generation = request.args.get("add_generation_prompt", True)
        return {"ids": self._loaded()[1].render_ids(_messages(request), generation)}

    def logits(self, request: Request) -> dict[str, Any]:
        from plum_desktop.engine.scoring import write_logits

        return {"positions": write_logits(*self._scoring(request))}

    def topk(self, request: Request) -> dict[str, Any]:
        from plum_desktop.engine.scoring import write_topk

        context, rows, *others = self._scoring(request)
        return {"positions": write_topk(context, rows, request.args["k"], *others)}

    def _scoring(self, request: Request) -> Any:
        rows = request.args["rows"]
        first = request.args.get("from_position") or [0] * len(rows)

        def on_row(done: int) -> None:
            request.progress(done / len(rows))

        out = Path(request.args["out"])
        return self._loaded()[0], rows, out, first, on_row, request.cancelled.is_set

    def _loaded(self) -> tuple[Context, PromptTokenizer]:
        if self._context is None or self._tokenizer is None:
            raise PlumError("No model is loaded; choose one first.")
        return self._context, self._tokenizer

    def _unload(self) -> None:
        if self._context is not None:
            self._context.close()
            self._context.model.close()
        self._context = self._tokenizer = self._adapter = None

    @contextlib.contextmanager
    def _busy_while(self) -> Iterator[Any]:
        """Hold the busy lock, so that training gives way.

        Yields a function to call often: another process that generates, or one that looks
        whether somebody does, may hold the lock at first.
        """
        lock = self._busy
        if lock is None:
            yield lambda: None
            return
        try:
            yield lock.try_acquire
        finally:
            lock.release()


def _messages(request: Request) -> list[WireMessage]:
    messages: list[WireMessage] = request.args["messages"]
    if not messages:
        raise PlumError("There is no message to answer.")
    return messages


def main() -> None:
    """Serve requests until the parent is gone."""
    stdout = wire.claim_stdout()
    engine = Engine()
    names = (
        "load",
        "system",
        "info",
        "adapter",
        "chat",
        "complete",
        "measure",
        "count",
        "tokenize",
        "render",
        "logits",
        "topk",
    )
    wire.serve("engine", {name: getattr(engine, name) for name in names}, stdout)
