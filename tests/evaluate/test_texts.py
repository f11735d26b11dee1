from __future__ import annotations

import numpy as np
import pytest

from potstill.data import Example, Prediction, Text
from potstill.data.rouge import rouge
from potstill.errors import DataError
from potstill.evaluate.metrics import Evaluation
from potstill.evaluate.paired import Comparison
from potstill.evaluate.texts import Lead, compare_texts, evaluate_texts


def row(number: int, source: str, *wanted: str) -> Example:
    return Example(id=str(number), input=source, target=Text(wanted[0], wanted[1:]))


ROWS = [
    row(0, "you must not copy the game. we may sue.", "do not copy the game", "we sue copiers"),
    row(1, "we keep data for 30 days. then it goes.", "data is kept 30 days"),
    row(2, "nothing here", "nothing"),
]


def said(*texts: str | None) -> list[Prediction]:
    return [Prediction(None if text is None else Text(text)) for text in texts]


def test_figures_by_hand() -> None:
    found = evaluate_texts(
        said("we sue copiers", "Google keeps data 60 days", None), ROWS, name="x"
    )
    expected = rouge("Google keeps data 60 days", ["data is kept 30 days"]).rouge_l

    assert (found.name, found.kind, found.n, found.unanswered) == ("x", "generation", 3, 1)
    assert found.score.value == pytest.approx((1.0 + expected + 0.0) / 3)
    assert found.metrics["rouge_2"].value == pytest.approx(1 / 3)
    assert found.metrics["invented"].value == pytest.approx(1 / 2)
    # "we sue" and "sue copiers" are both new; of "google keeps", "keeps data", … all are.
    assert found.metrics["copied"].value == 0.0
    assert found.metrics["rouge_1"].low < found.metrics["rouge_1"].value
    assert found.written is not None
    assert (found.written.words, found.written.gold_words) == (4.0, pytest.approx(11 / 3))
    assert (found.written.longer, found.written.guarded) == (0, 0)
    assert Evaluation.from_json(found.to_json()) == found


def test_a_text_longer_than_its_source_and_a_guarded_one_are_counted() -> None:
    answers = [
        *said("do not copy", "30 days"),
        Prediction(Text("nothing at all", guarded=("copied",))),
    ]
    found = evaluate_texts(answers, ROWS)

    assert found.written is not None
    assert (found.written.longer, found.written.guarded) == (1, 1)


def test_deferred_texts_are_no_answers() -> None:
    answers = [Prediction(Text("nothing"), deferred="unsure")] * 3

    assert evaluate_texts(answers, ROWS).unanswered == 3
    assert evaluate_texts(answers, ROWS).metrics["invented"].high == 1.0


def test_the_better_one_wins_by_a_paired_interval() -> None:
    rows = [row(at, f"source {at}", f"the words of row {at} are wanted") for at in range(40)]
    good = said(*(f"the words of row {at} are here" for at in range(40)))
    bad = said(*(f"some words of row {at} exist" for at in range(40)))
    found = compare_texts(good, bad, rows, names=("good", "bad"))
    other = compare_texts(bad, good, rows)

    assert found.outcome == "better"
    assert (found.wins, found.losses, found.ties) == (40, 0, 0)
    assert found.difference.low > 0
    assert other.outcome == "worse"
    assert other.difference.value == pytest.approx(-found.difference.value)
    assert compare_texts(good, good, rows).outcome == "within noise"
    assert Comparison.from_json(found.to_json()) == found


def test_the_difference_is_that_of_the_means() -> None:
    a, b = said("do not copy", "30 days", "x"), said("we sue", None, "nothing")
    one, other = evaluate_texts(a, ROWS), evaluate_texts(b, ROWS)
    found = compare_texts(a, b, ROWS)

    for figure in ("rouge_1", "rouge_2", "rouge_l"):
        apart = one.metrics[figure].value - other.metrics[figure].value
        assert found.differences[figure].value == pytest.approx(apart)
    assert np.sign(found.difference.value) == np.sign(one.score.value - other.score.value)


@pytest.mark.parametrize(
    ("lead", "text"),
    [
        (Lead(60), "you must not copy the game. we may sue."),
        (Lead(60, sentences=1), "you must not copy the game."),
        (Lead(8), "you must not copy the game."),
        (Lead(3), "you must not"),
    ],
)
def test_the_lead(lead: Lead, text: str) -> None:
    assert lead.predict([ROWS[0].input])[0].target == Text(text)
    assert lead.name in ("lead-k", "lead-1")
    assert lead.predict([]) == []


def test_the_lead_of_nothing_is_nothing() -> None:
    assert Lead(5).predict(["", {"text": "a b.", "context": "c d."}]) == said("", "a b.")


def test_what_cannot_be_evaluated_is_told() -> None:
    with pytest.raises(DataError, match="no row"):
        evaluate_texts([], [])
    with pytest.raises(DataError, match="1 predictions do not fit 3 rows"):
        evaluate_texts(said("a"), ROWS)
    with pytest.raises(DataError, match="row 9 has no text"):
        evaluate_texts(said("a"), [Example(id="9", input="a", target="label")])
