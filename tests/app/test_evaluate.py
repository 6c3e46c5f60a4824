from __future__ import annotations

import json
from pathlib import Path

import pytest

from plum_desktop.app.evaluate import (
    Question,
    interval,
    judge,
    mark,
    read_questions,
    report,
)
from plum_desktop.base.errors import PlumError
from plum_desktop.learning.verdict import verdict


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Yes, we did.", "yes"),
        ("Yeah", "yes"),
        ("No.", "no"),
        ("I haven't heard of it.", "no"),
        ("We did not, yes?", "no"),
        ("It was yesterday, knot by knot.", "unclear"),
        ("", "unclear"),
        ("one two three four five six seven eight nine ten eleven yes", "yes"),
        ("one two three four five six seven eight nine ten eleven twelve yes", "unclear"),
        ("NOPE", "no"),
    ],
)
def test_the_first_deciding_word_of_twelve_counts(answer: str, said: str) -> None:
    assert verdict(answer) == said


def test_an_open_answer_scores_its_share_of_facts() -> None:
    question = Question("c", "open", "What?", ("Castor oil", "ammonia"))
    assert mark(question, "You mentioned CASTOR OIL.").score == 0.5
    assert mark(question, "Nothing").score == 0.0


def test_an_unclear_answer_is_wrong_for_both_kinds() -> None:
    assert mark(Question("c", "yes", "?"), "Perhaps").score == 0.0
    assert mark(Question("c", "no", "?"), "Perhaps").score == 0.0


def test_the_interval_is_wilsons() -> None:
    # 8 of 10, worked out by hand from the formula.
    assert interval(8, 10) == (0.4902, 0.9433)
    assert interval(0, 0) == (0.0, 0.0)


def rows(conversations: int) -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for number in range(conversations):
        name = f"c{number}"
        for kind in ("yes", "yes", "no", "no"):
            made.append({"conversation_id": name, "kind": kind, "question": f"{kind} {number}?"})
        made.append(
            {"conversation_id": name, "kind": "open", "question": "What?", "key_facts": ["a"]}
        )
    return made


def write(path: Path, lines: list[object]) -> Path:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def test_slices_limit_and_kinds(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", rows(4))
    asked = read_questions(path, kinds={"yes", "no"}, limit=2)
    assert [question.slice for question in asked] == [
        "main topic", "detail", "near miss", "far",
    ] * 2  # fmt: skip
    assert {question.conversation_id for question in asked} == {"c0", "c1"}


def test_the_report_of_known_answers(tmp_path: Path) -> None:
    questions = read_questions(write(tmp_path / "q.jsonl", rows(8)))
    asked: list[tuple[str, int]] = []

    def always_yes(text: str, tokens: int) -> str:
        asked.append((text, tokens))
        return "Yes, a."

    marks, figures = judge(questions, always_yes)
    assert len(marks) == 40
    assert {tokens for text, tokens in asked if text == "What?"} == {200}
    assert {tokens for text, tokens in asked if text != "What?"} == {48}
    assert figures["accuracy"] == 0.5
    assert figures["yes_accuracy"] == 1.0
    assert figures["no_accuracy"] == 0.0
    assert figures["slice far"] == 0.0
    assert figures["slice detail"] == 1.0
    assert figures["open_recall"] == 1.0
    assert figures["oldest quarter"] == figures["newest quarter"] == 0.5
    assert figures["unclear"] == 0


def test_quarters_are_of_conversations_in_order() -> None:
    marks = [
        mark(Question(f"c{n}", "yes", "?", slice="main topic"), "yes" if n < 2 else "no")
        for n in range(8)
    ]
    figures = report(marks, 1.0)
    assert figures["oldest quarter"] == 1.0
    assert figures["newest quarter"] == 0.0
    assert figures["no_accuracy"] is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 1: a question is a JSON object"),
        ('"text"', "line 1: a question is a JSON object"),
        ({"conversation_id": "c", "kind": "yes"}, "line 1: a question is a JSON object"),
        ({"conversation_id": "c", "kind": "maybe", "question": "?"}, "kind is one of yes, no"),
        ({"conversation_id": "c", "kind": "yes", "question": 3}, "the rest is text"),
        ({"conversation_id": "c", "kind": "open", "question": "?"}, "needs its key_facts"),
        ("", "holds no question"),
    ],
)
def test_a_bad_file_is_a_sentence(tmp_path: Path, line: object, words: str) -> None:
    with pytest.raises(PlumError, match=words):
        read_questions(write(tmp_path / "q.jsonl", [line]))


def test_a_file_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlumError, match="cannot be read"):
        read_questions(tmp_path / "none.jsonl")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlumError, match="not a text file"):
        read_questions(tmp_path / "binary")
