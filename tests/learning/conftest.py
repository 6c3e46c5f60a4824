"""Facts and conversations as tests write them, and the starter's tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plum_desktop.base.types import Fact
from plum_desktop.engine.client import EngineClient
from plum_desktop.learning.conversation import Conversation, Turn
from plum_desktop.learning.job import JobFolder, JobSpec
from plum_desktop.learning.recipe import preset

if TYPE_CHECKING:
    from plum_desktop.engine.template import PromptTokenizer

FactMaker = Callable[..., Fact]
Talk = Callable[..., Conversation]


@pytest.fixture(scope="session")
def fact() -> FactMaker:
    """`fact(subject)`: something the user said in chat `c`; keywords change the record."""

    def make(subject: str, **fields: object) -> Fact:
        values = {
            "id": subject, "label": True, "kind": "said", "subject": subject,
            "statement": subject, "source": "rule", "chat_id": "c",
        }  # fmt: skip
        return Fact(**{**values, **fields})

    return make


@pytest.fixture(scope="session")
def talk() -> Talk:
    """`talk("c", question, answer, …)`: a chat of the user's, turns in order."""

    def make(chat_id: str, *texts: str) -> Conversation:
        turns = tuple(
            Turn("assistant" if number % 2 else "user", text, f"{chat_id}-m{number}")
            for number, text in enumerate(texts)
        )
        return Conversation(id=chat_id, turns=turns, chat_id=chat_id, leaf=turns[-1].message_id)

    return make


@pytest.fixture(scope="session")
def tokenizer(starter: Path) -> Iterator[PromptTokenizer]:
    from plum_desktop.engine.template import open_vocab

    vocab = open_vocab(starter)
    yield vocab
    vocab.close()


@pytest.fixture(scope="session")
def engine(starter: Path) -> Iterator[EngineClient]:
    """The starter model on one thread."""
    client = EngineClient()
    client.load(starter, n_ctx=1024, threads=1)
    yield client
    client.close()


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = tmp_path / "job"
    folder.mkdir()
    return JobFolder(folder)


@pytest.fixture
def spec(starter: Path) -> JobSpec:
    return JobSpec(
        run_id="r1",
        model=str(starter),
        model_sha256="0" * 64,
        backend="torch",
        recipe=preset("default"),
        chats=("a", "b"),
        parent_adapter=None,
        primer=None,
        persona=None,
    )
