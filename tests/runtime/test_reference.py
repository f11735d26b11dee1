import json

import numpy as np
import pytest

from potstill.data import Example, Prediction, Source
from potstill.data.extraction import Extraction, Value
from potstill.runtime.reference import (
    CELLS,
    Reference,
    length_cell,
    length_middles,
    probability_cell,
    probability_middles,
)

PERSON = Source(kind="person", name="g", contributed=("input", "target"), stage="read")
TEACHER = Source(kind="model", name="t", contributed=("target",), stage="teach")


def row(text, target, source=PERSON):
    return Example(id=text, input=text, target=target, sources=(source,))


@pytest.mark.parametrize("value", [0.0, 1e-12, 0.02, 0.5, 0.83, 0.9999, 1.0])
def test_a_probability_lies_in_the_cell_whose_middle_is_nearest(value):
    middles = probability_middles()
    odds = np.log(middles / (1 - middles))
    bounded = min(max(value, 1e-9), 1 - 1e-9)
    wanted = np.clip(np.log(bounded / (1 - bounded)), -7.99, 7.99)
    assert abs(odds[probability_cell(value)] - wanted) <= 0.126


@pytest.mark.parametrize("characters", [0, 1, 40, 1000, 60_000])
def test_a_length_lies_within_a_tenth_of_the_middle_of_its_cell(characters):
    assert abs(length_middles()[length_cell(characters)] - characters) <= 0.1 * characters + 0.2


def test_a_text_of_any_length_has_a_cell():
    assert length_cell(10**9) == CELLS - 1


def test_what_was_deferred_wrong_or_outside_is_told_apart():
    predictions = [
        Prediction("a", 0.9),
        Prediction("b", 0.9),
        Prediction("a", 0.3, deferred="unsure", out_of_scope=0.4),
        Prediction("b", 0.2, deferred="out_of_scope", out_of_scope=0.99),
    ]
    examples = [row("1", "a"), row("22", "a"), row("333", "a"), row("4", "oos")]
    known = Reference.of(predictions, examples, ["a", "b", "c"])
    assert (known.rows, known.deferred) == (4, 2)
    assert known.labels == {"a": 2, "b": 2, "c": 0}
    sure = probability_cell(0.9)
    judged = known.judged
    assert (judged.rows[sure], judged.right[sure]) == (2, 1)
    assert (judged.answered.sum(), judged.answered_right.sum()) == (2, 1)
    assert (judged.rows.sum(), judged.right.sum()) == (4, 2)
    assert known.out_of_scope.sum() == 2
    assert known.length.sum() == 4


def test_a_teacher_judges_only_where_people_are_few():
    predictions = [Prediction("a", 0.9)] * 60
    silver = [row(str(at), "b", TEACHER) for at in range(10)]
    few = Reference.of(predictions, [*silver, *[row(f"g{n}", "a") for n in range(50)]], ["a"])
    assert (few.judged.targets, few.judged.rows.sum(), few.judged.right.sum()) == ("gold", 50, 50)
    many = Reference.of(predictions[:20], [*silver, *[row(f"g{n}", "a") for n in range(10)]], ["a"])
    assert (many.judged.targets, many.judged.rows.sum(), many.judged.right.sum()) == (
        "silver",
        20,
        10,
    )


def test_rows_without_targets_judge_nothing():
    known = Reference.of([Prediction("a", 0.5)], [Example(id="1", input="x")], ["a"])
    assert known.judged is None
    assert known.rows == 1


def test_a_reference_comes_back_from_json_and_holds_no_text():
    examples = [row(f"a secret text {n}", "a") for n in range(60)]
    predictions = [
        Prediction("a", n / 60, out_of_scope=1 - n / 60, deferred=None if n > 20 else "unsure")
        for n in range(60)
    ]
    known = Reference.of(predictions, examples, ["a", "b"])
    written = json.dumps(known.to_json())
    assert "secret" not in written
    again = Reference.from_json(json.loads(written))
    assert again.to_json() == known.to_json()
    assert (again.judged.right == known.judged.right).all()


def test_labels_of_a_multilabel_model_count_each():
    known = Reference.of(
        [Prediction(("b", "a"), 0.7), Prediction((), 0.6)],
        [row("1", ("a", "b")), row("2", ("a",))],
        ["a", "b"],
    )
    assert known.labels == {"a": 1, "b": 1}
    assert known.judged.right.sum() == 1


def test_an_extraction_counts_for_the_fields_that_it_has_values_of():
    def said(value, confidence=None):
        return Extraction({"party": (Value(value, confidence=confidence),), "law": ()})

    predictions = [Prediction(said("Nike", 0.9), 0.8), Prediction(said("Kite", 0.7), 0.8)]
    examples = [row("1", said("NIKE")), row("2", said("Pharma"))]
    known = Reference.of(predictions, examples, ["party", "law"])
    assert known.labels == {"party": 2, "law": 0}
    assert (known.judged.rows.sum(), known.judged.right.sum()) == (2, 1)
