from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plum_desktop.app import compare
from plum_desktop.app.compare import Stopper, differing
from plum_desktop.app.product import Plum
from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.base.types import Adapter

Learn = Callable[..., Adapter]
texts = st.text(st.sampled_from("aB,.' \nßé"), max_size=40)


def marked(text: str, *others: str) -> list[str]:
    return [piece for piece, differs in differing(text, others) if differs]


@given(texts, st.lists(texts, max_size=3))
def test_the_pieces_are_the_text(text: str, others: list[str]) -> None:
    pieces = differing(text, others)
    assert "".join(piece for piece, _ in pieces) == text
    assert all(piece for piece, _ in pieces)
    assert all(one[1] != other[1] for one, other in itertools.pairwise(pieces))


@given(texts)
def test_what_is_the_same_is_not_marked(text: str) -> None:
    assert marked(text, text, text) == []
    assert marked(text) == []


def test_what_differs_from_any_other_is_marked() -> None:
    yes = "Yes, you said that your sister lives in Bergen."
    no = "No, you never said where your sister lives."
    assert marked(yes, no) == ["Yes", "that ", "in Bergen"]
    assert marked(yes, yes, no) == marked(yes, no)
    assert marked("Yes. It rains.", "yes. It snows.") == ["rains"]


def test_with_nothing_learned_there_is_no_memory_to_compare(plum: Plum) -> None:
    assert [way.mode for way in plum.compare.ways()] == ["off", "retrieval"]


def test_three_answers_and_then_what_serves_again(
    plum: Plum, learn: Learn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "_MOST_TOKENS", 6)
    learn()
    ways = plum.compare.ways()
    assert [way.mode for way in ways] == ["merged", "hybrid", "off"]
    assert [(way.learned, way.looked_up) for way in ways] == [
        (True, False), (True, True), (False, False)
    ]  # fmt: skip
    before = plum.serving.served()
    answers = {}
    for way in ways:
        grown: list[str] = []
        said = plum.compare.answer("What is a kite?", way, grown.append, Stopper())
        assert said
        assert grown[-1] == said
        answers[way.mode] = said
    assert answers["merged"] != answers["off"], "the adapter of the tests changes what is said"
    plum.compare.end()
    info = plum.serving.engine().info()
    assert info is not None
    assert info.path == before.model
    assert plum.store.chats.list() == []
    assert plum.store.count_messages() == 0


def test_where_the_adapter_serves_hot_it_is_compared_hot(
    plum: Plum, learn: Learn, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn()
    monkeypatch.setattr(plum.models, "fits_in_memory", lambda path: False)
    assert plum.compare.ways()[0].mode == "adapter"


def test_it_is_stopped_and_waits_for_others(plum: Plum) -> None:
    off = plum.compare.ways()[0]
    stopping = Stopper()

    def stop_at_once(_text: str) -> None:
        stopping.cancel()

    with pytest.raises(Cancelled):
        plum.compare.answer("Tell me a long story about a kite.", off, stop_at_once, stopping)

    said: list[str] = []
    waiting = threading.Thread(
        target=lambda: said.append(plum.compare.answer("Say yes.", off, lambda _: None, Stopper()))
    )
    with plum.serving.borrow():
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive(), "it answered while another had the engine"
    waiting.join(60)
    assert said


def test_an_empty_question_is_a_sentence(plum: Plum) -> None:
    with pytest.raises(PlumError, match="type a question"):
        plum.compare.answer("  ", plum.compare.ways()[0], lambda _: None, Stopper())
