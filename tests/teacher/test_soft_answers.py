from __future__ import annotations

import json

import pytest

from potstill.data import Example
from potstill.generate import label_examples
from potstill.teacher import RecordedAnswers

LABELS = ("card", "loan", "debt")


@pytest.fixture
def load(tmp_path):
    def write(rows, multilabel=False, name="r1"):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return RecordedAnswers.load([path], labels=LABELS, multilabel=multilabel)

    return write


def labelled(answers, count=1, multilabel=False):
    rows = [Example(id=str(number), input=f"text {number}") for number in range(count)]
    return label_examples(rows, answers)


def test_a_soft_answer_is_a_soft_label(load):
    answers = load([{"id": 0, "label": "loan", "scores": {"loan": 0.6, "debt": 0.2}}])
    assert answers.problems == ()
    (example,) = labelled(answers).examples
    assert example.target == "loan"
    assert example.soft_target == pytest.approx({"card": 0.0, "loan": 0.75, "debt": 0.25})


def test_the_scores_of_several_answers_are_averaged_and_decide(load):
    rows = [
        {"id": 0, "label": "loan", "scores": {"loan": 0.5, "debt": 0.5}},
        {"id": 0, "label": "debt", "scores": {"debt": 0.9, "card": 0.1}},
        {"id": 0, "label": "loan"},
    ]
    (example,) = labelled(load(rows)).examples
    assert example.target == "loan"
    assert example.soft_target == pytest.approx({"card": 0.1 / 3, "loan": 0.5, "debt": 1.4 / 3})


def test_scores_joined_by_a_rule_decide_and_stand_in_the_lineage(load):
    row = {"id": 0, "label": "loan", "scores": {"loan": 0.3, "debt": 0.7}, "model": "r1"}
    row |= {"rule": "nearest gold by minilm-l6", "reasoning": "a loan"}
    (example,) = labelled(load([row])).examples
    assert (example.target, example.reasoning) == ("debt", None)
    assert [(s.kind, s.name, s.contributed) for s in example.sources] == [
        ("model", "r1", ("target",)),
        ("rule", "nearest gold by minilm-l6", ("target",)),
    ]


def test_scores_without_a_label_and_scores_as_json_text(load):
    answers = load(
        [{"id": 0, "scores": {"debt": 1, "card": 0}}, {"id": 1, "scores": '{"loan": 1}'}]
    )
    assert [example.target for example in labelled(answers, 2).examples] == ["debt", "loan"]


def test_multilabel_scores_are_each_labels_own(load):
    answers = load([{"id": 0, "scores": {"card": 0.5, "debt": 0.9, "loan": 0.4}}], multilabel=True)
    (example,) = labelled(answers, multilabel=True).examples
    assert example.target == ("card", "debt")
    assert example.soft_target == pytest.approx({"card": 0.5, "loan": 0.4, "debt": 0.9})


@pytest.mark.parametrize(
    "scores",
    [{"boat": 1.0}, {"card": -0.1}, {"card": 1.5}, {"card": 0.0}, [1], "no", {"card": "1"}],
)
def test_scores_that_are_no_probabilities_are_told_and_left_out(load, scores):
    answers = load([{"id": 0, "label": "card", "scores": scores}])
    (example,) = labelled(answers).examples
    assert (example.target, example.soft_target) == ("card", None)
    assert answers.counts["unreadable_scores"] == 1
    assert "r1.jsonl:1: 'scores' are no probabilities" in answers.problems[0]


def test_a_committee_hears_soft_answers(load, tmp_path):
    load([{"id": n, "label": LABELS[n % 3]} for n in range(12)], name="hard")
    shares = [{LABELS[n % 3]: 0.7, LABELS[(n + 1) % 3]: 0.3} for n in range(12)]
    soft = [{"id": n, "scores": share} for n, share in enumerate(shares)]
    load(soft, name="soft")
    paths = [tmp_path / "hard.jsonl", tmp_path / "soft.jsonl"]
    answers = RecordedAnswers.load(paths, labels=LABELS)
    found = labelled(answers, 12)
    assert [example.target for example in found.examples] == [LABELS[n % 3] for n in range(12)]
    weights = {row["name"]: row["weight"] for row in found.teachers}
    assert weights["hard"] > 0.3 and sum(weights.values()) == pytest.approx(1.0)


def test_a_request_that_failed_is_rejected_with_its_cause_and_its_price(load):
    rows = [
        {"id": 0, "label": "card"},
        {"id": 1, "fault": "cut_off", "detail": "the reply was cut off twice", "cost_usd": 0.5},
        {"id": 2, "fault": "content_filtered", "cost_usd": 0.25},
        {"id": 3, "fault": "a fault of somebody else"},
    ]
    answers = load(rows)
    found = {r.id: (r.cause, r.detail, r.cost_usd) for r in labelled(answers, 4).rejected}
    assert found == {
        "1": ("cut_off", "the reply was cut off twice", 0.5),
        "2": ("content_filtered", "the request ended in content filtered", 0.25),
        "3": ("failed", "the request failed", None),
    }
    (facts,) = answers.facts()
    assert facts.unusable == {"cut_off": 1, "content_filtered": 1, "failed": 1}


def test_a_host_may_be_recorded_bare(load):
    rows = [{"id": 0, "label": "card", "endpoint": "key@api.example.com:8000"}]
    (answer,) = load(rows).of(Example(id="0", input=""))
    assert answer.endpoint == "api.example.com"
