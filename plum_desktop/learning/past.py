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

_SPEAK = (
    r"(tell|talk|discuss|mention|say|speak|ask|chat|advise|suggest|recommend|explain|describe|"
    r"inform|warn|complain|compare|point out|propose|answer|want to know|look into|go over|"
    r"bring up|write|compose|note|sum up|give|let you know|hear (it )?from (me|you))"
)
_SPOKE = (
    r"(told|talk(ed|ing)|discuss(ed|ing)|mention(ed|ing)|said|spoken?|speaking|asked|asking|"
    r"chatt(ed|ing)|advised|suggested|recommended|explain(ed|ing)|described|informed|warned|"
    r"complained|compared|pointed out|proposed|look(ed|ing) into|gone over|went over|brought up|"
    r"let you know|heard (it )?from (me|you))"
)
# Surely about what was said here: who spoke, and that it was spoken.
_SURELY = re.compile(
    rf"\b(did|didn't) (i|we|you)( \w+)? {_SPEAK}\b|"
    rf"\b(have|haven't|had|hadn't|were) (i|we|you)( \w+)? {_SPOKE}\b|"
    rf"\b(i|i've|we|we've|you|you've)( ever| already| once)? {_SPOKE}\b|"
    r"\byou( still)? (remember|recall)\b.*\b(i|we|us|me|my|our|saying|telling|explaining)\b|"
    r"\bremind me\b.*\b(i|we|you)\b|\bwas your (advice|answer|suggestion)\b|"
    r"\b(was|were) there (a|any) (chat|talk|conversation)\b|\bha(s|ve|d) .*\bcome up\b",
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
    said = sentences(text)
    return bool(said) and all(_is_question(one) and _SURELY.search(one) for one in said)


def _is_question(sentence: str) -> bool:
    return sentence.rstrip("\"')").endswith("?")
