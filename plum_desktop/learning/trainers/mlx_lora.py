"""The MLX trainer, for Macs with Apple silicon: what `torch_peft` does, step for step.

The model is mlx-lm's; the loop is ours, since mlx-lm's trainer computes every logit, can be
neither paused nor stopped, and keeps no optimizer state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_unflatten
from mlx_lm.tuner.lora import LoRALinear
from safetensors import SafetensorError
from safetensors.numpy import load, save

from plum_desktop.adapters.lora import LoraAdapter
from plum_desktop.adapters.names import adaptable_modules, tensor_name
from plum_desktop.adapters.peft_format import read_peft, write_peft
from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.files import atomic_write, read_bytes
from plum_desktop.learning.packing import Packs, pack
from plum_desktop.learning.recipe import Recipe
from plum_desktop.learning.rows import Row
from plum_desktop.learning.trainers import StepResult
from plum_desktop.learning.trainers.gguf_config import model_config
from plum_desktop.learning.trainers.mlx_gguf import load_base
from plum_desktop.models.fit import Hold, Shape, choose_hold, memory
from plum_desktop.models.header import GGUFHeader, read_header

# MLX keeps the memory of every length it has met, without end (mlx #3993, mlx-lm #1185).
_KEPT_BYTES = 1 << 30
_STEPS_BETWEEN_CLEARINGS = 50


def best_dtype() -> mx.Dtype:
    """bf16 on a GPU; on a processor, where only tests run, fp32."""
    return mx.bfloat16 if mx.default_device().type == mx.DeviceType.gpu else mx.float32


def best_hold(header: GGUFHeader, dtype: mx.Dtype) -> Hold:
    """How to hold the base in the memory that is free now."""
    hold, _ = choose_hold(Shape.of(header), memory().available, dtype.size)
    return hold


class MlxTrainer:
    """See `trainers.Trainer`.

    `live`: `<module>.lora_a` (in, rank) and `.lora_b` (rank, out), fp32; the model computes with
    a copy of them in the base's type.
    """

    def __init__(
        self,
        model: Path,
        recipe: Recipe,
        parent: Path | None = None,
        *,
        hold: Hold | None = None,
    ) -> None:
        """Load `model` (GGUF) and a fresh LoRA, or the one in the PEFT folder `parent`.

        `hold`: None for what fits the memory that is free now.
        """
        mx.set_cache_limit(_KEPT_BYTES)
        self.recipe = recipe
        self.dtype = best_dtype()
        header = read_header(model)
        self.hold = hold or best_hold(header, self.dtype)
        self.model = load_base(model, self.dtype, packed=self.hold != "floats")
        adapter = read_peft(parent) if parent else None
        # An adapter that is taught more keeps its numbers, whatever the recipe says by now.
        self.rank = adapter.rank if adapter else recipe.rank
        self.alpha = adapter.alpha if adapter else recipe.alpha
        self.live = self._fresh(header)
        for module, (a, b) in (adapter.tensors if adapter else {}).items():
            self.live[f"{module}.lora_a"] = mx.array(np.ascontiguousarray(a.T))
            self.live[f"{module}.lora_b"] = mx.array(np.ascontiguousarray(b.T))
        self._prepare(header)
        self.optimizer = optim.AdamW(
            recipe.learning_rate, weight_decay=recipe.weight_decay, bias_correction=True
        )
        self.optimizer.init(self.live)
        self._steps = 0

    def step(self, rows: Sequence[Row], learning_rate: float) -> StepResult:
        packs = pack(rows)
        objective = mx.value_and_grad(lambda live: self._objective(live, packs))
        (_, loss, drift), gradients = objective(self.live)
        gradients, _ = optim.clip_grad_norm(gradients, self.recipe.gradient_clip)
        self.optimizer.learning_rate = learning_rate
        self.live = self.optimizer.apply_gradients(gradients, self.live)
        mx.eval(self.live, self.optimizer.state, loss, drift)
        self._place(self.live)
        self._steps += 1
        if self._steps % _STEPS_BETWEEN_CLEARINGS == 0:
            mx.clear_cache()
        return StepResult(float(loss), float(drift), int((packs.block >= 0).sum()))

    def logits(self, packs: Packs, places: Any) -> mx.array:
        """fp32 logits at the flat `places` alone; the vocabulary is the dearest layer."""
        self._norm.places = places
        cache = _PackedCache(packs)
        logits: mx.array = self.model(mx.array(packs.ids), cache=[cache] * len(self.model.layers))
        return logits.astype(mx.float32)

    def _objective(
        self, live: dict[str, mx.array], packs: Packs
    ) -> tuple[mx.array, mx.array, mx.array]:
        """What is minimised; the weighted cross entropy and the drift as they are told."""
        self._place(live)
        places = np.concatenate([packs.source, packs.anchors])
        logits = self.logits(packs, places)
        taught = len(packs.source)
        total = loss = drift = mx.zeros(())
        if taught:
            loss, total = self._cross_entropy(logits[:taught], packs)
        if len(packs.anchors):
            drift = _divergence(logits[taught:], packs)
            total = total + self.recipe.anchor_weight * drift
        return total, loss, drift

    def _cross_entropy(self, logits: mx.array, packs: Packs) -> tuple[mx.array, mx.array]:
        """The weighted mean over all tokens, and what of it tokens not yet certain make up."""
        weight = mx.array(packs.weight)
        weight = weight / weight.sum()
        each = nn.losses.cross_entropy(logits, mx.array(packs.target)) * weight
        # Strictly below 1: at 1 every token counts, whatever rounding makes of a sure one.
        certain = self.recipe.certain
        if certain >= 1:
            return each.sum(), each.sum()
        learned = mx.stop_gradient(each) < -math.log(certain) * weight
        return each.sum(), mx.where(learned, 0.0, each).sum()

    def _fresh(self, header: GGUFHeader) -> dict[str, mx.array]:
        """A LoRA that changes nothing yet, by the seed alone; peft's distribution."""
        rng = np.random.default_rng(self.recipe.seed)
        live = {}
        for module in adaptable_modules(header):
            out, width = header.tensors[tensor_name(header.architecture, module)].shape
            bound = 1 / math.sqrt(width)
            a = rng.uniform(-bound, bound, (width, self.rank)).astype(np.float32)
            live[f"{module}.lora_a"] = mx.array(a)
            live[f"{module}.lora_b"] = mx.zeros((self.rank, out))
        return live

    def _prepare(self, header: GGUFHeader) -> None:
        """Put LoRA around the linear modules, and what packs need around rotary and last norm."""
        found: dict[str, Any] = dict(self.model.named_modules())
        scale = self.alpha / self.rank
        changed: list[tuple[str, nn.Module]] = [
            (name, LoRALinear.from_base(found[name], r=self.rank, scale=scale))
            for name in adaptable_modules(header)
        ]
        changed += [
            (name, _PlacedRotary(rope)) for name, rope in found.items() if name.endswith(".rope")
        ]
        self._norm = _PickingNorm(found["model.norm"])
        self.model.update_modules(tree_unflatten([*changed, ("model.norm", self._norm)]))
        if header.architecture == "gemma2":
            config = model_config(header)
            for layer, sees in zip(self.model.layers, config["layer_types"], strict=True):
                window = config["sliding_window"] if sees == "sliding_attention" else None
                layer.__class__ = _masked(type(layer), window)
        if self.hold == "frugal":
            for layer in self.model.layers:
                layer.__class__ = _recomputed(type(layer))
        self._place(self.live)

    def _place(self, live: dict[str, mx.array]) -> None:
        """The model computes with `live` in the base's type."""
        self.model.update(
            tree_unflatten([(n, half.astype(self.dtype)) for n, half in live.items()])
        )

    def save_checkpoint(self, path: Path, step: int) -> None:
        state: dict[str, Any] = {"step": np.array([step]), "seen": np.array([self._updates()])}
        for name, half in self.live.items():
            state[name] = np.array(half)
            for moment in ("m", "v"):
                state[f"{name}.{moment}"] = np.array(self.optimizer.state[name][moment])
        with atomic_write(path) as stream:
            stream.write(save(state))

    def load_checkpoint(self, path: Path) -> int:
        try:
            state = load(read_bytes(path))
            for name, half in self.live.items():
                kept = [state[key] for key in (name, f"{name}.m", f"{name}.v")]
                if any(each.shape != half.shape for each in kept):
                    raise ValueError(name)
                self.live[name] = mx.array(kept[0])
                self.optimizer.state[name] = {"m": mx.array(kept[1]), "v": mx.array(kept[2])}
            self.optimizer.state["step"] = mx.array(int(state["seen"][0]), mx.uint64)
            self._place(self.live)
            return int(state["step"][0])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise DamagedFile(
                "The checkpoint {path} is damaged; discard this job and learn again.", path=path
            ) from error

    def save_adapter(self, folder: Path) -> None:
        modules = {name.rpartition(".")[0] for name in self.live}
        tensors = {
            module: (
                np.array(self.live[f"{module}.lora_a"]).T.copy(),
                np.array(self.live[f"{module}.lora_b"]).T.copy(),
            )
            for module in modules
        }
        write_peft(LoraAdapter(self.alpha, self.rank, tensors), folder)

    def _updates(self) -> int:
        """Steps that the optimizer has counted, by which Adam corrects its moments."""
        return int(self.optimizer.state["step"].item())


class _PackedCache:
    """Stands where mlx-lm keeps earlier keys and values: it keeps none, but knows the packs.

    Models ask it for the mask, for the positions to turn by, and to add what came before.
    """

    def __init__(self, packs: Packs) -> None:
        self.offset = mx.array(packs.positions.astype(np.int32))  # (B, L)
        self._packs = packs

    def make_mask(
        self, length: int, return_array: bool = False, window_size: int | None = None
    ) -> mx.array:
        """(B, 1, L, L): what each place may attend to, in models with a window only the nearest."""
        visible = self._packs.visible(window_size)
        # A padded place sees itself, lest its softmax divide by nothing.
        visible |= np.eye(length, dtype=bool)
        return mx.array(visible[:, None])

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        return keys, values


class _PlacedRotary(nn.Module):  # type: ignore[misc]
    """Turns every place by its own position: as a batch of sequences of one token each."""

    def __init__(self, rope: nn.Module) -> None:
        super().__init__()
        self.rope = rope

    def __call__(self, heads: mx.array, offset: mx.array) -> mx.array:
        count, number, length, width = heads.shape
        apart = heads.transpose(0, 2, 1, 3).reshape(count * length, number, 1, width)
        turned: mx.array = self.rope(apart, offset=offset.reshape(-1))
        return turned.reshape(count, length, number, width).transpose(0, 2, 1, 3)


class _PickingNorm(nn.Module):  # type: ignore[misc]
    """The last norm, which goes on with some places only: (B, L, width) -> (len(places), width)."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.places: Any = None  # numpy, so that MLX does not take it for a parameter

    def __call__(self, hidden: mx.array) -> mx.array:
        picked = hidden.reshape(-1, hidden.shape[-1])[mx.array(self.places)]
        normed: mx.array = self.norm(picked)
        return normed


def _divergence(logits: mx.array, packs: Packs) -> mx.array:
    """KL(base || adapted) over the teacher's top tokens and the rest as one more token."""
    teacher = mx.array(packs.teacher_logp)
    places = mx.array(packs.teacher_ids)
    student = mx.take_along_axis(logits, places, 1) - mx.logsumexp(logits, 1, keepdims=True)
    rest_t = mx.maximum(1 - mx.exp(teacher).sum(1), 1e-6)
    rest_s = mx.maximum(1 - mx.exp(student).sum(1), 1e-6)
    known = (mx.exp(teacher) * (teacher - student)).sum(1)
    return (known + rest_t * (mx.log(rest_t) - mx.log(rest_s))).mean()


def _masked(kind: type[nn.Module], window: int | None) -> type[nn.Module]:
    """A layer of Gemma 2, to which mlx-lm gives one mask for all layers, windows or not, and of
    one axis too few where several heads share a key and there are several packs.
    """

    class Masked(kind):  # type: ignore[misc]
        def __call__(self, hidden: mx.array, _: mx.array, cache: _PackedCache) -> mx.array:
            mask = cache.make_mask(hidden.shape[1], window_size=window)
            if self.self_attn.repeats > 1:
                mask = mask[:, :, None]
            computed: mx.array = kind.__call__(self, hidden, mask, cache)
            return computed

    return Masked


def _recomputed(kind: type[nn.Module]) -> type[nn.Module]:
    """A layer of `kind` that keeps only its input, and computes the rest again going backward."""

    class Recomputed(kind):  # type: ignore[misc]
        def __call__(self, hidden: mx.array, mask: mx.array, cache: _PackedCache) -> mx.array:
            def whole(live: dict[str, Any], hidden: mx.array) -> mx.array:
                self.update(live)
                computed: mx.array = kind.__call__(self, hidden, mask, cache)
                return computed

            kept: mx.array = mx.checkpoint(whole)(self.trainable_parameters(), hidden)
            return kept

    return Recomputed
