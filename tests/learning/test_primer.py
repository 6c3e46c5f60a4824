from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from plum_desktop.adapters.peft_format import read_peft
from plum_desktop.learning import episodes, primer, stock
from plum_desktop.learning.conversation import Conversation
from plum_desktop.learning.reading import Reading
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.words import words

# Primers have steps that ask openly too, but no part in what is held here.
RECIPE = replace(preset("default"), questions=5, later_turn_share=0.0, open_every=0)


def test_no_yes_lasts_from_episode_to_episode() -> None:
    """What is true in one episode was never discussed in others, and both come alike often."""
    few = stock.practised()[::3]
    batches = list(episodes.episodes(few, stock.asked(), None, RECIPE, 12, 6))
    assert len(batches) == 12 * 6
    yes: list[set[str]] = []
    no: list[set[str]] = []
    for number in range(12):
        asked = [
            (one.verdict, one.question)
            for batch in batches[number * 6 : number * 6 + 6]
            for example in batch
            for one in example.exchanges
            if one.verdict
        ]
        yes.append({question for verdict, question in asked if verdict == "Yes"})
        no.append({question for verdict, question in asked if verdict == "No"})
        assert len([1 for verdict, _ in asked if verdict == "Yes"]) == len(asked) / 2
        assert not yes[-1] & no[-1]

    def asked_of(chat: Conversation, questions: list[set[str]]) -> bool:
        # By a word that no other of the conversations has.
        own = set(words(chat.text)) - {
            word for other in few if other is not chat for word in words(other.text)
        }
        return any(own & set(words(question)) for asked in questions for question in asked)

    turned = [chat for chat in few if asked_of(chat, yes) and asked_of(chat, no)]
    assert len(turned) > 10


def test_excerpts_are_read_in_every_episode() -> None:
    reading = Reading(stock.conversations(), stock.asked())
    recipe = replace(RECIPE, readings=2.0)
    batches = list(episodes.episodes(stock.practised(), stock.asked(), reading, recipe, 2, 4))
    for batch in batches[:2] + batches[4:6]:
        assert len([one for x in batch for one in x.exchanges if one.looked_up]) == 2


def test_what_people_ask_comes_when_half_of_an_episode_is_learned() -> None:
    known = stock.asked()
    right = {q: verdict for one in known.values() for verdict, questions in
             (("Yes", one.yes), ("No", one.no)) for q in questions}  # fmt: skip
    batches = list(episodes.episodes(stock.practised(), known, None, RECIPE, 3, 16))
    for number in range(3):
        early, late = (
            [
                one
                for batch in batches[16 * number + start : 16 * number + start + 8]
                for example in batch
                for one in example.exchanges
                if any(one.question.removesuffix(")").find(q) >= 0 for q in right)
            ]
            for start in (0, 8)
        )
        assert not early
        assert len(late) >= 2 * 8
        plain = [one for one in late if one.question in right]
        assert all(one.verdict == right[one.question] for one in plain)
        assert {one.verdict for one in plain} == {"Yes", "No"}
        # Nothing is asked so often that it could be learned by heart.
        assert max(Counter(one.question for one in late).values()) <= 2
    assert [one for batch in batches for x in batch for one in x.exchanges if one.looked_up]


def test_what_a_primer_practised_on_is_no_runs_negative() -> None:
    practised = {one.id for one in stock.practised()}
    never = {one.id for one in stock.never_discussed()}
    assert len(practised) > 100
    assert len(never) > 150
    assert not practised & never
    assert {one.id for one in stock.conversations()} == practised | never


def test_the_same_recipe_makes_the_same_episodes() -> None:
    few, asked = stock.practised(), stock.asked()
    assert list(episodes.episodes(few, asked, None, RECIPE, 2, 3)) == list(
        episodes.episodes(few, asked, None, RECIPE, 2, 3)
    )


def test_the_starter_has_a_primer_that_training_goes_on_from(starter: Path) -> None:
    import hashlib

    digest = hashlib.sha256(starter.read_bytes()).hexdigest()
    folder = primer.shipped(digest)
    assert folder is not None
    adapter = read_peft(folder)
    assert adapter.metadata["base_sha256"] == digest
    assert (adapter.rank, adapter.alpha) == (preset("default").rank, preset("default").alpha)
    assert primer.shipped("0" * 64) is None
