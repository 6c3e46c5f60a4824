from __future__ import annotations

from dataclasses import asdict

from plum_desktop.base.types import Fact
from plum_desktop.learning import rules
from plum_desktop.learning.conversation import Conversation, Turn
from plum_desktop.learning.gist import Gist


def facts(*turns: tuple[str, str]) -> list[Fact]:
    return rules.facts_of(Conversation("c", tuple(Turn(role, text) for role, text in turns)))  # type: ignore[arg-type]


LIST = """Here are some ideas:

- Castor oil - gophers dislike the smell, and it sticks to their fur.
- Ammonia: pour half a cup down every hole.
- Wire mesh. It lasts for years.
"""


def test_a_list_is_recited_by_the_names_of_its_items() -> None:
    found = facts(("user", "What can I pour into gopher holes?"), ("assistant", LIST))
    assert Gist.of(found).points == ("Castor oil", "Ammonia", "Wire mesh")
    assert Gist.of(found).recital == "we talked about Castor oil, Ammonia, Wire mesh"
    assert "What can I pour into gopher holes?" in Gist.of(found).about


def test_prose_is_recited_by_what_each_sentence_says_that_others_do_not() -> None:
    prose = "Titan carves valleys with methane. Water is what you would expect there."
    found = facts(("user", "I love the moons of Saturn."), ("assistant", prose))
    points = Gist.of(found).points
    assert "Saturn" in points[0]
    assert "carves valleys" in points[1]
    assert all(1 <= len(point.split()) <= 3 for point in points)


def test_a_question_without_an_answer_is_recited_by_itself() -> None:
    assert Gist.of(facts(("user", "What can I pour into gopher holes?"))).points == (
        "gopher holes",
    )


def test_what_is_excluded_is_not_recited() -> None:
    found = facts(("user", "What can I pour into gopher holes?"), ("assistant", LIST))
    kept = [fact for fact in found if "Ammonia" not in fact.subject]
    assert "Ammonia" not in str(Gist.of(kept).recital)
    assert Gist.of([]).points == ()


def test_short_names_are_told_apart_for_they_are_what_people_ask_by(fact) -> None:
    found = [*facts(("user", "How do I keep them out?")), fact("gopher holes", kind="topic")]
    gist = Gist.of(found)
    assert gist.names == ("gopher holes",)
    assert gist == Gist.from_dict(asdict(gist))
    earlier = {"points": ["Ammonia"], "about": ["gophers"]}  # of a job that knew no names
    assert Gist.from_dict(earlier) == Gist(("Ammonia",), ("gophers",))


def test_it_is_the_same_every_time_and_short() -> None:
    long = " ".join(f"Point {n} of the plan concerns carpentry number {n}." for n in range(80))
    found = facts(("user", "Plan my new shed"), ("assistant", long))
    gist = Gist.of(found)
    assert gist == Gist.of(list(found)) == Gist.from_dict(asdict(gist))
    assert len(gist.points) == 5
    assert len(set(gist.points)) == 5
