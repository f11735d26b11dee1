from __future__ import annotations

import pytest

from potstill.data import Text
from potstill.data.rouge import rouge
from potstill.teacher import Answer
from potstill.teacher.texts import choose_texts, likeness, read_text


@pytest.mark.parametrize(
    "raw",
    [
        "You may leave at any time.",
        "  You may leave at any time.\n",
        {"answer": "You may leave at any time."},
        {"thought": "Short.", "answer": "You may leave at any time."},
        {"text": "You may leave at any time."},
        '{"summary": "You may leave at any time."}',
        '```json\n{"answer": "You may leave at any time."}\n```',
        "```\nYou may leave at any time.\n```",
    ],
)
def test_one_text_in_all_the_ways_to_give_it(raw):
    assert read_text(raw, ("answer", "summary")) == Text("You may leave at any time.")


@pytest.mark.parametrize(
    "raw",
    ["", "  ", None, 7, ["a", "b"], {}, {"a": "x", "b": "y"}, {"answer": ["x"]}, '{"answer": ""}'],
)
def test_what_is_no_text(raw):
    assert read_text(raw, ("answer",)) is None


@pytest.mark.parametrize("raw", ["42", "[1]", "null", "true"])
def test_a_text_that_looks_like_json_is_a_text(raw):
    assert read_text(raw, ("answer",)) == Text(raw)


def says(text, teacher="a"):
    return Answer(teacher=teacher, target=Text(text), raw=text)


def test_the_text_that_is_most_like_the_others_is_chosen():
    texts = [
        "the cat sat on the mat",
        "a dog barked at the moon all night",
        "the cat sat down on a mat",
        "the old cat sat on the mat",
    ]
    (verdict,) = choose_texts([[says(text) for text in texts]]).verdicts
    gains = [sum(rouge(a, [b]).rouge_l for b in texts if b is not a) for a in texts]
    assert verdict.target == Text(texts[gains.index(max(gains))]) == Text(texts[0])
    assert verdict.soft is None


def test_one_and_two_texts_leave_no_choice():
    failed = Answer(teacher="a", target=None, raw="", fault="failed")
    found = choose_texts([[says("one")], [failed, says("b"), says("a")], [failed], []]).verdicts
    assert [v and v.target for v in found] == [Text("one"), Text("b"), None, None]


def test_three_copies_by_one_teacher_are_one_opinion():
    copies = [says("it rains in the north", "a")] * 3
    others = [says("the sun shines all day", "b"), says("the sun shines all day long", "c")]
    (verdict,) = choose_texts([[*copies, *others]]).verdicts
    # Without the shares, the copies would be most like the others: like each other.
    assert verdict.target.text.startswith("the sun shines all day")


def test_likeness_of_scripts_that_rouge_does_not_read():
    assert likeness(Text("是"), Text("是")) == 1.0
