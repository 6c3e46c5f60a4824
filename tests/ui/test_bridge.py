from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from plum_desktop.base.errors import Cancelled, PlumError
from plum_desktop.store import Store
from plum_desktop.ui.base.bridge import Bridge
from tests.ui.double import DoublePlum


@pytest.fixture
def bridge(double: DoublePlum, qtbot: QtBot) -> Iterator[Bridge]:
    made = Bridge(double)
    yield made
    made.close()


def test_work_runs_elsewhere_and_answers_here(bridge: Bridge, qtbot: QtBot) -> None:
    ran: list[threading.Thread] = []
    answered: list[tuple[int, threading.Thread]] = []

    def work() -> int:
        ran.append(threading.current_thread())
        return 42

    bridge.ask(work, lambda n: answered.append((n, threading.current_thread())), owner=bridge)
    qtbot.wait_until(lambda: bool(answered))
    assert answered == [(42, threading.main_thread())]
    assert ran[0] is not threading.main_thread()


def test_a_failure_is_a_sentence(bridge: Bridge, qtbot: QtBot) -> None:
    said: list[str] = []

    def fail(error: Exception) -> None:
        raise error

    bridge.ask(lambda: fail(PlumError("The disk is full.")), None, said.append, owner=bridge)
    bridge.ask(lambda: fail(KeyError("secret")), None, said.append, owner=bridge)
    with qtbot.wait_signal(bridge.failed) as unheard:
        bridge.ask(lambda: fail(PlumError("Nobody asked.")), owner=bridge)
    assert unheard.args == ["Nobody asked."]
    qtbot.wait_until(lambda: len(said) == 2)
    assert said[0] == "The disk is full."
    assert "KeyError" in said[1]
    assert "secret" not in said[1]


def test_nothing_is_told_to_an_owner_that_is_gone(bridge: Bridge, qtbot: QtBot) -> None:
    told: list[object] = []
    go = threading.Event()
    owner = QObject()
    bridge.ask(go.wait, told.append, owner=owner)
    owner.deleteLater()
    qtbot.wait(20)
    go.set()
    with qtbot.wait_signal(bridge.failed):
        bridge.ask(lambda: (_ for _ in ()).throw(PlumError("x")), owner=bridge)
    assert told == []


def test_cancelled_work_is_silent(bridge: Bridge, qtbot: QtBot) -> None:
    told: list[object] = []

    def work() -> None:
        raise Cancelled

    bridge.ask(work, told.append, lambda error: told.append(error), owner=bridge)
    bridge.ask(lambda: "next", told.append, owner=bridge)
    qtbot.wait_until(lambda: bool(told))
    assert told == ["next"]


def test_short_work_keeps_its_order(bridge: Bridge, qtbot: QtBot) -> None:
    done: list[int] = []
    for n in range(50):
        bridge.ask(lambda n=n: n, done.append, owner=bridge)
    qtbot.wait_until(lambda: len(done) == 50)
    assert done == list(range(50))


def test_a_slow_reply_holds_up_no_short_work(bridge: Bridge, qtbot: QtBot) -> None:
    go = threading.Event()
    ended: list[object] = []
    bridge.reply_ended.connect(lambda *how: ended.append(how))
    bridge.reply("chat", lambda on_text: go.wait(5))
    done: list[int] = []
    bridge.ask(lambda: 1, done.append, owner=bridge)
    qtbot.wait_until(lambda: done == [1])
    assert ended == []
    go.set()
    qtbot.wait_until(lambda: ended == [("chat", None)])


def test_a_fast_reply_is_thinned_out_and_never_goes_back(bridge: Bridge, qtbot: QtBot) -> None:
    """Ten thousand pieces must not be ten thousand repaints."""
    grown: list[str] = []
    bridge.reply_grew.connect(lambda _chat, _id, text: grown.append(text))
    with qtbot.wait_signal(bridge.reply_ended):
        bridge.reply("chat", lambda on_text: [on_text("m", "x" * n) for n in range(1, 10_000)])
    lengths = [len(text) for text in grown]
    assert 1 <= len(grown) < 200
    assert lengths == sorted(lengths)


def test_two_replies_do_not_mix(bridge: Bridge, qtbot: QtBot) -> None:
    grown: list[tuple[str, str]] = []
    bridge.reply_grew.connect(lambda chat, _id, text: grown.append((chat, text)))
    ended: list[str] = []
    bridge.reply_ended.connect(lambda chat, _: ended.append(chat))
    bridge.reply("one", lambda on_text: on_text("m1", "first"))
    bridge.reply("two", lambda on_text: on_text("m2", "second"))
    qtbot.wait_until(lambda: ended == ["one", "two"])
    assert set(grown) <= {("one", "first"), ("two", "second")}


def test_what_another_process_writes_is_noticed(
    bridge: Bridge, qtbot: QtBot, double: DoublePlum
) -> None:
    changes: list[int] = []
    bridge.store_changed.connect(lambda: changes.append(1))
    look = bridge._look_for_changes
    look()
    qtbot.wait_until(lambda: bridge._version is not None)
    double.add_chat("our own writing is no news", "hello")
    look()
    other = Store(double.folder.database, double.folder.backups)
    other.chats.create("from elsewhere")
    other.close()
    look()
    qtbot.wait_until(lambda: changes == [1])


def test_nothing_is_delivered_after_the_end(double: DoublePlum, qtbot: QtBot) -> None:
    bridge = Bridge(double)
    told: list[object] = []
    bridge.ask(lambda: 1, told.append, owner=bridge)
    bridge.close()
    qtbot.wait(20)
    assert told == []
    assert double.serving.on_progress is None


def test_a_watch_rests_until_somebody_writes(
    bridge: Bridge, qtbot: QtBot, double: DoublePlum
) -> None:
    changes: list[int] = []
    bridge.store_changed.connect(lambda: changes.append(1))
    bridge._watch.setInterval(20)
    bridge.watch()
    qtbot.wait_until(lambda: bridge._version is not None)
    if bridge._told_of_writes:
        qtbot.wait_until(lambda: not bridge._watch.isActive())
    other = Store(double.folder.database, double.folder.backups)
    other.chats.create("from elsewhere")
    other.close()
    qtbot.wait_until(lambda: changes == [1])
