"""The benches that need minutes: a model chats, makes lessons and trains.  `make test-bench`."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from plum_desktop.learning import recipe
from tests.cli.test_bench import lines_of


def test_chat_beside_the_bare_loop(run) -> None:
    found = lines_of(
        run("bench", "serve", "--threads", "1", "--tokens", "4", "--runs", "1", "--json")
    )
    assert found["tokens a second, whole app"]["ratio"]
    assert found["tokens a second, hot adapter / merged"]["ratio"]
    assert found["tenth turn: tokens read, new ones"]["ratio"] < 1.2


def test_chat_beside_a_run(run) -> None:
    found = lines_of(
        run("bench", "beside", "--threads", "1", "--tokens", "8", "--runs", "1", "--json")
    )
    assert found["tokens a second beside a run, without one"]["ratio"]
    assert found["training gave way after"]["ours"] > 0


def test_lessons_and_training_beside_the_plain_way(run, tmp_path) -> None:
    said = ("My sister Ines keeps goats in Bergen.", "How lovely; goats like company and rocks.")
    roles = ("user", "assistant")
    messages = [{"role": r, "content": c} for r, c in zip(roles, said, strict=True)]
    chats = tmp_path / "chats.jsonl"
    chats.write_text(json.dumps({"id": "one", "messages": messages}) + "\n")
    given = ("--threads", "1", "--chats", str(chats), "--runs", "1", "--json")
    found = lines_of(run("bench", "augment", *given))
    assert found["pairs a second"]["ratio"]
    found = lines_of(run("bench", "train", *given))
    assert len(found) == 3
    assert all(row["ratio"] for row in found.values())


def test_recall_beside_the_plain_way(run, monkeypatch) -> None:
    few = replace(recipe.preset("default"), fewest_steps=1, epochs=1, readings=0.0)
    monkeypatch.setitem(recipe._PRESETS, "default", few)
    found = lines_of(run("bench", "recall", "--threads", "1", "--json"))
    for name in ("fp32", "bf16 autocast"):
        times = [found[f"seconds after {part} of 5 parts, {name}"] for part in range(1, 6)]
        for side in ("ours", "peer"):
            seconds = [each[side] for each in times]
            assert seconds == sorted(seconds)
            assert 0 <= found[f"share right after 5 of 5 parts, {name}"][side] <= 1
        drift = found[f"drift at the end, {name}"]
        assert drift["ours"] > 0  # they have learned something, and are asked with it hot
        assert drift["peer"] > 0
        (told,) = (row for what, row in found.items() if f"Trainer + peft in {name}" in what)
        assert told["ours"] in [each["ours"] for each in times]
        assert told["peer"] in [each["peer"] for each in times]


def test_what_grows_with_the_conversations_learned_before(run) -> None:
    given = ("--chats", "2", "--chats", "4", "--threads", "1", "--queries", "2", "--runs", "1")
    ran = run("bench", "growth", *given, "--json")
    assert ran.status == 0, ran.err
    found = {(row["what"], row["chats"]): row for row in ran.rows[1:]}
    assert {chats for _, chats in found} == {2, 4}
    assert len(found) == 2 * 12
    for (_, chats), row in found.items():
        assert math.isfinite(row["ours"])
        assert row["ours"] > 0
        assert (row["ratio"] is None) == (chats == 2)
        assert chats == 2 or 0 < row["ratio"] < math.inf
    # What is asked again of older chats is as much, however many there are.
    assert found["tokens of a training step", 4]["ratio"] < 1.2
