"""Facts by rule: the user's own sentences and the clauses of the answers, word for word."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from plum_desktop.base.types import Fact, FactKind
from plum_desktop.learning.conversation import Conversation, Turn
from plum_desktop.learning.words import (
    STOP_WORDS,
    content_stems,
    sentences,
    to_second_person,
    trimmed,
)

_LONGEST = 40  # words of a fact's subject
_FEWEST_STEMS = 2  # words with a meaning of their own, below which a sentence teaches nothing
_FIRST_PERSON = re.compile(r"\b(i|i'm|i've|i'd|my|our|we|we're|we've)\b", re.I)
_REQUEST = re.compile(
    r"^(what|how|why|when|where|who|which|can|could|would|will|is|are|do|does|did|should|please|"
    r"tell|give|write|explain|help|remind|suggest|recommend|list|make|create|show|describe|"
    r"translate|summari[sz]e|rewrite|correct|compare|find|fix|name|provide|generate|design|use|"
    r"include|note|avoid|add|keep|be|do not|don't|for each|also mention|analy[sz]e|regale|using|"
    r"assume|imagine|suppose|pretend|act as|let's|say|i need|i want|i would like|i'd like)\b",
    re.I,
)
# The user speaks to the assistant about it, quotes, or hands over a text that is not about them.
_ADDRESSED = re.compile(
    r"\b(you|your|you're|yours|(how|what|where|when|which) (do|can|should|could|would) (i|we))\b|"
    r"[\"“”]|:$",
    re.I,
)
_HANDED_OVER = re.compile(
    r"\b(translate|proofread|correct|rewrite|rephrase|paraphrase|summari[sz]e|edit|grammar|"
    r"act as|pretend|role.?play|i will (provide|give|type|write))\b",
    re.I,
)
# Of a reply: what only introduces, ends it or asks back, and what is no sentence of words.
_EMPTY = re.compile(
    r":$|\?[\"')\]]*$|^[(\[].*[)\]]$|[\\{}]|^(i hope|hope (this|that|it)|let me know|feel free|"
    r"have fun|enjoy|good luck|certainly|sure|of course|i'm an ai|as an ai|i'm sorry|"
    r"(these|those|that) (is|are|were|was) (just )?(some|a few|a high-level|the (top|main)))\b",
    re.I,
)
_LEANING = re.compile(r"^(this|these|those|it|its|they|their|he|his|she|her|such)\b", re.I)
# In so few words what is pointed at stays unnamed: "Repeat this process regularly."
_POINTING = re.compile(r"\b(this|that|it|there|both)\b", re.I)
_FEW = 8
_GREETING = 4  # words, of which no greeting has so many
_HEAD = 4  # words, up to which what stands alone before a sentence is its heading
# Names and numbers: another word in a word's place made no sentence in three of four (judged by
# hand), and what reads badly is told from what was said by that alone.
_DETAIL = re.compile(
    r"(?<=[a-z0-9,;)] )[A-Z][a-z]{2,}(?![\w-])|(?<![\w.,:-])\d+(?:[.,:]\d+)*(?![\w-])"
)


def facts_of(conversation: Conversation) -> list[Fact]:
    """Every fact that rule finds in a conversation, in its order; ids are stable."""
    return list(facts_in(conversation))


def facts_in(conversation: Conversation) -> Iterator[Fact]:
    """The same one by one, for who needs only the first."""
    seen: set[str] = set()
    for number, turn in enumerate(conversation.turns):
        for index, sentence in enumerate(_teachable(turn)):
            # What the user came with is a fact however little it says.
            opening = number == index == 0 and len(sentence.split()) >= _GREETING
            fewest = 1 if opening else _FEWEST_STEMS
            if len(set(content_stems(sentence))) < fewest or sentence in seen:
                continue
            seen.add(sentence)
            subject = " ".join(sentence.split()[:_LONGEST])
            kind = _kind(turn, sentence)
            at = turn.text.find(sentence)
            yield Fact(
                id=f"{conversation.id}-r{number}-{index}",
                label=True,
                kind=kind,
                subject=subject,
                statement=_statement(kind, subject),
                source="rule",
                chat_id=conversation.chat_id,
                message_id=turn.message_id,
                start=at if at >= 0 else None,
                end=at + len(sentence) if at >= 0 else None,
            )


def _teachable(turn: Turn) -> list[str]:
    """Sentences that say something by themselves, of a reply without its small talk."""
    if turn.role == "user":
        return sentences(turn.text)
    found: list[str] = []
    for line in turn.text.splitlines() if "```" not in turn.text else [turn.text]:
        of_line: list[str] = []
        for sentence in sentences(line):
            before = of_line[-1] if of_line else ""
            joined = f"{before} {sentence}"
            head = bool(before) and len(before.split()) <= _HEAD
            if head or (before and _LEANING.match(sentence)):
                if len(joined.split()) <= _LONGEST:
                    of_line[-1] = joined
                elif head:
                    of_line[-1] = sentence
            elif not _LEANING.match(sentence):
                of_line.append(sentence)
        found += [one for one in of_line if not _EMPTY.search(one) and not _unnamed(one)]
    return found


def _unnamed(sentence: str) -> bool:
    alone = not re.search(r"[.:]\s", sentence)  # nothing goes before that could be meant
    return alone and len(sentence.split()) <= _FEW and bool(_POINTING.search(sentence))


def _kind(turn: Turn, sentence: str) -> FactKind:
    if turn.role == "assistant":
        return "told"
    whole = sentence.endswith((".", "!")) and len(sentence.split()) > _HEAD
    told = (whole or _FIRST_PERSON.search(sentence)) and not _ADDRESSED.search(sentence)
    if not told or sentence.endswith("?") or _REQUEST.match(sentence):
        return "asked"
    return "asked" if _HANDED_OVER.search(turn.text) else "said"


def _statement(kind: FactKind, subject: str) -> str:
    match kind:
        case "said":
            text = to_second_person(subject)
            return text[:1].upper() + text[1:]
        case "told":
            return f"I wrote: {subject}"
        case _:
            return f"You wrote: {subject}"


def altered(fact: Fact, details: Sequence[str], rng: random.Random) -> tuple[str, str] | None:
    """A part of `fact.subject` with one detail exchanged for another of the same form.

    A name takes a name's place, a number a number's.  Returns the text and the
    new detail; None where the subject has no detail or none of `details` fits.
    """
    places = [m for m in _DETAIL.finditer(fact.subject) if m.start() > 0 and _is_detail(m.group())]
    if not places:
        return None
    place = rng.choice(places)
    fitting = [d for d in details if _form(d) == _form(place.group()) and d != place.group()]
    if not fitting:
        return None
    detail = rng.choice(fitting)
    before = fact.subject[: place.start()].split(" ")
    after = fact.subject[place.end() :].split(" ")
    # Few words around it, so that the change is a large part of what is asked.
    text = " ".join(before[-rng.randint(3, 6) :]) + detail + " ".join(after[: rng.randint(1, 5)])
    return trimmed(text.split()), detail


def details_of(texts: Sequence[str]) -> list[str]:
    """Names and numbers that may take another's place, each once, in order."""
    found: dict[str, None] = {}
    for text in texts:
        for match in _DETAIL.finditer(text):
            if match.start() > 0 and _is_detail(match.group()):
                found[match.group()] = None
    return list(found)


def _is_detail(word: str) -> bool:
    return word.lower() not in STOP_WORDS


def _form(word: str) -> str:
    return "number" if word[0].isdigit() else "name"
