"""Stage: which chats may be learned, and what of them: the shown branch, finished replies only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from plum_desktop.base.sentence import Sentence
from plum_desktop.base.types import Chat, Message
from plum_desktop.learning import rules
from plum_desktop.learning.conversation import Conversation, Turn
from plum_desktop.learning.past import only_recalls

_FEWEST_WORDS = 8  # in the whole chat
_WHOLE_SENTENCES = re.compile(r".*[.!?](?=\s)", re.DOTALL)


def learnable(chat: Chat, branch: Sequence[Message]) -> tuple[Conversation | None, str]:
    """The conversation that `chat` teaches, or None and the reason in plain words.

    `branch` is the shown one, root first.  A reply that was stopped or failed is left out, and
    of one that grew too long its last, broken sentence; so are questions about what was said
    before, with their replies.
    """
    turns = [
        Turn(message.role, text, message.id)
        for message in branch
        if message.role in ("user", "assistant") and (text := _taught(message)).strip()
    ]
    if not any(turn.role == "user" for turn in turns):
        return None, Sentence("it is empty")
    turns = list(_news(turns))
    if not turns:
        return None, Sentence("it only asks what was said before")
    said = accumulate(len(turn.text.split()) for turn in turns)
    if all(words < _FEWEST_WORDS for words in said):  # mostly known with the first
        return None, Sentence("it is too short")
    conversation = Conversation(
        id=chat.id,
        turns=tuple(turns),
        chat_id=chat.id,
        title=chat.title,
        leaf=turns[-1].message_id,
    )
    if next(rules.facts_in(conversation), None) is None:
        return None, Sentence("there is nothing in it that could be learned")
    return conversation, ""


def _news(turns: Sequence[Turn]) -> Iterator[Turn]:
    """`turns` without those that only ask what was said before, and what is answered to them."""
    recalls = False
    for turn in turns:
        if turn.role == "user":
            recalls = only_recalls(turn.text)
        if not recalls:
            yield turn


def _taught(message: Message) -> str:
    """A start of the message's text, so that places in it are places in the message."""
    if message.role == "user":
        return message.text
    if message.broken_off:
        return ""
    if message.finish_reason == "length" and not message.text.rstrip().endswith((".", "!", "?")):
        found = _WHOLE_SENTENCES.match(message.text)
        return found.group() if found else ""
    return message.text
