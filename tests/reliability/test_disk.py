"""A disk that is full or read-only, files that vanish, a clock that goes back: one sentence each,
and nothing is lost."""

from __future__ import annotations

import errno
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plum_desktop.app.product import Plum
from plum_desktop.base import files
from plum_desktop.base.errors import DiskFull, PlumError
from plum_desktop.base.paths import open_data_folder
from plum_desktop.base.types import Message
from plum_desktop.store import chats
from tests.reliability import tiny

_SENTENCE = re.compile(r"[A-Z/].*[a-z)][;.].*\.", re.DOTALL)


@pytest.fixture
def plum(plum_root: Path) -> Iterator[Plum]:
    product = Plum(open_data_folder(plum_root))
    yield product
    product.close()


def said(plum: Plum, chat_id: str) -> list[tuple[str, str]]:
    return [(each.role, each.text) for each in plum.store.chats.branch(chat_id)]


def fail(number: int) -> Callable[..., Any]:
    def failing(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return failing


@pytest.mark.parametrize(
    ("step", "number", "kind", "words"),
    [
        ("fsync", errno.ENOSPC, DiskFull, "is full; free some space"),
        ("fsync", errno.EDQUOT, DiskFull, "is full; free some space"),
        ("replace", errno.EACCES, PlumError, "cannot be written .* check its permissions"),
        ("mkstemp", errno.EROFS, PlumError, "cannot be written .* check its permissions"),
        ("mkstemp", errno.ENOSPC, DiskFull, "is full; free some space"),
    ],
)
def test_a_file_that_cannot_be_written_stays_as_it_was(
    step: str, number: int, kind: type[PlumError], words: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "settings.json"
    files.write_json(path, {"a": 1})
    monkeypatch.setattr(tempfile if step == "mkstemp" else os, step, fail(number))
    with pytest.raises(kind, match=words) as caught:
        files.write_json(path, {"a": 2})
    assert _SENTENCE.fullmatch(str(caught.value))
    monkeypatch.undo()
    assert files.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path], "a part of a file is left"


def test_a_setting_that_cannot_be_saved_is_not_taken(
    plum: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail(errno.ENOSPC))
        with pytest.raises(DiskFull):
            plum.set_setting("temperature", 0.1)
    assert plum.settings.temperature == 0.7
    plum.set_setting("temperature", 0.2)
    assert plum.settings.temperature == 0.2


def test_a_database_without_room_keeps_what_it_has_and_goes_on_when_there_is_some(
    plum: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = plum.store.chats.create()
    first = plum.chats.send(chat.id, "Hello?")
    before = said(plum, chat.id)
    connection = plum.store._connection
    room = connection.pragma("page_count")
    connection.pragma("max_page_count", room)
    with pytest.raises(DiskFull, match="free some space and try again") as caught:
        plum.chats.send(chat.id, "A long story. " * 10_000)
    assert _SENTENCE.fullmatch(str(caught.value))
    assert said(plum, chat.id) == before, "half of it was stored"
    connection.pragma("max_page_count", 1 << 30)
    assert plum.chats.send(chat.id, "And now?").text
    assert said(plum, chat.id)[:2] == before
    assert plum.store.chats.message(first.id) == first


def test_a_reply_during_which_the_disk_fills_up_stops_and_keeps_what_was_saved(
    plum: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plum_desktop.app.chat._SAVE_EVERY", 0.0)
    chat = plum.store.chats.create()
    saves = iter(range(100))
    store_it = chats.Chats.grow_message

    def grow(self: chats.Chats, message_id: str, text: str) -> None:
        if next(saves) >= 5:
            raise DiskFull("The disk that holds it is full; free some space and try again.")
        store_it(self, message_id, text)

    with monkeypatch.context() as patch:
        patch.setattr(chats.Chats, "grow_message", grow)
        with pytest.raises(DiskFull):
            plum.chats.send(chat.id, "Tell me a story.")
    [_, reply] = plum.store.chats.branch(chat.id)
    assert reply.finish_reason == "failed"
    assert reply.text
    # Nobody wanted the rest, so the engine is free for the next one.
    again = plum.chats.regenerate(reply.id)
    assert again.finish_reason == "length"


def test_a_model_that_is_removed_is_named_and_the_question_kept(plum: Plum) -> None:
    model = plum.folder.models / tiny.NAME
    away = model.with_suffix(".away")
    chat = plum.store.chats.create()
    model.rename(away)
    with pytest.raises(PlumError, match="There is no model called") as caught:
        plum.chats.send(chat.id, "Are you there?")
    assert _SENTENCE.fullmatch(str(caught.value))
    [asked, failed] = plum.store.chats.branch(chat.id)
    assert (asked.text, failed.finish_reason) == ("Are you there?", "failed")
    away.rename(model)
    assert plum.chats.regenerate(failed.id).finish_reason == "length"


def test_a_model_that_is_removed_while_it_answers_answers_on(plum: Plum) -> None:
    chat = plum.store.chats.create()
    gone: list[str] = []

    def remove(_message: str, text: str) -> None:
        if not gone:
            (plum.folder.models / tiny.NAME).unlink()
            gone.append(text)

    assert plum.chats.send(chat.id, "Are you there?", remove).finish_reason == "length"
    with pytest.raises(PlumError, match="There is no model called"):
        plum.chats.send(chat.id, "And now?")
    assert [text for role, text in said(plum, chat.id) if role == "user"] == [
        "Are you there?", "And now?",
    ]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no open file")
@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_that_is_removed_is_not_written_into_the_void(
    plum: Plum, replaced: bool
) -> None:
    chat = plum.store.chats.create("Kept")
    path, away = plum.folder.database, plum.folder.root / "away.db"
    path.rename(away)
    if replaced:
        path.write_bytes(b"")
    for write in (
        lambda: plum.store.chats.create("Lost"),
        lambda: plum.store.chats.update(chat.id, title="Lost"),
        lambda: plum.store.chats.close_interrupted(),
    ):
        with pytest.raises(PlumError, match="was moved or removed .* put it back") as caught:
            write()
        assert _SENTENCE.fullmatch(str(caught.value))
    away.replace(path)
    plum.store.chats.update(chat.id, title="Found again")
    assert [each.title for each in plum.store.chats.list()] == ["Found again"]


def test_a_clock_that_goes_back_puts_nothing_out_of_order(
    plum: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    chat = plum.store.chats.create()
    texts = []
    for turn in range(3):
        texts.append(f"Question {turn}?")
        plum.chats.send(chat.id, texts[-1])
        now -= 86_400
    branch = plum.store.chats.branch(chat.id)
    assert [each.text for each in branch if each.role == "user"] == texts
    assert [each.role for each in branch] == ["user", "assistant"] * 3
    assert plum.store.chats.get(chat.id).updated == 1_800_000_000.0
    again: Message = plum.chats.regenerate(branch[-1].id)
    assert plum.store.chats.branch(chat.id)[-1] == again
    assert plum.store.chats.siblings(again.id)[-1] == again
