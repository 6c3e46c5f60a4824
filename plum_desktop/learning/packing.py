"""Packing: several rows in one sequence, each blind to the others, a shared start kept once.

Most rows of a step begin with the same template and system prompt.  A pack holds such a prefix
once for all of its rows that begin so, and the rows' remainders behind it; every remainder sees
its own prefix and itself, and counts its positions from the prefix's end, so its logits are
those of the row alone.  Where a matrix library compiles a kernel for every new shape (oneDNN
does), lengths are padded to few distinct ones: it would else compile at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from plum_desktop.learning.rows import Row

_FEWEST_SHARED = 8  # tokens; below, a prefix is not worth a group of its own
_PADDING, _NO_PREFIX = -1, -2


@dataclass(frozen=True, slots=True)
class Span:
    """A block of a pack: how many places it has, and the number of the span before it that is
    its prefix.
    """

    length: int
    prefix: int | None


@dataclass(frozen=True, slots=True)
class Packs:
    """A batch of packed sequences, B of length L.

    `ids` (B, L), `positions` (B, L), `block` (B, L): prefixes and remainders are numbered in
    each pack, -1 is padding; `prefix` (B, L): the block of a remainder's prefix.  For every
    supervised token, in order: `source` (m,) is the flat index of the place whose output
    predicts it, `target` (m,) its id, `weight` (m,).  `anchors` (p,) are flat places with
    teacher targets `teacher_ids` (p, k), `teacher_logp` (p, k).
    """

    ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]
    prefix: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float32]
    anchors: npt.NDArray[np.int64]
    teacher_ids: npt.NDArray[np.int64]
    teacher_logp: npt.NDArray[np.float32]

    def visible(self, window: int | None = None) -> npt.NDArray[np.bool_]:
        """(B, L, L): what each place may attend to; with a `window`, of its nearest positions."""
        length = self.ids.shape[1]
        causal = np.tril(np.ones((length, length), bool))
        same = self.block[:, :, None] == self.block[:, None, :]
        prefix = self.prefix[:, :, None] == self.block[:, None, :]
        seen: npt.NDArray[np.bool_] = (same | prefix) & causal
        if window:
            seen &= self.positions[:, :, None] - self.positions[:, None, :] < window
        return seen

    def spans(self, pack: int) -> list[Span]:
        """The blocks of one pack that have places, in order; its padding is the last."""
        block, prefix = self.block[pack], self.prefix[pack]
        starts = np.flatnonzero(np.diff(block, prepend=_NO_PREFIX))
        lengths = np.diff(starts, append=len(block))
        order = {int(block[start]): number for number, start in enumerate(starts)}
        return [
            Span(int(length), order.get(int(prefix[start])))
            for start, length in zip(starts, lengths, strict=True)
        ]


@dataclass(slots=True)
class _Pack:
    """Rows by the length of their prefix and its tokens."""

    used: int = 0
    groups: dict[tuple[int, bytes], list[Row]] = field(default_factory=dict)


def pack(rows: Sequence[Row], longest: int | None = 512, multiple: int = 32) -> Packs:
    """Pack `rows` into sequences of `longest` tokens, or as many as the longest row has.

    None: all of them into one.  Packs are padded to a `multiple` of tokens.
    """
    keyed = _by_prefix(rows)
    if longest is None:
        return _lay_out(_fill(keyed, sum(len(row.ids) for row in rows)), multiple)
    longest = max(longest, *(len(row.ids) for row in rows))
    packs = _fill(keyed, longest)
    # As short as the same number of packs can be, since all are padded to the longest.
    for shorter in range(longest - multiple, 0, -multiple):
        tried = _fill(keyed, shorter)
        if len(tried) > len(packs):
            break
        packs = tried
    return _lay_out(packs, multiple)


def _fill(keyed: Sequence[tuple[tuple[int, bytes], Row]], longest: int) -> list[_Pack]:
    """First fit, longest first: within a few per cent of the best at these sizes."""
    packs: list[_Pack] = []
    for key, row in sorted(keyed, key=lambda pair: -len(pair[1].ids)):
        for one in packs:
            cost = len(row.ids) - (key[0] if key in one.groups else 0)
            if one.used + cost <= longest:
                break
        else:
            one, cost = _Pack(), len(row.ids)
            packs.append(one)
        one.used += cost
        one.groups.setdefault(key, []).append(row)
    return packs


def _by_prefix(rows: Sequence[Row]) -> list[tuple[tuple[int, bytes], Row]]:
    """Each row with what it shares with those that begin alike: how many tokens, and which."""
    groups: dict[bytes, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.ids[:_FEWEST_SHARED].tobytes(), []).append(row)
    found = []
    for group in groups.values():
        shared = min(len(row.ids) for row in group) - 1
        first = group[0].ids
        for row in group:
            differs = np.nonzero(row.ids[:shared] != first[:shared])[0]
            shared = int(differs[0]) if len(differs) else shared
            supervised = np.nonzero(row.weights)[0]
            # What is predicted from within the prefix must stay a row's own.
            if len(supervised):
                shared = min(shared, max(0, int(supervised[0]) - 1))
        length = max(0, shared) if len(group) > 1 else 0
        found += [((length, first[:length].tobytes()), row) for row in group]
    return found


def _lay_out(packs: Sequence[_Pack], multiple: int) -> Packs:
    length = -(-max(one.used for one in packs) // multiple) * multiple
    shape = (len(packs), length)
    ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    block, prefix = np.full(shape, _PADDING, np.int64), np.full(shape, _NO_PREFIX, np.int64)
    source: list[int] = []
    target: list[int] = []
    weight: list[float] = []
    anchors: list[int] = []
    teacher_ids, teacher_logp = [], []
    for number, one in enumerate(packs):
        at = blocks = 0
        for (shared, _), rows in one.groups.items():
            start = slice(at, at + shared)
            ids[number, start] = rows[0].ids[:shared]
            positions[number, start] = np.arange(shared)
            block[number, start] = shares = blocks
            at, blocks = at + shared, blocks + 1
            for row in rows:
                rest = len(row.ids) - shared
                place = slice(at, at + rest)
                ids[number, place] = row.ids[shared:]
                positions[number, place] = np.arange(shared, len(row.ids))
                block[number, place], prefix[number, place] = blocks, shares
                flat = number * length + at - shared  # where the row's token 0 would stand
                for token in np.nonzero(row.weights)[0]:
                    if row.targets is not None:
                        anchors.append(flat + int(token))
                        teacher_ids.append(row.targets.ids[token])
                        teacher_logp.append(row.targets.logp[token])
                    elif token > 0:
                        source.append(flat + int(token) - 1)
                        target.append(int(row.ids[token]))
                        weight.append(float(row.weights[token]))
                at, blocks = at + rest, blocks + 1
    width = teacher_ids[0].shape[0] if teacher_ids else 1
    return Packs(
        ids,
        positions,
        block,
        prefix,
        np.array(source, np.int64),
        np.array(target, np.int64),
        np.array(weight, np.float32),
        np.array(anchors, np.int64),
        np.array(teacher_ids, np.int64).reshape(-1, width),
        np.array(teacher_logp, np.float32).reshape(-1, width),
    )
