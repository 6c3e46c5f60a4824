"""Which part of a conversation fits into the context: a pure function over token counts."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plum_desktop.base.errors import PlumError
from plum_desktop.base.types import WireMessage

# Text with fewer a token is the rule: such a conversation probably fits, and is counted at once.
_CHARACTERS_A_TOKEN = 6

Count = Callable[[Sequence[WireMessage]], int]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is left of a conversation, and how many of its messages left."""

    messages: list[WireMessage]
    dropped: int


def fit(messages: Sequence[WireMessage], limit: int, count: Count) -> Fitted:
    """The newest part of `messages` whose prompt has at most `limit` tokens by `count`.

    The oldest turns leave first; a leading system message never does; the conversation goes
    on to start with a user's message; the last message is cut at its start only if it alone
    is too long.  Raises PlumError if the system message leaves no room.
    """
    characters = sum(len(message["content"]) for message in messages)
    if characters <= limit * _CHARACTERS_A_TOKEN and count(messages) <= limit:
        return Fitted(list(messages), 0)
    head = [messages[0]] if messages[0]["role"] == "system" else []
    turns = list(messages[len(head) :])
    starts = [i for i, turn in enumerate(turns) if turn["role"] == "user" or i == 0]
    if starts[-1] != len(turns) - 1:
        starts.append(len(turns) - 1)

    def fits(at: int) -> bool:
        return count([*head, *turns[at:]]) <= limit

    # Fewer turns never take more tokens, so the first start that fits can be searched for; from
    # the end, since counting a whole long conversation takes seconds.
    near, step = len(starts), 1
    while near > 0 and fits(starts[max(0, near - step)]):
        near, step = max(0, near - step), step * 2
    found = bisect.bisect_left(starts, True, max(0, near - step), near, key=fits)
    if found < len(starts):
        return Fitted([*head, *turns[starts[found] :]], starts[found])
    last = turns[-1]

    def kept(length: int) -> list[WireMessage]:
        text = last["content"][len(last["content"]) - length :]
        return [*head, {"role": last["role"], "content": text}]

    lengths = range(1, len(last["content"]) + 1)
    room = bisect.bisect_right(lengths, False, key=lambda length: count(kept(length)) > limit)
    if not room:
        raise PlumError(
            "The persona is too long for this model's context; shorten it or choose a larger "
            "context."
        )
    return Fitted(kept(room), len(turns) - 1)
