from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plum_desktop.engine.generation import StopWords

letters = st.text("ab", max_size=4)


@given(st.lists(letters, max_size=12), st.lists(letters.filter(bool), max_size=3))
def test_stop_words_cut_wherever_the_text_is_split(pieces, stop):
    words = StopWords(stop)
    shown = ""
    for piece in pieces:
        shown += words.feed(piece)
        if words.found:
            break
    shown += words.rest()
    whole = "".join(pieces)
    places = [whole.index(word) for word in stop if word in whole]
    if not places:
        assert shown == whole
        assert not words.found
    else:
        assert words.found
        assert not any(word in shown for word in stop)
        assert whole.startswith(shown)
        assert any(whole[len(shown) :].startswith(word) for word in stop)


def test_only_what_may_be_a_stop_word_is_held_back():
    words = StopWords(["</end>"])
    assert words.feed("so a < b </e") == "so a < b "
    assert words.feed("lse") == "</else"
