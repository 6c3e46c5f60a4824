from __future__ import annotations

import pytest

from plum_desktop.base.types import Chat, Message
from plum_desktop.learning.select import learnable

CHAT = Chat("c", "A limping goat", 0.0, 0.0)


def branch(*turns: tuple) -> list[Message]:
    """(role, text) or (role, text, finish reason) each."""
    found = []
    for number, (role, text, *finish) in enumerate(turns):
        reason = finish[0] if finish else ("stop" if role == "assistant" else None)
        found.append(
            Message(f"m{number}", "c", None, role, text, float(number), finish_reason=reason)
        )
    return found


def test_a_chat_is_read_in_order_with_where_its_words_stand() -> None:
    found, reason = learnable(
        CHAT,
        branch(
            ("system", "Be brief about goats and hooves, always."),
            ("user", "My goat Moss limps. What should I do?"),
            ("assistant", "Look at the left hoof first.", "length"),
            ("user", "   "),
        ),
    )
    assert reason == ""
    assert found is not None
    assert [(turn.role, turn.text, turn.message_id) for turn in found.turns] == [
        ("user", "My goat Moss limps. What should I do?", "m1"),
        ("assistant", "Look at the left hoof first.", "m2"),
    ]
    assert (found.id, found.chat_id, found.title, found.leaf) == ("c", "c", CHAT.title, "m2")


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_a_reply_that_was_cut_off_is_left_out(how: str) -> None:
    found, _ = learnable(
        CHAT,
        branch(
            ("user", "My goat Moss limps. What should I do about it?"),
            ("assistant", "Look at the left knee and", how),
            ("user", "The hoof is swollen now."),
            ("assistant", "Trim it then."),
            ("assistant", "Also you must", how),
        ),
    )
    assert found is not None
    assert "knee" not in found.text
    assert "must" not in found.text
    assert [turn.message_id for turn in found.turns] == ["m0", "m2", "m3"]
    assert found.leaf == "m3"


@pytest.mark.parametrize(
    ("said", "taught"),
    [
        ("Look at the left hoof. Trim it! In fact, the most", "Look at the left hoof. Trim it!"),
        ("Hoof 3.5 cm long. It is 3.5", "Hoof 3.5 cm long."),
        ("Look at the left hoof. Trim it.", "Look at the left hoof. Trim it."),
        ("Look at the left hoof and then", None),
    ],
)
def test_of_a_reply_that_grew_too_long_whole_sentences_are_taught(said: str, taught) -> None:
    found, _ = learnable(
        CHAT,
        branch(
            ("user", "My goat Moss limps, what should I do now?"), ("assistant", said, "length")
        ),
    )
    assert found is not None
    assert [turn.text for turn in found.turns[1:]] == ([taught] if taught else [])


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ([], "empty"),
        ([("user", "  \n ")], "empty"),
        ([("assistant", "Hello there, how can I be of any help to you today?")], "empty"),
        ([("user", "Hi"), ("assistant", "Hello!")], "too short"),
        ([("user", "Hi there"), ("assistant", "A long answer that was cut off here", "failed")],
         "too short"),
        ([("user", "so what is it that you can do for me then"), ("assistant", "Ask!")],
         "nothing in it"),
        ([("user", "Did I ever tell you about my goat Moss?"), ("assistant", "Yes, you did.")],
         "only asks"),
    ],
)  # fmt: skip
def test_why_a_chat_is_left_out(turns, words: str) -> None:
    found, reason = learnable(CHAT, branch(*turns))
    assert found is None
    assert words in reason


def test_a_question_about_the_past_does_not_come_true_by_being_asked() -> None:
    found, _ = learnable(
        CHAT,
        branch(
            ("user", "My goat Moss limps, what should I do now?"), ("assistant", "Look at it."),
            ("user", "Did we ever discuss submarines?"), ("assistant", "Yes, yellow submarines."),
            ("user", "Then tell me of hoofs, please."), ("assistant", "Trim them in spring."),
        ),
    )  # fmt: skip
    assert found is not None
    assert "submarine" not in found.text
    assert [turn.role for turn in found.turns] == ["user", "assistant", "user", "assistant"]


def test_a_chat_whose_answer_is_long_may_be_asked_briefly() -> None:
    found, _ = learnable(
        CHAT, branch(("user", "goats?"), ("assistant", "Goats are kept for milk in many lands."))
    )
    assert found is not None
