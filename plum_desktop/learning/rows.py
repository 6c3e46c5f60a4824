"""Training rows: token ids, a weight a token, and for anchors the base model's own targets.

A row's `weights[i]` is the weight of predicting `ids[i]` from what stands before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from plum_desktop.base.errors import DamagedFile
from plum_desktop.base.files import atomic_write, open_file

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Targets:
    """The base model's likeliest next tokens at every position of an anchor row.

    `ids` (n, k) and `logp` (n, k), natural logarithms; position i speaks of token i + 1.
    """

    ids: Ids
    logp: Floats


@dataclass(frozen=True, slots=True)
class Row:
    """`ids` (n,), `weights` (n,); an anchor has `targets`, its weights say where they count."""

    ids: Ids
    weights: Floats
    targets: Targets | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Every row of a run, and for each step, in order, the places in `rows` that it fits."""

    rows: list[Row]
    steps: list[list[int]]

    def batch(self, step: int) -> list[Row]:
        return [self.rows[place] for place in self.steps[step]]

    def tokens(self, step: int) -> int:
        """By which the steps' times are told apart; nothing is packed or shared yet."""
        return sum(len(row.ids) for row in self.batch(step))

    def save(self, path: Path) -> None:
        """Write one .npz, whole or not at all."""
        anchors = [row.targets for row in self.rows if row.targets is not None]
        arrays: dict[str, Any] = {
            "ids": _flat([row.ids for row in self.rows], np.int32),
            "weights": _flat([row.weights for row in self.rows], np.float32),
            "lengths": np.array([len(row.ids) for row in self.rows], np.int32),
            "is_anchor": np.array([row.targets is not None for row in self.rows], bool),
            "steps": _flat([np.array(step) for step in self.steps], np.int32),
            "step_sizes": np.array([len(step) for step in self.steps], np.int32),
        }
        if anchors:
            arrays["target_ids"] = np.concatenate([t.ids for t in anchors])
            arrays["target_logp"] = np.concatenate([t.logp for t in anchors]).astype(np.float16)
        with atomic_write(path) as stream:
            np.savez(stream, **arrays)

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Raises DamagedFile for anything that `save` did not write."""
        try:
            # Opened here, as numpy leaves a damaged file open.
            with open_file(path) as stream, np.load(stream, allow_pickle=False) as arrays:
                kept = {key: arrays[key] for key in arrays.files}
            ends = np.cumsum(kept["step_sizes"])[:-1]
            steps = [part.tolist() for part in np.split(kept["steps"], ends)]
            return cls(_rows(kept), steps if len(kept["step_sizes"]) else [])
        except (OSError, EOFError, ValueError, KeyError, IndexError, BadZipFile) as error:
            raise DamagedFile(
                "The training rows in {path} are damaged; discard this job and learn again.",
                path=path,
            ) from error


def _flat(parts: Sequence[npt.NDArray[Any]], kind: type) -> npt.NDArray[Any]:
    return np.concatenate(parts).astype(kind) if parts else np.zeros(0, kind)


def _rows(arrays: dict[str, npt.NDArray[Any]]) -> list[Row]:
    rows, target_at = [], 0
    ends = np.cumsum(arrays["lengths"])
    for end, length, is_anchor in zip(ends, arrays["lengths"], arrays["is_anchor"], strict=True):
        part = slice(end - length, end)
        targets = None
        if is_anchor:
            here = slice(target_at, target_at + length)
            logp = arrays["target_logp"][here].astype(np.float32)
            targets = Targets(arrays["target_ids"][here], logp)
            target_at += length
        rows.append(Row(arrays["ids"][part], arrays["weights"][part], targets))
    return rows
