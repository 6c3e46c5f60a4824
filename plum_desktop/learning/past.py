"""Questions about earlier chats: which are worth a look-up, and which bring no news themselves."""

from __future__ import annotations

import re

from plum_desktop.learning.words import sentences

# Says by itself that it is about the past.
_ALONE = re.compile(
    r"\b((come|came) up(?! with)|between us|(was|were) there (a|any) (chat|talk|conversation)|"
    r"still (know|remember)|confirm that (i|we|you)\b|"
    r"our (last|earlier|previous|talks?|exchanges?|chats?|conversations?|discussions?))\b",
    re.I,
)
# Else such a question has a word of each of these in it, in any order.
_TOGETHER = (
    re.compile(r"\b(did|have|has|had|were|was|remember|recall|remind|is it (true|right))\b", re.I),
    re.compile(r"\b(i|i've|we|we've|us|you|you've|me|my|mine|our|ours)\b", re.I),
    re.compile(
        r"\b(discuss|talk|t[eo]ld|tell|sa(id|y)|sp[eo]ak|spoke|ask|mention|suggest|recommend|"
        r"advi[sc]e|explain|warn|descri|remember|recall|remind|br(ing|ought)|chat|conversation|"
        r"earlier|before|last time|previous|c[oa]me|go(ne)? over|went|cover|know|wonder|hear|"
        r"inform|wr[io]te|touch|between us|give|gave|propos|answer|want|learn)",
        re.I,
    ),
)

# What is said to somebody: to another than Plum, it is news.
_TO = (
    r"(tell|told|ask(ed)?|inform(ed)?|warn(ed)?|advised?)"
    r"(?! (my|our|his|her|their|him|them|the|an?)\b)"
)
_OF = (
    r"(talk(ed|ing)?|discuss(ed|ing)?|mention(ed|ing)?|say|said|speak|spoken?|chat(ted)?|"
    r"suggest(ed)?|recommend(ed)?|explain(ed)?|describe(d)?|complain(ed)?|compared?|"
    r"point(ed)? out|propose(d)?|look(ed|ing)? into|(go|gone|went) over|(bring|brought) up|"
    r"sum(med)? up|want to know|let you know|heard? (it )?from (me|you))"
)
_SPOKE = rf"( \w+)? ({_TO}|{_OF})\b"
# Surely about what was said here: who spoke, and that it was spoken.
_SURELY = re.compile(
    rf"\b(did|didn't|have|haven't|had|hadn't|were) (i|we|you){_SPOKE}|"
    r"\bdid you( \w+)? (write|compose|note|give|answer)\b|"
    r"\b(you|you've)( ever| already| once)? (told|asked|said|mentioned|suggested|recommended|"
    r"explained|described|advised|warned|proposed)\b|"
    r"\bi( ever| already| once)? (told|asked|informed) you\b|"
    rf"\b(true|right|correct) that (i|we){_SPOKE}|"
    r"\byou( still)? (remember|recall)\b.*\b(i|we|us|me|my|our|saying|telling|explaining)\b|"
    r"\bremind me\b.*\b(i|we|you)\b|\bwas your (advice|answer|suggestion)\b|"
    r"\b(was|were) there (a|any) (chat|talk|conversation)\b|^ha(s|ve) .*\bcome up\b",
    re.I,
)


def may_concern_past(question: str) -> bool:
    """Whether it may concern earlier chats, so that looking them up is worth it."""
    asked = [one for one in sentences(question) if _is_question(one)]
    if any(all(part.search(one) for part in _TOGETHER) for one in asked):
        return True
    return bool(_ALONE.search(question))


def only_recalls(text: str) -> bool:
    """Whether it does nothing but ask what was said before.

    Then neither it nor the reply says anything new: taken for what was discussed, a question would
    come true by being asked.
    """
    if "?" not in text:  # every message of every chat passes here
        return False
    said = sentences(text)
    return bool(said) and all(_is_question(one) and _SURELY.search(one) for one in said)


def _is_question(sentence: str) -> bool:
    return sentence.rstrip("\"')").endswith("?")
