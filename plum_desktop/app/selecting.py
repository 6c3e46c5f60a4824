"""Stage select: what of the store a job works on, written into its folder.

No later stage but the switch reads the database, so a job goes on with what it began with.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict

from plum_desktop.base.files import write_json, write_json_lines
from plum_desktop.base.types import Fact
from plum_desktop.learning import facts, own
from plum_desktop.learning.augment import contradicted
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.corrections import taken_back
from plum_desktop.learning.gist import Gist
from plum_desktop.learning.job import JobFolder, JobSpec
from plum_desktop.learning.select import learnable
from plum_desktop.store import Store

_MOST_REPLAYED = 600  # facts of older chats
_ASKED_OLD = 40  # questions of the gate about older chats, yes and no together


def select(store: Store, job: JobFolder, spec: JobSpec) -> None:
    """Write the chats of `spec`, and of all others what its lessons must agree with.

    Facts that a new chat contradicts or takes back are marked so in the store.
    """
    chosen, others = [], []
    for chat in store.chats.list(archived=None):
        if chat.id in spec.chats:
            conversation, _ = learnable(chat, store.chats.branch(chat.id))
            if conversation is not None:
                chosen.append((chat.created, conversation))
        # Hidden branches and stopped replies were said too: no negative may deny them.
        said = "\n".join(message.text for message in store.chats.tree(chat.id))
        others.append({"id": chat.id, "text": said})
    known = [own.at_home(fact) for fact in store.facts.list()]
    told = own.teachable(known)
    write_json_lines(job.own, [facts.to_dict(fact) for fact in told])
    if conversation := own.conversation(told):
        others.append({"id": conversation.id, "text": conversation.text})
        if conversation.id in spec.chats:
            chosen.append((0.0, conversation))
    excluded = sorted({fact.subject for fact in known if fact.state == "excluded"})
    write_json(job.excluded, excluded)
    chosen.sort(key=lambda pair: pair[0])
    conversations = [conversation for _, conversation in chosen]
    stand = [fact for fact in known if fact.state != "excluded"]
    former = taken_back([f for f in stand if f.chat_id not in spec.chats], conversations)
    write_json_lines(job.former, [facts.to_dict(fact) for fact in former])
    gone = _no_longer_so(stand, former, conversations, spec)
    with store.transaction():
        for fact in stand:
            if fact.id in gone and fact.state != "contradicted":
                store.facts.update(fact.id, state="contradicted")
    _write_older_facts(store, job, spec, [fact for fact in stand if fact.id not in gone])
    write_json_lines(job.others, others)
    # Last, since its presence says that the stage is done.
    write_json_lines(job.conversations, [c.to_dict() for c in conversations])


def _no_longer_so(
    known: Sequence[Fact], former: Sequence[Fact], new: Sequence[Conversation], spec: JobSpec
) -> set[str]:
    """Ids of what the `new` chats contradict, and of what they take back, which `former` is."""
    found = {fact.id for fact in contradicted(known, {one.id: one.text for one in new})}
    corrected = {one.subject for one in former}
    for fact in known:
        older = fact.label and fact.kind == "said" and fact.chat_id not in spec.chats
        if older and fact.subject in corrected:
            found.add(fact.id)
    return found


def _write_older_facts(store: Store, job: JobFolder, spec: JobSpec, known: Sequence[Fact]) -> None:
    """What older chats taught, to be asked again in training and by the gate."""
    parent = store.adapters.active(spec.model_sha256)
    seen = store.adapters.seen(parent.id) if parent else {}
    older = [
        fact
        for fact in known
        if fact.chat_id in seen
        and fact.chat_id not in spec.chats
        and fact.state in ("learned", "weak")
    ]
    rng = random.Random(f"{spec.recipe.seed} {spec.run_id} replay")
    replayed = rng.sample(older, min(len(older), _MOST_REPLAYED))
    asked = facts.for_gate(older, spec.recipe.seed, _ASKED_OLD)
    held = {fact.id for fact in asked}
    replayed = [fact for fact in replayed if fact.id not in held]
    again = {fact.chat_id for fact in replayed}
    by_chat: dict[str | None, list[Fact]] = defaultdict(list)
    for fact in older:
        if fact.chat_id in again and fact.id not in held:
            by_chat[fact.chat_id].append(fact)
    gists = [Gist.of(part) for some in by_chat.values() for part in facts.parts(some)]
    write_json_lines(job.replay_gists, [asdict(gist) for gist in gists])
    write_json_lines(job.replay_facts, [facts.to_dict(fact) for fact in replayed])
    write_json_lines(job.old_facts, [facts.to_dict(fact) for fact in asked])
