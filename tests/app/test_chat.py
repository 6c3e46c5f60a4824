from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from plum_desktop.app.chat import history
from plum_desktop.app.product import Plum
from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.base.types import Adapter, Chat, Message, WireMessage

Learn = Callable[..., Adapter]
QUESTION = "Say in one sentence what a kite is."


def replies(plum: Plum, chat_id: str) -> list[Message]:
    return plum.store.chats.branch(chat_id)


@pytest.fixture(autouse=True)
def short_and_greedy(plum: Plum) -> None:
    plum.set_setting("max_tokens", 24)
    plum.set_setting("temperature", 0)


def test_send_streams_titles_and_stores(plum: Plum) -> None:
    chat = plum.store.chats.create()
    seen: list[str] = []
    reply = plum.chats.send(chat.id, QUESTION, lambda message_id, text: seen.append(text))
    assert reply.text
    assert reply.text == seen[-1]
    assert len(seen) > 3
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(seen))
    assert reply.finish_reason in ("stop", "length")
    assert reply.tokens
    assert 0 < reply.tokens <= 24
    assert plum.store.chats.get(chat.id).title == QUESTION
    assert [message.role for message in replies(plum, chat.id)] == ["user", "assistant"]


def test_regenerate_and_edit_branch(plum: Plum) -> None:
    chat = plum.store.chats.create()
    first = plum.chats.send(chat.id, QUESTION)
    again = plum.chats.regenerate(first.id)
    assert again.id != first.id
    assert {message.id for message in plum.store.chats.siblings(first.id)} == {first.id, again.id}
    asked = replies(plum, chat.id)[0]
    edited = plum.chats.edit(asked.id, "What is a boat?")
    branch = replies(plum, chat.id)
    assert [message.text for message in branch] == ["What is a boat?", edited.text]
    with pytest.raises(PlumError, match="Only a reply"):
        plum.chats.regenerate(asked.id)
    with pytest.raises(PlumError, match="Only your own"):
        plum.chats.edit(edited.id, "x")


def test_a_cut_reply_is_gone_on_with_in_its_place(plum: Plum) -> None:
    plum.set_setting("max_tokens", 5)
    chat = plum.store.chats.create()
    cut = plum.chats.send(chat.id, QUESTION)
    assert cut.finish_reason == "length"
    seen: list[str] = []
    longer = plum.chats.go_on(cut.id, lambda _, text: seen.append(text))
    assert longer.id == cut.id
    assert longer.text.startswith(cut.text)
    assert len(longer.text) > len(cut.text)
    assert all(text.startswith(cut.text) for text in seen)
    assert longer.tokens == 10
    assert len(replies(plum, chat.id)) == 2
    asked = replies(plum, chat.id)[0]
    with pytest.raises(PlumError, match="stopped or cut off"):
        plum.chats.go_on(asked.id)
    plum.store.chats.add_message(chat.id, "user", "Thanks.")
    with pytest.raises(PlumError, match="Only the last reply"):
        plum.chats.go_on(cut.id)


def test_stop_keeps_what_was_said(plum: Plum) -> None:
    plum.set_setting("max_tokens", 2000)
    chat = plum.store.chats.create()

    def stop_soon(_: str, text: str) -> None:
        if len(text) > 20:
            plum.chats.stop()

    reply = plum.chats.send(chat.id, "Write a very long story about a lighthouse.", stop_soon)
    assert reply.finish_reason == "cancelled"
    assert 20 < len(reply.text) < 200
    plum.set_setting("max_tokens", 8)
    assert plum.chats.send(chat.id, "And now?").finish_reason in ("stop", "length")


def test_a_growing_reply_is_saved_before_it_ends(
    plum: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plum_desktop.app.chat._SAVE_EVERY", 0.0)
    chat = plum.store.chats.create()
    stored: list[bool] = []
    plum.chats.send(
        chat.id,
        QUESTION,
        lambda message_id, text: stored.append(plum.store.chats.message(message_id).text == text),
    )
    assert stored
    assert all(stored)


def test_a_killed_engine_fails_the_reply_and_the_next_one_works(plum: Plum) -> None:
    plum.set_setting("max_tokens", 2000)
    chat = plum.store.chats.create()

    def kill(_: str, text: str) -> None:
        engine = plum.serving._client
        if len(text) > 20 and engine and engine.pid:
            os.kill(engine.pid, signal.SIGKILL)

    with pytest.raises(PlumError, match="engine"):
        plum.chats.send(chat.id, "Write a very long story about a lighthouse.", kill)
    failed = replies(plum, chat.id)[-1]
    assert failed.finish_reason == "failed"
    assert len(failed.text) > 20
    plum.set_setting("max_tokens", 8)
    assert plum.chats.regenerate(failed.id).finish_reason in ("stop", "length")


def test_a_model_that_does_not_load_leaves_a_reply_to_try_again(
    plum: Plum, starter: Path, tmp_path: Path
) -> None:
    source = tmp_path / "mine.gguf"
    os.symlink(starter, source)
    plum.models.add(source)
    chat = plum.store.chats.create(model="mine.gguf")
    (plum.folder.models / "mine.gguf").unlink()
    with pytest.raises(PlumError, match="no model called 'mine.gguf'"):
        plum.chats.send(chat.id, QUESTION)
    failed = replies(plum, chat.id)[-1]
    assert (failed.role, failed.text, failed.finish_reason) == ("assistant", "", "failed")
    plum.store.chats.update(chat.id, model=None)
    assert plum.chats.regenerate(failed.id).text


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_an_empty_message_is_refused(plum: Plum, text: str) -> None:
    chat = plum.store.chats.create()
    with pytest.raises(PlumError, match="message is empty"):
        plum.chats.send(chat.id, text)
    assert replies(plum, chat.id) == []


def test_an_unknown_chat_is_refused(plum: Plum) -> None:
    with pytest.raises(PlumError):
        plum.chats.send("no-such-chat", "Hello")


def test_memory_changes_what_is_said_and_off_is_the_base(plum: Plum, learn: Learn) -> None:
    asked: list[WireMessage] = [{"role": "user", "content": "Tell me a story about a kite."}]
    base = plum.chats.ask(asked, max_tokens=40)
    learn()
    said = {
        memory: plum.chats.ask(asked, memory, max_tokens=40)
        # Another model each time, so that none goes on from what the one before has in its cache.
        for memory in (None, "adapter", "merged", "off")
    }
    assert said["off"] == base
    assert said["merged"] == said[None]
    assert said["merged"] != base
    assert said["adapter"] != base


def test_memory_off_for_one_chat_is_the_base(plum: Plum, learn: Learn) -> None:
    chat = plum.store.chats.create(memory=False)
    base = plum.chats.ask([{"role": "user", "content": QUESTION}], max_tokens=24)
    learn()
    assert plum.chats.send(chat.id, QUESTION).text == base


def test_stop_reaches_a_reply_that_is_not_stored(plum: Plum) -> None:
    answered = threading.Event()

    def stop(text: str) -> None:
        answered.set()
        plum.chats.stop()

    with pytest.raises(Cancelled):
        plum.chats.ask([{"role": "user", "content": "Count."}], max_tokens=2000, on_text=stop)
    assert answered.is_set()


def turn(role: str, text: str) -> Message:
    return Message("m", "c", None, role, text, 0.0)  # type: ignore[arg-type]


def test_the_persona_comes_first_and_failed_turns_are_left_out() -> None:
    chat = Chat("c", "t", 0.0, 0.0, persona="Be brief.")
    branch = [turn("user", "a"), turn("assistant", ""), turn("user", "b"), turn("assistant", "B")]
    assert [(m["role"], m["content"]) for m in history(branch, chat, "Be long.")] == [
        ("system", "Be brief."),
        ("user", "b"),
        ("assistant", "B"),
    ]
    plain = Chat("c", "t", 0.0, 0.0)
    assert history([turn("user", "a")], plain, "Be long.")[0]["content"] == "Be long."
    assert history([turn("user", "a")], plain)[0]["role"] == "user"
