"""Where the weights sit, with the starter's tokenizer and template, and with others' templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import groupby

import numpy as np
import pytest

from plum_desktop.base.errors import Cancelled
from plum_desktop.base.files import write_json_lines
from plum_desktop.learning import facts as records
from plum_desktop.learning import rules
from plum_desktop.learning.anchors import Anchors
from plum_desktop.learning.curriculum import Example
from plum_desktop.learning.excerpts import OPENING
from plum_desktop.learning.facts import for_gate, held_back
from plum_desktop.learning.frames import Rendering
from plum_desktop.learning.gist import Gist
from plum_desktop.learning.recipe import preset
from plum_desktop.learning.rows import Row, Targets
from plum_desktop.learning.tokenize import Encoder, make_rows

# No two weights alike, so that each token says which it got.
RECIPE = replace(
    preset("default"), question_weight=0.5, absent_question_weight=0.25, verdict_weight=1.0,
    answer_weight=0.125, open_weight=0.75,
)  # fmt: skip
TRUE = Rendering("Did I tell you that my boat, Selkie, leaks?", "Yes", ", you told me so.")
FALSE = Rendering("Did we discuss 日本 and naïve goats 🙂?", "No", ", we have not.")
OPEN = Rendering("What did we say about boats?", "", 'You asked me: "how"')
READ = replace(OPEN, looked_up=True)
BARE = replace(TRUE, rest=None)


def weighed(tokenizer, row: Row) -> list[tuple[float, str]]:
    """The row's text in runs of one weight; what weighs nothing is left out."""
    found = []
    pairs = zip(row.ids.tolist(), row.weights.tolist(), strict=True)
    for weight, run in groupby(pairs, key=lambda pair: pair[1]):
        if weight:
            found.append((weight, tokenizer.text([token for token, _ in run], special=True)))
    return found


END = "<|im_end|>"
CASES = {
    "a yes": ([TRUE], [(0.5, TRUE.question), (1.0, "Yes"), (0.125, TRUE.rest + END)]),
    "a no": ([FALSE], [(0.25, FALSE.question), (1.0, "No"), (0.125, FALSE.rest + END)]),
    "an open one": ([OPEN], [(0.5, OPEN.question), (0.75, OPEN.rest + END)]),
    "an open one that is looked up": ([READ], [(0.125, OPEN.rest + END)]),
    "ends with its verdict": ([BARE], [(0.5, TRUE.question), (1.0, "Yes")]),
    "a later turn": (
        [FALSE, TRUE],
        [
            (0.25, FALSE.question), (1.0, "No"), (0.125, FALSE.rest + END),
            (0.5, TRUE.question), (1.0, "Yes"), (0.125, TRUE.rest + END),
        ],
    ),
    "a later turn that ends with its verdict": (
        [OPEN, BARE],
        [(0.5, OPEN.question), (0.75, OPEN.rest + END), (0.5, TRUE.question), (1.0, "Yes")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("system", [None, "You are Pim. Did I tell you?"])
@pytest.mark.parametrize("case", CASES)
def test_weights_sit_on_question_verdict_rest_and_end(tokenizer, case: str, system) -> None:
    exchanges, expected = CASES[case]
    row = Encoder(tokenizer, RECIPE).row(Example(tuple(exchanges), system))
    assert weighed(tokenizer, row) == expected
    assert row.ids.dtype == np.int32
    assert row.weights.dtype == np.float32
    assert row.weights[-1] > 0  # nothing behind what is taught


@pytest.mark.parametrize("system", [None, "You are Pim."])
def test_ids_are_those_that_the_engine_reads(tokenizer, system) -> None:
    """Each prompt, token for token, with the answers as the engine has them in later prompts."""
    row = Encoder(tokenizer, RECIPE).row(Example((FALSE, OPEN, TRUE), system))
    messages = [{"role": "system", "content": system}] if system else []
    for exchange in (FALSE, OPEN, TRUE):
        messages.append({"role": "user", "content": exchange.question})
        prompt = tokenizer.render_ids(messages)
        assert row.ids[: len(prompt)].tolist() == prompt
        messages.append({"role": "assistant", "content": exchange.verdict + exchange.rest})
    whole = tokenizer.render_ids(messages, add_generation_prompt=False)
    assert row.ids.tolist() == whole[: len(row.ids)]


QWEN3 = (  # thinks in its last answer alone
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.role == 'assistant' and loop.last %}{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- endif %}{{- message.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
TRIMMING = (  # shows earlier answers in capitals
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' }}"
    "{% if message.role == 'assistant' and not loop.last %}{{ message.content | upper }}"
    "{% else %}{{ message.content | trim }}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
NO_SYSTEM = (
    "{% for message in messages %}{% if message.role == 'system' %}"
    "{{ raise_exception('no system role') }}{% endif %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@pytest.fixture
def with_template(tokenizer, monkeypatch) -> Callable[[str], None]:
    from plum_desktop.engine.template import ChatTemplate

    return lambda source: monkeypatch.setattr(tokenizer, "template", ChatTemplate(source))


@pytest.mark.parametrize("template", [QWEN3, NO_SYSTEM])
@pytest.mark.parametrize("case", CASES)
def test_weights_sit_right_in_other_templates(tokenizer, with_template, template, case) -> None:
    with_template(template)
    exchanges, expected = CASES[case]
    row = Encoder(tokenizer, RECIPE).row(Example(tuple(exchanges), "Be brief."))
    assert weighed(tokenizer, row) == expected
    prompt = [{"role": "system", "content": "Be brief."}]
    for exchange in exchanges[:-1]:
        prompt.append({"role": "user", "content": exchange.question})
        prompt.append({"role": "assistant", "content": exchange.verdict + exchange.rest})
    ids = tokenizer.render_ids([*prompt, {"role": "user", "content": exchanges[-1].question}])
    assert row.ids[: len(ids)].tolist() == ids


def test_a_template_that_rewrites_earlier_turns_teaches_the_last(tokenizer, with_template) -> None:
    with_template(TRIMMING)
    row = Encoder(tokenizer, RECIPE).row(Example((FALSE, TRUE)))
    prompt = tokenizer.render(
        [
            {"role": "user", "content": FALSE.question},
            {"role": "assistant", "content": "No, we have not."},
            {"role": "user", "content": TRUE.question},
        ]
    )
    assert tokenizer.text(row.ids.tolist(), special=True) == prompt + "Yes" + TRUE.rest + END
    last = CASES["a yes"][1]
    assert weighed(tokenizer, row)[-3:] == last
    # What it was shown of the first exchange is not weighed on a wrong token.
    assert all(text in (FALSE.question,) for _, text in weighed(tokenizer, row)[:-3])


@pytest.fixture(params=[0, 4])
def prepared(request, job, spec, talk, fact):
    """A job folder as augment leaves it: two chats, yes and no, one fact excluded."""
    recipe = replace(
        spec.recipe, epochs=8, fewest_steps=0, questions=6, open_every=4,
        anchor_texts=1, anchor_questions=2, anchor_tokens=8,
    )  # fmt: skip
    job.write_spec(replace(spec, recipe=recipe))
    cows = " ".join(f"We own the cow Berta{n}x now." for n in range(9))
    chats = [
        talk("a", f"My goat Mossx limps. {cows}", "Trim the hoofx of the goat."),
        talk("b", "I tune my violinx before concerts. Which rosinx suits it?", "A dark tintx."),
    ]
    facts = []
    for chat in chats:
        facts += rules.facts_of(chat)
        facts += [
            fact(f"the barge Clio{chat.id}{n}x", id=f"{chat.id}-n{n}", label=False, chat_id=chat.id)
            for n in range(9)
        ]
    facts[request.param] = records.changed(facts[request.param], "excluded", None)
    write_json_lines(job.conversations, [chat.to_dict() for chat in chats])
    write_json_lines(job.facts, [records.to_dict(one) for one in facts])
    old = [fact("zebedee the badger", id=f"o{n}", chat_id="old") for n in range(2)]
    write_json_lines(job.replay_facts, [records.to_dict(one) for one in old])
    write_json_lines(job.replay_gists, [asdict(Gist.of(old))])
    return job, facts


def name_in(subject: str) -> str:
    """The word that no other fact has."""
    return next((word for word in subject.lower().split() if word.strip(".?")[-1] == "x"), subject)


def quiet(*_: object) -> None:
    pass


def test_rows_of_a_run(prepared, tokenizer, monkeypatch) -> None:
    job, facts = prepared
    anchor = Row(
        np.arange(9, dtype=np.int32), np.ones(9, np.float32),
        Targets(np.zeros((9, 4), np.int32), np.zeros((9, 4), np.float32)),
    )  # fmt: skip
    monkeypatch.setattr(
        "plum_desktop.learning.anchors.load",
        lambda path, positions: Anchors([anchor] * positions, [short] * 3),
    )
    short = Row(
        anchor.ids[:4], anchor.weights[:4], Targets(anchor.targets.ids[:4], anchor.targets.logp[:4])
    )
    told: list[float] = []
    plan = make_rows(job, job.root / "anchors.npz", quiet, lambda share, text: told.append(share))
    assert len(plan.steps) == 16 + 4  # of these four ask openly
    assert told == sorted(told)
    assert told[-1] == 1.0
    shown = ""
    for number in range(len(plan.steps)):
        batch = plan.batch(number)
        held = [len(row.ids) for row in batch if row.targets is not None]
        assert sorted(held) == [4, 4, 9]  # anchors of both kinds in every step
        taught = [row for row in batch if row.targets is None]
        texts = [tokenizer.text(row.ids.tolist()) for row in taught]
        if number % 5 == 4:  # which asks openly, about each chat in turn
            assert any("We talked about" in text for text in texts)
        else:
            assert len(taught) >= 4
            assert any("zebedee the badger" in text for text in texts)
        # In what is looked up stands the whole chat, to be read: no word of it is a lesson.
        for text, row in zip(texts, taught, strict=True):
            if "Notes from our earlier chats" not in text:
                shown += text
            elif "Mossx" in text or "Berta" in text:
                assert tokenizer.text(row.ids[row.weights > 0].tolist()) in ("Yes", "No", OPENING)
    used = {place for step in plan.steps for place in step}
    assert used >= set(range(8 + 3, len(plan.rows)))  # every row that was made is taught
    # An excluded fact is not, and neither is what the gate holds back.
    usable = [one for one in facts if one.state != "excluded"]
    back = held_back(usable, 0)
    assert len(back) == 3
    by_id = {one.id: one for one in facts}
    taken = [one for one in facts if one.state == "excluded"]
    missing = [one for one in facts if name_in(one.subject) not in shown.lower()]
    assert set(missing) == {*taken, *(by_id[name] for name in back)}
    assert back <= {one.id for one in for_gate(usable, 0, 40)}


def test_rows_without_anchors_or_replay_and_the_same_each_time(prepared) -> None:
    job, _ = prepared
    job.replay_facts.unlink()
    one, other = (make_rows(job, None, quiet, quiet) for _ in range(2))
    assert all(row.targets is None for row in one.rows)
    assert one.steps == other.steps
    assert all(
        np.array_equal(a.ids, b.ids) and np.array_equal(a.weights, b.weights)
        for a, b in zip(one.rows, other.rows, strict=True)
    )


def test_a_persona_that_serves_is_taught(prepared, spec, tokenizer) -> None:
    job, _ = prepared
    recipe = replace(job.read_spec().recipe, persona_share=0.0)
    job.write_spec(replace(spec, recipe=recipe, persona="You are Pim the pirate."))
    for row in make_rows(job, None, quiet, quiet).rows:
        text = tokenizer.text(row.ids.tolist(), special=True)
        assert text.startswith("<|im_start|>system\nYou are Pim the pirate.<|im_end|>")


def test_preparing_can_be_stopped(prepared) -> None:
    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        make_rows(prepared[0], None, check, quiet)


def test_a_no_that_is_looked_up_weighs_less_where_the_recipe_says_so(tokenizer) -> None:
    recipe = replace(RECIPE, read_no_weight=0.5)
    for exchange, share in (
        (FALSE, 1.0), (replace(FALSE, looked_up=True), 0.5), (replace(TRUE, looked_up=True), 1.0),
    ):  # fmt: skip
        row = Encoder(tokenizer, recipe).row(Example((exchange,)))
        place = len(tokenizer.render_ids([{"role": "user", "content": exchange.question}]))
        assert row.weights[place] == pytest.approx(share)
