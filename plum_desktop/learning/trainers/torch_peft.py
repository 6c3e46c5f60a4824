"""The torch + peft trainer.  The base is frozen in bf16 where that computes faster."""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional

from plum_desktop.adapters.lora import LoraAdapter
from plum_desktop.adapters.names import adaptable_modules, kind_of
from plum_desktop.adapters.peft_format import read_peft, write_peft
from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.files import atomic_write, open_file
from plum_desktop.base.sealing import seal_of
from plum_desktop.learning.packing import Packs, pack
from plum_desktop.learning.recipe import Recipe
from plum_desktop.learning.rows import Row
from plum_desktop.learning.trainers import StepResult, torch_attention
from plum_desktop.learning.trainers.torch_gguf import load_base
from plum_desktop.models.fit import Hold, Shape, choose_hold, memory
from plum_desktop.models.header import GGUFHeader, read_header

log = logging.getLogger(__name__)

_TRIED = (512, 640, 1536)  # a product by which number types are compared: some tens of ms
_TRIES = 6
_FASTER = 1.3  # so that a busy machine's noise does not decide
_LONGEST = 512  # tokens of a pack whose every place is set against every other
_MOST_SHARES = 4  # of a step's rows: there are few, and some are long
# Where products of bf16 are compiled for every new shape, a few shapes: tokens of a pack, and
# places of the vocabulary's layer, are padded to a multiple of so many.
_FEW_SHAPES = (32, 64)


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@functools.cache
def best_dtype(device: torch.device) -> torch.dtype:
    """bf16 where products of it are faster; elsewhere fp32.

    That a processor has bf16 does not say so: of two that have, one took a quarter of fp32's
    time, the other twice as much.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return torch.float32  # emulated
    fp32, bf16 = (product_seconds(dtype, *_TRIED) for dtype in (torch.float32, torch.bfloat16))
    return torch.bfloat16 if fp32 > _FASTER * bf16 else torch.float32


def product_seconds(dtype: torch.dtype, rows: int, width: int, columns: int) -> float:
    """Of one matrix product, the best of a few.  Draws no number, lest seeds mean another run."""
    a, b = torch.ones(rows, width, dtype=dtype), torch.ones(width, columns, dtype=dtype)
    seconds = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def best_hold(header: GGUFHeader, device: torch.device, dtype: torch.dtype) -> Hold:
    """How to hold the GGUF's weights in the memory that is free now."""
    on_gpu = device.type == "cuda"
    available = torch.cuda.mem_get_info(device)[0] if on_gpu else memory().available
    hold, reason = choose_hold(Shape.of(header), available, dtype.itemsize)
    if hold != "floats":
        log.warning("the model is held as %r, which is slower: %s", hold, reason)
    return hold


Gradients = tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """What the sums of a step's shares are divided by: its weights' sum, and its anchors."""

    weight: float
    anchors: int


@dataclass(frozen=True, slots=True)
class Part:
    """A share's part of a step's loss and drift, and of the gradients by `TorchTrainer.live`, of
    which there are none where nothing is supervised.
    """

    loss: float
    drift: float
    gradients: Gradients


def shares(rows: Sequence[Row], most: int) -> list[list[Row]]:
    """`rows` in at most `most` parts with about as many tokens each."""
    parts: list[list[Row]] = [[] for _ in range(most)]
    tokens = [0] * most
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        least = tokens.index(min(tokens))
        parts[least].append(row)
        tokens[least] += len(row.ids)
    return [part for part in parts if part]


class TorchTrainer:
    """See `trainers.Trainer`."""

    def __init__(
        self,
        model: Path,
        recipe: Recipe,
        parent: Path | None = None,
        threads: int | None = None,
        hold: Hold | None = None,
    ) -> None:
        """Load `model` (GGUF) and a fresh LoRA, or the one in the PEFT folder `parent`.

        `hold`: None for what fits the memory that is free now.
        """
        if threads:
            torch.set_num_threads(threads)
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.device = best_device()
        self.dtype = best_dtype(self.device)
        header = read_header(model)
        self.hold = hold or best_hold(header, self.device, self.dtype)
        base = load_base(model, self.dtype, packed=self.hold != "floats").to(self.device)
        on_cpu = self.device.type == "cpu"
        if on_cpu:
            torch_attention.register()
            base.set_attn_implementation(torch_attention.NAME)
        # Cores that share out every product of a small model wait for one another more than they
        # work; so each has rows of its own.  What is not held as floats would be unpacked by each.
        cores = torch.get_num_threads()
        self._shares = min(cores, _MOST_SHARES) if on_cpu and self.hold == "floats" else 1
        each = cores // self._shares
        torch.set_num_threads(each)
        self._pool = ThreadPoolExecutor(_MOST_SHARES, "share", torch.set_num_threads, (each,))
        self._longest = None if on_cpu else _LONGEST
        self._multiples = (1, 1) if on_cpu and self.dtype == torch.float32 else _FEW_SHAPES
        if self.hold == "frugal":
            base.gradient_checkpointing_enable({"use_reentrant": False})
        adapter = read_peft(parent) if parent else None
        config = LoraConfig(
            # An adapter that is taught more keeps its numbers, whatever the recipe says by now.
            r=adapter.rank if adapter else recipe.rank,
            lora_alpha=adapter.alpha if adapter else recipe.alpha,
            target_modules=sorted({kind_of(module) for module in adaptable_modules(header)}),
            task_type="CAUSAL_LM",
            base_model_name_or_path=model.name,
        )
        self.model = get_peft_model(base, config, autocast_adapter_dtype=False)
        if adapter:
            self._load_adapter(adapter)
        # The adapter computes in the base's type; the optimizer keeps its own fp32 copy.
        self.live = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.master = {n: p.detach().float().clone() for n, p in self.live.items()}
        for name, parameter in self.live.items():
            parameter.data = parameter.data.to(self.dtype)
            self.master[name].grad = torch.zeros_like(self.master[name])
        self.optimizer = torch.optim.AdamW(
            list(self.master.values()), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )

    def step(self, rows: Sequence[Row], learning_rate: float) -> StepResult:
        packs = [
            pack(part, self._longest, self._multiples[0]) for part in shares(rows, self._shares)
        ]
        whole = Whole(
            sum(float(each.weight.sum()) for each in packs),
            sum(len(each.anchors) for each in packs),
        )
        others = [self._pool.submit(self._share, each, whole) for each in packs[1:]]
        try:
            parts = [self._share(packs[0], whole)]
        finally:
            wait(others)
        parts += [one.result() for one in others]
        self._apply([part.gradients for part in parts], learning_rate)
        return StepResult(
            sum(part.loss for part in parts),
            sum(part.drift for part in parts),
            sum(int((each.block >= 0).sum()) for each in packs),
        )

    def _share(self, packs: Packs, whole: Whole) -> Part:
        """What some of a step's rows make of its loss, and of the adapter's gradients."""
        taught, anchored = self._outputs(packs)
        loss = drift = 0.0
        total = taught.new_zeros(())
        if len(packs.source):
            value, unlearned = self._cross_entropy(taught, packs)
            loss, total = value.item() / whole.weight, total + unlearned / whole.weight
        if len(packs.anchors):
            value = _divergence(anchored, packs) / whole.anchors
            drift, total = value.item(), total + self.recipe.anchor_weight * value
        if not total.requires_grad:
            return Part(loss, drift, ())
        return Part(loss, drift, torch.autograd.grad(total, list(self.live.values())))

    def _apply(self, parts: Sequence[Gradients], learning_rate: float) -> None:
        for master in self.master.values():
            assert master.grad is not None
            master.grad.zero_()
        for part in parts:
            for master, gradient in zip(self.master.values(), part, strict=False):
                assert master.grad is not None
                master.grad.add_(gradient)
        torch.nn.utils.clip_grad_norm_(list(self.master.values()), self.recipe.gradient_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        for name, parameter in self.live.items():
            parameter.data.copy_(self.master[name])

    def _hidden(self, packs: Packs) -> torch.Tensor:
        """Last hidden states of a batch of packs, flat: (B * L, width)."""
        by_row = self._longest is None
        seen = {"spans": packs.spans(0)} if by_row else {"attention_mask": self._masks(packs)}
        output = self.model.get_base_model().model(
            input_ids=torch.from_numpy(packs.ids).to(self.device),
            position_ids=torch.from_numpy(packs.positions).to(self.device),
            use_cache=False,
            **seen,
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden.flatten(0, 1)

    def _masks(self, packs: Packs) -> Any:
        """What is added to attention: of a model whose layers differ, by the kind of layer."""
        config, mask = self.model.config, self._mask(packs)
        if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
            near = self._mask(packs, config.sliding_window)
            return {"full_attention": mask, "sliding_attention": near}
        return mask

    def _mask(self, packs: Packs, window: int | None = None) -> torch.Tensor:
        """(B, 1, L, L): what is added to attention, nothing where it may look."""
        visible = torch.from_numpy(packs.visible(window)).to(self.device)
        # A padded place sees itself, lest its softmax divide by nothing.
        visible |= torch.eye(visible.shape[1], dtype=torch.bool, device=self.device)
        bias = torch.zeros(visible.shape, dtype=self.dtype, device=self.device)
        return bias.masked_fill_(~visible, torch.finfo(self.dtype).min)[:, None]

    def _outputs(self, packs: Packs) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits at `packs.source` and at `packs.anchors`, of one product."""
        places = np.concatenate([packs.source, packs.anchors])
        logits = self._logits(self._hidden(packs), places)
        if not len(packs.anchors):
            return logits, logits[:0]  # and no copy of its gradient
        # Split at once: a slice's gradient would be as large as what it was cut from.
        taught, anchored = logits.split([len(packs.source), len(packs.anchors)])
        return taught, anchored

    def _logits(self, hidden: torch.Tensor, places: Any) -> torch.Tensor:
        """fp32 logits at the flat `places` alone; the vocabulary is the dearest layer."""
        count, multiple = len(places), self._multiples[1]
        padded = np.zeros(-(-count // multiple) * multiple, np.int64)
        padded[:count] = places
        picked = hidden[torch.from_numpy(padded).to(self.device)]
        head = self.model.get_base_model().lm_head
        logits: torch.Tensor = head(picked)[:count].float()
        cap = getattr(self.model.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits

    def _cross_entropy(self, logits: torch.Tensor, packs: Packs) -> tuple[torch.Tensor, Any]:
        """The weighted sum over all tokens, and what of it tokens not yet certain make up."""
        target = torch.from_numpy(packs.target).to(self.device)
        weight = torch.from_numpy(packs.weight).to(self.device)
        nats = functional.cross_entropy(logits, target, reduction="none")
        each = nats * weight
        # Strictly below 1: at 1 every token counts, whatever rounding makes of a sure one.
        certain = self.recipe.certain
        if certain >= 1:
            return each.sum(), each.sum()
        learned = nats.detach() < -math.log(certain)
        return each.detach().sum(), each[~learned].sum()

    def save_checkpoint(self, path: Path, step: int) -> None:
        state = {"step": step, "master": self.master, "optimizer": self.optimizer.state_dict()}
        with atomic_write(path) as stream:
            torch.save(state, stream)

    def load_checkpoint(self, path: Path) -> int:
        try:
            with open_file(path) as stream:
                if not is_zipfile(stream):  # torch would read it as a pickle
                    raise ValueError(path)
                stream.seek(0)
                state = torch.load(stream, map_location=self.device, weights_only=True)
            for name, tensor in state["master"].items():
                self.master[name].data.copy_(tensor)
                self.live[name].data.copy_(tensor)
            self.optimizer.load_state_dict(state["optimizer"])
            return int(state["step"])
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise DamagedFile(
                "The checkpoint {path} is damaged; discard this job and learn again.", path=path
            ) from error

    def save_adapter(self, folder: Path) -> None:
        if seal_of(folder):
            write_peft(self._adapter(), folder)  # peft itself would write for anyone to read
            return
        for name, parameter in self.live.items():
            parameter.data = self.master[name].data.clone()
        self.model.save_pretrained(folder, safe_serialization=True)
        for parameter in self.live.values():
            parameter.data = parameter.data.to(self.dtype)

    def _adapter(self) -> LoraAdapter:
        config = self.model.peft_config["default"]
        tensors: dict[str, dict[str, Any]] = {}
        for name, tensor in self.master.items():
            module, _, half = name.removesuffix(".default.weight").rpartition(".lora_")
            matrix = tensor.detach().cpu().numpy()
            tensors.setdefault(module.removeprefix("base_model.model."), {})[half] = matrix
        halves = {module: (both["A"], both["B"]) for module, both in tensors.items()}
        return LoraAdapter(config.lora_alpha, config.r, halves)

    def _load_adapter(self, adapter: LoraAdapter) -> None:
        parameters = dict(self.model.named_parameters())
        for module, halves in adapter.tensors.items():
            for half, matrix in zip("AB", halves, strict=True):
                parameter = parameters[f"base_model.model.{module}.lora_{half}.default.weight"]
                parameter.data = torch.from_numpy(matrix.copy()).to(self.device)


def _divergence(logits: torch.Tensor, packs: Packs) -> torch.Tensor:
    """KL(base || adapted), summed, over the teacher's top tokens and the rest as one more."""
    logp = logits.log_softmax(-1)
    ids = torch.from_numpy(packs.teacher_ids).to(logits.device)
    teacher = torch.from_numpy(packs.teacher_logp).to(logits.device)
    student = logp.gather(1, ids)
    rest_t = (1 - teacher.exp().sum(1)).clamp_min(1e-6)
    rest_s = (1 - student.exp().sum(1)).clamp_min(1e-6)
    known = (teacher.exp() * (teacher - student)).sum(1)
    return (known + rest_t * (rest_t.log() - rest_s.log())).sum()
