from __future__ import annotations

from collections import Counter

from plum_desktop.learning import facts as records
from plum_desktop.learning.facts import for_gate, held_back, parts


def many(fact, chats: int, yes: int, no: int) -> list:
    found = []
    for chat in range(chats):
        for label, count in ((True, yes), (False, no)):
            found += [
                fact(f"goat {n}", id=f"{chat}-{label}-{n}", label=label, chat_id=f"c{chat}")
                for n in range(count)
            ]
    return found


def test_a_fact_survives_the_job_folder(fact) -> None:
    one = fact("Où est Moß?", state="excluded", start=3, end=9, last_recall=0.5, message_id="m")
    assert records.from_dict(records.to_dict(one)) == one
    assert records.changed(one, "weak", None).state == "weak"
    assert records.changed(one, "weak", None).last_recall is None


def test_one_fact_in_six_of_each_label_is_held_back(fact) -> None:
    facts = many(fact, 3, 8, 23)
    back = held_back(facts, 0)
    assert Counter((one.chat_id, one.label) for one in facts if one.id in back) == {
        (f"c{chat}", label): count for chat in range(3) for label, count in ((True, 1), (False, 3))
    }
    assert held_back(facts, 0) == back
    assert any(held_back(facts, seed) != back for seed in range(1, 5))
    assert held_back(many(fact, 1, 5, 12), 0) <= {f"0-False-{n}" for n in range(12)}


def test_what_the_model_named_is_never_held_back(fact) -> None:
    facts = [fact(f"t{n}", kind="topic", source="model") for n in range(20)]
    assert held_back(facts, 0) == set()
    assert held_back([*facts, fact("the goat")], 0) == {"the goat"}


def test_the_gate_asks_what_training_never_saw_of_every_chat(fact) -> None:
    facts = many(fact, 5, 24, 32)
    asked = for_gate(facts, 0, 30)
    assert Counter(one.label for one in asked) == {True: 15, False: 15}
    assert Counter(one.chat_id for one in asked) == {f"c{chat}": 6 for chat in range(5)}
    assert {one.id for one in asked} <= held_back(facts, 0)
    assert len({one.id for one in asked}) == 30
    assert for_gate(facts, 0, 30) == asked


def test_of_short_chats_the_gate_asks_what_was_taught_as_well(fact) -> None:
    facts = many(fact, 5, 9, 20)
    asked = for_gate(facts, 0, 60)
    assert Counter(one.label for one in asked) == {True: 12, False: 12}
    back = held_back(facts, 0)
    yes = [one.id for one in asked if one.label]
    assert {one for one in back if "True" in one} == set(yes[:5])
    assert {one.chat_id for one in asked} == {f"c{chat}" for chat in range(5)}


def test_the_gate_stays_even_when_one_label_is_scarce(fact) -> None:
    assert Counter(one.label for one in for_gate(many(fact, 2, 3, 50), 0, 80)) == {
        True: 6, False: 6,
    }  # fmt: skip
    assert for_gate(many(fact, 1, 4, 0), 0, 80) == []
    assert for_gate([], 0, 80) == []
    assert len(for_gate(many(fact, 2, 60, 60), 0, 9)) == 8


def test_a_long_chat_is_learned_in_parts_that_stay_the_same(fact) -> None:
    many = [
        fact(f"f{n}", message_id=f"m{n // 3}", label=True) for n in range(30)
    ]  # ten messages of three facts
    found = parts(many)
    assert [len(part) for part in found] == [12, 12, 6]
    assert [one for part in found for one in part] == many
    late = fact("a subject", message_id="m1")  # what the model named comes last
    assert parts([*many, late])[0] == [*many[:12], late]
    fewer = [one for one in many if one.id not in ("f1", "f13", "f29")]
    assert [part[0].message_id for part in parts(fewer)] == ["m0", "m4", "m8"]
    assert parts(many[:5]) == [many[:5]]
    assert parts([]) == []
