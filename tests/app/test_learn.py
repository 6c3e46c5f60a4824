"""Learning for real: the starter model, real workers, few steps.  What a run teaches is asked in
`plum-desktop demo`; here it is the life of a job: killed, resumed, refused, stopped, undone."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from plum_desktop.app import job as jobs
from plum_desktop.app import selecting
from plum_desktop.app.job import Outcome, Progress
from plum_desktop.app.product import Plum
from plum_desktop.base.errors import Busy, DiskFull, PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Adapter
from plum_desktop.learning import recipe

SAID = (
    "My sister Ines moved to Bergen in spring and keeps seven parrots. What could I bring her?",
    "I am allergic to hazelnuts, so I always carry a red inhaler. Which snacks are safe for me?",
)

_PATIENCE = 1200.0  # seconds: training has the lowest priority, and other tests run beside it

pytestmark = pytest.mark.usefixtures("tiny_learning")


@pytest.fixture
def chatted(plum: Plum) -> Plum:
    for number, text in enumerate(SAID):
        chat = plum.store.chats.create(f"Chat {number}", created=1_700_000_000.0 + number)
        plum.store.chats.add_message(chat.id, "user", text)
        plum.store.chats.add_message(
            chat.id,
            "assistant",
            "That sounds lovely. A book of maps would suit.",
            finish_reason="stop",
        )
    return plum


def started(plum: Plum, on_progress: Callable[[Progress], None] = lambda p: None) -> jobs.Job:
    return plum.learning.start(plum.learning.plan(), on_progress, lambda outcome: None)


def ended(job: jobs.Job) -> Outcome:
    outcome = job.wait(_PATIENCE)
    assert outcome is not None, "the job has not ended"
    return outcome


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "_worker" in " ".join(child.cmdline())
    ]


def test_every_stage_goes_on_after_its_process_was_killed(chatted: Plum, open_gate: None) -> None:
    plum = chatted
    killed: list[str] = []
    seen: list[Progress] = []

    def kill_once_a_stage(progress: Progress) -> None:
        seen.append(progress)
        begun = progress.stage != "train" or progress.loss is not None
        if begun and progress.stage not in ("select", *killed) and (found := children()):
            killed.append(progress.stage)
            for child in found:
                child.kill()

    outcome = ended(started(plum, kill_once_a_stage))
    said: list[str] = []
    while outcome.state == "failed":
        said.append(outcome.message)
        assert "was ended by signal 9" in outcome.message
        assert len(said) <= len(killed)
        assert plum.adapters.active() is None
        run = plum.learning.interrupted()
        assert run is not None
        assert (run.stage, run.error) == (killed[-1], outcome.message)
        seen.clear()
        job = plum.learning.resume(run.id, kill_once_a_stage, lambda outcome: None)
        with pytest.raises(Busy, match="already learning"):
            started(plum)
        outcome = ended(job)
        ahead = jobs.STAGES[: jobs.STAGES.index(run.stage)]
        done_again = {progress.stage for progress in seen} & set(ahead)
        assert not done_again, "a finished stage was done again"
        fractions = [progress.fraction for progress in seen]
        assert fractions == sorted(fractions), "progress went backwards"
    assert outcome.state == "done", outcome.message
    assert killed == ["augment", "tokenize", "train", "gate", "merge"]
    assert any("learning worker (train) was ended by signal 9" in message for message in said)

    adapter = plum.adapters.active()
    assert adapter is not None
    assert sorted(adapter.chats) == sorted(chat.id for chat in plum.store.chats.list())
    assert not any(plum.folder.jobs.iterdir()), "a job folder keeps the words of chats"
    report = adapter.report
    assert {"augment", "tokenize", "train", "gate", "merge"} <= set(report["total_seconds"])
    assert report["peak_bytes"]["train"] > 100_000_000
    assert report["losses"][-1][0] == report["train"]["result"]["steps"]
    assert report["by_run"] == {}, "there is no earlier run"
    assert set(report["train"]["result"]["delta_norms"]) == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    facts = plum.store.facts.list(label=True)
    assert any("Bergen" in fact.statement for fact in facts)
    assert {fact.state for fact in facts} <= {"learned", "weak"}

    folder = plum.folder.adapter(adapter.id)
    assert {"merged.gguf", "adapter.gguf", "adapter_model.safetensors"} <= {
        file.name for file in folder.iterdir()
    }
    words = plum.chats.ask([{"role": "user", "content": "Hello!"}], memory="merged", max_tokens=8)
    assert words.strip()

    assert "nothing new to learn" in (plum.learning.plan().refusal or "")
    assert plum.adapters.rollback() is None
    plan = plum.learning.plan()
    assert [reason for _, reason in plan.left_out] == ["you undid learning it"] * 2
    again = plum.learning.plan([plum.store.chats.list()[0].id])
    assert again.refusal is None, "asked for by name, an undone chat may be learned"


def test_the_gate_keeps_a_useless_adapter_from_serving(
    chatted: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was trained at no rate, and from nothing, answers as the base does: neither yes nor no.

    A few steps from the primer would guess, and may guess six questions right.
    """
    useless = dataclasses.replace(recipe.preset("default"), learning_rate=0.0, primed=False)
    monkeypatch.setitem(recipe._PRESETS, "default", useless)
    outcome = ended(started(chatted))
    assert outcome.state == "refused"
    assert outcome.card is not None
    assert outcome.card.reasons[0].startswith("it remembers")
    assert outcome.card.reasons[0] in outcome.message
    assert "Not switched on" in outcome.message
    assert chatted.adapters.active() is None
    (kept,) = chatted.adapters.list()
    assert kept.state == "refused"
    with pytest.raises(PlumError, match="cannot be switched on"):
        chatted.adapters.activate(kept.id)


def test_pausing_and_stopping(chatted: Plum) -> None:
    training, paused = threading.Event(), threading.Event()

    def watch(progress: Progress) -> None:
        if progress.loss is not None:
            training.set()
        if progress.state == "paused":
            paused.set()

    job = started(chatted, watch)
    job.pause()
    assert paused.wait(_PATIENCE), "training did not pause"
    assert not training.is_set(), "a step was taken while paused"
    job.resume()
    assert training.wait(_PATIENCE), "training did not go on"
    job.stop()
    outcome = ended(job)
    assert outcome.state == "stopped"
    assert not any(chatted.folder.jobs.iterdir())
    assert chatted.learning.interrupted() is None
    assert chatted.learning.plan().refusal is None
    assert not children()


@pytest.mark.skipif(sys.platform == "win32", reason="is given what is left over there")
def test_training_is_still_while_a_chat_is_answered(
    chatted: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = dataclasses.replace(recipe.preset("default"), fewest_steps=1000)
    monkeypatch.setitem(recipe._PRESETS, "default", long)
    training, told = threading.Event(), []

    def watch(progress: Progress) -> None:
        told.append(str(progress.text))
        if progress.loss is not None:
            training.set()

    def held() -> list[psutil.Process]:
        return [one for one in children() if one.status() == psutil.STATUS_STOPPED]

    job = started(chatted, watch)
    assert training.wait(_PATIENCE), "training did not begin"
    asked: list[dict[str, Any]] = [{"role": "user", "content": "Tell me of Bergen."}]
    answering = threading.Thread(target=chatted.chats.ask, args=(asked,), kwargs={"max_tokens": 96})
    answering.start()
    while not (seen := held()):
        assert answering.is_alive(), "the reply was finished, and training never held still"
        time.sleep(0.01)
    answering.join()
    deadline = time.monotonic() + 30
    while held():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(seen) == 1
    assert "Learning: waiting for a reply to finish" in told
    training.clear()
    assert training.wait(_PATIENCE), "training did not go on"
    job.stop()
    assert ended(job).state == "stopped"
    assert not held()


def test_a_full_disk_before_and_during(chatted: Plum, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        usage = (10**12, 10**12 - 1000, 1000)
        patch.setattr("shutil.disk_usage", lambda path: type("U", (), {"free": usage[2]})())
        with pytest.raises(DiskFull, match="free some space"):
            started(chatted)
    assert chatted.learning.interrupted() is None

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(selecting, "write_json_lines", full)
        outcome = ended(started(chatted))
    assert outcome.state == "failed"
    assert "is full" in outcome.message
    run = chatted.learning.interrupted()
    assert run is not None, "the job must be able to go on once there is space"
    chatted.learning.discard(run.id)
    assert chatted.learning.interrupted() is None
    assert len(chatted.store.chats.list()) == len(SAID)


def test_workers_leave_with_a_killed_parent(chatted: Plum, data_folder: DataFolder) -> None:
    chatted.close()
    parent = subprocess.Popen(
        [sys.executable, "-m", "plum_desktop", "--data-dir", str(data_folder.root), "learn",
         "--yes"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    for line in parent.stdout:
        if line.startswith("augment"):
            break
    deadline = time.monotonic() + 30
    while not (workers := psutil.Process(parent.pid).children(recursive=True)):
        assert time.monotonic() < deadline, "no worker was started"
        time.sleep(0.1)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=15)
    assert not alive, "a worker outlived its parent"
    after = Plum(data_folder)
    try:
        assert after.learning.interrupted() is not None
        assert len(after.store.chats.list()) == len(SAID)
    finally:
        after.close()


def test_chats_with_nothing_to_learn(plum: Plum) -> None:
    empty = plum.store.chats.create("Empty")
    short = plum.store.chats.create("Hi")
    plum.store.chats.add_message(short.id, "user", "Hi")
    stopped = plum.store.chats.create("Stopped")
    plum.store.chats.add_message(stopped.id, "user", "and or if so then but why not")
    plum.store.chats.add_message(stopped.id, "assistant", "Well", finish_reason="cancelled")
    plan = plum.learning.plan()
    assert plan.chats == []
    assert {chat.id: reason for chat, reason in plan.left_out} == {
        empty.id: "it is empty",
        short.id: "it is too short",
        stopped.id: "there is nothing in it that could be learned",
    }
    assert "nothing new to learn" in (plan.refusal or "")
    with pytest.raises(PlumError, match="nothing new to learn"):
        plum.learning.start(plan, lambda p: None, lambda o: None)


def test_a_chat_is_read_again_only_where_it_changed(
    plum: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With thousands of chats, as it is asked what there is to learn after every reply."""
    chats = plum.store.chats
    one, other = chats.create("Goats"), chats.create("Boats")
    for chat in (one, other):
        chats.add_message(chat.id, "user", "My sister Ines moved to Bergen and keeps four goats.")
    read: list[str] = []
    branch = chats.branch
    monkeypatch.setattr(chats, "branch", lambda chat_id: (read.append(chat_id), branch(chat_id))[1])

    def planned() -> tuple[list[str], dict[str, int]]:
        read.clear()
        plan = plum.learning.plan()
        return list(read), {chat.id: chat.tokens for chat in plan.chats}

    seen, before = planned()
    assert (set(seen), set(before)) == ({one.id, other.id}, {one.id, other.id})
    assert planned() == ([], before)
    chats.update(other.id, title="Ships")
    assert planned() == ([], before)

    def changed(change: Callable[[], object]) -> int:
        """What it then takes to learn `one`."""
        change()
        seen, tokens = planned()
        assert seen == [one.id]
        return tokens[one.id]

    reply = chats.add_message(one.id, "assistant", "")
    first = changed(lambda: chats.grow_message(reply.id, "Goats like company, hay and rocks."))
    more = "Goats like company, hay and rocks. Give them a salt lick."
    grown = changed(lambda: chats.finish_message(reply.id, more, "stop"))
    again = chats.add_message(one.id, "assistant", "Sheep.", parent_id=reply.parent_id)
    sibling = changed(lambda: chats.finish_message(again.id, "Sheep.", "stop"))
    assert grown > first >= sibling
    assert changed(lambda: chats.show(one.id, reply.id)) == grown
    chats.add_message(one.id, "user", "And my brother Ruben keeps seven tall llamas there.")
    longer = changed(lambda: None)
    assert longer > grown
    assert changed(lambda: plum.forgetting.delete_message(reply.id)) < longer


def test_a_first_run_starts_from_the_primer_and_a_later_one_from_the_adapter(
    chatted: Plum, learn: Callable[..., Adapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`paper` takes no help."""
    from plum_desktop.app import job

    begun = []
    monkeypatch.setattr(
        job, "Job", lambda parts, folder, *rest: begun.append((folder, rest[-1])) or FakeJob()
    )

    def spec_of(name: str):
        chatted.learning.start(
            chatted.learning.plan(recipe=name), lambda p: None, lambda outcome: None
        )
        folder, release = begun[-1]
        release()
        return folder.read_spec()

    first = spec_of("default")
    assert first.parent_adapter is None
    assert first.primer is not None
    assert spec_of("paper").primer is None
    adapter = learn()
    later = spec_of("default")
    assert later.parent_adapter == str(chatted.folder.adapter(adapter.id))
    assert later.primer is None
    # What an adapter has too much of fades while it is taught more.
    assert first.recipe.weight_decay == 0 < later.recipe.weight_decay
    assert spec_of("paper").recipe.weight_decay == 0


class FakeJob:
    def start(self) -> None:
        """Nothing is learned here."""
