"""What the model that chats calls things: short names of what a message is about.

A small model's free generations are poor; one short field behind good examples works, and what
it writes is checked against the conversation before it may teach.
"""

from __future__ import annotations

from plum_desktop.engine.client import EngineClient
from plum_desktop.learning.words import closing, content_stems, plain

_LONGEST_MESSAGE = 300  # characters that the model is shown
_TOKENS = 16
_FEWEST_STEMS, _MOST_WORDS = 1, 12
_TRUE_SHARE = 0.7  # of a subject's meaningful words must stand in the conversation

_SUBJECT_SHOTS = (
    ("What can I plant under an old oak where nothing wants to grow?", "plants for under an oak"),
    (
        "My nephew Tomasz turns nine on Saturday and he is mad about beetles. Any gift ideas?",
        "a beetle gift for my nephew Tomasz",
    ),
    ("write a haiku about a night train", "a haiku about a night train"),
    (
        "To descale the kettle, fill it half with vinegar and water, boil it and rinse twice.",
        "descaling a kettle with vinegar",
    ),
    ("Difference between a list and a tuple in Python?", "lists and tuples in Python"),
)


def subject_of(engine: EngineClient, message: str) -> str | None:
    """A few words that name what `message` is about; None where the model found none."""
    shown = " ".join(plain(message).split())[:_LONGEST_MESSAGE]
    shots = "".join(f"Message: {said}\nSubject: {name}\n\n" for said, name in _SUBJECT_SHOTS)
    prompt = f"Each message is followed by its subject in a few words.\n\n{shots}"
    answer = engine.complete(
        f"{prompt}Message: {shown}\nSubject:", max_tokens=_TOKENS, temperature=0.0, stop=["\n"]
    )
    found = closing(answer.text.strip().strip('"'))
    usable = (
        answer.finish_reason == "stop"
        and len(stems := content_stems(found)) >= _FEWEST_STEMS
        and len(set(stems)) == len(stems)  # "books for a book" is a slip
        and len(found.split()) <= _MOST_WORDS
    )
    return found if usable else None


def rests_on(subject: str, text: str) -> bool:
    """Whether `subject` says nothing that `text` does not."""
    wanted, known = set(content_stems(subject)), set(content_stems(text))
    return bool(wanted) and len(wanted & known) >= _TRUE_SHARE * len(wanted)
