from __future__ import annotations

import numpy as np
import pytest

from plum_desktop.base.errors import DamagedFile
from plum_desktop.learning.rows import Plan, Row, Targets


def row(length: int, seed: int, anchor: bool = False) -> Row:
    rng = np.random.default_rng(seed)
    targets = None
    if anchor:
        ids = rng.integers(0, 99, (length, 5)).astype(np.int32)
        targets = Targets(ids, -rng.random((length, 5)).astype(np.float16).astype(np.float32))
    ids = rng.integers(0, 99, length).astype(np.int32)
    return Row(ids, rng.random(length).astype(np.float32), targets)


def same(one: Row, other: Row) -> bool:
    if (one.targets is None) != (other.targets is None):
        return False
    alike = np.array_equal(one.ids, other.ids) and np.array_equal(one.weights, other.weights)
    if one.targets is not None and other.targets is not None:
        alike = alike and np.array_equal(one.targets.ids, other.targets.ids)
        alike = alike and np.array_equal(one.targets.logp, other.targets.logp)
    return alike


PLANS = {
    "anchors between": Plan(
        [row(3, 0), row(5, 1, True), row(1, 2), row(4, 3, True)], [[0, 1], [2], [3, 0, 2]]
    ),
    "no anchors": Plan([row(3, 0), row(2, 1)], [[1, 0]]),
    "nothing": Plan([], []),
}


@pytest.mark.parametrize("name", PLANS)
def test_what_is_saved_is_loaded(tmp_path, name: str) -> None:
    plan, path = PLANS[name], tmp_path / "rows.npz"
    plan.save(path)
    found = Plan.load(path)
    assert found.steps == plan.steps
    assert len(found.rows) == len(plan.rows)
    assert all(map(same, found.rows, plan.rows))
    for number, places in enumerate(plan.steps):
        assert [len(one.ids) for one in found.batch(number)] == [
            len(plan.rows[place].ids) for place in places
        ]
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.npz"]


def test_damage_is_said(tmp_path) -> None:
    path = tmp_path / "rows.npz"
    with pytest.raises(DamagedFile, match="discard this job"):
        Plan.load(path)
    PLANS["anchors between"].save(path)
    whole = path.read_bytes()
    for damaged in (b"", b"PK", b"no zip at all", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(damaged)
        with pytest.raises(DamagedFile, match="discard this job"):
            Plan.load(path)
    with path.open("wb") as stream:
        np.savez(stream, ids=np.zeros(3))
    with pytest.raises(DamagedFile, match="discard this job"):
        Plan.load(path)
