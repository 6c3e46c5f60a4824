"""What a kill left is removed at the next start, and nothing that may still be wanted."""

from __future__ import annotations

from collections.abc import Callable

from plum_desktop.app import leftovers
from plum_desktop.app.product import Plum
from plum_desktop.base.files import FileLock
from plum_desktop.base.types import Adapter, Run, RunState


def a_run(plum: Plum, run_id: str, state: RunState) -> None:
    plum.store.runs.create(Run(run_id, 1.0, state, "switch", "sha", "default", ()))
    (plum.folder.job(run_id) / "conversations.jsonl").write_text("words of a chat")


def test_only_what_the_database_has_given_up_goes(
    plum: Plum, learn: Callable[..., Adapter]
) -> None:
    for state in ("done", "refused", "stopped", "interrupted", "running", "paused"):
        a_run(plum, state, state)
    (plum.folder.job("unknown") / "conversations.jsonl").write_text("of a backup, perhaps")
    serves, deleted = learn(), learn(state="refused")
    plum.store.adapters.update(deleted.id, state="deleted")  # and then it was killed
    plum.folder.adapter("stopped").mkdir()  # copied, and never stored
    plum.folder.adapter("elsewhere").mkdir()

    lock = FileLock(plum.folder.learning_lock)
    with lock:  # somebody learns
        leftovers.clear(plum.folder, plum.store)
        assert (plum.folder.jobs / "done").is_dir()
    leftovers.clear(plum.folder, plum.store)
    jobs = {path.name for path in plum.folder.jobs.iterdir()}
    assert jobs == {"interrupted", "running", "paused", "unknown"}
    adapters = {path.name for path in plum.folder.adapters.iterdir()}
    assert adapters == {serves.id, "elsewhere"}
    assert not lock.held_by_someone()


def test_it_is_done_at_the_start(plum: Plum) -> None:
    a_run(plum, "done", "done")
    plum.close()
    after = Plum(plum.folder)
    try:
        assert not any(after.folder.jobs.iterdir())
    finally:
        after.close()
