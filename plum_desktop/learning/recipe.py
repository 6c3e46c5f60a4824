"""How to learn: every number of a learning run, in one dataclass with named presets."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, replace
from typing import Literal

from plum_desktop.base.errors import PlumError


@dataclass(frozen=True, slots=True)
class Recipe:
    """Defaults are the `default` preset's; counts are per conversation and epoch."""

    name: str = "default"

    # Order of the material.
    order: Literal["joint", "sequential"] = "joint"
    epochs: int = 8
    # A handful of chats is repeated, in new renderings, up to so many steps.
    fewest_steps: int = 200
    primed: bool = True

    # What is asked.  As many no as yes, alike in everything but truth.  Few at a time: what a chat
    # gains is by the number of steps, not by their size.
    questions: int = 3  # of each label
    # Of both labels, what is asked by a short name or in the user's own request: what a chat is
    # about, which is what people ask first, where most facts are clauses of long answers.
    topic_share: float = 0.33
    near_subjects: float = 0.7  # of the short names of the no: from the fields that are nearest
    near_share: float = 0.5  # of the other no: from the stock's conversations that are nearest
    altered_share: float = 0.1  # of the no: a true fact with one detail exchanged
    spliced_share: float = 0.0  # of both: two parts in one question, and all of it must be true
    # "What did we discuss about ...?": after so many visits (0: never) so many chats are asked
    # about, half of them older ones where there are any, and so many things that never came up.
    # Where visits are many for so few chats it is less often: each is asked about so many times.
    open_every: int = 1
    open_questions: int = 2
    open_never: int = 1
    open_times: int = 16
    readings: float = 0.23  # questions with excerpts a step
    own_readings: float = 0.35  # of them: about what is taught, the rest about the stock
    model_facts: bool = True
    rule_facts: bool = True
    persona_share: float = 0.1
    later_turn_share: float = 0.15

    # Weights of tokens in the cross entropy; template and system prompt weigh nothing.
    question_weight: float = 0.02
    absent_question_weight: float = 0.0  # of questions about things never discussed
    verdict_weight: float = 1.0  # up to and including the yes or no
    # Of that, what a no weighs whose question has excerpts: the stock's near misses are written to
    # be as near as can be, and what people ask matches less than what they were taught.
    read_no_weight: float = 0.8
    answer_weight: float = 0.02  # what follows it
    open_weight: float = 0.4  # of an answer to an open question, which is learned by heart
    answered_share: float = 0.4  # of the questions, whose answer goes on behind the yes or no

    # A token that is as likely as this is learned: it pulls no more.
    certain: float = 0.9

    # What keeps the rest as it was.
    # A step pulls so many of each to the untouched base by KL.
    anchor_texts: int = 1
    anchor_questions: int = 1
    anchor_tokens: int = 32  # positions of a sequence at which they are pulled
    anchor_weight: float = 5.0
    replay_questions: int = 6  # of facts learned before, a step

    # LoRA and optimizer.
    rank: int = 16
    alpha: float = 32.0
    learning_rate: float = 1e-3
    warmup_steps: int = 10
    final_share: float = 0.1  # of the learning rate, at the end of the cosine
    weight_decay: float = 0.0
    # Of a run that goes on from an adapter: run after run drift would add up, see `going_on`.
    later_weight_decay: float = 1.0
    gradient_clip: float = 1.0
    batch_conversations: int = 1  # whose questions make up one step

    seed: int = 0

    @property
    def anchored(self) -> bool:
        return self.anchor_texts + self.anchor_questions > 0

    def going_on(self) -> Recipe:
        """The recipe for teaching an adapter that has served: what no lesson asks for any more
        fades, so that the tenth run is no further from the base than the fifth.
        """
        return replace(self, weight_decay=self.later_weight_decay)

    def passes(self, lessons: int) -> int:
        """Over so many lessons: `epochs`, or more while there are few chats."""
        if not lessons:
            return 0
        return max(self.epochs, math.ceil(self.fewest_steps * self.batch_conversations / lessons))

    def visits(self, lessons: int) -> int:
        """Steps of a run over so many lessons, but for those that ask openly."""
        return self.passes(lessons) * math.ceil(lessons / self.batch_conversations)

    def visits_between_open(self, visits: int, chats: int) -> int:
        """From one step that asks openly about so many chats to the next; 0: there is none."""
        if not self.open_every or not chats:
            return 0
        return max(self.open_every, visits * self.open_questions // (self.open_times * chats))


# What of PLUM is published: strictly sequential, 10 epochs a conversation, balanced yes and no,
# the weighted cross entropy, no replay.  Rank, rate, weights and counts were not published and
# are chosen here.
_PRESETS = {
    "default": Recipe(),
    "paper": Recipe(
        name="paper",
        order="sequential",
        epochs=10,
        fewest_steps=0,
        primed=False,
        readings=0.0,
        open_every=0,
        answered_share=0.3,
        certain=1.0,
        near_share=0.5,
        altered_share=0.0,
        rule_facts=False,
        anchor_texts=0,
        anchor_questions=0,
        replay_questions=0,
        learning_rate=2e-4,
        later_weight_decay=0.0,
    ),
}

NAMES = tuple(_PRESETS)


def preset(name: str) -> Recipe:
    """The named recipe.  Raises PlumError for an unknown name."""
    try:
        return _PRESETS[name]
    except KeyError:
        raise PlumError(
            "There is no recipe {name!r}; there are {names}.", name=name, names=", ".join(NAMES)
        ) from None


def from_dict(values: dict[str, object]) -> Recipe:
    """A recipe as a job folder keeps it (`dataclasses.asdict`)."""
    known = {field.name for field in dataclasses.fields(Recipe)}
    return Recipe(**{key: value for key, value in values.items() if key in known})  # type: ignore[arg-type]
