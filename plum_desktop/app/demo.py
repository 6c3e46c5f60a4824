"""The main job, shown: invented chats, questions before, learning, the same questions after.

The chats' facts are drawn from a seed, so nobody can have tuned for them; as many questions
have the right answer no as yes, about things of the same make that were never said.
"""

from __future__ import annotations

import random
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from plum_desktop.app.job import Outcome, Progress
from plum_desktop.app.product import Plum
from plum_desktop.app.serving import MemoryMode
from plum_desktop.base.errors import PlumError
from plum_desktop.base.paths import DataFolder
from plum_desktop.learning.verdict import Verdict, verdict

CHATS = 8
FLOOR = 0.65  # of all answers right afterwards; guessing gives 0.5
_REPLY_TOKENS = 40
_ANSWER_TOKENS = 16


@dataclass(frozen=True, slots=True)
class _Kind:
    """Something people tell; `{name}` slots are drawn from `_VALUES`."""

    said: str
    asked: tuple[str, str]


_KINDS = (
    _Kind(
        "My sister {woman} moved to {city} in spring and keeps {number} {animals}. What could I "
        "bring her as a present?",
        ("my sister {woman} lives in {city}", "my sister owns {number} {animals}"),
    ),
    _Kind(
        "I am allergic to {food}, so I always carry {thing} in my bag. Which snacks are safe?",
        ("I cannot eat {food}", "I have {thing} with me in my bag"),
    ),
    _Kind(
        "We bought an old {colour} sailing boat called {boat}. She lies in the harbour of "
        "{city}. What should I check first?",
        ("our boat has the name {boat}", "our {colour} boat is kept in {city}"),
    ),
    _Kind(
        "I see the dentist Doctor {surname} on {day} at {hour}. How can I stay calm there?",
        ("my dentist is Doctor {surname}", "I go to the dentist on {day} at {hour}"),
    ),
    _Kind(
        "I am learning {language} with my neighbour {man}, two evenings a week. How do I keep at "
        "it?",
        ("I am learning {language}", "my neighbour {man} learns a language together with me"),
    ),
    _Kind(
        "In {month} we will cycle from {city} to {town} with our twins. What should we pack?",
        ("we plan a bicycle tour that starts in {city}", "we will ride to {town} in {month}"),
    ),
    _Kind(
        "Our dog {pet} is a {breed} and is afraid of {fear}. How can I help the poor thing?",
        ("our dog is called {pet}", "our dog, a {breed}, fears {fear}"),
    ),
    _Kind(
        "I work as a {job} in {town} and my shift starts at {hour}. How do I sleep better?",
        ("I earn my living as a {job}", "my work in {town} begins at {hour}"),
    ),
    _Kind(
        "For my birthday I want to cook {dish} for {number} guests. Where do I begin?",
        ("I want to make {dish} for my birthday", "I expect {number} guests on my birthday"),
    ),
    _Kind(
        "Our choir sings in the old {building} every {day}, led by {woman}. We need a name for "
        "it, any ideas?",
        ("our choir meets in the old {building}", "{woman} leads our choir on {day}"),
    ),
    _Kind(
        "My grandfather {man} was a {job} and left me his {instrument}. How do I care for it?",
        ("my grandfather {man} worked as a {job}", "I inherited a {instrument}"),
    ),
    _Kind(
        "I broke my {bone} while {sport} near {city}. How long until I can train again?",
        ("I broke my {bone}", "I had an accident while {sport} near {city}"),
    ),
    _Kind(
        "My flat on {street} Street has {colour} kitchen tiles that I want to replace. What is "
        "cheap and looks good?",
        ("I live on {street} Street", "the tiles in my kitchen are {colour}"),
    ),
    _Kind(
        "I collect {collection} and got number {bignumber} from my aunt {woman}. How should I "
        "store them?",
        ("I am a collector of {collection}", "my aunt {woman} gave me number {bignumber}"),
    ),
    _Kind(
        "My daughter {woman} starts school in {month} and is mad about {animals}. What could I "
        "read to her?",
        ("my daughter {woman} goes to school from {month} on", "my daughter loves {animals}"),
    ),
    _Kind(
        "I planted {plant} behind the garage, but {pest} eat everything. What can I do?",
        ("I grow {plant} behind the garage", "{pest} eat what I planted"),
    ),
)

_VALUES: Mapping[str, str] = {
    "woman": "Ines Alma Rosalind Mirjam Tove Paloma Greta Yasmin Odile Beatrix Svenja Chiara",
    "man": "Ruben Casimir Leopold Matteo Anselm Jorge Bertil Farid Oskar Dmitri Emrys Koji",
    "surname": "Okafor Lindqvist Marchetti Brandt Novak Tanaka Osei Moreau Haddad Pereira",
    "city": "Bergen Porto Gdansk Trieste Utrecht Galway Tartu Malaga Bologna Antwerp Lund Zadar",
    "town": "Ravensburg Keswick Ribe Colmar Tavira Hallstatt Whitby Assisi Leuven Piran Ystad",
    "animals": "parrots|goats|tortoises|rabbits|ponies|owls|hedgehogs|beetles|otters|geckos",
    "number": "three|four|seven|nine|twelve|fifteen|twenty",
    "bignumber": "208|341|467|519|623|734|886|952",
    "food": "hazelnuts|shrimps|sesame|celery|kiwis|lupins|mustard|peaches",
    "thing": "a red inhaler|a whistle|dried apples|a silver spoon|a blue notebook|rice crackers",
    "colour": "green|yellow|orange|turquoise|purple|white|crimson",
    "boat": "Selkie|Marigold|Albatross|Wanderer|Kingfisher|Juniper|Halcyon|Petrel",
    "day": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    "hour": "six|half past seven|quarter to nine|ten|half past two|four|five",
    "language": "Finnish|Swahili|Basque|Hungarian|Tamil|Icelandic|Welsh|Georgian",
    "month": "January|March|April|June|August|September|October|November",
    "pet": "Bramble|Pixel|Waffle|Comet|Nutmeg|Tango|Pepper|Moss",
    "breed": "whippet|dachshund|beagle|poodle|spaniel|corgi|greyhound|terrier",
    "fear": "thunder|stairs|bicycles|balloons|hoovers|fireworks|umbrellas",
    "job": "glazier|beekeeper|tram driver|midwife|watchmaker|baker|surveyor|roofer",
    "dish": "paella|goulash|mushroom risotto|lamb tagine|pierogi|fish curry|ratatouille",
    "building": "fire station|chapel|mill|cinema|railway depot|brewery|library",
    "instrument": "cello|accordion|banjo|clarinet|zither|trumpet|mandolin",
    "bone": "left wrist|right ankle|collarbone|little finger|left elbow|big toe",
    "sport": "skiing|climbing|skating|surfing|trampolining|fencing|bouldering",
    "street": "Harbour|Juniper|Station|Linden|Quarry|Orchard|Weaver|Meadow",
    "collection": "postcards|fountain pens|teapots|stamps|model trains|old maps|buttons",
    "plant": "kohlrabi|artichokes|sunflowers|blackcurrants|leeks|dahlias|pumpkins",
    "pest": "slugs|deer|aphids|pigeons|voles|caterpillars|wasps",
}
# None of them is a wording that training uses.
_STEMS = (
    "Did you hear from me that {x}?",
    "Is it true that I told you {x}?",
    "Did I let you know that {x}?",
)


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    right: Verdict


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with what was answered before learning, from the weights after it, and as the
    window does, which looks things up too.
    """

    question: Question
    before: str
    after: str
    looked_up: str

    @property
    def right_before(self) -> bool:
        return verdict(self.before) == self.question.right

    @property
    def right_after(self) -> bool:
        return verdict(self.after) == self.question.right

    @property
    def right_looked_up(self) -> bool:
        return verdict(self.looked_up) == self.question.right


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Shares of right answers, 0..1; `exports` are the files that can be taken away."""

    seed: int
    outcome: Outcome
    answers: list[Answered]
    exports: list[Path]
    seconds: float

    @property
    def before(self) -> float:
        return sum(answer.right_before for answer in self.answers) / len(self.answers)

    @property
    def after(self) -> float:
        return sum(answer.right_after for answer in self.answers) / len(self.answers)

    @property
    def looked_up(self) -> float:
        return sum(answer.right_looked_up for answer in self.answers) / len(self.answers)

    @property
    def passed(self) -> bool:
        return self.outcome.state == "done" and self.after >= FLOOR


def invent(seed: int) -> tuple[list[str], list[Question]]:
    """What the user says in each chat, and the questions, yes and no in random order."""
    rng = random.Random(seed)
    kinds = rng.sample(_KINDS, 2 * CHATS)
    pools = {slot: _split(text) for slot, text in _VALUES.items()}
    for pool in pools.values():
        rng.shuffle(pool)
    said, questions = [], []
    for number, kind in enumerate(kinds):
        # Each slot takes the next value, so that what was never said has values of its own.
        values = {slot: pool[number % len(pool)] for slot, pool in pools.items()}
        right: Verdict = "yes" if number < CHATS else "no"
        if right == "yes":
            said.append(kind.said.format(**values))
        for clause in kind.asked:
            stem = rng.choice(_STEMS)
            questions.append(Question(stem.format(x=clause.format(**values)), right))
    rng.shuffle(questions)
    return said, questions


def _split(text: str) -> list[str]:
    return text.split("|") if "|" in text else text.split()


def run_demo(
    folder: DataFolder,
    seed: int | None,
    say: Callable[[str], None],
    on_progress: Callable[[Progress], None],
) -> DemoResult:
    """Do the main job in a folder of its own below `folder`, which stays to be looked at.

    Raises PlumError where a step fails; the result says whether the floor was reached.
    """
    started = time.monotonic()
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    said, questions = invent(seed)
    say(f"Seed {seed}: the same seed invents the same chats.")
    plum = Plum(_fresh(folder))
    try:
        plum.set_setting("max_tokens", _REPLY_TOKENS)
        plum.set_setting("temperature", 0.0)  # a seed's replies, and what is learned, stay the same
        say(f"\nChatting: {len(said)} chats with invented facts.")
        for text in said:
            chat = plum.store.chats.create()
            reply = plum.chats.send(chat.id, text)
            say(f"  you   {text}\n  plum  {' '.join(reply.text.split())[:160]}")
        say("\nAsking before it has learned.")
        before = _ask(plum, questions, "off", say)
        say("\nLearning.")
        plan = plum.learning.plan()
        if plan.refusal:
            raise PlumError(plan.refusal)
        job = plum.learning.start(plan, on_progress, lambda outcome: None)
        try:
            outcome = job.wait()
        except BaseException:
            job.stop()
            job.wait()
            raise
        assert outcome is not None
        say(outcome.message)
        after = looked_up = before
        exports = []
        if outcome.state == "done":
            say("\nAsking again: what it knows by heart, with nothing put before the question.")
            after = _ask(plum, questions, "merged", say)
            say("\nAsking as the window does, which looks things up in the chats too.")
            looked_up = _ask(plum, questions, "hybrid", say)
            exports = _export(plum, say)
        rows = zip(questions, before, after, looked_up, strict=True)
        answers = [Answered(*row) for row in rows]
    finally:
        plum.close()
    return DemoResult(seed, outcome, answers, exports, time.monotonic() - started)


def _fresh(folder: DataFolder) -> DataFolder:
    """An empty data folder; only what was computed once for the model is kept."""
    root = folder.root / "demo"
    if root.exists():
        for entry in root.iterdir():
            if entry.name != "cache":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    root.mkdir(mode=0o700, exist_ok=True)
    return DataFolder(root)


def _ask(
    plum: Plum, questions: list[Question], memory: MemoryMode, say: Callable[[str], None]
) -> list[str]:
    answers = []
    for question in questions:
        answer = plum.chats.ask(
            [{"role": "user", "content": question.text}],
            memory,
            max_tokens=_ANSWER_TOKENS,
            temperature=0.0,
        )
        found = verdict(answer)
        mark = "right" if found == question.right else "wrong"
        answer = " ".join(answer.split())
        say(f"  {mark} ({question.right:3})  {question.text}\n               {answer[:120]}")
        answers.append(answer)
    return answers


def _export(plum: Plum, say: Callable[[str], None]) -> list[Path]:
    """The adapter in two formats and the merged model, as a user takes them away."""
    target = plum.folder.root / "exported"
    target.mkdir(exist_ok=True)
    exports = [
        plum.adapters.export(None, "peft", target / "adapter-peft"),
        plum.adapters.export(None, "gguf", target / "adapter.gguf"),
        plum.adapters.export(None, "merged", target / "merged.gguf"),
    ]
    say("\nExported:")
    for path in exports:
        say(f"  {path}")
    say(plum.adapters.EXPORT_WARNING)
    return exports
