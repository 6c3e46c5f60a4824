from __future__ import annotations

from collections import Counter

from plum_desktop.learning import facts as records
from plum_desktop.learning.facts import for_gate, held_back


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


def test_one_fact_of_each_label_is_held_back_where_there_are_enough(fact) -> None:
    facts = many(fact, 3, 8, 12)
    back = held_back(facts, 0)
    assert Counter((one.chat_id, one.label) for one in facts if one.id in back) == {
        (f"c{chat}", label): 1 for chat in range(3) for label in (True, False)
    }
    assert held_back(facts, 0) == back
    assert any(held_back(facts, seed) != back for seed in range(1, 5))
    assert held_back(many(fact, 1, 7, 12), 0) <= {f"0-False-{n}" for n in range(12)}


def test_what_the_model_named_is_never_held_back(fact) -> None:
    facts = [fact(f"t{n}", kind="topic", source="model") for n in range(20)]
    assert held_back(facts, 0) == set()
    assert held_back([*facts, fact("the goat")], 0) == {"the goat"}


def test_the_gate_asks_as_many_no_as_yes_of_every_chat(fact) -> None:
    facts = many(fact, 5, 9, 20)
    asked = for_gate(facts, 0, 30)
    assert Counter(one.label for one in asked) == {True: 15, False: 15}
    assert Counter(one.chat_id for one in asked) == {f"c{chat}": 6 for chat in range(5)}
    assert len({one.id for one in asked}) == 30
    assert held_back(facts, 0) <= {one.id for one in asked}  # what training never saw goes first
    assert for_gate(facts, 0, 30) == asked


def test_the_gate_stays_even_when_one_label_is_scarce(fact) -> None:
    assert Counter(one.label for one in for_gate(many(fact, 2, 3, 50), 0, 80)) == {
        True: 6, False: 6,
    }  # fmt: skip
    assert for_gate(many(fact, 1, 4, 0), 0, 80) == []
    assert for_gate([], 0, 80) == []
    assert len(for_gate(many(fact, 2, 30, 30), 0, 9)) == 8
