"""Baselines, soft targets and missing scikit-learn."""

from __future__ import annotations

import sys

import pytest

from potstill.data import Example, Predictor
from potstill.errors import DataError, MissingExtraError
from potstill.evaluate import Majority, TfidfLogistic

LABELS = ("loan", "card", "other")
TRAIN = [
    Example(id=str(row), input=text, target=label)
    for row, (text, label) in enumerate(
        [
            ("my card was charged twice", "card"),
            ("the card has a late fee", "card"),
            ("lost card and a new card", "card"),
            ("the mortgage loan was denied", "loan"),
            ("loan servicer lost my payment", "loan"),
        ]
    )
]


def test_majority_takes_the_most_frequent_and_breaks_ties_by_order():
    fitted = Majority.fit(TRAIN, LABELS, False)
    (answer,) = fitted.predict(["anything"])
    assert isinstance(fitted, Predictor)
    assert (answer.target, answer.confidence) == ("card", pytest.approx(0.6))
    tied = Majority.fit(TRAIN[1:], ("loan", "card"), False)
    assert tied.predict(["x"])[0].target in {"loan", "card"}
    even = Majority.fit([TRAIN[0], TRAIN[3]], LABELS, False)
    assert even.predict(["x"])[0].target == "loan"


def test_majority_counts_soft_targets_in_part():
    soft = [Example(id="1", input="x", target="card", soft_target={"card": 0.55, "loan": 0.45})]
    hard = [Example(id="2", input="x", target="loan")]
    assert Majority.fit(soft + hard, LABELS, False).predict(["x"])[0].target == "loan"


def test_majority_of_sets():
    rows = [
        Example(id=str(i), input="x", target=t) for i, t in enumerate([("card",), (), ("card",)])
    ]
    (answer,) = Majority.fit(rows, LABELS, True).predict(["x"])
    assert answer.target == ("card",)
    assert answer.confidence == pytest.approx(2 / 3)


def test_tfidf_learns_words():
    fitted = TfidfLogistic.fit(TRAIN, LABELS, False, 0)
    first, second = fitted.predict(["a fee on my card", {"subject": "loan", "body": "mortgage"}])
    assert isinstance(fitted, Predictor)
    assert (first.target, second.target) == ("card", "loan")
    assert sum(first.scores.values()) == pytest.approx(1.0)
    assert first.scores["other"] == 0.0  # never taught
    assert first.confidence == first.scores["card"]
    assert fitted.predict([]) == []


def test_tfidf_believes_soft_targets_as_far_as_they_go():
    def sure(share):
        rows = [
            Example(id=str(i), input=text, soft_target={"card": share, "loan": 1 - share})
            for i, text in enumerate(["aaa card", "bbb card", "ccc card"])
        ]
        return TfidfLogistic.fit(rows, LABELS, False).predict(["aaa card"])[0].scores["card"]

    assert sure(0.6) == pytest.approx(0.6, abs=0.05)
    assert sure(0.9) > sure(0.6) + 0.1


def test_tfidf_multilabel():
    rows = [
        Example(id=str(i), input=text, target=target)
        for i, (text, target) in enumerate(
            [
                ("red apple", ("loan",)),
                ("green pear", ("card",)),
                ("red pear", ("loan", "card")),
                ("blue", ()),
            ]
            * 5
        )
    ]
    fitted = TfidfLogistic.fit(rows, LABELS, True, 0)
    assert [p.target for p in fitted.predict(["red pear", "blue", "red apple"])] == [
        ("loan", "card"),
        (),
        ("loan",),
    ]


def test_one_class_is_answered_always():
    fitted = TfidfLogistic.fit(TRAIN[:3], LABELS, False)
    assert fitted.predict(["loan"])[0].target == "card"


def test_what_cannot_be_learnt_is_refused():
    with pytest.raises(DataError, match="no training row"):
        Majority.fit([], LABELS, False)
    with pytest.raises(DataError, match="no words"):
        TfidfLogistic.fit([Example(id="1", input="  ", target="card")], LABELS, False)
    with pytest.raises(DataError, match="unknown label"):
        Majority.fit([Example(id="1", input="x", target="zebra")], LABELS, False)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(MissingExtraError, match=r"potstill\[train\]"):
        TfidfLogistic.fit(TRAIN, LABELS, False)
