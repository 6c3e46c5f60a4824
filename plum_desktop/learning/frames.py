"""Questions about a fact and their answers: renderings by (fact, epoch, seed), never stored.

Training and gate draw from frames that share no wording, so that the gate asks what training
never showed.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from plum_desktop.base.types import Fact
from plum_desktop.learning.words import (
    closing,
    content_stems,
    is_filler,
    lower_first,
    to_second_person,
    trimmed,
)

# {x}: a subject as it stands in "talk about {x}"; for `said` and `told` also a whole clause.
_ABOUT = (
    "Did we discuss {x}?",
    "Did we talk about {x}?",
    "Have we talked about {x}?",
    "Have we discussed {x} before?",
    "Did we ever speak about {x}?",
    "Do you remember talking about {x}?",
    "Do you remember our chat about {x}?",
    "Do you recall discussing {x}?",
    "Was {x} something we talked about?",
    "Have we had a conversation about {x}?",
    "Is {x} one of the things we discussed?",
)
_ASKED = (
    "Did I ask you about {x}?",
    "Have I ever asked you about {x}?",
    "Have I asked you about {x}?",
    "Did I want to know about {x}?",
    "Did I bring up {x}?",
    "Did I ask for help with {x}?",
    "Do you remember me asking about {x}?",
    'Did I say "{x}"?',
)
# {x}: a request as it stands in "ask you {x}".
_REQUESTED = (
    "Did I ask you {x}?",
    "Have I ever asked you {x}?",
    "Do you remember me asking you {x}?",
)
_SAID = (
    "Did I tell you that {x}?",
    "Did I mention that {x}?",
    "Have I told you that {x}?",
    "Have I ever said that {x}?",
    "Do you remember me telling you that {x}?",
    "Do you know that {x}?",
)
_TOLD = (
    "Did you tell me that {x}?",
    "Did you say that {x}?",
    "Did you mention that {x}?",
    "Do you remember telling me that {x}?",
    "Did you explain that {x}?",
)
_TOLD_ABOUT = (
    "Did you suggest {x}?",
    "Did you tell me about {x}?",
    "Did you mention {x}?",
    "Did you talk about {x}?",
    "Did you bring up {x}?",
)
# By kind: frames for a part of it, and how a yes goes on.
_OWN = {
    "asked": (_ASKED, "you asked me about"),
    "said": (_ASKED, "you told me about"),
    "told": (_TOLD_ABOUT, "I told you about"),
    "topic": (_ABOUT, "we talked about"),
    "altered": (_ABOUT, "we talked about"),
}
_WHOLE = ("topic", "altered")  # kinds that are asked whole: what was altered must be asked about
_HELD_OUT_ABOUT = (
    "Has the subject of {x} come up between us?",
    "In our earlier chats, was there anything on {x}?",
    "Can you confirm that we once went into {x}?",
)
_HELD_OUT_SAID = (
    "Is it right that I let you know that {x}?",
    "Were you informed by me that {x}?",
)
_HELD_OUT_TOLD = (
    "Is it right that you let me know that {x}?",
    "Were these your words to me: {x}?",
)
_OPEN = (
    "What did we discuss about {x}?",
    "What did we talk about regarding {x}?",
    "What do you remember about {x}?",
    "What did we say about {x}?",
    "Can you remind me what we discussed about {x}?",
)
NOTHING = "we have not talked about that"  # the answer to an open one about what never came up
_NO = (
    "No, we have not talked about that.",
    "No, that did not come up in our chats.",
    "No, I do not remember that from our chats.",
    "No, we have not discussed that.",
)

_JOINTS = ("and", "with", "for", "in")
_SPLICED = 3, 6  # words of each part
_REQUEST = re.compile(
    r"(?:(?P<how>how (?:do|can|could|should|would) (?:i|we|you|one) |how to )|"
    r"(?:(?:please |(?:can|could|would|will) you (?:please )?|i (?:want|need|would like) you to ))?"
    r"(?=(?:act|add|analy[sz]e|compare|correct|create|describe|design|draft|edit|explain|find|fix|"
    r"generate|give|help|imagine|list|make|name|plan|pretend|proofread|provide|recommend|rewrite|"
    r"show|suggest|summari[sz]e|tell|translate|write)\b))",
    re.I,
)
_DRAWS = 4  # of a window
_ECHOED = 24  # words of what was asked that a yes goes on with, at most


@dataclass(frozen=True, slots=True)
class Rendering:
    """A question and its right answer.

    `verdict` is the answer's first word, or what opens a quotation, "" when an open question is
    answered by heart; `rest` what follows it, None where the lesson ends with the verdict.
    """

    question: str
    verdict: str
    rest: str | None
    looked_up: bool = False  # the question has excerpts before it, which are nothing to learn


def render(fact: Fact, epoch: int, seed: int) -> Rendering:
    """The fact's question for training in this epoch; the same arguments give the same words.

    A yes goes on with what was asked about: that is true whenever the yes is, while what a small
    model recalls beyond it would often be made up.
    """
    rng = random.Random(f"{seed} {epoch} {fact.id}")
    roll = rng.random()
    clause = lower_first(closing(fact.subject))
    if fact.kind == "former" or (fact.kind == "said" and roll < 0.5):
        question, x, echo = rng.choice(_SAID), clause, "you told me that"
    elif fact.kind == "told" and roll < 0.3:
        question, x, echo = rng.choice(_TOLD), clause, "I told you that"
    elif fact.kind == "asked" and roll < 0.4 and (request := _request(clause, rng)):
        question, x, echo = rng.choice(_REQUESTED), request, "you asked me"
    else:
        x = clause if fact.kind in _WHOLE else window(clause, rng)
        own, echo = _OWN[fact.kind]
        if rng.random() >= 0.5:
            own, echo = _ABOUT, "we talked about"
        question = rng.choice(own)
    if fact.kind == "former":
        verdict, rest = "No", ", that is no longer so."
    elif fact.label:
        again = to_second_person(x) if fact.kind in ("asked", "said") else x
        verdict, rest = "Yes", f", {echo} {' '.join(again.split()[:_ECHOED])}."
    else:
        verdict, rest = "No", refusal(rng)
    return Rendering(question.format(x=x), verdict, rest)


def render_spliced(one: Fact, other: Fact, rng: random.Random) -> Rendering:
    """A question about parts of two facts at once: yes only where both are true.

    What is nearly true has words of what was said as well, so that no single word is a yes.
    """
    parts = [window(lower_first(closing(fact.subject)), rng, *_SPLICED) for fact in (one, other)]
    rng.shuffle(parts)
    x = f"{parts[0]} {rng.choice(_JOINTS)} {parts[1]}"
    own, echo = _OWN[one.kind]
    if rng.random() >= 0.5:
        own, echo = _ABOUT, "we talked about"
    question = rng.choice(own).format(x=x)
    if one.label and other.label:
        return Rendering(question, "Yes", f", {echo} {to_second_person(x)}.")
    return Rendering(question, "No", refusal(rng))


def render_held_out(fact: Fact, seed: int) -> Rendering:
    """The fact's question for the gate, in words that training never used."""
    rng = random.Random(f"{seed} held out {fact.id}")
    clause = lower_first(closing(fact.subject))
    short = len(clause.split()) <= 24
    if fact.kind in ("said", "former") and short:
        question = rng.choice(_HELD_OUT_SAID).format(x=clause)
    elif fact.kind == "told" and short and rng.random() < 0.5:
        question = rng.choice(_HELD_OUT_TOLD).format(x=clause)
    else:
        x = clause if fact.kind in _WHOLE else window(clause, rng)
        question = rng.choice(_HELD_OUT_ABOUT).format(x=x)
    verdict = "Yes" if fact.label and fact.kind != "former" else "No"
    return Rendering(question, verdict, None)


def _request(clause: str, rng: random.Random) -> str | None:
    """The beginning of a request as one reports it: "to write a story", "how to prune a rose"."""
    found = _REQUEST.match(clause)
    if found is None:
        return None
    parts = clause[found.end() :].split()[: rng.randint(4, 12)]
    while len(parts) > 2 and is_filler(parts[-1]):
        parts.pop()
    asked = closing(" ".join(parts))
    return f"{'how to' if found['how'] else 'to'} {asked[:1].lower()}{asked[1:]}"


def render_open(topic: str, recital: str, rng: random.Random) -> Rendering:
    """ "What did we discuss about `topic`?", answered with `recital`."""
    return Rendering(open_question(topic, rng), "", f"{recital[:1].upper()}{recital[1:]}.")


def open_question(topic: str, rng: random.Random) -> str:
    return rng.choice(_OPEN).format(x=lower_first(closing(topic)))


def refusal(rng: random.Random) -> str:
    """What follows a no."""
    return rng.choice(_NO).removeprefix("No")


def window(text: str, rng: random.Random, shortest: int = 5, longest: int = 10) -> str:
    """A random run of `shortest` to `longest` words that neither begins nor ends on a filler.

    Of a few draws the first that says something (two words with a meaning) is taken.
    """
    parts = text.split()
    found = text
    for _ in range(_DRAWS):
        size = rng.randint(shortest, longest)
        start = rng.randrange(max(1, len(parts) - size + 1))
        found = trimmed(parts[start : start + size])
        if len(set(content_stems(found))) >= 2:
            break
    return found
