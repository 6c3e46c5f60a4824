"""Every bench runs on something small and tells finite ratios.  None is held to its bounds here."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

import pytest

from plum_desktop.app.bench import growth, learned, measure, startup
from plum_desktop.app.bench.material import Model
from plum_desktop.app.bench.measure import Bound, Line, in_turns
from plum_desktop.app.bench.sample import Size, Words, fill
from plum_desktop.app.learn import LearnService
from plum_desktop.app.preferences import Preferences
from plum_desktop.app.product import Plum
from plum_desktop.base.paths import DataFolder
from plum_desktop.store import Store

SMALL = ("--chats", "4", "--messages", "3", "--characters", "60")


def lines_of(ran) -> dict[str, dict]:
    """What a bench told with --json, by what it is about; every number is finite."""
    assert ran.status == 0, ran.err
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert rows[0]["cores"] >= 1
    found = {row["what"]: row for row in rows[1:]}
    for row in found.values():
        assert math.isfinite(row["ours"])
        assert (row["peer"] is None) or math.isfinite(row["peer"])
        assert (row["ratio"] is None) or (math.isfinite(row["ratio"]) and row["ratio"] > 0)
    return found


def test_the_store_beside_sqlite(run) -> None:
    found = lines_of(run("bench", "store", *SMALL, "--runs", "2", "--queries", "3", "--json"))
    assert set(found) == {
        "open", "list the first 100 chats", "list every chat", "search, median",
        "search, 95th percentile", "write one message",
    }  # fmt: skip
    assert all(row["ratio"] for row in found.values())


def test_a_table_for_people_and_a_sample_that_is_kept(run, data_folder: DataFolder) -> None:
    args = ("bench", "store", *SMALL, "--runs", "1", "--queries", "1")
    ran = run(*args)
    assert ran.status == 0
    assert "list every chat" in ran.out
    assert "ratio" in ran.out
    made = list((data_folder.cache / "bench").iterdir())
    assert [path.name for path in made] == ["store-4-3-60"]
    before = (made[0] / "plum.db").stat().st_ino
    run(*args)
    assert (made[0] / "plum.db").stat().st_ino == before
    assert not data_folder.database.exists()  # the user's own chats are not touched


def test_the_start_beside_an_empty_window(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_SETTLES", 0.1)
    monkeypatch.setattr(startup, "_HELP_RUNS", 1)
    found = lines_of(run("bench", "startup", *SMALL, "--runs", "1", "--idle", "0.2", "--json"))
    assert found["start to a usable window"]["ratio"]
    assert found["idle memory"]["ratio"]
    assert found["plum-desktop --help"]["ours"] > 0


def test_a_merge_beside_a_copy(run) -> None:
    found = lines_of(run("bench", "merge", "--gigabytes", "0.1", "--runs", "1", "--json"))
    assert found["merge, copy the file"]["ratio"]
    # Of a base of 100 MB; less than that where not all of it was in memory at the same time.
    assert -80 < found["peak memory beyond the base's size"]["ours"] < 300


def test_a_store_that_learned_all_but_one_chat(plum: Plum, tmp_path: Path) -> None:
    told: list[float] = []
    model = Model.of(plum.models.file(), 1)
    made = learned.learned_folder(tmp_path, model, 12, told.append)
    assert told[-1] == 1.0
    again = learned.learned_folder(tmp_path, model, 12, told.append)
    assert (again, len(told)) == (made, 12)
    service = LearnService(
        made.folder, store := Store(made.folder.database, made.folder.backups), plum.models,
        Preferences(made.folder.settings), plum.serving,
    )  # fmt: skip
    try:
        assert [chat.id for chat in service.plan().chats] == [made.waiting]
        adapter = store.adapters.active(model.sha256)
        assert adapter is not None
        assert (len(adapter.chats), adapter.parent_id) == (12, "run10")
        assert (made.folder.adapter(adapter.id) / "adapter.gguf").is_file()
        facts = store.facts.list()
        assert {fact.chat_id for fact in facts} == set(adapter.chats)
        assert sum(fact.label for fact in facts) * 2 == len(facts) > 12 * 20
    finally:
        store.close()


def test_sizes_take_turns_and_each_ratio_is_to_the_smallest_of_its_round() -> None:
    order: list[int] = []
    values = {10: iter([1.0, 2.0, 4.0]), 100: iter([2.0, 6.0, 8.0])}

    def side(chats: int) -> float:
        order.append(chats)
        return next(values[chats])

    found = growth._rounds({chats: partial(side, chats) for chats in values}, 3, print, "")
    assert order == [10, 100, 100, 10, 10, 100]
    smallest, other = growth._lines("x", "s", found)
    assert (smallest.ours, smallest.ratio, smallest.chats) == (2.0, None, 10)
    assert (other.ours, other.peer, other.ratio) == (6.0, 2.0, 2.0)
    assert other.name == "x, 100 chats"
    assert other.to_dict()["chats"] == 100


def test_both_sides_take_turns_and_each_ratio_is_of_neighbours() -> None:
    order: list[str] = []
    ours, peer = iter([1.0, 20.0, 3.0]), iter([2.0, 10.0, 4.0])

    def side(name: str, values) -> float:
        order.append(name)
        return next(values)

    line = in_turns(
        "x", "s", lambda: side("ours", ours), lambda: side("peer", peer), 3,
        wanted_ratio=Bound(at_most=1),
    )  # fmt: skip
    assert order == ["ours", "peer", "peer", "ours", "ours", "peer"]
    assert (line.ours, line.peer, line.ratio) == (3.0, 4.0, 0.75)
    assert line.holds


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        (Line("x", "", 5, wanted=Bound(at_most=5)), True),
        (Line("x", "", 6, wanted=Bound(at_most=5)), False),
        (Line("x", "", 6, 2, 3.0, wanted_ratio=Bound(at_least=3)), True),
        (Line("x", "", 6, 2, 3.0, wanted_ratio=Bound(at_least=4)), False),
        (Line("x", "", 6, 2, 3.0, wanted=Bound(at_most=5), wanted_ratio=Bound(at_least=3)), False),
    ],
)
def test_a_bound_is_kept_or_not(line: Line, holds: bool) -> None:
    assert line.holds is holds
    assert line.to_dict()["holds"] is holds


def test_the_value_that_most_do_not_exceed() -> None:
    assert measure.percentile(list(range(100)), 0.95) == 95
    assert measure.percentile([7.0], 0.95) == 7.0


def test_a_sample_is_the_same_each_time_and_uses_words_as_people_do(
    data_folder: DataFolder,
) -> None:
    store = Store(data_folder.database, data_folder.backups)
    told: list[float] = []
    fill(store, Size(2, 4, 80), told.append)
    assert told == [0.5, 1.0]
    chats = store.chats.list()
    assert [len(store.chats.branch(chat.id)) for chat in chats] == [4, 4]
    store.close()
    one, other = Words(1).draw(2000), Words(1).draw(2000)
    assert one == other
    counts = sorted((one.count(word) for word in set(one)), reverse=True)
    assert counts[0] > 20 * counts[len(counts) // 2]
