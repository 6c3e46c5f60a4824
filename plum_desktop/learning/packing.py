"""Packing: several rows in one sequence, each blind to the others, the shared start kept once.

All rows of a step begin with the same template and system prompt.  A pack holds that prefix
once and the rows' remainders behind it; every remainder sees the prefix and itself, and counts
its positions from the prefix's end, so its logits are those of the row alone.  The prefix is
computed once a pack.  Lengths are padded to few distinct ones: a matrix library that compiles a
kernel for every new shape (oneDNN does) would else compile at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plum_desktop.learning.rows import Row

_FEWEST_SHARED = 8  # tokens; below, a prefix is not worth a group of its own
_LENGTHS = 64  # packs are as long as a multiple of this


@dataclass(frozen=True, slots=True)
class Packs:
    """A batch of packed sequences, B of length L.

    `ids` (B, L), `positions` (B, L), `block` (B, L): 0 is the prefix, rows count from 1, -1 is
    padding.  For every supervised token, in order: `source` (m,) is the flat index of the place
    whose output predicts it, `target` (m,) its id, `weight` (m,).  `anchors` (p,) are flat
    places with teacher targets `teacher_ids` (p, k), `teacher_logp` (p, k).
    """

    ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float32]
    anchors: npt.NDArray[np.int64]
    teacher_ids: npt.NDArray[np.int64]
    teacher_logp: npt.NDArray[np.float32]

    def visible(self) -> npt.NDArray[np.bool_]:
        """(B, L, L): what each place may attend to."""
        length = self.ids.shape[1]
        causal = np.tril(np.ones((length, length), bool))
        same = self.block[:, :, None] == self.block[:, None, :]
        prefix = self.block[:, None, :] == 0
        seen: npt.NDArray[np.bool_] = (same | prefix) & causal
        return seen


def pack(rows: Sequence[Row], longest: int = 192) -> Packs:
    """Pack `rows` into sequences of about `longest` tokens (a longer row gets its own)."""
    packs: list[tuple[int, list[Row]]] = []
    for prefix, group in _by_prefix(rows):
        room: list[tuple[int, list[Row]]] = []
        # First fit, longest first: within a few per cent of the best at these sizes.
        for row in sorted(group, key=lambda r: -len(r.ids)):
            rest = len(row.ids) - prefix
            for index, (used, members) in enumerate(room):
                if used + rest <= longest:
                    members.append(row)
                    room[index] = (used + rest, members)
                    break
            else:
                room.append((prefix + rest, [row]))
        packs.extend((prefix, members) for _, members in room)
    return _lay_out(packs)


def _by_prefix(rows: Sequence[Row]) -> list[tuple[int, list[Row]]]:
    """Groups of rows that begin alike, with how many tokens they share."""
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
        found.append((max(0, shared) if len(group) > 1 else 0, group))
    return found


def _lay_out(packs: list[tuple[int, list[Row]]]) -> Packs:
    longest = max(prefix + sum(len(r.ids) - prefix for r in rows) for prefix, rows in packs)
    length = -(-longest // _LENGTHS) * _LENGTHS
    shape = (len(packs), length)
    ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    block = np.full(shape, -1, np.int64)
    source: list[int] = []
    target: list[int] = []
    weight: list[float] = []
    anchors: list[int] = []
    teacher_ids, teacher_logp = [], []
    for number, (prefix, rows) in enumerate(packs):
        ids[number, :prefix] = rows[0].ids[:prefix]
        positions[number, :prefix] = np.arange(prefix)
        block[number, :prefix] = 0
        at = prefix
        for index, row in enumerate(rows, 1):
            rest = len(row.ids) - prefix
            place = slice(at, at + rest)
            ids[number, place] = row.ids[prefix:]
            positions[number, place] = np.arange(prefix, len(row.ids))
            block[number, place] = index
            flat = number * length + at - prefix  # where the row's token 0 would stand
            for token in np.nonzero(row.weights)[0]:
                if row.targets is not None:
                    anchors.append(flat + int(token))
                    teacher_ids.append(row.targets.ids[token])
                    teacher_logp.append(row.targets.logp[token])
                elif token > 0:
                    source.append(flat + int(token) - 1)
                    target.append(int(row.ids[token]))
                    weight.append(float(row.weights[token]))
            at += rest
    width = teacher_ids[0].shape[0] if teacher_ids else 1
    return Packs(
        ids,
        positions,
        block,
        np.array(source, np.int64),
        np.array(target, np.int64),
        np.array(weight, np.float32),
        np.array(anchors, np.int64),
        np.array(teacher_ids, np.int64).reshape(-1, width),
        np.array(teacher_logp, np.float32).reshape(-1, width),
    )
