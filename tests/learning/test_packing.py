"""Packed rows against each row alone: what every place sees, and what a model makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plum_desktop.learning.packing import pack
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.rows import Row, Targets

TOP = 3
VOCABULARY = 97


def row(ids, weights, anchor: bool = False) -> Row:
    ids, weights = np.array(ids, np.int32), np.array(weights, np.float32)
    if not anchor:
        return Row(ids, weights)
    places = np.arange(len(ids))[:, None]
    # Likeliest tokens that tell the places apart, three quarters of the mass on them.
    teacher = ((ids[:, None] * 7 + places * 5 + np.arange(TOP) * 11) % VOCABULARY).astype(np.int32)
    logp = np.tile(np.log(np.array([0.5, 0.2, 0.05], np.float32)), (len(ids), 1))
    return Row(ids, weights, Targets(teacher, logp))


@st.composite
def batches(draw) -> tuple[list[Row], int]:
    """Rows that begin with one of a few starts, of any length, weighed anywhere."""
    tokens = st.integers(0, 3)
    starts = draw(st.lists(st.lists(tokens, max_size=14), min_size=1, max_size=3))
    anchor = draw(st.booleans())
    rows = []
    for _ in range(draw(st.integers(1, 8))):
        ids = [*draw(st.sampled_from(starts)), *draw(st.lists(tokens, min_size=1, max_size=12))]
        weights = draw(
            st.lists(st.sampled_from([0.0, 0.0, 0.25, 1.0]), min_size=len(ids), max_size=len(ids))
        )
        rows.append(row(ids, weights, anchor))
    return rows, draw(st.sampled_from([8, 20, 192]))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(batches())
def test_every_place_sees_its_own_row_up_to_itself_and_nothing_else(drawn) -> None:
    rows, longest = drawn
    packs = pack(rows, longest)
    visible = packs.visible()
    length = packs.ids.shape[1]
    assert length % 32 == 0

    def read(place: int) -> tuple[int, ...]:
        """What stands before `place`, and at it, in the order of positions."""
        number, at = divmod(place, length)
        seen = np.nonzero(visible[number, at])[0]
        seen = seen[np.argsort(packs.positions[number, seen])]
        assert packs.positions[number, seen].tolist() == list(range(len(seen)))
        return tuple(packs.ids[number, seen].tolist())

    expected: Counter = Counter()
    found: Counter = Counter()
    for one in rows:
        for token in np.nonzero(one.weights)[0].tolist():
            if one.targets is not None:
                target = (*one.targets.ids[token].tolist(), *one.targets.logp[token].tolist())
                expected[tuple(one.ids[: token + 1].tolist()), target] += 1
            elif token:
                target = (int(one.ids[token]), float(one.weights[token]))
                expected[tuple(one.ids[:token].tolist()), target] += 1
    for place, ids, logp in zip(packs.anchors, packs.teacher_ids, packs.teacher_logp, strict=True):
        found[read(int(place)), (*ids.tolist(), *logp.tolist())] += 1
    for place, target, weight in zip(packs.source, packs.target, packs.weight, strict=True):
        found[read(int(place)), (int(target), float(weight))] += 1
    assert found == expected
    for number in range(len(packs.ids)):
        assert int((packs.block[number] >= 0).sum()) <= max(longest, *(len(r.ids) for r in rows))


def test_a_shared_start_is_kept_once() -> None:
    start = list(range(40))
    rows = [row([*start, 50 + n, 60 + n], [0.0] * 41 + [1.0]) for n in range(10)]
    packs = pack(rows, 192)
    assert packs.ids.shape == (1, 64)
    assert int((packs.block >= 0).sum()) == 40 + 10 * 2


def test_rows_of_different_starts_share_a_pack_and_see_nothing_of_each_other() -> None:
    rows = [row([n] * 20 + [7], [0.0] * 20 + [1.0]) for n in (1, 1, 2, 2)]
    packs = pack(rows, 192)
    assert packs.ids.shape == (1, 64)
    for place in packs.source:
        seen = packs.ids[0, packs.visible()[0, place]]
        assert len(seen) == 20
        assert len(set(seen.tolist())) == 1


def test_packs_are_no_longer_than_their_number_asks_for() -> None:
    rows = [row([n] * 50, [0.0] * 49 + [1.0]) for n in range(6)]
    assert pack(rows, 256).ids.shape == (2, 160)


def test_a_long_row_gets_a_pack_of_its_own() -> None:
    rows = [row([1] * 300, [0.0] * 299 + [1.0]), row([2] * 20, [0.0] * 19 + [1.0])]
    packs = pack(rows, 192)
    assert packs.ids.shape == (2, 320)


# What a model makes of it --------------------------------------------------------


@pytest.fixture(scope="module")
def trainer(monkeypatch_module, starter: Path):
    """The torch trainer on a tiny random Llama in fp32, with a LoRA that does something."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from plum_desktop.learning.trainers import torch_peft

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        initializer_range=0.2, tie_word_embeddings=True, use_cache=False,
    )  # fmt: skip
    base = LlamaForCausalLM(config).float().requires_grad_(False).train()
    monkeypatch_module.setattr(torch_peft, "load_base", lambda path, dtype, packed: base)
    monkeypatch_module.setattr(torch_peft, "best_device", lambda: torch.device("cpu"))
    monkeypatch_module.setattr(torch_peft, "best_dtype", lambda device: torch.float32)
    recipe = replace(preset("default"), rank=4, alpha=8.0)
    made = torch_peft.TorchTrainer(starter, recipe, None, 1, "floats")
    for parameter in made.live.values():
        parameter.data.normal_(0, 0.1)
    return made


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def lessons(anchor: bool = False) -> list[Row]:
    """As a step has them: two system prompts, first and later turns, one odd and one long row."""
    rng = np.random.default_rng(1)

    def some(count: int) -> list[int]:
        return rng.integers(3, VOCABULARY, count).tolist()

    one, other = [1, *some(20)], [1, *some(11)]
    rows = []
    for start in (one, one, one, other, other, one):
        question, answer = some(int(rng.integers(4, 14))), some(int(rng.integers(1, 6)))
        ids = [*start, *question, 2, *answer]
        weights = [0.0] * len(start) + [0.25] * len(question) + [0.0] + [1.0] * len(answer)
        if len(rows) in (2, 4):  # a later turn
            again, yes = some(8), some(1)
            ids += [2, 5, *again, 2, *yes]
            weights += [0.0, 0.0] + [0.25] * 8 + [0.0] + [0.7]
        rows.append(row(ids, weights, anchor))
    rows.append(row(some(5), [0, 0, 1.0, 0, 1.0], anchor))
    rows.append(row([*one, *some(90)], [0.0] * 81 + [0.5] * 30, anchor))
    rows.append(rows[0])  # the same question twice in a step
    return rows


def alone(trainer, one: Row):
    """Logits (n, vocabulary) of one row, as transformers computes it with nothing packed."""
    import torch

    base = trainer.model.get_base_model()
    packed = base.config._attn_implementation
    base.set_attn_implementation("eager")
    try:
        return trainer.model(torch.from_numpy(one.ids.astype(np.int64))[None]).logits[0]
    finally:
        base.set_attn_implementation(packed)


@pytest.fixture(params=["each row by itself", "every place with every other"])
def attention(request, trainer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As the trainer attends on a CPU, and on a GPU."""
    base = trainer.model.get_base_model()
    by_row = base.config._attn_implementation
    if request.param == "every place with every other":
        monkeypatch.setattr(trainer, "_longest", 512)
        base.set_attn_implementation("sdpa")
    yield
    base.set_attn_implementation(by_row)


def packs_of(trainer, rows: list[Row], longest: int = 512):
    return pack(rows, trainer._longest and longest)


@pytest.mark.usefixtures("attention")
@pytest.mark.parametrize("longest", [48, 192])
def test_logits_of_packed_rows_are_those_of_each_row_alone(trainer, longest: int) -> None:
    import torch

    rows = lessons()
    packs = packs_of(trainer, rows, longest)
    with torch.no_grad():
        packed = trainer._logits(trainer._hidden(packs), packs.source)
        expected = {}
        for one in rows:
            logits = alone(trainer, one)
            for token in np.nonzero(one.weights)[0].tolist():
                expected[tuple(one.ids[: token + 1].tolist())] = logits[token - 1]
    length = packs.ids.shape[1]
    visible = packs.visible()
    assert len(packed) == sum(int((one.weights > 0).sum()) for one in rows)
    for found, place, target in zip(packed, packs.source, packs.target, strict=True):
        number, at = divmod(int(place), length)
        seen = np.nonzero(visible[number, at])[0]
        seen = seen[np.argsort(packs.positions[number, seen])]
        key = (*packs.ids[number, seen].tolist(), int(target))
        torch.testing.assert_close(found, expected[key], rtol=1e-4, atol=1e-4)


def gradients(trainer) -> dict:
    found = {name: parameter.grad.clone() for name, parameter in trainer.live.items()}
    for parameter in trainer.live.values():
        parameter.grad = None
    return found


def agree(one: dict, other: dict) -> None:
    import torch

    assert one.keys() == other.keys()
    for name, gradient in one.items():
        assert gradient.abs().max() > 0
        scale = float(gradient.abs().max())
        torch.testing.assert_close(gradient, other[name], rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.usefixtures("attention")
def test_loss_and_gradients_are_those_of_the_rows_alone(trainer) -> None:
    import torch

    rows = lessons()
    packs = packs_of(trainer, [*rows, *lessons(anchor=True)])  # as a step has them
    sums = trainer._cross_entropy(trainer._outputs(packs)[0], packs)
    loss, unlearned = (each / packs.weight.sum() for each in sums)
    unlearned.backward()  # a fresh model is certain of nothing, so this is the whole
    packed = gradients(trainer)
    each, weights = [], []
    for one in rows:
        logits = alone(trainer, one)[:-1].log_softmax(-1)
        ids = torch.from_numpy(one.ids.astype(np.int64))[1:]
        each.append(-logits.gather(1, ids[:, None])[:, 0])
        weights.append(torch.from_numpy(one.weights[1:]))
    weight = torch.cat(weights)
    expected = (torch.cat(each) * weight).sum() / weight.sum()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    agree(packed, gradients(trainer))


@pytest.mark.usefixtures("attention")
def test_divergence_and_its_gradients_are_those_of_the_anchors_alone(trainer) -> None:
    import torch

    from plum_desktop.learning.trainers.torch_peft import _divergence

    rows = lessons(anchor=True)
    packs = packs_of(trainer, [*rows, *lessons()])
    value = _divergence(trainer._outputs(packs)[1], packs) / len(packs.anchors)
    value.backward()
    packed = gradients(trainer)
    each = []
    for one in rows:
        places = np.nonzero(one.weights)[0]
        p = alone(trainer, one)[places].softmax(-1)
        ids = torch.from_numpy(one.targets.ids[places].astype(np.int64))
        told = p.gather(1, ids)
        q = torch.tensor([0.5, 0.2, 0.05])
        known = (q * (q.log() - told.log())).sum(1)
        each.append(known + 0.25 * (np.log(0.25) - (1 - told.sum(1)).log()))
    expected = torch.cat(each).mean()
    expected.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert value.item() > 0.1
    agree(packed, gradients(trainer))


def test_a_base_that_agrees_with_its_anchors_diverges_nowhere(trainer) -> None:
    import torch

    from plum_desktop.learning.trainers.torch_peft import _divergence

    rows = []
    for one in lessons(anchor=True):
        with torch.no_grad():
            top = alone(trainer, one).log_softmax(-1).topk(TOP)
        targets = Targets(top.indices.numpy().astype(np.int32), top.values.numpy())
        rows.append(replace(one, targets=targets))
    packs = packs_of(trainer, rows)
    value = _divergence(trainer._outputs(packs)[1], packs) / len(packs.anchors)
    assert value.item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(("window", "softcap"), [(None, None), (7, None), (None, 2.0), (7, 2.0)])
def test_attending_by_row_is_attending_to_what_may_be_seen(window, softcap) -> None:
    """Also where layers see the nearest places only, and cap what they attend by, as Gemma does."""
    import torch

    from plum_desktop.learning.trainers.torch_attention import attend

    packs = pack(lessons(), None)
    length = packs.ids.shape[1]
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, heads, length, 16) for heads in (4, 2, 2))
    by_row, _ = attend(
        torch.nn.Module(), q, k, v, None, scaling=0.5, spans=packs.spans(0),
        sliding_window=window, softcap=softcap,
    )  # fmt: skip
    scores = q @ k.repeat_interleave(2, 1).transpose(2, 3) * 0.5
    if softcap:
        scores = torch.tanh(scores / softcap) * softcap
    seen = torch.from_numpy(packs.visible(window))[:, None]
    whole = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ v.repeat_interleave(2, 1)
    real = torch.from_numpy(packs.block[0] >= 0)
    torch.testing.assert_close(by_row[0][real], whole.transpose(1, 2)[0][real])
    assert by_row.isfinite().all()
