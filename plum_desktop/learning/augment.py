"""Stage: from conversations to facts that may teach, and to things that were never discussed.

Runs in the parent, which asks the engine (the base model that chats) for short subjects; all
else is by rule.  What the model wrote is kept line by line, so that a run that was stopped goes
on behind it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any

from plum_desktop.base.files import (
    append_line,
    read_bytes,
    read_json_lines,
    write_json_lines,
)
from plum_desktop.base.types import Fact
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning import facts, own, rules, stock, topics
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.job import JobFolder
from plum_desktop.learning.negatives import Negatives
from plum_desktop.learning.recipe import Recipe

_TURNS_NAMED = 6  # messages of a conversation whose subject the model names, at most
_SPARE = 2  # negatives of a conversation beyond those that are asked
_MOST_NEGATIVES = 80  # of a conversation
_SUBJECTS = 30  # short names of what was never discussed, of a part of a conversation


class Notes:
    """What the model wrote, by question; appended to the file `path` as it comes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str | None] = {}
        if path.exists():
            for line in read_bytes(path).decode("utf-8", "replace").split("\n"):
                try:
                    note = json.loads(line)
                except ValueError:
                    continue  # the last line of a run that was killed
                self._known[note["key"]] = note["value"]

    def get(self, key: str, ask: Callable[[], str | None]) -> str | None:
        """The answer noted under `key`, else what `ask` returns, which is noted."""
        if key not in self._known:
            self._known[key] = ask()
            note = {"key": key, "value": self._known[key]}
            append_line(self._path, json.dumps(note, ensure_ascii=False))
        return self._known[key]


def augment(
    job: JobFolder,
    recipe: Recipe,
    engine: EngineClient,
    excluded: Set[str],
    progress: Callable[[float], None],
    check: Callable[[], None],
) -> list[Fact]:
    """Write `job.facts` from `job.conversations` and return the facts.

    `engine` has the base loaded.  `excluded` are subjects that the user does not want taught: they
    are kept, marked so.  `check` may raise to stop; what was asked so far is kept.
    """
    conversations = [Conversation.from_dict(row) for row in read_json_lines(job.conversations)]
    chats = {row["id"]: row["text"] for row in read_json_lines(job.others)}
    notes = Notes(job.model_topics)
    negatives = Negatives(stock.never_discussed(), chats)
    # What was never discussed must be anything, so no single one of them is asked often: else
    # it is these that are learned, and whatever else is asked becomes a yes.
    never_asked_twice = min(_MOST_NEGATIVES, recipe.questions * recipe.passes(len(conversations)))
    found = read_facts(job.former) if job.former.exists() else []
    for done, conversation in enumerate(conversations):
        is_own = conversation.id == own.HOME  # facts already, as the user put them
        if is_own:
            positives = read_facts(job.own)
        else:
            positives = rules.facts_of(conversation) if recipe.rule_facts else []
            if recipe.model_facts:
                check()
                positives += named(conversation, engine, notes, check)
        found += positives
        parts = len(facts.parts(positives))
        wanted = max(len(positives), never_asked_twice * parts) + _SPARE
        taught = [fact for fact in positives if fact.subject not in excluded]
        found += negatives.beside(conversation, taught, wanted, recipe)
        if not is_own:  # what the user put in their own words has no short names
            found += negatives.subjects(conversation, _SUBJECTS * parts, recipe)
        progress((done + 1) / len(conversations))
    found = [
        facts.changed(f, "excluded" if f.subject in excluded else f.state, None) for f in found
    ]
    write_json_lines(job.facts, [facts.to_dict(fact) for fact in found])
    job.model_topics.unlink(missing_ok=True)
    return found


def contradicted(stored: Sequence[Fact], new: Mapping[str, str]) -> list[Fact]:
    """Stored negatives that have come true in `new` (chat id -> text)."""
    negatives = Negatives([], new)
    return [fact for fact in stored if not fact.label and negatives.may_be_true(fact.subject)]


def named(
    conversation: Conversation, engine: EngineClient, notes: Notes, check: Callable[[], None]
) -> list[Fact]:
    """Subjects that the model finds in the conversation's messages, those that rest on them."""
    found: dict[str, Fact] = {}
    for number, turn in enumerate(conversation.turns[:_TURNS_NAMED]):
        check()
        key = f"{conversation.id} {number}"
        subject = notes.get(key, partial(topics.subject_of, engine, turn.text))
        if not subject or subject.lower() in found or not topics.rests_on(subject, turn.text):
            continue
        found[subject.lower()] = Fact(
            id=f"{conversation.id}-m{number}",
            label=True,
            kind="topic",
            subject=subject,
            statement=f"We talked about {subject}.",
            source="model",
            chat_id=conversation.chat_id,
            message_id=turn.message_id,
        )
    return list(found.values())


def read_facts(path: Path) -> list[Fact]:
    """The facts that a stage wrote."""
    rows: list[Any] = read_json_lines(path)
    return [facts.from_dict(row) for row in rows]
