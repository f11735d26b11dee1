"""The threshold of a flag: by costs, by precision, by recall, and with hardly any rows."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve

from potstill.data import Example, Source
from potstill.export import export_student
from potstill.export.flagging import choose_threshold, fit_flag
from potstill.runtime import Model
from potstill.runtime.decision import Decision, Flag
from potstill.spec.flagging import FlagSpec
from potstill.spec.task import Task
from potstill.train import load_student, train_student

LABELS = ("other", "fraud")


def flag(**aim: Any) -> FlagSpec:
    return FlagSpec(label="fraud", **aim)


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities of a rare label, and whether a row has it."""
    rng = np.random.default_rng(1)
    scores = rng.beta(0.5, 6.0, size=2000)
    return scores, rng.random(2000) < scores


def test_recall_is_met_with_the_fewest_alarms(rows: tuple[np.ndarray, np.ndarray]) -> None:
    scores, wanted = rows
    threshold, remark = choose_threshold(scores, wanted, flag(recall=0.9))
    flagged = scores >= threshold
    assert remark == "" and (flagged & wanted).sum() / wanted.sum() >= 0.9
    _, recall, thresholds = precision_recall_curve(wanted, scores)
    assert flagged.sum() == (scores >= thresholds[recall[:-1] >= 0.9].max()).sum()


def test_precision_is_met_with_the_most_found(rows: tuple[np.ndarray, np.ndarray]) -> None:
    scores, wanted = rows
    threshold, remark = choose_threshold(scores, wanted, flag(precision=0.5))
    flagged = scores >= threshold
    assert remark == "" and (flagged & wanted).sum() / flagged.sum() >= 0.5
    precision, _, thresholds = precision_recall_curve(wanted, scores)
    assert flagged.sum() == (scores >= thresholds[precision[:-1] >= 0.5].min()).sum()


def test_a_precision_that_no_threshold_reaches_is_said() -> None:
    scores, wanted = np.linspace(0.0, 1.0, 50), np.arange(50) % 5 == 0
    threshold, remark = choose_threshold(scores, wanted, flag(precision=0.9))
    assert "No threshold reaches the precision of 0.9" in remark
    assert (scores >= threshold).any()


def test_costs_are_least(rows: tuple[np.ndarray, np.ndarray]) -> None:
    scores, wanted = rows
    spec = flag(costs={"miss": 9.0, "false_alarm": 1.0})

    def cost(threshold: float) -> float:
        flagged = scores >= threshold
        return 9.0 * (wanted & ~flagged).sum() + (flagged & ~wanted).sum()

    threshold, _ = choose_threshold(scores, wanted, spec)
    assert cost(threshold) == min(cost(t) for t in [0.0, *np.unique(scores), 1.1])
    assert threshold == pytest.approx(0.1, abs=0.06)  # calibrated: Elkan's 1 / (1 + 9)


def test_few_rows_of_the_label_leave_the_costs_to_decide() -> None:
    scores, wanted = np.array([0.1, 0.2, 0.9]), np.array([False, False, True])
    spec = flag(costs={"miss": 3.0, "false_alarm": 1.0})
    threshold, remark = choose_threshold(scores, wanted, spec)
    assert threshold == 0.25 and "the costs alone decided" in remark


def test_without_a_row_of_the_label_one_half_stands_in() -> None:
    nothing = np.zeros(0), np.zeros(0, dtype=bool)
    for scores, wanted in (nothing, (np.array([0.3]), np.array([False]))):
        threshold, remark = choose_threshold(scores, wanted, flag(recall=0.9))
        assert threshold == 0.5 and "No development row has the label" in remark


def test_the_decision_flags_and_the_facts_are_honest() -> None:
    rng = np.random.default_rng(2)
    wanted = rng.random(400) < 0.1
    logits = np.zeros((400, 2), dtype=np.float32)
    logits[:, 1] = rng.normal(-3.0, 1.0, 400) + 2.5 * wanted
    person = Source(kind="person", name="gold", contributed=("target",), stage="read")
    dev = [
        Example(id=str(at), input="x", target=LABELS[int(one)], sources=(person,))
        for at, one in enumerate(wanted)
    ]
    decision, facts = fit_flag(Decision(LABELS, multilabel=False), logits, dev, flag(recall=0.9))
    assert decision.flag == Flag("fraud", facts["threshold"])
    answers = [decision.answer(row) for row in logits]
    flagged = np.array([given.target == "fraud" for given in answers])
    assert facts["flagged"] == flagged.sum() and facts["positives"] == wanted.sum()
    assert facts["recall"] == (flagged & wanted).sum() / wanted.sum() >= 0.9
    # One-sided at 95% is the lower end of the two-sided interval at 90%.
    exact = binomtest(int((flagged & wanted).sum()), int(wanted.sum())).proportion_ci(0.9)
    assert facts["recall_at_least"] == pytest.approx(exact.low)
    assert "recall 0.9" in facts["statement"] and "at least" in facts["statement"]
    assert Decision.from_json(decision.to_json()) == decision
    unsure = next(g for g in answers if g.target == "fraud" and (g.scores or {})["fraud"] < 0.5)
    assert unsure.confidence == (unsure.scores or {})["fraud"]


def test_a_flag_must_be_one_of_two_labels() -> None:
    document = Decision(LABELS, multilabel=False, flag=Flag("fraud", 0.2)).to_json()
    document["decision"]["flag"]["label"] = "theft"
    with pytest.raises(ValueError, match="one of two labels"):
        Decision.from_json(document)


def test_a_flag_reaches_the_model_folder(
    tiny_base: Path, sentence_about: Callable[..., str], tmp_path: Path
) -> None:
    generator = random.Random(3)
    person = Source(kind="person", name="gold", contributed=("target",), stage="read")
    rows = [
        Example(
            id=str(at),
            input=sentence_about("cards" if at % 8 == 0 else "loans", generator),
            target=LABELS[at % 8 == 0],
            sources=(person,),
        )
        for at in range(400)
    ]
    task = Task.model_validate(
        {
            "kind": "task",
            "version": 1,
            "name": "fraud",
            "type": "classification",
            "labels": list(LABELS),
            "flag": {"label": "fraud", "costs": {"miss": 4}},
            "data": {"gold": "gold.jsonl"},
            "student": {"base": str(tiny_base), "mode": "frozen", "max_tokens": 32},
        }
    )
    train_student(
        rows[:200],
        rows[200:],
        labels=LABELS,
        multilabel=False,
        options=task.student,
        seed=1,
        folder=tmp_path / "student",
        flag="fraud",
    )
    exported = export_student(
        load_student(tmp_path / "student"),
        name="fraud",
        dev=rows[200:],
        options=task.student,
        folder=tmp_path / "model",
        task=task,
    )
    model = Model.load(tmp_path / "model", workers=1)
    assert exported.calibration["flag"]["positives"] == 25
    assert model.card["decision"]["flag"]["label"] == "fraud"
    answers = model.predict([row.input for row in rows[200:]])
    threshold = model.card["decision"]["flag"]["threshold"]
    for given in answers:
        assert (given.target == "fraud") == ((given.scores or {})["fraud"] >= threshold)
    assert (
        sum(given.target == "fraud" for given in answers) == exported.calibration["flag"]["flagged"]
    )
    model.self_check()
