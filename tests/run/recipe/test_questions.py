"""Questions from files that no recipe describes."""

from __future__ import annotations

import json

import pytest

from potstill.data import Example, Text
from potstill.errors import DataError
from potstill.run.recipe.questions import guess_verifier, read_questions


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers(*texts):
    return [Example(id=str(n), input="q", target=Text(text)) for n, text in enumerate(texts)]


def test_a_solution_ends_with_its_answer(tmp_path):
    rows = {"question": "How many?", "answer": "48/2 = <<48/2=24>>24\n#### 1,072"}
    found = read_questions(write(tmp_path / "q.jsonl", rows))
    assert found.rows[0].target == Text("1,072")
    assert any("'####'" in note for note in found.notes)


def test_columns_are_guessed_aloud_or_named(tmp_path):
    rows = {"problem": "How many?", "text": "nothing", "answer": 3, "other": "5"}
    file = write(tmp_path / "q.jsonl", rows)
    guessed = read_questions(file)
    assert guessed.rows[0].input == "How many?", "a problem is more of a question than a text"
    assert guessed.notes[0] == "questions are in 'problem', answers in 'answer'"
    found = read_questions(file, question="problem", answer="other")
    assert (found.rows[0].input, found.rows[0].target) == ("How many?", Text("5"))
    assert found.notes == ()
    with pytest.raises(DataError, match="no column is called 'nope'"):
        read_questions(file, question="problem", answer="nope")


def test_rows_of_a_stage_can_be_asked_again(tmp_path):
    file = write(tmp_path / "q.jsonl", {"id": "a", "input": "1+1=", "target": {"text": "2"}})
    assert read_questions(file).rows == [Example(id="a", input="1+1=", target=Text("2"))]


def test_a_question_stands_once_and_some_have_no_answer(tmp_path):
    rows = [{"prompt": "a", "answer": None}, {"prompt": "a"}, {"prompt": "b", "answer": "1"}]
    found = read_questions(write(tmp_path / "q.jsonl", *rows))
    assert [row.input for row in found.rows] == ["a", "b"]
    assert any("1 rows repeat" in note for note in found.notes)


def test_a_file_without_questions_is_refused(tmp_path):
    with pytest.raises(DataError, match="no column holds questions; there are 'foo'"):
        read_questions(write(tmp_path / "q.jsonl", {"foo": "x"}))
    with pytest.raises(DataError, match="there is no row"):
        read_questions(write(tmp_path / "q.jsonl"))


@pytest.mark.parametrize(
    ("texts", "verifier"),
    [
        (["1", "-2.5", "1,072", "$40", "7%"], "numeric"),
        (["A", "(b)", "C."], "choice"),
        (["yes", "no", "no", "yes", "no", "no"], "labels"),
        (["\\frac{1}{2}", "3", "x+1"], "mathematics"),
        (["yes", "no", "perhaps"], "mathematics"),
        ([], "mathematics"),
    ],
)
def test_the_verifier_is_guessed_from_the_answers(texts, verifier):
    assert guess_verifier(answers(*texts))[0] == verifier
