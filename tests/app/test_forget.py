"""Forgetting, looked for in every byte of the data folder, and in what serves."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from plum_desktop.app.product import Plum
from plum_desktop.base.errors import Busy, PlumError
from plum_desktop.base.files import FileLock, write_json_lines
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Adapter, Attachment, Chat, Fact, Run
from plum_desktop.learning import own
from plum_desktop.learning.corrections import taken_back
from plum_desktop.learning.job import JobFolder
from plum_desktop.learning.select import learnable
from plum_desktop.store import Store
from plum_desktop.store.forgetting import Doomed
from tests.store.test_opening import ROWS, database_at

# One rare word for each place that something of a chat comes to.
RARE = {
    name: f"zyx{name}qua" for name in (
        "title", "folder", "persona", "asked", "answered", "branch", "filename", "filetext",
        "draft", "fact", "negative", "edited", "report", "error", "weights", "job",
    )
}  # fmt: skip
KEPT = "marmalade"


@pytest.fixture
def plum(data_folder: DataFolder) -> Iterator[Plum]:
    product = Plum(data_folder)
    yield product
    product.close()


def adapter(
    plum: Plum, adapter_id: str, chats: tuple[str, ...], parent: str | None = None, **fields: object
) -> Adapter:
    """An adapter with files of its own, as its run left it; the newest serves."""
    model = plum.models.file().sha256
    plum.store.runs.create(
        Run(f"run-{adapter_id}", 1.0, "done", "switch", model, "default", chats[-1:])
    )
    made = Adapter(adapter_id, f"run-{adapter_id}", parent, model, 1.0, "ready", False, chats)
    plum.store.adapters.add(dataclasses.replace(made, **fields))  # type: ignore[arg-type]
    plum.store.adapters.set_seen(adapter_id, dict.fromkeys(chats, "leaf"))
    folder = plum.folder.adapter(adapter_id)
    folder.mkdir()
    (folder / "adapter.gguf").write_text(RARE["weights"] if len(chats) > 1 else KEPT)
    if made.state == "ready":
        plum.store.adapters.activate(adapter_id, model)
    return plum.store.adapters.get(adapter_id)


def secret_chat(plum: Plum) -> Chat:
    """A chat with a word of its own wherever one can be."""
    chats = plum.store.chats
    chat = chats.create(f"About {RARE['title']}", persona=f"You know {RARE['persona']}.")
    chats.update(chat.id, folder=f"Work/{RARE['folder']}")
    asked = chats.add_message(
        chat.id, "user", f"My sister moved to {RARE['asked'].title()} in spring.",
        attachments=[Attachment(f"{RARE['filename']}.txt", f"Of {RARE['filetext']}.")],
    )  # fmt: skip
    reply = chats.add_message(chat.id, "assistant", "", parent_id=asked.id)
    for length in range(1, 60):  # streamed: old versions on many pages
        chats.grow_message(reply.id, f"So {RARE['answered']} " * length)
    chats.finish_message(reply.id, f"So {RARE['answered']}.", "stop")
    chats.add_message(chat.id, "assistant", f"Or {RARE['branch']}.", parent_id=asked.id)
    plum.store.drafts.set(chat.id, f"And {RARE['draft']}?")
    plum.store.facts.add([
        Fact("f1", True, "said", f"My sister likes {RARE['fact']}.", RARE["fact"], "rule",
             "learned", chat.id, asked.id),
        Fact("f2", False, "said", RARE["negative"], RARE["negative"], "rule", "learned", chat.id),
    ])  # fmt: skip
    return chats.get(chat.id)


def plant_files(plum: Plum, chat: Chat) -> None:
    """What lies beside the database."""
    folder = plum.folder
    plum.store.runs.create(
        Run("cut", 2.0, "interrupted", "train", "m", "default", (chat.id,), None,
            f"Not {RARE['error']}.")
    )  # fmt: skip
    job = JobFolder(folder.job("cut"))
    write_json_lines(job.others, [{"id": chat.id, "text": RARE["job"]}])
    write_json_lines(job.conversations, [{"text": RARE["job"]}])
    write_json_lines(JobFolder(folder.job("nobodys")).others, [{"id": "x", "text": RARE["job"]}])
    folder.window_place.write_text(
        json.dumps({"page": "chat", "closed_folders": ["Home", f"Work/{RARE['folder']}"]})
    )
    plum.store.backups.create("daily")
    plum.store.backups.create("before-restore")
    # An older shape, with the same chat in it.
    old = folder.backups / "plum-20200101-000000-before-m002_attachments.db"
    database_at(old, "m001_first", ROWS["m001_first"])
    with closing(sqlite3.connect(old)) as raw:
        raw.execute("UPDATE chats SET id = ?, title = ? WHERE id = 'c2'", [chat.id, RARE["title"]])
        raw.execute(
            "INSERT INTO messages (id, chat_id, role, text, created)"
            " VALUES ('m9', ?, 'user', ?, 1)",
            [chat.id, RARE["asked"]],
        )
        raw.commit()
    (folder.backups / "plum-20200102-000000-damaged.db").write_text(RARE["asked"] * 9)
    (folder.backups / "plum-20200102-000000-damaged.db-wal").write_text(RARE["asked"])
    (folder.backups / "plum-20200103-000000-daily.db").write_text(RARE["asked"] * 900)
    (folder.backups / ".plum-abc.part").write_text(RARE["asked"])
    orphan = folder.adapter("of-nobody")
    orphan.mkdir()
    (orphan / "adapter.gguf").write_text(RARE["weights"])


def found(folder: DataFolder) -> dict[str, list[str]]:
    """Which words are in which files."""
    words = [*RARE.values(), KEPT]
    left: dict[str, list[str]] = {}
    for path in folder.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes().lower()
            for word in words:
                if word.encode() in content or word.encode("utf-16-le") in content:
                    left.setdefault(word, []).append(str(path.relative_to(folder.root)))
    return left


def test_no_byte_of_a_forgotten_chat_is_left_anywhere(plum: Plum) -> None:
    kept = plum.store.chats.create("Breakfast")
    plum.store.chats.update(kept.id, folder="Home")
    plum.store.chats.add_message(kept.id, "user", f"I make {KEPT} for breakfast on Sundays.")
    chat = secret_chat(plum)
    plum.memory.edit("f1", f"My sister really likes {RARE['edited']} a lot.")
    # A later chat takes something of it back, and learning keeps the words of both.
    later = plum.store.chats.create("Later")
    plum.store.chats.add_message(later.id, "user", "Actually my sister moved to Oslo in spring.")
    conversation, _ = learnable(later, plum.store.chats.branch(later.id))
    assert conversation is not None
    said = Fact("f3", True, "said", f"My sister moved to {RARE['asked'].title()} in spring.", "x",
                "rule", "learned", chat.id)  # fmt: skip
    [former] = taken_back([said], [conversation])
    assert former.chat_id == later.id
    plum.store.facts.add([said, former])

    adapter(plum, "clean", (kept.id,))
    adapter(plum, "stale", (kept.id, chat.id), "clean",
            report={"reasons": [], "new_after": {"yes": 3, "by_fact": {f"{chat.id}-1": 1}},
                    "asked": [f"Did I mention {RARE['report']}?"],
                    f"Did I say {RARE['report']}?": 1})  # fmt: skip
    adapter(plum, "newest", (kept.id, chat.id, later.id), "stale")
    plum.store.runs.update("run-stale", report={"first question": RARE["report"], "seconds": 2.0})
    plant_files(plum, chat)
    assert {name for name, word in RARE.items() if word in found(plum.folder)} == {*RARE}

    plan = plum.forgetting.plan([chat.id])
    assert set(plan.adapters) == {"stale", "newest"}
    assert [each.id for each in plan.relearn] == [later.id]
    assert plan.serves == "clean"
    assert plan.interrupted
    assert plan.seconds is None or plan.seconds > 0

    assert plum.forgetting.forget([chat.id])
    left = found(plum.folder)
    assert set(left) == {KEPT}
    assert any(path.endswith("-daily.db") for path in left[KEPT])  # what is kept stays kept
    # What served is gone at once, and the newest clean one serves.
    active = plum.adapters.active()
    assert active is not None
    assert active.id == "clean"
    assert not plum.folder.adapter("stale").exists()
    assert not plum.folder.adapter("newest").exists()
    assert plum.serving.served().adapter == plum.folder.adapter("clean") / "adapter.gguf"
    assert plum.store.runs.get("run-stale").report == {"seconds": 2.0}
    assert plum.store.adapters.get("stale").report == {
        "reasons": [],
        "new_after": {"yes": 3},
        "asked": [],
    }
    assert plum.store.runs.get("cut").state == "stopped"
    assert [chat_id for run in plum.store.runs.list() for chat_id in run.chats] == [
        later.id, kept.id,
    ]  # fmt: skip
    assert plum.store.forgetting.pending() is None
    # And a copy that is put back does not bring it back.
    plum.backups.restore("latest")
    assert set(found(plum.folder)) == {KEPT}
    assert [each.title for each in plum.store.chats.list(archived=None)] == ["Later", "Breakfast"]


def test_deleting_is_as_thorough_and_leaves_what_was_learned(plum: Plum) -> None:
    chat = secret_chat(plum)
    adapter(plum, "learned", ("another", chat.id))
    plant_files(plum, chat)
    assert plum.forgetting.delete([chat.id])
    left = found(plum.folder)
    assert set(left) == {RARE["weights"]}
    assert sorted(left[RARE["weights"]]) == [
        "adapters/learned/adapter.gguf", "adapters/of-nobody/adapter.gguf",
    ]  # fmt: skip
    active = plum.adapters.active()
    assert active is not None
    assert active.id == "learned"
    # What is remembered of it can still be forgotten.
    assert plum.forgetting.orphans() == sorted(["another", chat.id])
    plan = plum.forgetting.plan_orphans()
    assert plan.adapters == ("learned",)
    assert plan.serves is None
    assert plum.forgetting.forget_orphans()
    assert found(plum.folder) == {}
    assert plum.adapters.active() is None
    assert plum.forgetting.orphans() == []


def test_what_is_newer_waits_to_be_learned_again(plum: Plum) -> None:
    chats = [plum.store.chats.create(f"Chat {at}") for at in range(3)]
    for chat in chats:
        plum.store.chats.add_message(
            chat.id, "user", f"I keep {chat.title} in a green box at home."
        )
    plum.store.facts.add(
        Fact(f"f{at}", True, "said", "a box", "a box", "rule", "learned", chat.id, last_recall=1.0)
        for at, chat in enumerate(chats)
    )
    first, second, third = (chat.id for chat in chats)
    adapter(plum, "one", (first,))
    adapter(plum, "two", (first, second), "one")
    adapter(plum, "three", (first, second, third), "two")
    assert plum.forgetting.forget([second])
    states = {fact.chat_id: (fact.state, fact.last_recall) for fact in plum.store.facts.list()}
    assert states == {first: ("learned", 1.0), third: ("waiting", None)}
    waiting = [chat.id for chat in plum.learning.plan().chats]
    assert third in waiting
    # The rebuild starts from the ancestor; without one, from the base.
    assert plum.learning._start_from("default", plum.models.file())[1] == str(
        plum.folder.adapter("one")
    )
    assert plum.forgetting.forget([first])
    assert plum.learning._start_from("default", plum.models.file())[1] is None


def test_an_ancestor_without_files_is_passed_over(plum: Plum) -> None:
    chats = [plum.store.chats.create() for _ in range(2)]
    adapter(plum, "one", (chats[0].id,))
    adapter(plum, "two", (chats[0].id, "x"), "one")
    adapter(plum, "three", (chats[0].id, "x", chats[1].id), "two")
    shutil.rmtree(plum.folder.adapter("two"))
    assert plum.forgetting.plan([chats[1].id]).serves == "one"
    assert plum.forgetting.forget([chats[1].id])
    active = plum.adapters.active()
    assert active is not None
    assert active.id == "one"


def test_nothing_is_forgotten_while_plum_learns(plum: Plum) -> None:
    chat = secret_chat(plum)
    with FileLock(plum.folder.learning_lock), pytest.raises(Busy, match="stop that first"):
        plum.forgetting.forget([chat.id])
    assert plum.store.chats.get(chat.id) == chat
    with pytest.raises(PlumError, match="There is no chat"):
        plum.forgetting.forget(["nonesuch"])


def test_what_a_running_job_holds_goes_when_it_has_ended(plum: Plum) -> None:
    chat = secret_chat(plum)
    plant_files(plum, chat)
    with FileLock(plum.folder.learning_lock):
        assert not plum.forgetting.delete([chat.id])
        assert (plum.folder.jobs / "cut").exists()
        with pytest.raises(PlumError):
            plum.store.chats.get(chat.id)
    assert plum.forgetting.finish()
    assert set(found(plum.folder)) == {RARE["weights"]}


@pytest.mark.parametrize("step", ["remove_files", "rewrite", "compact", "end"])
def test_what_a_kill_cut_short_is_finished_at_the_next_start(
    data_folder: DataFolder, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    plum = Plum(data_folder)
    chat = secret_chat(plum)
    adapter(plum, "stale", ("x", chat.id))
    plant_files(plum, chat)
    with monkeypatch.context() as patch:
        target = {
            "remove_files": plum.adapters, "rewrite": plum.store.backups,
            "compact": plum.store, "end": plum.store.forgetting,
        }[step]  # fmt: skip
        patch.setattr(type(target), step, kill)
        with pytest.raises(Killed):
            plum.forgetting.forget([chat.id])
        # From the first moment on it is neither there nor does it serve.
        assert plum.adapters.active() is None
        assert plum.store.chats.list() == []
    plum.store.close()
    again = Plum(data_folder)
    again.backups.look_after()
    assert found(data_folder) == {}
    assert again.store.forgetting.pending() is None
    again.close()


def test_another_reader_delays_the_end_and_nothing_else(
    plum: Plum, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = secret_chat(plum)

    def busy(_: Store) -> None:
        raise Busy("Another Plum Desktop still uses the file.")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "compact", busy)
        assert not plum.forgetting.delete([chat.id])
    assert plum.store.forgetting.pending() == Doomed(chats=(chat.id,))
    assert plum.forgetting.finish()
    assert found(plum.folder) == {}


def test_a_message_is_forgotten_with_its_reply_and_the_rest_stays(plum: Plum) -> None:
    chats = plum.store.chats
    chat = chats.create(f"I said {RARE['title']}")
    texts = (f"Well {RARE['asked']}: {RARE['title']}.", f"Ah, {RARE['answered']}.",
             f"I make {KEPT} for breakfast on Sundays.", "Good.")  # fmt: skip
    messages = [
        chats.add_message(chat.id, "assistant" if at % 2 else "user", text)
        for at, text in enumerate(texts)
    ]
    plum.store.facts.add([
        Fact("f1", True, "said", RARE["fact"], RARE["fact"], "rule", "learned", chat.id,
             messages[0].id),
        Fact("f2", True, "topic", RARE["fact"], RARE["fact"], "model", "learned", chat.id),
        Fact("f3", True, "said", KEPT, KEPT, "rule", "learned", chat.id, messages[2].id),
    ])  # fmt: skip
    adapter(plum, "stale", ("x", chat.id))
    plum.store.backups.create()
    plan = plum.forgetting.plan_message(messages[0].id)
    assert [each.id for each in plan.relearn] == [chat.id]
    assert [m.id for m in plum.forgetting.deleted_with(messages[1].id)] == [
        m.id for m in messages[:2]
    ]
    assert plum.forgetting.delete_message(messages[0].id, learned=True)
    assert [message.text for message in chats.branch(chat.id)] == [*texts[2:]]
    assert chats.get(chat.id).title == texts[2]
    assert [(fact.id, fact.state) for fact in plum.store.facts.list()] == [("f3", "waiting")]
    assert set(found(plum.folder)) == {KEPT}
    assert plum.adapters.active() is None
    assert [each.id for each in plum.learning.plan().chats] == [chat.id]


def test_another_version_goes_with_what_followed_it(plum: Plum) -> None:
    chats = plum.store.chats
    chat = chats.create("Tea")
    asked = chats.add_message(chat.id, "user", "Green tea?")
    old = chats.add_message(chat.id, "assistant", "No.", parent_id=asked.id)
    new = chats.add_message(chat.id, "assistant", "Yes.", parent_id=asked.id)
    chats.add_message(chat.id, "user", "Fine.", parent_id=new.id)
    assert plum.forgetting.delete_message(new.id)
    assert [message.text for message in chats.branch(chat.id)] == ["Green tea?", "No."]
    assert chats.get(chat.id).title == "Tea"
    assert plum.forgetting.delete_message(old.id)
    assert chats.branch(chat.id) == []
    assert chats.get(chat.id).leaf is None


def test_a_fact_of_ones_own_goes_from_the_backups_too(plum: Plum) -> None:
    fact = plum.memory.add(f"My desk is made of {RARE['fact']} and oak.")
    plum.backups.create()
    plum.memory.forget(fact.id)
    assert found(plum.folder) == {}


def test_forgetting_everything_that_was_learned(plum: Plum) -> None:
    chat = secret_chat(plum)
    adapter(plum, "one", ("x", chat.id))
    plum.store.backups.create()
    plum.memory.forget_everything()
    left = found(plum.folder)
    assert not {RARE["fact"], RARE["negative"], RARE["weights"]} & set(left)
    assert RARE["asked"] in left
    with closing(sqlite3.connect(plum.backups.list()[0].path)) as raw:
        assert raw.execute("SELECT count(*) FROM adapters WHERE active").fetchone() == (0,)


def test_facts_of_no_chat_have_one_name_for_it() -> None:
    from plum_desktop.base.types import NO_CHAT

    assert own.HOME == NO_CHAT


def test_what_a_forgotten_chat_took_back_holds_again(plum: Plum) -> None:
    texts = ("My sister moved to Bergen in spring.", "Actually my sister moved to Oslo in spring.")
    older, newer = (plum.store.chats.create(text) for text in texts)
    plum.store.chats.add_message(newer.id, "user", texts[1])
    said = Fact("f1", True, "said", texts[0], texts[0], "rule", "contradicted", older.id)
    conversation, _ = learnable(newer, plum.store.chats.branch(newer.id))
    assert conversation is not None
    [former] = taken_back([said], [conversation])
    plum.store.facts.add([said, former, dataclasses.replace(said, id="f2")])
    plum.forgetting.forget([newer.id])
    states = {fact.id: fact.state for fact in plum.store.facts.list()}
    assert states == {"f1": "waiting", "f2": "contradicted"}


def test_it_asks_for_no_more_than_it_needs(plum: Plum) -> None:
    """A chat that no run has seen costs no memory, and no unfinished run that never read it."""
    read = secret_chat(plum)
    adapter(plum, "one", ("x", read.id))
    plant_files(plum, read)
    new = plum.store.chats.create("New")
    plan = plum.forgetting.plan([new.id])
    assert (plan.learned, plan.adapters, plan.relearn, plan.serves) == ((), (), (), "one")
    assert not plan.interrupted
    assert plum.forgetting.forget([new.id])
    assert plum.store.runs.get("cut").state == "interrupted"
    assert plum.adapters.active() is not None
