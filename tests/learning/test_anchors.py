from __future__ import annotations

import hashlib

import numpy as np
import pytest

from plum_desktop.base.errors import DamagedFile
from plum_desktop.learning import anchors, stock
from plum_desktop.learning.rows import Row

QUESTIONS = ("What is the capital of France?", "Name a colour of the rainbow.")


def every(path, positions: int) -> list[Row]:
    loaded = anchors.load(path, positions)
    return [*loaded.texts, *loaded.questions]


@pytest.fixture(scope="module")
def made(engine, tmp_path_factory: pytest.TempPathFactory):
    """Two texts and two short questions, by the starter model."""
    path = anchors.file_for(tmp_path_factory.mktemp("cache"), "ab" * 32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stock, "questions", lambda: list(QUESTIONS))
        anchors.make(engine, path, most_texts=2)
    return path


def test_targets_are_the_bases_own_opinion_of_the_next_token(made, engine, tmp_path) -> None:
    rows = anchors.load(made, 12).texts
    assert len(rows) == 2
    out = tmp_path / "logits.npy"
    row = rows[0]
    places = np.nonzero(row.weights)[0]
    assert places.tolist() == list(range(places[0], places[0] + 12))
    assert set(row.weights[places]) == {1.0}
    assert len(row.ids) == places[-1] + 2  # to the last token that is told of
    engine.logits([row.ids.tolist()], out, from_position=[int(places[0])])
    base = np.load(out)[:-1]
    assert row.targets is not None
    for place, logp in zip(places, base, strict=True):
        ids = row.targets.ids[place]
        np.testing.assert_array_equal(np.sort(ids), np.sort(np.argsort(-logp)[: len(ids)]))
        np.testing.assert_allclose(row.targets.logp[place], logp[ids], atol=0.02)


def test_anchors_count_from_the_first_word_of_an_answer(made, tokenizer) -> None:
    known = {c.turns[0].text for c in stock.conversations()}
    for number, row in enumerate(every(made, 4)):
        first = int(np.nonzero(row.weights)[0][0])
        prompt = tokenizer.text(row.ids[: first + 1].tolist(), special=True)
        assert prompt.endswith("<|im_start|>assistant\n")
        asked = prompt.split("<|im_start|>user\n")[1].split("<|im_end|>")[0]
        assert asked in (known if number < 2 else QUESTIONS)


def test_a_short_question_is_answered_as_the_base_answers_it(made, engine, tokenizer) -> None:
    rows = anchors.load(made, 99).questions
    assert len(rows) == len(QUESTIONS)
    for row in rows:
        question = next(q for q in QUESTIONS if q in tokenizer.text(row.ids.tolist()))
        messages = [{"role": "user", "content": question}]
        start = len(tokenizer.render_ids(messages))
        told = engine.chat(messages, max_tokens=8, temperature=0.0).text
        assert tokenizer.text(row.ids[start:].tolist()).startswith(told.rstrip()[:12])
        assert int(np.nonzero(row.weights)[0][0]) == start - 1


def test_more_places_than_an_answer_has(made) -> None:
    few, all_there = every(made, 2), every(made, 10_000)
    for short, whole in zip(few, all_there, strict=True):
        assert np.array_equal(short.ids, whole.ids[: len(short.ids)])
        assert (short.weights > 0).sum() == 2 < (whole.weights > 0).sum()
        first = np.nonzero(short.weights)[0]
        assert np.array_equal(short.targets.ids[first], whole.targets.ids[first])
        assert len(whole.targets.ids) == len(whole.ids) == len(whole.weights)
        mass = np.exp(whole.targets.logp[whole.weights > 0]).sum(1)
        assert (mass < 1.01).all()
        assert (mass > 0.3).all()


def test_what_is_there_is_not_made_again(made) -> None:
    before = made.stat().st_mtime_ns
    anchors.make(None, made)  # asks no engine
    assert made.stat().st_mtime_ns == before
    assert [entry.name for entry in made.parent.iterdir()] == [made.name]


def test_another_model_has_another_file(tmp_path) -> None:
    assert anchors.file_for(tmp_path, "a" * 64) != anchors.file_for(tmp_path, "b" * 64)


def test_the_starters_anchors_ship(starter, tmp_path) -> None:
    digest = hashlib.sha256(starter.read_bytes()).hexdigest()
    path = anchors.file_for(tmp_path, digest)
    assert tmp_path not in path.parents
    loaded = anchors.load(path, 8)
    assert len(loaded.texts) >= 150
    assert len(loaded.questions) == len(stock.questions())
    prompts = {row.ids.tobytes() for row in [*loaded.texts, *loaded.questions]}
    assert len(prompts) == len(loaded.texts) + len(loaded.questions)


def test_damage_is_said(made, tmp_path) -> None:
    path = tmp_path / "anchors.npz"
    with pytest.raises(DamagedFile, match="learn again"):
        anchors.load(path, 4)
    whole = made.read_bytes()
    for damaged in (b"", b"no zip", whole[:100], whole[: len(whole) // 2], whole[:-40]):
        path.write_bytes(damaged)
        with pytest.raises(DamagedFile, match="learn again"):
            anchors.load(path, 4)
    with path.open("wb") as stream:
        np.savez(stream, ids=np.zeros(3))
    with pytest.raises(DamagedFile, match="learn again"):
        anchors.load(path, 4)
