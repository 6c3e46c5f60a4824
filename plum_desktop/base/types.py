"""The records that packages pass to each other.  Times are Unix seconds (UTC)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled", "failed"]
FactState = Literal["waiting", "learned", "weak", "excluded", "contradicted"]
FactSource = Literal["model", "rule", "user"]
# `former`: said once, and taken back since.
FactKind = Literal["asked", "said", "told", "topic", "altered", "former"]
RunState = Literal["running", "paused", "interrupted", "done", "refused", "failed", "stopped"]
# Of a run that may still go on.
UNFINISHED: tuple[RunState, ...] = ("running", "paused", "interrupted")
AdapterState = Literal["ready", "refused", "undone", "deleted"]

# What stands for a chat's id where facts of no chat were learned; chats' own are longer.
NO_CHAT = "own"
UNTITLED = "New chat"  # the title of a chat that has none yet


class WireMessage(TypedDict):
    """One turn as the engine and an OpenAI-compatible client write it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Chat:
    """One conversation.  A temporary chat is never stored, so it is never one of these."""

    id: str
    title: str
    created: float
    updated: float
    folder: str | None = None
    pinned: bool = False
    archived: bool = False
    learn: bool = True  # may be learned from
    memory: bool = True  # answered with the active adapter; False: the base model
    model: str | None = None  # file name of a model; None: whichever is in use
    persona: str | None = None  # system prompt; None: the setting's
    temperature: float | None = None  # None: the setting's
    leaf: str | None = None  # last message of the shown branch; None: no message yet


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that was sent with a message: what it was called, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One node of a chat's tree."""

    id: str
    chat_id: str
    parent_id: str | None  # None: a first message
    role: Role
    text: str
    created: float
    tokens: int | None = None  # None: not counted
    finish_reason: FinishReason | None = None  # None: a user's, or still being written
    attachments: tuple[Attachment, ...] = ()  # apart from `text`, which are the user's own words

    @property
    def broken_off(self) -> bool:
        """Whether it is a reply that was stopped or failed."""
        return self.finish_reason in ("cancelled", "failed")


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A message that matches; `snippet` marks matches with U+E000 and U+E001."""

    chat_id: str
    message_id: str
    title: str
    role: Role
    snippet: str
    created: float


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Where to search; None: anywhere."""

    after: float | None = None  # not written before
    before: float | None = None  # written before
    folder: str | None = None  # a folder's name or path; the folders inside it too
    persona: str | None = None  # words of the chat's own persona
    archived: bool | None = False  # True: only archived chats, False: only the others


@dataclass(frozen=True, slots=True)
class MessageRef:
    """Where a message is."""

    chat_id: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was, or will be, taught.

    `subject` is the text that question frames are built around; `statement` the sentence
    that a person reads.  `label` is False for a thing that was never discussed.
    """

    id: str
    label: bool
    kind: FactKind
    subject: str
    statement: str
    source: FactSource
    state: FactState = "waiting"
    chat_id: str | None = None  # the chat it rests on, or was made beside (a negative)
    message_id: str | None = None
    start: int | None = None  # span in the message's text, characters
    end: int | None = None
    last_recall: float | None = None  # probability of the right answer when last asked, 0..1
    origin: str | None = None  # the chat whose words it repeats, where that is another; None: none


@dataclass(frozen=True, slots=True)
class Run:
    """One press of "Learn from my chats"."""

    id: str
    created: float
    state: RunState
    stage: str
    model_sha256: str
    recipe: str
    chats: tuple[str, ...]
    finished: float | None = None  # None: not ended
    error: str | None = None
    report: Mapping[str, Any] = field(default_factory=dict)  # the gate's, plus times

    @property
    def unfinished(self) -> bool:
        """Whether it may go on; whether a process is at it is not known here."""
        return self.state in UNFINISHED


@dataclass(frozen=True, slots=True)
class Adapter:
    """One trained LoRA; its files lie in `<data>/adapters/<id>/`."""

    id: str
    run_id: str | None  # None: imported
    parent_id: str | None  # what served before, and undoing leads back to; None: the base
    model_sha256: str
    created: float
    state: AdapterState
    active: bool
    chats: tuple[str, ...]  # every chat that it, or an ancestor, saw
    report: Mapping[str, Any] = field(default_factory=dict)
