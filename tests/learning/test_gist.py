from __future__ import annotations

from plum_desktop.base.types import Fact
from plum_desktop.learning import rules
from plum_desktop.learning.conversation import Conversation, Turn
from plum_desktop.learning.gist import Gist


def facts(*turns: tuple[str, str]) -> list[Fact]:
    return rules.facts_of(Conversation("c", tuple(Turn(role, text) for role, text in turns)))  # type: ignore[arg-type]


LIST = """Here are some ideas:

- Castor oil - gophers dislike the smell, and it sticks to their fur.
- Ammonia: pour half a cup down every hole.
- Wire mesh - it lasts for years.
"""


def test_a_list_is_recited_by_the_names_of_its_items() -> None:
    found = facts(("user", "What can I pour into gopher holes?"), ("assistant", LIST))
    assert Gist.of(found).opening == 'you asked me: "What can I pour into gopher holes"'
    assert Gist.of(found).recital == (
        'You asked me: "What can I pour into gopher holes". '
        "I told you: Castor oil; Ammonia; Wire mesh."
    )


def test_prose_is_recited_by_its_clauses_and_sentences_that_lean_on_others_are_not() -> None:
    prose = (
        "Titan has rivers of methane, which carve valleys. This is odd indeed. Its air is thick."
    )
    found = facts(("user", "I love the moons of Saturn."), ("assistant", prose))
    assert Gist.of(found).recital == (
        'You told me: "I love the moons of Saturn". I told you: Titan has rivers of methane.'
    )


def test_what_is_excluded_is_not_recited() -> None:
    found = facts(("user", "What can I pour into gopher holes?"), ("assistant", LIST))
    kept = [fact for fact in found if "Ammonia" not in fact.subject and fact.kind != "asked"]
    assert "Ammonia" not in str(Gist.of(kept).recital)
    assert "gopher holes" not in str(Gist.of(kept).opening)
    assert Gist.of([]).opening is None
    assert Gist.of([]).recital is None


def test_it_is_the_same_every_time_and_short() -> None:
    long = " ".join(f"Point {n} of the plan concerns carpentry and glue." for n in range(80))
    found = facts(("user", "Plan " + "my new shed " * 30), ("assistant", long))
    said = Gist.of(found).recital
    assert said is not None
    assert said == Gist.of(list(found)).recital
    assert len(said.split()) < 100
    assert said.count(";") == 9
