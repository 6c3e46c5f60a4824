"""Search finds what is there, and nothing that a person types can break it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plum_desktop.base.types import Attachment, Chat, Message, SearchFilter
from plum_desktop.store import Store, search


def add(store: Store, *texts: str) -> list[str]:
    chat = store.chats.create("A title")
    return [store.chats.add_message(chat.id, "user", text).id for text in texts]


def found(store: Store, text: str) -> list[str]:
    return [hit.message_id for hit in store.search(text)]


def test_a_hit_says_where_it_is_and_marks_the_match(store: Store) -> None:
    (message,) = add(store, "My dog Waldo barks at the moon.")
    (hit,) = store.search("waldo")
    assert hit.message_id == message
    assert (hit.title, hit.role) == ("A title", "user")
    assert hit.snippet == "My dog \ue000Waldo\ue001 barks at the moon."
    assert hit.created == store.chats.message(message).created
    assert hit.chat_id == store.chats.message(message).chat_id


def test_a_long_message_is_cut_to_the_match(store: Store) -> None:
    add(store, "word " * 500 + "needle " + "word " * 500)
    (hit,) = store.search("needle")
    assert "\ue000needle\ue001" in hit.snippet
    assert len(hit.snippet) < 200


def test_every_word_must_be_there_and_the_last_may_be_begun(store: Store) -> None:
    both, _ = add(store, "apples and bananas", "apples only")
    assert found(store, "bananas apples") == [both]
    assert found(store, "apples banan") == [both]
    assert found(store, "banan apples") == []
    assert len(found(store, "appl")) == 2


def test_the_best_match_is_first(store: Store) -> None:
    _, best, _ = add(
        store, "tea " + "and something else " * 20, "tea tea tea", "tea " + "or other things " * 20
    )
    assert found(store, "tea")[0] == best
    assert len(store.search("tea", limit=2)) == 2


def test_accents_and_case_do_not_matter(store: Store) -> None:
    (message,) = add(store, "Ein Café in Zürich")
    assert found(store, "CAFE zurich") == [message]


def test_search_follows_a_reply_as_it_grows_and_a_chat_as_it_goes(store: Store) -> None:
    (message,) = add(store, "")
    store.chats.grow_message(message, "first thought")
    assert found(store, "thought") == [message]
    store.chats.finish_message(message, "second idea", "stop")
    assert found(store, "thought") == []
    assert found(store, "idea") == [message]
    store.chats.delete(store.chats.message(message).chat_id)
    assert found(store, "idea") == []


def test_the_index_survives_compacting(store: Store) -> None:
    first, second = add(store, "alpha"), add(store, "beta")
    store.chats.delete(store.chats.message(first[0]).chat_id)
    store.compact()
    assert found(store, "beta") == second
    third = add(store, "beta gamma")
    assert found(store, "gamma") == third


def test_what_stands_in_a_file_is_found_after_what_was_said(store: Store) -> None:
    chat = store.chats.create("A title")
    file = Attachment("harbour.md", "The ferry to Horta leaves at nine. 我喜欢猫")
    sent = store.chats.add_message(chat.id, "user", "When does it leave?", attachments=[file])
    (said,) = add(store, "I took the ferry to Horta.")
    assert found(store, "ferry horta") == [said, sent.id]
    assert found(store, "harbour") == [sent.id]
    assert found(store, "leave") == [sent.id]  # once, although both have it
    assert found(store, "喜欢") == [sent.id]
    (hit,) = store.search("ferry nine")
    assert "\ue000ferry\ue001 to Horta" in hit.snippet
    assert (hit.chat_id, hit.role) == (chat.id, "user")
    assert len(store.search("ferry", limit=1)) == 1
    assert store.related(["ferry"], 9) != []
    assert all(ref.message_id == said for ref in store.related(["ferry"], 9))


@pytest.mark.parametrize(("query", "hits"), [("喜欢", 1), ("猫 kim", 1), ("狗", 0), ("ねこ", 1)])
def test_words_without_spaces_between_them_are_found(store: Store, query: str, hits: int) -> None:
    add(store, "我喜欢猫, says Kim", "ねこがすき")
    assert len(store.search(query)) == hits


def test_a_match_in_unspaced_text_is_marked_and_cut_out(store: Store) -> None:
    add(store, "字" * 100 + "我喜欢猫" + "字" * 100)
    (hit,) = store.search("喜欢")
    assert hit.snippet == "…" + "字" * 39 + "我\ue000喜欢\ue001猫" + "字" * 39 + "…"


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        '"',
        "''",
        "*",
        "AND",
        "a AND",
        "NOT x",
        "NEAR(",
        "text:a",
        "a*b",
        "(",
        "^a",
        "- a",
        "a\0b",
        '"a',
        "\ud800",
        "a" * 5000,
        "x " * 2000,
        "c++",
        "%",
        "_",
        "\ue000",
        "'; DROP TABLE",
    ],
)
def test_no_query_is_an_error(store: Store, query: str) -> None:
    add(store, "a and text x b near not c++ drop table")
    store.search(query)


def test_operators_are_words(store: Store) -> None:
    (message,) = add(store, "this and that or NOT those")
    assert found(store, "NOT") == [message]
    assert found(store, "that OR") == [message]
    assert found(store, "that AND absent") == []


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(query=st.text(), text=st.text(), word=st.from_regex("[a-zA-Z0-9]{1,12}", fullmatch=True))
def test_any_query_over_any_text_answers(store: Store, query: str, text: str, word: str) -> None:
    (message,) = add(store, f"{text} {word} {text}")
    store.search(query)
    assert found(store, word) == [message]
    store.chats.delete(store.chats.message(message).chat_id)


def related(store: Store, *beginnings: str) -> list[str]:
    return [ref.message_id for ref in store.related(beginnings, 10)]


def test_any_of_the_words_is_enough_to_be_related_and_rare_ones_count_most(store: Store) -> None:
    tea, both, other = add(store, "tea and milk", "tea with walnuts", "coffee")
    assert related(store, "walnut", "tea") == [both, tea]
    assert related(store, "coff") == [other]
    assert related(store, "submarin") == []
    assert related(store, '"', "", "- OR *") == []
    assert store.count_words("tea") == 2
    assert store.count_words("wal") == 1
    assert store.count_messages() == 3


@pytest.fixture
def filed(store: Store) -> Store:
    """The same word in chats of several folders, times and personas."""
    for number, (title, folder, persona, archived) in enumerate(
        [
            ("a", "Work", None, False),
            ("b", "Work/Clients", "You are a Teacher.", False),
            ("c", "Workshop", "You are a teacher.", True),
            ("d", None, "You are a cook.", False),
        ]
    ):
        chat = store.chats.create(title, persona=persona, created=100.0 * number)
        store.chats.add_message(chat.id, "user", "tea 我喜欢猫", created=100.0 * number)
        store.chats.add_message(chat.id, "assistant", "more tea", created=100.0 * number + 50)
        store.chats.update(chat.id, folder=folder, archived=archived)
    return store


@pytest.mark.parametrize(
    ("within", "titles"),
    [
        (SearchFilter(), "abd"),
        (SearchFilter(archived=None), "abcd"),
        (SearchFilter(archived=True), "c"),
        (SearchFilter(folder="work"), "ab"),
        (SearchFilter(folder="Clients"), "b"),
        (SearchFilter(folder="nowhere"), ""),
        (SearchFilter(persona="TEACHER"), "b"),
        (SearchFilter(persona="teacher", archived=None), "bc"),
        (SearchFilter(after=100.0), "bd"),
        (SearchFilter(before=100.0), "a"),
        (SearchFilter(after=100.0, before=300.0, folder="work", persona="you"), "b"),
    ],
)
def test_a_filter_narrows_messages_and_titles(
    filed: Store, within: SearchFilter, titles: str
) -> None:
    for text in ("tea", "喜欢"):  # by the index, and by reading
        found = {hit.title for hit in filed.search(text, within=within)}
        assert found == set(titles), text
    assert [hit.title for hit in filed.search_titles("", within=within)] == sorted(titles)[::-1]
    every = [filed.search_titles(title, within=within) for title in "ABCD"]
    assert "".join(hit.title for hits in every for hit in hits) == titles


def test_times_are_those_of_messages_and_limits_count_what_is_kept(filed: Store) -> None:
    (hit,) = filed.search("tea", within=SearchFilter(after=120.0, before=180.0))
    assert (hit.title, hit.role) == ("b", "assistant")
    assert len(filed.search("tea", limit=1, within=SearchFilter(folder="Clients"))) == 1
    assert len(filed.search_titles("", limit=2)) == 2


def test_personas_are_listed_once(filed: Store) -> None:
    chat = filed.chats.create("e", persona="You are a cook.")
    assert filed.personas()[0] == "You are a cook."
    assert len(filed.personas()) == 3
    filed.chats.delete(chat.id)


def test_a_filtered_search_over_many_messages_takes_few_steps(store: Store) -> None:
    with store.transaction():
        for number in range(300):
            chat = Chat(f"c{number}", f"chat {number}", number, number, f"F{number % 30}")
            store.chats.add_conversation(
                chat,
                [
                    Message(f"m{number}-{n}", chat.id, None, "user", f"tea number {n}", float(n))
                    for n in range(60)
                ],
            )
    within = SearchFilter(after=20.0, folder="F7")
    steps: list[int] = []
    sqlite = store._connection.raw
    sqlite.set_progress_handler(lambda: steps.append(1000), 1000)
    hits = store.search("tea", within=within)
    sqlite.set_progress_handler(None, 0)
    assert sum(steps) < 300_000  # 79,000 when this was written
    assert len(hits) == 50
    assert {store.chats.get(hit.chat_id).folder for hit in hits} == {"F7"}


def test_what_very_many_messages_have_is_found_newest_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_COMMON", 2)
    best, _, newest = add(store, "tea tea tea", "tea and cake", "tea " + "or other things " * 20)
    assert found(store, "tea")[0] == newest
    assert found(store, "cake tea") == found(store, "tea cake")
    monkeypatch.setattr(search, "_COMMON", 3)
    assert found(store, "tea")[0] == best


def test_a_last_word_of_one_letter_is_the_whole_word(store: Store) -> None:
    whole, _ = add(store, "plan b", "plan beta")
    assert found(store, "plan b") == [whole]
    assert len(found(store, "plan be")) == 1


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("A Trip to the SEA", "trip TO  the sea"),
        ("100% wool_sock", "0% WOOL_"),
        (r"C:\notes", r"c:\n"),
        ("Die Straße", "strasse"),
        ("ΑΘΗΝΑ", "αθήνα".replace("ή", "η")),
        ("three hundred kelvin: 300 \u212a", "300 k"),
        ("a" * 3_000 + "b", "a" * 3_000 + "B"),
    ],
)
def test_a_title_is_found_by_a_part_of_it(store: Store, title: str, text: str) -> None:
    chat = store.chats.create(title)
    store.chats.create("Another")
    assert [hit.chat_id for hit in store.search_titles(text)] == [chat.id]


@pytest.mark.parametrize("text", ["100_", "%", "sea_", "\\", "a" * 60_000])
def test_nothing_stands_for_something_else_in_a_title(store: Store, text: str) -> None:
    store.chats.create("1000 seas")
    assert store.search_titles(text) == []


def test_what_was_said_several_times_is_found_newest_first(store: Store) -> None:
    said = add(store, "thanks a lot", "thanks a lot", "thanks a lot")
    assert found(store, "thanks") == said[::-1]
