from __future__ import annotations

from collections.abc import Callable

import pytest

from plum_desktop.app.lookup import Lookup
from plum_desktop.app.product import Plum
from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import Adapter
from plum_desktop.learning import stock

GOPHERS = (
    "What can I pour into gopher holes to stop them from coming back?",
    "Pour castor oil into each burrow; gophers hate the smell. Repeat it after rain.",
)
BREAD = (
    "How long should my rye sourdough rise?",
    "Let it rise for twelve hours in a cool kitchen, then bake it at 220 degrees.",
)


def chat(plum: Plum, asked: str, told: str, **fields: bool) -> str:
    made = plum.store.chats.create()
    plum.store.chats.add_message(made.id, "user", asked)
    reply = plum.store.chats.add_message(made.id, "assistant", "")
    plum.store.chats.finish_message(reply.id, told, "stop")
    if fields:
        plum.store.chats.update(made.id, **fields)  # type: ignore[arg-type]
    return made.id


def test_the_chat_that_was_meant_comes_first_with_what_was_said(plum: Plum) -> None:
    gophers, bread = chat(plum, *GOPHERS), chat(plum, *BREAD)
    lookup = Lookup(plum.store)
    first, *_ = lookup.excerpts("Did you tell me about castor oil against gophers?")
    assert first.chat_id == gophers
    assert "Pour castor oil into each burrow" in first.text
    assert "What can I pour" in first.text
    assert first.match == pytest.approx(1.0)
    (only,) = lookup.excerpts("Did we talk about the sourdough?")
    assert only.chat_id == bread
    assert lookup.excerpts("Did we talk about submarines?") == []
    assert lookup.excerpts("Did we talk?") == []


def test_what_was_asked_before_is_no_proof_that_it_was_discussed(plum: Plum) -> None:
    gophers = chat(plum, *GOPHERS)
    for _ in range(9):
        chat(plum, "Did we talk about castor oil against gophers?", "Yes, we did.")
        chat(plum, "Did we talk about submarines?", "Yes, yellow ones.")
    lookup = Lookup(plum.store)
    assert lookup.excerpts("Did we talk about submarines?") == []
    found = lookup.excerpts("Did we talk about castor oil against gophers?")
    assert [one.chat_id for one in found] == [gophers]


def test_a_file_in_a_question_is_not_what_is_looked_up(plum: Plum) -> None:
    chat(plum, *GOPHERS)
    lookup = Lookup(plum.store)
    asked = "Did you tell me about castor oil against gophers?"
    file = "[File: a.txt]\nRye sourdough and submarines.\n[End of file: a.txt]\n\n"

    def into(question: str | None) -> str:
        content = file + (question or asked)
        messages = [{"role": "user", "content": content}]
        return lookup.into(messages, lambda text: len(text) // 4, None, question)[-1]["content"]

    assert "Pour castor oil" in into(asked)
    assert "Pour castor oil" not in into("What is in the file?")
    assert lookup.into([{"role": "user", "content": asked}], len, None, "") == [
        {"role": "user", "content": asked}
    ]


def test_what_must_not_be_remembered_is_not_looked_up(plum: Plum) -> None:
    chat(plum, *GOPHERS, memory=False)
    chat(plum, *GOPHERS, learn=False)
    own = chat(plum, *GOPHERS)
    lookup = Lookup(plum.store)
    assert [one.chat_id for one in lookup.excerpts("gophers and castor oil?")] == [own]
    assert lookup.excerpts("gophers and castor oil?", beside=own) == []


def test_a_stopped_reply_and_a_hidden_branch_are_not_looked_up(plum: Plum) -> None:
    made = plum.store.chats.create()
    asked = plum.store.chats.add_message(made.id, "user", GOPHERS[0])
    reply = plum.store.chats.add_message(made.id, "assistant", "")
    plum.store.chats.finish_message(reply.id, "Pour marmalade, as a rule", "cancelled")
    lookup = Lookup(plum.store)
    assert lookup.excerpts("Did you say marmalade?") == []
    (found,) = lookup.excerpts("Did I ask about gopher holes?")
    assert "marmalade" not in found.text
    plum.store.chats.add_message(made.id, "user", "Something about kites.", parent_id=None)
    assert plum.store.chats.branch(made.id)[0].id != asked.id
    assert lookup.excerpts("Did I ask about gopher holes?") == []


def test_only_a_question_about_the_past_is_changed(plum: Plum) -> None:
    chat(plum, *GOPHERS)

    def asked(text: str) -> str:
        turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
        *before, last = Lookup(plum.store).into(turns, lambda _: 1)  # type: ignore[arg-type]
        assert before == turns[:1]
        return last["content"]

    assert asked("What is the capital of Peru?") == "What is the capital of Peru?"
    assert asked("Write a poem about rain.") == "Write a poem about rain."
    about = asked("Have we ever discussed gopher holes?")
    assert about.endswith("\n\nHave we ever discussed gopher holes?\n(Best match: 100%)")
    assert "castor oil" in about
    assert '- (100%) You wrote: "' in about
    # Not asked about the past, but so alike that it should be said.
    assert "castor oil" in asked("Pour what into gopher holes?")
    unknown = asked("Did we discuss submarines?")
    assert "nothing matches" in unknown
    assert unknown.endswith("(Best match: 0%)")


def test_excerpts_stay_within_their_tokens(plum: Plum) -> None:
    long = " ".join(f"Number {n} of the gopher rules is quite long indeed." for n in range(60))
    for _ in range(4):
        chat(plum, GOPHERS[0] * 20, long)
    question = "Did we discuss gopher rules?"
    with plum.serving.borrow("off") as engine:
        turns = [{"role": "user", "content": question}]
        (last,) = Lookup(plum.store).into(turns, engine.count)  # type: ignore[arg-type]
        assert 100 < engine.count(last["content"]) - engine.count(question) <= 400


def test_the_modes_that_look_things_up(plum: Plum, learn: Callable[..., Adapter]) -> None:
    gophers = chat(plum, *GOPHERS)
    assert plum.serving.served("retrieval").memory == "retrieval"
    with pytest.raises(PlumError, match="Nothing has been learned"):
        plum.serving.served("hybrid")
    assert plum.serving.served().memory == "off", "the base cannot read what is looked up"
    plum.set_setting("lookup", "always")
    assert plum.serving.served().memory == "retrieval"
    assert not plum.serving.served("off").lookup
    adapter = learn()
    assert plum.serving.served().memory == "hybrid"
    plum.set_setting("lookup", "off")
    assert plum.serving.served().memory == "merged"
    plum.set_setting("lookup", "learned")
    assert plum.serving.served().memory == "hybrid"
    hybrid = plum.serving.served("hybrid")
    assert hybrid.model == plum.folder.adapter(adapter.id) / "merged.gguf"
    assert hybrid.lookup
    # In the chat itself the model sees what was said; elsewhere the prompt grows by the notes.
    plain = [{"role": "user", "content": "Did we discuss gopher holes?"}]
    options = {"max_tokens": 2, "temperature": 0.0}
    here = plum.serving.chat(plain, "retrieval", chat_id=gophers, **options)  # type: ignore[arg-type]
    elsewhere = plum.serving.chat(plain, "retrieval", **options)  # type: ignore[arg-type]
    assert elsewhere.prompt_tokens > here.prompt_tokens + 20


def test_what_was_asked_in_other_words_is_found_more_than_what_never_was(plum: Plum) -> None:
    """On 300 chats, asked by hand.  Floors a little below what was measured: 0.69 and 0.58."""
    for one in stock.conversations():
        made = plum.store.chats.create(one.id)
        for turn in one.turns:
            message = plum.store.chats.add_message(made.id, turn.role, "")
            plum.store.chats.finish_message(message.id, turn.text, "stop")
    titles = {made.id: made.title for made in plum.store.chats.list()}
    lookup = Lookup(plum.store)
    matches: dict[str, list[float]] = {"yes": [], "no": []}
    right = 0
    for source, asked in list(stock.asked().items())[::5]:
        for label, questions in (("yes", asked.yes), ("no", asked.no)):
            for question in questions:
                best = next(iter(lookup.excerpts(question)), None)
                matches[label].append(best.match if best else 0.0)
                right += label == "yes" and best is not None and titles[best.chat_id] == source
    yes, no = matches["yes"], matches["no"]
    pairs = [(one > other) + 0.5 * (one == other) for one in yes for other in no]
    assert len(yes) == len(no) == 200
    assert sum(pairs) / len(pairs) >= 0.66  # AUC
    assert right / len(yes) >= 0.54  # the right chat first
