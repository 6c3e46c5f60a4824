"""Chats, their trees, and what stays of them when they are deleted."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Attachment, Chat, Fact, Message
from plum_desktop.store import Store


def texts(messages: list[Message]) -> list[str]:
    return [message.text for message in messages]


def test_a_new_chat_is_stored_as_it_was_returned(store: Store) -> None:
    chat = store.chats.create("Tea", persona="Brief!", model="m.gguf", memory=False, learn=False)
    assert store.chats.get(chat.id) == chat
    assert (chat.title, chat.persona, chat.model) == ("Tea", "Brief!", "m.gguf")
    assert not chat.memory
    assert not chat.learn
    assert chat.leaf is None
    assert store.chats.branch(chat.id) == []


def test_an_id_may_be_shortened_to_four_letters_while_it_is_the_only_one(store: Store) -> None:
    for chat_id in ("abcd1", "abcd2", "abcd", "other-chat"):
        store.chats.create(chat_id=chat_id)
    assert store.chats.get("othe").id == "other-chat"
    assert store.chats.get("abcd").id == "abcd"  # a whole id comes before a beginning
    with pytest.raises(PlumError, match="There is no chat 'oth'"):
        store.chats.get("oth")
    store.chats.delete("abcd")
    with pytest.raises(PlumError, match="More than one chat's id begins with 'abcd'"):
        store.chats.get("abcd")


@pytest.mark.parametrize("wanted", ["", "none", "%%%%", "____", "abc*", "\U0010ffff" * 4])
def test_an_unknown_id_is_a_sentence(store: Store, wanted: str) -> None:
    store.chats.create(chat_id="abcdefgh")
    with pytest.raises(PlumError, match="There is no chat"):
        store.chats.get(wanted)


def test_pinned_chats_come_first_and_then_the_one_last_written_in(store: Store) -> None:
    for number, name in enumerate(("old", "pinned", "new")):
        store.chats.create(chat_id=name, created=float(number))
    store.chats.update("pinned", pinned=True)
    assert [chat.id for chat in store.chats.list()] == ["pinned", "new", "old"]
    store.chats.add_message("old", "user", "again", created=10.0)
    assert [chat.id for chat in store.chats.list()] == ["pinned", "old", "new"]
    assert [chat.id for chat in store.chats.list(limit=1, offset=1)] == ["old"]


def test_an_old_message_does_not_take_a_chat_back_in_time(store: Store) -> None:
    store.chats.create(chat_id="chat", created=100.0)
    store.chats.add_message("chat", "user", "imported", created=50.0)
    assert store.chats.get("chat").updated == 100.0


def test_archived_chats_are_listed_apart(store: Store) -> None:
    store.chats.create(chat_id="here")
    store.chats.create(chat_id="away")
    store.chats.update("away", archived=True)
    assert [chat.id for chat in store.chats.list()] == ["here"]
    assert [chat.id for chat in store.chats.list(archived=True)] == ["away"]
    assert {chat.id for chat in store.chats.list(archived=None)} == {"here", "away"}


def test_a_walk_meets_every_chat_once_the_first_made_first(store: Store) -> None:
    made = [store.chats.create(str(n), created=1000.0 - n // 2) for n in range(450)]
    store.chats.update(made[3].id, archived=True, learn=False)
    met = [chat for chat, _ in store.chats.walk()]
    expected = sorted(made, key=lambda chat: chat.created)  # of equals the first that came
    assert [chat.id for chat in met] == [chat.id for chat in expected]
    assert next(chat for chat in met if chat.archived) == store.chats.get(made[3].id)
    some = [made[7].id, made[2].id, made[7].id]
    assert [chat.id for chat, _ in store.chats.walk(some)] == [made[7].id, made[2].id]


def test_a_walk_tells_what_changed_of_a_shown_branch(store: Store) -> None:
    """As often as it says so, and not when only the chat's own fields have changed."""
    chat = store.chats.create()
    marks = [seen(store)]

    def changed() -> bool:
        marks.append(seen(store))
        return marks[-1] != marks[-2]

    asked = store.chats.add_message(chat.id, "user", "Tea?")
    assert changed()
    answer = store.chats.add_message(chat.id, "assistant", "T")
    assert changed()
    store.chats.grow_message(answer.id, "Tea")
    assert changed()
    store.chats.finish_message(answer.id, "Tea", "stop")
    assert changed()
    other = store.chats.add_message(chat.id, "assistant", "Tea", parent_id=asked.id)
    store.chats.finish_message(other.id, "Tea", "stop")
    assert changed()
    store.chats.show(chat.id, answer.id)
    assert changed()
    store.chats.update(chat.id, title="Tea", pinned=True)
    assert not changed()


def seen(store: Store) -> int:
    return next(mark for _, mark in store.chats.walk())


def test_update_changes_what_it_is_given_and_no_more(store: Store) -> None:
    chat = store.chats.create("Tea")
    store.chats.update(chat.id, title="Coffee", folder="Drinks", learn=False)
    expected = dataclasses.replace(chat, title="Coffee", folder="Drinks", learn=False)
    assert store.chats.get(chat.id) == expected
    store.chats.update(chat.id, folder=None)
    assert store.chats.get(chat.id).folder is None


def test_update_refuses_a_field_that_is_not_a_persons_to_change(store: Store) -> None:
    chat = store.chats.create()
    with pytest.raises(TypeError, match="leaf"):
        store.chats.update(chat.id, leaf="elsewhere")  # type: ignore[call-arg]


def test_messages_grow_a_branch(store: Store) -> None:
    chat = store.chats.create()
    asked = store.chats.add_message(chat.id, "user", "Hello?", tokens=3)
    reply = store.chats.add_message(chat.id, "assistant", "Hi.", finish_reason="stop")
    assert asked.parent_id is None
    assert reply.parent_id == asked.id
    assert store.chats.branch(chat.id) == [asked, reply]
    assert store.chats.get(chat.id).leaf == reply.id


def test_a_reply_is_stored_while_it_is_written(store: Store) -> None:
    chat = store.chats.create()
    reply = store.chats.add_message(chat.id, "assistant", "")
    store.chats.grow_message(reply.id, "Once")
    assert store.chats.message(reply.id).text == "Once"
    assert store.chats.message(reply.id).finish_reason is None
    store.chats.finish_message(reply.id, "Once upon", "length", tokens=2)
    done = store.chats.message(reply.id)
    assert (done.text, done.finish_reason, done.tokens) == ("Once upon", "length", 2)


def test_a_reply_whose_chat_is_deleted_meanwhile_is_refused(store: Store) -> None:
    chat = store.chats.create()
    reply = store.chats.add_message(chat.id, "assistant", "")
    store.chats.delete(chat.id)
    for write in (
        lambda: store.chats.grow_message(reply.id, "x"),
        lambda: store.chats.finish_message(reply.id, "x", "stop"),
        lambda: store.chats.message(reply.id),
    ):
        with pytest.raises(PlumError, match="not there any more"):
            write()


def test_another_answer_is_a_sibling_and_the_first_one_stays(store: Store) -> None:
    chat = store.chats.create()
    asked = store.chats.add_message(chat.id, "user", "Hello?")
    first = store.chats.add_message(chat.id, "assistant", "one")
    store.chats.add_message(chat.id, "user", "go on")
    second = store.chats.add_message(chat.id, "assistant", "two", parent_id=asked.id)
    assert texts(store.chats.branch(chat.id)) == ["Hello?", "two"]
    assert store.chats.siblings(first.id) == store.chats.siblings(second.id) == [first, second]

    store.chats.show(chat.id, first.id)
    assert texts(store.chats.branch(chat.id)) == ["Hello?", "one", "go on"]
    store.chats.show(chat.id, second.id)
    assert texts(store.chats.branch(chat.id)) == ["Hello?", "two"]
    store.chats.show(chat.id, asked.id)  # of both branches the one written last
    assert texts(store.chats.branch(chat.id)) == ["Hello?", "two"]


def test_a_first_message_can_be_edited_too(store: Store) -> None:
    chat, other = store.chats.create(), store.chats.create()
    store.chats.add_message(other.id, "user", "elsewhere")
    first = store.chats.add_message(chat.id, "user", "Helo?")
    again = store.chats.add_message(chat.id, "user", "Hello?", parent_id=None)
    assert store.chats.siblings(again.id) == [first, again]
    assert texts(store.chats.branch(chat.id)) == ["Hello?"]
    assert texts(store.chats.tree(chat.id)) == ["Helo?", "Hello?"]


def test_a_message_belongs_to_the_chat_of_its_parent(store: Store) -> None:
    here, there = store.chats.create(), store.chats.create()
    elsewhere = store.chats.add_message(there.id, "user", "x")
    with pytest.raises(PlumError, match="deleted meanwhile"):
        store.chats.add_message(here.id, "assistant", "y", parent_id=elsewhere.id)
    with pytest.raises(PlumError, match="not there"):
        store.chats.show(here.id, elsewhere.id)
    assert store.chats.branch(here.id) == []


def test_interrupted_replies_are_closed_and_nothing_else(store: Store) -> None:
    chat = store.chats.create()
    asked = store.chats.add_message(chat.id, "user", "q")
    done = store.chats.add_message(chat.id, "assistant", "a", finish_reason="stop")
    cut = store.chats.add_message(chat.id, "assistant", "half of")
    assert store.chats.close_interrupted() == 1
    assert store.chats.message(cut.id) == dataclasses.replace(cut, finish_reason="failed")
    assert store.chats.message(done.id) == done
    assert store.chats.message(asked.id) == asked
    assert store.chats.close_interrupted() == 0


def test_deleting_takes_everything_of_the_chat_and_nothing_of_others(
    store: Store, a_fact: Callable[..., Fact]
) -> None:
    gone, stays = store.chats.create("gone"), store.chats.create("stays")
    message = store.chats.add_message(gone.id, "user", "zebra")
    store.chats.add_message(stays.id, "user", "zebra")
    store.facts.add(
        [
            a_fact("f1", chat_id=gone.id, message_id=message.id, start=0, end=5),
            a_fact("f2", chat_id=stays.id),
            a_fact("f3"),
        ]
    )
    store.chats.delete(gone.id)
    assert [hit.chat_id for hit in store.search("zebra")] == [stays.id]
    assert [fact.id for fact in store.facts.list()] == ["f2", "f3"]
    with pytest.raises(PlumError):
        store.chats.get(gone.id)
    with pytest.raises(PlumError):
        store.chats.delete(gone.id)


def test_a_chat_of_thousands_of_messages_can_be_shown_and_deleted(store: Store) -> None:
    chat = store.chats.create()
    with store.transaction():
        for number in range(3000):
            store.chats.add_message(chat.id, "user", str(number))
    branch = store.chats.branch(chat.id)
    assert texts(branch) == [str(number) for number in range(3000)]
    store.chats.show(chat.id, branch[0].id)
    assert store.chats.get(chat.id).leaf == branch[-1].id
    store.chats.delete(chat.id)
    assert store.chats.list() == []


def test_after_compacting_no_byte_of_a_deleted_chat_is_left(
    store: Store, data_folder: DataFolder, a_fact: Callable[..., Fact]
) -> None:
    secret = "Xylophonist-Quetzal"
    kept = store.chats.create("kept")
    store.chats.add_message(kept.id, "user", "Marmalade")
    gone = store.chats.create(f"About {secret}", persona=f"You know {secret}.")
    reply = store.chats.add_message(gone.id, "assistant", "")
    for length in range(1, 200):  # streamed: many old versions on many pages
        store.chats.grow_message(reply.id, f"{secret} " * length)
    store.facts.add([a_fact("f1", statement=f"You met {secret}.", chat_id=gone.id)])

    def on_disk(word: str) -> bool:
        files = [path for path in data_folder.root.rglob("*") if path.is_file()]
        return any(word.lower().encode() in path.read_bytes().lower() for path in files)

    assert on_disk("quetzal")
    store.chats.delete(gone.id)
    store.compact()
    assert not on_disk("quetzal")
    assert not on_disk("xylophon")
    assert on_disk("marmalade")


def test_a_whole_conversation_is_added_once(store: Store) -> None:
    chat = Chat(id="c1", title="Tea", created=1.0, updated=2.0, folder="Drinks", learn=False)
    messages = [
        Message("m1", "c1", None, "user", "Tea?", 1.0),
        Message("m2", "c1", "m1", "assistant", "Yes.", 2.0, tokens=2, finish_reason="stop"),
    ]
    assert store.chats.add_conversation(chat, messages)
    assert store.chats.get("c1") == dataclasses.replace(chat, leaf="m2")
    assert store.chats.branch("c1") == messages
    store.chats.update("c1", title="Mine now")
    assert not store.chats.add_conversation(chat, messages)
    assert store.chats.get("c1").title == "Mine now"


def test_a_conversation_with_a_broken_tree_leaves_nothing(store: Store) -> None:
    chat = Chat(id="c1", title="Tea", created=1.0, updated=2.0)
    with pytest.raises(PlumError):
        store.chats.add_conversation(chat, [Message("m1", "c1", "nowhere", "user", "Tea?", 1.0)])
    with pytest.raises(PlumError):
        store.chats.add_conversation(dataclasses.replace(chat, leaf="nowhere"), [])
    assert store.chats.list(archived=None) == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(), title=st.text(), persona=st.none() | st.text())
def test_every_text_comes_back_as_it_went_in(
    store: Store, text: str, title: str, persona: str | None
) -> None:
    chat = store.chats.create(title, persona=persona)
    message = store.chats.add_message(chat.id, "user", text, created=chat.created)
    assert store.chats.get(chat.id) == dataclasses.replace(chat, leaf=message.id)
    assert store.chats.branch(chat.id) == [message]
    store.chats.grow_message(message.id, text + text)
    assert store.chats.message(message.id).text == text + text
    store.chats.delete(chat.id)


@pytest.mark.parametrize(
    ("given", "stored"),
    [("\ud83d\ude00", "\U0001f600"), ("a\ud800b", "a\ufffdb"), ("é\0ü", "é\0ü")],
)
def test_half_characters_are_mended(store: Store, given: str, stored: str) -> None:
    chat = store.chats.create(given)
    store.chats.add_message(chat.id, "user", given)
    assert store.chats.get(chat.id).title == stored
    assert texts(store.chats.branch(chat.id)) == [stored]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parents=st.lists(st.integers(0, 1000), max_size=25), shown=st.integers(0, 1000))
def test_any_tree_shows_one_branch_that_ends_in_a_leaf(
    store: Store, parents: list[int], shown: int
) -> None:
    chat = store.chats.create()
    added: list[Message] = []
    for choice in parents:
        place = choice % (len(added) + 1)
        parent = added[place - 1].id if place else None
        added.append(store.chats.add_message(chat.id, "user", "x", parent_id=parent))
    if added:
        wanted = added[shown % len(added)]
        store.chats.show(chat.id, wanted.id)
        branch = store.chats.branch(chat.id)
        assert wanted in branch
        assert branch[0].parent_id is None
        assert all(below.parent_id == above.id for above, below in itertools.pairwise(branch))
        assert not any(message.parent_id == branch[-1].id for message in added)
    assert store.chats.tree(chat.id) == added


def test_several_are_changed_or_deleted_at_once_or_not_at_all(store: Store) -> None:
    ids = [store.chats.create(title).id for title in ("one", "two", "three")]
    store.chats.update(*ids[:2], pinned=True, folder=" Work/ ")
    assert [store.chats.get(each).pinned for each in ids] == [True, True, False]
    assert store.chats.get(ids[0]).folder == "Work"
    with pytest.raises(PlumError):
        store.chats.update(ids[2], "nothing", pinned=True)
    assert not store.chats.get(ids[2]).pinned
    with pytest.raises(PlumError):
        store.chats.delete(ids[0], "nothing")
    assert len(store.chats.list()) == 3
    store.chats.delete(*ids[:2])
    assert [chat.id for chat in store.chats.list()] == ids[2:]


def test_a_conversation_with_another_chats_message_is_refused_whole(store: Store) -> None:
    mine = store.chats.create("mine")
    message = store.chats.add_message(mine.id, "user", "Hello")
    other = dataclasses.replace(mine, id="other", leaf=None)
    with pytest.raises(PlumError, match="in another chat"):
        store.chats.add_conversation(other, [dataclasses.replace(message, chat_id="other")])
    assert [chat.id for chat in store.chats.list()] == [mine.id]


FILES = (Attachment("b.txt", "second letter"), Attachment("a.md", "# First\n\nletter"))


def test_files_are_kept_with_their_message_in_their_order(store: Store) -> None:
    chat = store.chats.create()
    sent = store.chats.add_message(chat.id, "user", "Compare them.", attachments=FILES)
    store.chats.add_message(chat.id, "assistant", "No.", finish_reason="stop")
    assert store.chats.message(sent.id) == sent
    assert store.chats.message(sent.id).attachments == FILES
    assert [m.attachments for m in store.chats.branch(chat.id)] == [FILES, ()]
    assert [m.attachments for m in store.chats.tree(chat.id)] == [FILES, ()]
    assert store.chats.siblings(sent.id) == [sent]


def test_no_word_of_a_file_outlives_its_chat(store: Store, data_folder: DataFolder) -> None:
    chat = store.chats.create()
    secret = Attachment("zebrafile.txt", "zanzibarquartz")
    store.chats.add_message(chat.id, "user", "Read this.", attachments=[secret])
    store.drafts.set(chat.id, "walrusdraft")
    store.chats.delete(chat.id)
    store.compact()
    store.close()
    left = data_folder.database.read_bytes()
    for word in (b"zebrafile", b"zanzibarquartz", b"walrusdraft"):
        assert word not in left


def test_a_conversation_is_added_with_its_files(store: Store) -> None:
    chat = Chat("imported", "Files", 1.0, 1.0)
    message = Message("m", "imported", None, "user", "Read.", 1.0, attachments=FILES)
    assert store.chats.add_conversation(chat, [message])
    assert store.chats.branch("imported") == [message]


def test_drafts_are_kept_one_for_each_chat(store: Store, open_store: Callable[[], Store]) -> None:
    chat = store.chats.create()
    store.drafts.set(chat.id, "half a")
    store.drafts.set(chat.id, "half a thought")
    store.drafts.set("", "of no chat yet")
    store.drafts.set("gone", "of a chat that is not there")
    again = open_store()
    assert again.drafts.get(chat.id) == "half a thought"
    assert again.drafts.get("") == "of no chat yet"
    assert again.drafts.get("gone") == ""
    again.drafts.set(chat.id, "  ")
    assert again.drafts.get(chat.id) == ""


def test_a_reply_that_is_written_on_counts_as_unfinished(store: Store) -> None:
    chat = store.chats.create()
    store.chats.add_message(chat.id, "user", "Go on.")
    reply = store.chats.add_message(chat.id, "assistant", "One", finish_reason="cancelled")
    store.chats.reopen_message(reply.id)
    assert store.chats.message(reply.id).finish_reason is None
    assert store.chats.close_interrupted() == 1
