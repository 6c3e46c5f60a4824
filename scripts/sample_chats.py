"""Chats that nobody had, for pictures of the window (`take_pictures.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sample:
    """A chat, its turns the user's and Plum's in their order, so many `hours` ago.

    `facts` are what was taught from it: a sentence, its state, and how well it was recalled.
    """

    title: str
    hours: float
    turns: tuple[str, ...]
    facts: tuple[tuple[str, str, float | None], ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)  # of the chat: folder, pinned


PORTO = Sample(
    "A rainy week in Porto", 0.4,
    (
        "I have a rainy week in Porto in March. What should I pack?",
        "Since you **travel with one small bag** and walk everywhere, think in layers:\n\n"
        "- a light rain jacket with a hood, rather than an umbrella: the wind comes up the river\n"
        "- two merino shirts, which dry over night\n"
        "- shoes with a good sole, as wet cobbles are slippery\n"
        "- a dry bag for the camera\n\n"
        "Leave the second pair of trousers at home.",
        "And one thing to do when it really pours?",
        "Take the old tram to the **Serralves** museum, and stay for lunch. You told me you like "
        "*drawing plants*: the greenhouse in its park is open in the rain as well.",
    ),
    (
        ("You travel with one small bag.", "learned", 0.94),
        ("You asked what to pack for a rainy week in Porto.", "learned", 0.91),
        ("You like drawing plants.", "learned", 0.83),
        ("Wet cobbles are slippery, so shoes need a good sole.", "weak", 0.41),
    ),
    {"pinned": True},
)  # fmt: skip

CODE = Sample(
    "Words that rhyme with plum", 2,
    (
        "How do I find the rhymes of a word in a list, in Python?",
        "Words rhyme if they share their ending from the last stressed vowel on. A good guess is "
        "to compare the last letters:\n\n"
        "```python\n"
        "def rhymes(word: str, words: list[str]) -> list[str]:\n"
        '    """Words that end as `word` does."""\n'
        "    end = word[-2:].lower()\n"
        "    return [each for each in words if each.endswith(end)]\n"
        "\n"
        "\n"
        'rhymes("plum", ["drum", "crumb", "pear"])  # ["drum"]\n'
        "```\n\n"
        "With *n* words this looks at each of them once. Spelling hides some rhymes, "
        "though: *crumb* is one, and is not found.",
    ),
)  # fmt: skip

SAMPLES = (
    PORTO,
    CODE,
    Sample(
        "Sourdough that does not rise", 5,
        (
            "My sourdough hardly rises. I feed the starter on Friday and bake on Sunday, in a "
            "kitchen that has 18 degrees.",
            "At 18 degrees everything takes twice as long. Feed the starter **on Saturday "
            "evening**, let the dough rest until it has grown by half, and only then shape it.",
        ),
        (
            ("You feed your sourdough starter on Friday and bake on Sunday.", "learned", 0.88),
            ("Your kitchen has 18 degrees.", "learned", 0.79),
            ("You asked why your sourdough hardly rises.", "waiting", None),
        ),
    ),
    Sample(
        "A present for Ines", 26,
        (
            "My sister Ines turns forty. She moved to Bergen in spring and keeps two parrots.",
            "A raincoat she would never buy herself, or a weekend visit from you. For the parrots: "
            "a rope to climb on.",
        ),
        (
            ("Your sister Ines moved to Bergen in spring.", "learned", 0.92),
            ("Your sister Ines keeps two parrots.", "learned", 0.86),
            ("Your sister turns forty.", "excluded", None),
        ),
    ),
    Sample(
        "Why the radiator knocks", 29,
        (
            "The radiator in the hall knocks every morning when the heating starts.",
            "Pipes that grow warm need room. Look where they go through the wall, and put a strip "
            "of felt around them.",
        ),
        (("The radiator in your hall knocks every morning.", "weak", 0.47),),
        {"folder": "House"},
    ),
    Sample(
        "Paint for the north room", 80,
        (
            "Which white for a room that faces north?",
            "One with a little yellow or red in it: a cold white turns grey there.",
        ),
        (("You asked which white suits a room that faces north.", "learned", 0.81),),
        {"folder": "House"},
    ),
    Sample(
        "Minutes of the choir meeting", 99,
        (
            "Make minutes of this: concert on 12 June, rehearsals on Tuesdays, Ruth brings cake.",
            "**Choir, minutes**\n\n1. The concert is on 12 June.\n2. Rehearsals are on Tuesdays.\n"
            "3. Ruth brings cake.",
        ),
        (
            ("Your choir rehearses on Tuesdays.", "learned", 0.9),
            ("The concert of your choir is on 12 June.", "learned", 0.85),
        ),
        {"folder": "Choir"},
    ),
    Sample(
        "Tomatoes outside, but when", 170,
        (
            "When can the tomatoes go outside? Our garden is in a valley.",
            "After the last frost, which comes late in a valley: wait until the middle of May.",
        ),
        (("Your garden is in a valley.", "learned", 0.76),),
    ),
    Sample(
        "Learning the cello at fifty", 240,
        (
            "I am fifty and have just begun to play the cello. How much practice is sensible?",
            "Twenty minutes, every day, and the open strings first.",
        ),
        (("You have just begun to play the cello.", "learned", 0.89),),
    ),
)  # fmt: skip

HEBREW = (
    Sample(
        "שבוע גשום בפורטו", 0.4,
        (
            "מה כדאי לארוז לשבוע גשום בפורטו?",
            "כדאי לארוז קל, בתיק **אחד** קטן:\n\n"
            "- מעיל גשם עם קפוצ׳ון\n- שתי חולצות צמר דקות\n- נעליים עם סוליה טובה\n\n"
            "את המטרייה אפשר להשאיר בבית.",
            "ומה אפשר לעשות שם כשיורד גשם חזק?",
            "מוזיאון Serralves פתוח גם בגשם, ויש בו חממה יפה.",
        ),
        fields={"pinned": True},
    ),
    Sample("לחם מחמצת", 3, ("למה הלחם שלי לא תופח?", "כי קר במטבח. חכו עוד קצת.")),
    Sample("מתנה לאחותי", 27, ("מה לקנות לאחותי?", "מעיל גשם טוב.")),
    Sample("מתי לשתול עגבניות", 90, ("מתי לשתול עגבניות?", "באמצע חודש מאי.")),
)  # fmt: skip
