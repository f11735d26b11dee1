import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from potstill.data import Example, Extraction, Money, Prediction, Value
from potstill.errors import DataError
from potstill.evaluate.fields import compare_fields, evaluate_fields
from potstill.evaluate.markdown import markdown
from potstill.evaluate.metrics import Evaluation
from potstill.evaluate.report import Entry, Report, TaskFacts
from potstill.evaluate.wording import verdicts

FIELDS = ("party", "term")


def extraction(unsure=(), **fields):
    held = {
        name: tuple(value if isinstance(value, Value) else Value(value) for value in values)
        for name, values in fields.items()
    }
    return Extraction(held, tuple(unsure))


def gold(*extractions):
    return [Example(id=str(i), input="text", target=e) for i, e in enumerate(extractions)]


def judged(predictions, rows, **options):
    return evaluate_fields(predictions, rows, fields=FIELDS, resamples=200, **options)


def test_kleisters_measure_by_hand():
    rows = gold(
        extraction(party=["Nike Inc.", "Eric Sprunk"], term=["2 years"]),
        extraction(party=["Acme LLC"]),
        extraction(party=["Sony", "Kite"], term=["1 year"]),
    )
    predictions = [
        # Case and white space do not count; a value said twice counts once; Jones is too many.
        Prediction(extraction(party=["NIKE  INC.", "Nike Inc.", "Jones"], term=["2 years"])),
        Prediction(extraction(party=["Acme LLC"], term=["3 years"])),
        Prediction(None),
    ]
    found = judged(predictions, rows)
    # Hits: Nike, 2 years, Acme. Said: 3 + 2. Wanted: 3 + 1 + 3.
    assert found.metrics["value_f1"].value == pytest.approx(2 * 3 / (5 + 7))
    assert found.metrics["document_accuracy"].value == 0.0
    assert "span_f1" not in found.metrics
    party, term = found.per_label
    assert (party.precision.value, party.recall.value) == (
        pytest.approx(2 / 3),
        pytest.approx(2 / 5),
    )
    assert (term.precision.value, term.recall.value) == (0.5, 0.5)
    assert (party.support, party.predicted, found.unanswered) == (5, 3, 1)


def test_micro_f1_is_that_of_scikit_learn_on_the_pairs():
    rng = np.random.default_rng(3)
    names = [f"value {i}" for i in range(6)]
    wanted, said = rng.random((2, 40, 6)) < 0.4
    rows = gold(*(extraction(party=np.array(names)[row]) for row in wanted))
    predictions = [Prediction(extraction(party=np.array(names)[row])) for row in said]
    found = judged(predictions, rows)
    _, _, f1, _ = precision_recall_fscore_support(wanted, said, average="micro")
    assert found.metrics["value_f1"].value == pytest.approx(f1)
    interval = found.metrics["value_f1"]
    assert interval.low < interval.value < interval.high
    exact = (wanted == said).all(axis=1).mean()
    assert found.metrics["document_accuracy"].value == pytest.approx(exact)


def test_exact_spans_of_documents_that_have_places():
    rows = gold(
        extraction(
            party=[Value("Nike", "Nike", 0, 4)], term=[Value("2 years", "two years", 9, 18)]
        ),
        extraction(),
        extraction(party=["nobody knows where"]),
    )
    predictions = [
        Prediction(
            extraction(
                party=[Value("Nike", "Nike,", 0, 5)], term=[Value("2 years", "two years", 9, 18)]
            )
        ),
        Prediction(extraction(party=[Value("Kite", "Kite", 0, 4)])),
        Prediction(extraction(party=[Value("x", "x", 0, 1)])),
    ]
    found = judged(predictions, rows)
    # One hit of three spans said where two were wanted; the last document is left out.
    assert found.metrics["span_f1"].value == pytest.approx(2 * 1 / (3 + 2))
    assert any("1 documents have gold values without a place" in said for said in found.warnings)


def test_money_is_the_same_whatever_its_idle_zeros():
    rows = gold(extraction(term=[Money("1250000.00", "USD")]))
    found = judged([Prediction(extraction(term=[Money("1250000", "USD")]))], rows)
    assert found.metrics["value_f1"].value == 1.0
    found = judged([Prediction(extraction(term=[Money("1250000", "EUR")]))], rows)
    assert found.metrics["value_f1"].value == 0.0


def test_confidence_deferral_and_coverage_a_field():
    rows = gold(*[extraction(party=["a"], term=["1 year"])] * 4)
    right, wrong = extraction(party=["a"], term=["1 year"]), extraction(party=["b"])
    predictions = [
        Prediction(right, scores={"party": 0.9, "term": 0.8}),
        Prediction(right, scores={"party": 0.8, "term": 0.7}),
        Prediction(
            extraction(("party",), party=["b"], term=["1 year"]), scores={"party": 0.2, "term": 0.6}
        ),
        Prediction(wrong, scores={"party": 0.3, "term": 0.5}, deferred="unsure"),
    ]
    found = judged(predictions, rows)
    party, term = found.per_field
    assert (party.deferred, term.deferred) == (2, 1)
    assert (party.coverage.value, party.error.value) == (0.5, 0.0)
    assert (term.coverage.value, term.error.value) == (0.75, 0.0)
    assert party.accuracy.value == 0.5
    assert term.accuracy.value == 0.75
    assert [(point.threshold, point.accuracy.value) for point in party.curve] == [
        (0.9, 1.0),
        (0.8, 1.0),
        (0.3, pytest.approx(2 / 3)),
        (0.2, 0.5),
    ]
    assert found.selective is not None
    assert (found.selective.n, found.selective.answered) == (8, 5)
    assert found.calibration is not None
    assert found.calibration.n == 8
    assert found.calibration.confidence == pytest.approx(4.8 / 8)
    assert found.calibration.accuracy == pytest.approx(5 / 8)


def test_an_evaluation_comes_back_from_json():
    rows = gold(extraction(party=["a"]), extraction())
    found = judged([Prediction(extraction(party=["a"]), scores={"party": 0.7})] * 2, rows)
    assert Evaluation.from_json(found.to_json()) == found
    assert found.primary == "value_f1"


def test_without_confidences_nothing_is_said_of_them():
    found = judged([Prediction(extraction(party=["a"]))], gold(extraction(party=["a"])))
    assert found.calibration is None
    assert found.coverage == ()
    assert found.selective is None
    assert any("1 field has no gold value" in said for said in found.warnings)


def test_two_extractors_on_the_same_documents():
    rows = gold(*[extraction(party=["a"], term=["1 year"])] * 50)
    good = [Prediction(extraction(party=["a"], term=["1 year"]))] * 50
    half = [*good[:25], *[Prediction(extraction(party=["a"]))] * 25]
    found = compare_fields(good, half, rows, fields=FIELDS, resamples=200)
    assert (found.wins, found.losses, found.ties) == (25, 0, 25)
    assert found.differences["document_accuracy"].value == 0.5
    assert found.difference.value == pytest.approx(1 - 2 * 75 / (75 + 100))
    assert found.outcome == "better"
    same = compare_fields(half, half, rows, fields=FIELDS, resamples=200)
    assert same.outcome == "within noise"
    assert same.difference.low == same.difference.high == 0.0


@pytest.mark.parametrize(
    ("target", "message"),
    [("label", "no gold values"), (extraction(parties=["a"]), "a value of 'parties'")],
)
def test_gold_that_is_none(target, message):
    with pytest.raises(DataError, match=message):
        judged([Prediction(extraction())], [Example(id="1", input="x", target=target)])


def test_no_rows_and_unequal_lengths():
    with pytest.raises(DataError, match="no gold row"):
        judged([], [])
    with pytest.raises(DataError, match="0 predictions cannot be set beside 1 rows"):
        judged([], gold(extraction()))


def test_the_report_tells_documents_from_answers():
    rows = gold(*[extraction(party=["a"], term=["1 year"])] * 4)
    answers = [Prediction(extraction(unsure=("party",), party=["a"]), 0.5, {"party": 0.5})] * 4
    for given, words in (
        (answers, "of 8 answers (one a document and field) and leaves"),
        ([Prediction(None)] * 4, "It gives none of 8 answers (one a document and field)."),
    ):
        student = Entry(role="student", evaluation=judged(given, rows, name="s"))
        task = TaskFacts(name="t", type="extraction", labels=("party", "term"))
        report = Report(task=task, entries=(student,))
        assert words in " ".join(one.text for one in verdicts(report))
        assert "Documents without any answer" in markdown(report)
