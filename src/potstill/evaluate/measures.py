"""One way to judge whatever the type of the task: labels, fields of a document, or texts.

A `Measure` knows what right means; whoever evaluates, compares or reports need not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from potstill.data import Example, Extraction, Prediction, Predictor, Text
from potstill.evaluate.baselines import Majority, TfidfLogistic
from potstill.evaluate.fields import compare_fields, evaluate_fields
from potstill.evaluate.intervals import Interval
from potstill.evaluate.mentioned import Mentioned
from potstill.evaluate.metrics import Evaluation, evaluate, fidelity
from potstill.evaluate.mistakes import Fault, least_like, most_fields, surest_label
from potstill.evaluate.paired import Comparison, compare
from potstill.evaluate.texts import Lead, compare_texts, evaluate_texts
from potstill.spec.answer import AnswerSpec
from potstill.spec.extraction import FieldSpec
from potstill.spec.flagging import FlagSpec
from potstill.spec.generation import TextSpec


class Measure(Protocol):
    """What right means in one type of task."""

    @property
    def fault(self) -> Fault:
        """Which wrong answers a person should read first."""
        ...

    def evaluate(
        self,
        predictions: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        name: str,
        seed: int,
        outside: Sequence[Prediction] = (),
        thresholds: Mapping[str, float] | None = None,
    ) -> Evaluation:
        """How good predictions are.

        Args:
            predictions: one a row, in the order of `gold`.
            gold: rows that a person answered.
            name: the predictor, for tables.
            seed: of the bootstrap.
            outside: predictions of rows that fit no label.
            thresholds: the probability from which the predictor answers a label, for the table.
        """
        ...

    def compare(
        self,
        a: Sequence[Prediction],
        b: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        names: tuple[str, str],
        seed: int,
    ) -> Comparison:
        """Two predictors on the same rows."""
        ...

    def fidelity(
        self,
        student: Sequence[Prediction],
        teacher: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        seed: int,
    ) -> Interval:
        """How far the student says what the teacher says, right or wrong."""
        ...

    def baselines(self, train: Sequence[Example], *, seed: int) -> list[Predictor]:
        """The least that a student must beat; the most telling one first."""
        ...


@dataclass(frozen=True, slots=True)
class LabelMeasure:
    """One label an input, or several.

    Attributes:
        labels: the labels in their one fixed order.
        multilabel: whether a row may have several labels, or none.
        flag: the rare label that is looked for, where there is one.
    """

    labels: tuple[str, ...]
    multilabel: bool
    flag: FlagSpec | None = None
    fault: Fault = surest_label

    def evaluate(
        self,
        predictions: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        name: str,
        seed: int,
        outside: Sequence[Prediction] = (),
        thresholds: Mapping[str, float] | None = None,
    ) -> Evaluation:
        """See `potstill.evaluate.metrics.evaluate`."""
        return evaluate(
            predictions,
            gold,
            labels=self.labels,
            multilabel=self.multilabel,
            seed=seed,
            name=name,
            outside=outside,
            flag=self.flag,
            thresholds=thresholds,
        )

    def compare(
        self,
        a: Sequence[Prediction],
        b: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        names: tuple[str, str],
        seed: int,
    ) -> Comparison:
        """See `potstill.evaluate.paired.compare`."""
        return compare(
            a,
            b,
            gold,
            labels=self.labels,
            multilabel=self.multilabel,
            names=names,
            flag=self.flag,
            seed=seed,
        )

    def fidelity(
        self,
        student: Sequence[Prediction],
        teacher: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        seed: int,
    ) -> Interval:
        """Share of the teacher's answers that the student gives too."""
        return fidelity(student, teacher, seed=seed)

    def baselines(self, train: Sequence[Example], *, seed: int) -> list[Predictor]:
        """A logistic regression on word statistics, and the most frequent answer."""
        return [
            TfidfLogistic.fit(train, self.labels, self.multilabel, seed, flag=self.flag),
            Majority.fit(train, self.labels, self.multilabel),
        ]


@dataclass(frozen=True, slots=True)
class FieldMeasure:
    """Values of fields.

    Attributes:
        fields: the task's fields, in order.
    """

    fields: Mapping[str, FieldSpec]
    fault: Fault = most_fields

    def evaluate(
        self,
        predictions: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        name: str,
        seed: int,
        outside: Sequence[Prediction] = (),
        thresholds: Mapping[str, float] | None = None,
    ) -> Evaluation:
        """See `potstill.evaluate.fields.evaluate_fields`."""
        return evaluate_fields(predictions, gold, fields=self.fields, seed=seed, name=name)

    def compare(
        self,
        a: Sequence[Prediction],
        b: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        names: tuple[str, str],
        seed: int,
    ) -> Comparison:
        """See `potstill.evaluate.fields.compare_fields`."""
        return compare_fields(a, b, gold, fields=self.fields, names=names, seed=seed)

    def fidelity(
        self,
        student: Sequence[Prediction],
        teacher: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        seed: int,
    ) -> Interval:
        """F1 of the student's values with the teacher's taken for right."""
        said, heard = _as_gold(student, teacher, gold, Extraction)
        return self.evaluate(said, heard, name="", seed=seed).score

    def baselines(self, train: Sequence[Example], *, seed: int) -> list[Predictor]:
        """What the document mentions first, and what the training rows have seen."""
        return [Mentioned.fit(train, self.fields)]


@dataclass(frozen=True, slots=True)
class TextMeasure:
    """Short texts.

    Attributes:
        text: the bounds of a text.
    """

    text: TextSpec
    fault: Fault = least_like

    def evaluate(
        self,
        predictions: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        name: str,
        seed: int,
        outside: Sequence[Prediction] = (),
        thresholds: Mapping[str, float] | None = None,
    ) -> Evaluation:
        """See `potstill.evaluate.texts.evaluate_texts`."""
        return evaluate_texts(predictions, gold, seed=seed, name=name)

    def compare(
        self,
        a: Sequence[Prediction],
        b: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        names: tuple[str, str],
        seed: int,
    ) -> Comparison:
        """See `potstill.evaluate.texts.compare_texts`."""
        return compare_texts(a, b, gold, names=names, seed=seed)

    def fidelity(
        self,
        student: Sequence[Prediction],
        teacher: Sequence[Prediction],
        gold: Sequence[Example],
        *,
        seed: int,
    ) -> Interval:
        """ROUGE-L of the student's texts against the teacher's."""
        said, heard = _as_gold(student, teacher, gold, Text)
        return self.evaluate(said, heard, name="", seed=seed).score

    def baselines(self, train: Sequence[Example], *, seed: int) -> list[Predictor]:
        """As many of the first sentences as fit, and the first one alone."""
        return [Lead(self.text.max_words), Lead(self.text.max_words, sentences=1)]


def measure_of(answer: AnswerSpec) -> Measure:
    """What right means where answers are of this kind."""
    if answer.type == "extraction":
        return FieldMeasure(answer.fields)
    if answer.type == "generation":
        return TextMeasure(answer.text)
    return LabelMeasure(answer.labels, answer.multilabel, answer.flag)


def thresholds_of(card: Mapping[str, Any]) -> dict[str, float] | None:
    """From which probability a model answers each label, where it has such thresholds.

    Args:
        card: the content of its ``model.json``.
    """
    decision = card.get("decision") or {}
    if flag := decision.get("flag"):
        return {flag["label"]: flag["threshold"]}
    if card.get("type") == "multilabel":
        return dict(zip(card["labels"], decision["thresholds"], strict=True))
    return None


def _as_gold(
    student: Sequence[Prediction],
    teacher: Sequence[Prediction],
    gold: Sequence[Example],
    kind: type,
) -> tuple[list[Prediction], list[Example]]:
    """The rows that the teacher answered, with its answers in the place of gold."""
    rows = [
        (mine, replace(row, target=theirs.target))
        for mine, theirs, row in zip(student, teacher, gold, strict=True)
        if isinstance(theirs.target, kind)
    ]
    return [mine for mine, _ in rows], [row for _, row in rows]
