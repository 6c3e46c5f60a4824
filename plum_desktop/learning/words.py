"""Plain-text work on conversations: sentences, words that carry meaning, whose words they are."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

_FENCE = re.compile(r"```.*?(```|\Z)", re.S)
# Marks at a word's edge: within one, as in parcel_id, 2*3 and C#, they are the writer's own.
_MARKUP = re.compile(
    r"`+|^[ \t]*>+[ \t]?|(?:^|(?<=\s))\|(?=\s|$)|(?<!\w)[*_#]+|[*_]+(?!\w)|"
    r"\[(?P<text>[^\]]*)\]\([^)]*\)",
    re.M,
)
_BULLET = re.compile(r"^\s*(?:[-*•–+]|\(?\d{1,2}[.)])\s+")
_SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')\]]))\s+(?=[\"'(\[]?[A-Z0-9])")
_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")

# Words that say nothing about what a conversation is about.
_STOP_TEXT = """
    a about above across after again against all also always am among an and any around are as
    ask asked at be because been before being below best better between both but by came can
    cannot come could did do does doing don't down during each either else etc even ever every
    few find first for from further get give given go going good got had has have having he help
    her here hers him his how i i'd i'll i'm i've if in include including into is isn't it it's
    its itself just keep kind know let like likely made make makes many may maybe me might mine
    more most much must my myself need needs new no nor not now of off often on once one only or
    other our ours out over own part please possible put rather really right said same say see
    she should since so some something such sure take tell than that that's the their theirs
    them then there these they thing things this those through to too try under until up upon us
    use used useful using very want was way ways we well were what when where whether which
    while who whom whose why will with within without would write yes you you'd you'll you're
    you've your yours yourself
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())


def plain(text: str) -> str:
    """`text` without code blocks and Markdown marks."""
    text = _FENCE.sub("\n", text)
    return _MARKUP.sub(lambda match: match["text"] or "", text)


def sentences(text: str) -> list[str]:
    """Sentences and list items of Markdown text, marks and bullets removed, in order."""
    found = []
    for line in plain(text).splitlines():
        line = _BULLET.sub("", line).strip()
        for sentence in _SENTENCE_END.split(line):
            sentence = " ".join(sentence.split())
            if sentence:
                found.append(sentence)
    return found


def _straight(text: str) -> str:
    """`text` with the apostrophes of a keyboard, where a phone writes curly ones."""
    return text.replace("’", "'")


def words(text: str) -> list[str]:
    """Lower-case words, in order."""
    return [word.lower() for word in _WORD.findall(_straight(text))]


_ENDINGS = ("'s", "ingly", "edly", "ings", "ing", "ies", "ied", "ed", "es", "ly", "s")


def stem(word: str) -> str:
    """A crude English stem, enough to see that `holes` is `hole` and `planning` is `plan`."""
    if word.endswith(_ENDINGS):  # most words have none, and every stored word is asked
        for ending in _ENDINGS:
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word[: -len(ending)]
                break
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word.rstrip("e") if len(word) > 3 else word


def content_stems(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, repeats kept."""
    return _meant(words(text))


def _meant(said: Iterable[str]) -> list[str]:
    return [stem(word) for word in said if word not in STOP_WORDS and len(word) > 1]


_SWAPS = {
    "i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "am": "are",
    "i'm": "you're", "i've": "you've", "i'd": "you'd", "i'll": "you'll", "we": "you", "us": "you",
    "our": "your", "ours": "yours", "ourselves": "yourselves", "we're": "you're", "was": "was",
    "we've": "you've", "we'll": "you'll", "we'd": "you'd",
}  # fmt: skip
_SWAP_WORD = re.compile(r"\b[A-Za-z]+(?:'[a-z]+)?\b(?!\.\w)")  # not in "i.e."


def to_second_person(text: str) -> str:
    """The user's words as one says them back: `my dog and I am` becomes `your dog and you are`."""

    def swap(match: re.Match[str]) -> str:
        word = match.group()
        return _SWAPS.get(word.lower(), word)

    text = _SWAP_WORD.sub(swap, _straight(text))
    return re.sub(r"\byou was\b", "you were", text)


def lower_first(text: str) -> str:
    """Lower the first letter unless the first word looks like a name or an `I`."""
    first = text.split(" ", 1)[0]
    bare = first.strip(",.;:'\"")
    if bare == "I" or bare.startswith("I'") or (len(bare) > 1 and bare == bare.upper()):
        return text
    low = bare.lower()
    inflected = stem(low) != low and not (len(low) < 5 and low.endswith("e"))  # Kate, Rome
    if low in STOP_WORDS or inflected or bare.islower():
        return text[:1].lower() + text[1:]
    return text


def closing(text: str) -> str:
    """`text` without the marks that end a sentence."""
    return text.strip().rstrip(".!?:;, ").strip()


def is_filler(word: str) -> bool:
    """Whether a word says nothing by itself."""
    found = words(word)
    return not found or found[0] in STOP_WORDS


def trimmed(parts: Sequence[str]) -> str:
    """The words of `parts` without the fillers at both ends; one word always stays."""
    parts = list(parts)
    while len(parts) > 1 and is_filler(parts[0]):
        del parts[0]
    while len(parts) > 1 and is_filler(parts[-1]):
        del parts[-1]
    return closing(" ".join(parts))


class Overlap:
    """How much of a text's meaning stands in known documents, rare words counting most."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        """`documents` maps an id to its text."""
        # Each word once: half of what a chat says it says again, and there may be thousands.
        self._stems = {key: frozenset(_meant(set(words(text)))) for key, text in documents.items()}
        # By stem, so that a question costs by who holds its words, not by how many there are.
        self._holders: dict[str, list[str]] = defaultdict(list)
        for key, stems in self._stems.items():
            for one in stems:
                self._holders[one].append(key)
        every = len(self._stems) + 1
        self._weights = {one: math.log(1 + every / len(by)) for one, by in self._holders.items()}
        self._new = math.log(1 + every)  # the weight of what no document holds

    def _weight(self, one: str) -> float:
        return self._weights.get(one, self._new)

    def _held(self, stems: frozenset[str]) -> dict[str, float]:
        """By document that holds any of `stems`: the weight of those it holds."""
        held: dict[str, float] = defaultdict(float)
        for one in sorted(stems):
            weight = self._weight(one)
            for key in self._holders.get(one, ()):
                held[key] += weight
        return held

    def share(self, text: str, key: str) -> float:
        """Weighted share, 0..1, of `text`'s content words that document `key` holds."""
        stems = frozenset(content_stems(text))
        total = sum(map(self._weight, stems))
        return sum(map(self._weight, stems & self._stems[key])) / total if total else 0.0

    def highest(self, text: str) -> float:
        """The highest share over all documents; 0 when there are none."""
        stems = frozenset(content_stems(text))
        total = sum(map(self._weight, stems))
        return max(self._held(stems).values(), default=0.0) / total if total else 0.0

    def nearest(self, text: str) -> list[str]:
        """Document ids, the most alike first, by weighted words in common."""
        held = self._held(frozenset(content_stems(text)))
        scored = [
            (held.get(key, 0.0) / math.sqrt(len(known) or 1), key)
            for key, known in self._stems.items()
        ]
        return [key for _, key in sorted(scored, reverse=True)]
