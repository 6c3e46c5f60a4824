"""Stage switch: what a job made goes into the store, and serves unless the gate refused it.

The last stage, and the only one that changes what the user sees.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

from plum_desktop.app import curves
from plum_desktop.base.files import read_json, read_json_lines
from plum_desktop.base.paths import DataFolder
from plum_desktop.base.types import Adapter, Fact
from plum_desktop.learning import facts, own
from plum_desktop.learning.augment import read_facts
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.job import JobFolder, JobSpec
from plum_desktop.store import Store


def switch(folder: DataFolder, store: Store, job: JobFolder, spec: JobSpec) -> tuple[Adapter, int]:
    """The adapter that is kept, and how many chats it was taught; one transaction.

    The job's own files stay, so that it can be done again after a kill.
    """
    report = _report(store, job, spec)
    refused = bool(report["reasons"])
    conversations = [Conversation.from_dict(row) for row in read_json_lines(job.conversations)]
    target = folder.adapter(spec.run_id)
    # The job keeps its own names of the files until the database knows the adapter, so a
    # kill in between costs nothing.
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(job.adapter, target, copy_function=_link)
    parent = store.adapters.active(spec.model_sha256)
    seen = store.adapters.seen(parent.id) if parent else {}
    seen |= {c.id: c.leaf or "" for c in conversations}
    adapter = Adapter(
        id=spec.run_id,
        run_id=spec.run_id,
        parent_id=parent.id if parent else None,
        model_sha256=spec.model_sha256,
        created=time.time(),
        state="refused" if refused else "ready",
        active=False,
        chats=tuple(seen),
        report=report,
    )
    taught = _taught(job, report)
    with store.transaction():
        store.adapters.add(adapter)
        store.adapters.set_seen(adapter.id, seen)
        keep_facts(store, conversations, taught)
        if not refused:
            store.adapters.activate(adapter.id, spec.model_sha256)
        store.runs.update(
            spec.run_id,
            state="refused" if refused else "done",
            stage="switch",
            finished=time.time(),
            report=report,
        )
    return store.adapters.get(adapter.id), len(conversations)


def keep_facts(store: Store, conversations: Sequence[Conversation], taught: Sequence[Fact]) -> None:
    """Put what was taught in the place of what stands in the store of these conversations."""
    for conversation in conversations:
        if conversation.id != own.HOME:
            store.facts.delete_of_chat(conversation.id)
            continue
        # What the user told stays, whatever became of it; it may be gone or changed since.
        store.facts.delete_of_chat(None, label=False)
        now = {fact.id: fact for fact in store.facts.of_chat(None)}
        for fact in taught:
            before = now.get(fact.id)
            if before and before.state != "excluded" and before.subject == fact.subject:
                store.facts.update(fact.id, state=fact.state, last_recall=fact.last_recall)
    there = {chat.id for chat in store.chats.list(archived=None)}  # some may be deleted since
    store.facts.add(
        own.stored(fact)
        for fact in taught
        if fact.chat_id in there or (fact.chat_id == own.HOME and not fact.label)
    )


def _report(store: Store, job: JobFolder, spec: JobSpec) -> dict[str, Any]:
    """The gate's report, with what the stages took and how the loss fell."""
    report: dict[str, Any] = read_json(job.report)
    report |= read_json(job.measured) if job.measured.exists() else {}
    report["losses"] = curves.thinned(job.read_losses())
    report["by_run"] = _recall_by_run(store, job, spec, report["old_after"]["by_fact"])
    report["total_seconds"] = report["seconds"]
    report["seconds"] = round(sum(report["seconds"].values()), 1)
    return report


def _recall_by_run(
    store: Store, job: JobFolder, spec: JobSpec, right: Mapping[str, int]
) -> dict[str, curves.Counts]:
    """What is left of each earlier run's chats, from the gate's answers about older facts."""
    run_of_chat = curves.taught_by(
        store.adapters.active(spec.model_sha256),
        store.adapters.get,
        lambda run_id: store.runs.get(run_id).chats,
    )
    return curves.by_run(read_facts(job.old_facts), right, run_of_chat)


def _taught(job: JobFolder, report: Mapping[str, Any]) -> list[Fact]:
    """The job's facts with what became of them; what the user excluded stays so."""
    asked: Mapping[str, int] = report["new_after"]["by_fact"]
    found = []
    for fact in read_facts(job.facts):
        recall, state = asked.get(fact.id), fact.state
        if state != "excluded" and not report["reasons"]:
            state = "weak" if recall == 0 else "learned"
        found.append(facts.changed(fact, state, None if recall is None else float(recall)))
    return found


def _link(source: str, target: str) -> None:
    """Another name for a file where the disk can, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
