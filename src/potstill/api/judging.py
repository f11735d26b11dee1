"""The verbs that judge: evaluate, compare; and the gold rows that they judge on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.api.loading import load, must_exist
from potstill.data import Example, Input, Predictor, labels_of
from potstill.data.answers import target_reader
from potstill.data.reading import check_labels, read_examples, read_rows
from potstill.errors import DataError, PotstillError
from potstill.spec.answer import AnswerSpec
from potstill.spec.task import Columns

if TYPE_CHECKING:
    from potstill.evaluate import Comparison, Evaluation
    from potstill.runtime import Loaded
    from potstill.workflow import Workflow

_SPEC_FILES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Gold rows, and what any predictor needs to know to be judged on them.

    Attributes:
        gold: rows with a person's label.
        outside: rows that a person found to fit none of the labels.
        answer: what an answer is made of.
        columns: which column of the data holds what.
    """

    gold: list[Example]
    outside: list[Example]
    answer: AnswerSpec
    columns: Columns

    @property
    def inputs(self) -> list[Input]:
        """What the predictors are asked."""
        return [example.input for example in self.gold]


def read_question(
    models: Sequence[Loaded | Workflow], data: Path | str, changes: Mapping[str, Any] | None = None
) -> Question:
    """Gold rows read as the models expect them.

    Labels, kind of task and column names come from the first model; without one (recorded
    answers alone are judged) the labels are those that the rows have, and a list in the label
    column means that a row may have several.

    Args:
        models: the models that shall be judged; may be empty.
        data: JSONL, CSV or Parquet.
        changes: settings of the column map that go before the model's own.

    Raises:
        DataError: the file cannot be read, or a row has no text, no label or an unknown one:
            a score over the remaining rows would not be the score of this file.
        PotstillError: the models have different labels.
    """
    for model in models:
        if model.card.get("type") == "composite":
            raise PotstillError(
                f"the answers of {model.name!r} have several parts, of which each is another thing.",
                hint="Judge them with: potstill evaluate WORKFLOW --data GOLD; or compare two "
                "models of one part.",
            )
    for other in models[1:]:
        if set(other.labels) != set(models[0].labels):
            differing = sorted(set(other.labels) ^ set(models[0].labels))
            raise PotstillError(
                f"the two have different labels: {differing[0]!r} is in one alone.",
                hint="Compare models of the same task.",
            )
    known = models[0].card["task"].get("columns") if models else None
    columns = Columns.model_validate({**(known or {}), **(changes or {})})
    answer = AnswerSpec.of_card(models[0].card) if models else _labels_alone(Path(data), columns)
    reading = read_examples([Path(data)], columns, targets=target_reader(answer))
    rejected = list(reading.rejected)
    stranger = models[0].card["task"].get("out_of_scope") if models else None
    outside = [row for row in reading.examples if stranger and row.target == stranger]
    gold = [row for row in reading.examples if not stranger or row.target != stranger]
    if models and answer.labelling:
        rejected += check_labels(gold, answer.labels)[1]
    if rejected:
        raise DataError(
            f"{len(rejected)} of the rows cannot be judged; the first: {rejected[0].detail}.",
            where=str(data),
            hint="Mend or remove these rows; a score over the rest would not be this file's.",
        )
    if not models:
        found = {name for example in gold for name in labels_of(example.target)}
        answer = answer.model_copy(update={"labels": tuple(sorted(found))})
    return Question(gold=gold, outside=outside, answer=answer, columns=columns)


def _labels_alone(data: Path, columns: Columns) -> AnswerSpec:
    """What rows that no model explains are taken for: labels, several where they stand in lists."""
    first = next(read_rows(data), None)
    several = first is not None and isinstance(first.fields.get(columns.target), list)
    return AnswerSpec(type="multilabel" if several else "classification")


def _recorded(path: Path, question: Question) -> Predictor:
    """A file of recorded answers as a predictor of the rows of a question."""
    from potstill.teacher import RecordedAnswers

    answers = RecordedAnswers.load(
        [path],
        answer=question.answer,
        columns=question.columns,
    )
    answers.check_coverage(question.gold)
    return answers.committee(question.gold)


def _judged(
    paths: Sequence[Path | str], data: Path | str, changes: Mapping[str, Any] | None
) -> tuple[Question, list[Predictor]]:
    """The question, and the predictors at the paths: models, or recorded answers."""
    for path in map(Path, paths):
        must_exist(path)
    models = {path: load(path) for path in paths if _is_loaded(Path(path))}
    question = read_question(list(models.values()), data, changes)
    return question, [models.get(path) or _recorded(Path(path), question) for path in paths]


def _is_loaded(path: Path) -> bool:
    """Whether a path is a model or a workflow, rather than recorded answers."""
    return path.is_dir() or path.suffix.lower() in _SPEC_FILES


def evaluate(
    predictor: Path | str,
    data: Path | str,
    *,
    columns: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Judge a model, a workflow or recorded answers on rows with a person's label.

    Args:
        predictor: a model folder, a run folder, a workflow, or a file of recorded answers.
        data: JSONL, CSV or Parquet.
        columns: settings of the column map that go before the model's own.
        seed: of the bootstrap.

    Raises:
        PotstillError: the model or the data cannot be read.
    """
    from potstill.evaluate import measure_of, thresholds_of

    question, [found] = _judged([predictor], data, columns)
    return measure_of(question.answer).evaluate(
        found.predict(question.inputs),
        question.gold,
        seed=seed,
        name=found.name,
        outside=found.predict([row.input for row in question.outside]),
        thresholds=thresholds_of(getattr(found, "card", {})),
    )


def compare(
    a: Path | str,
    b: Path | str,
    data: Path | str,
    *,
    columns: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Comparison:
    """Judge two predictors on the same rows, paired; see `evaluate` for the arguments.

    Raises:
        PotstillError: a model or the data cannot be read, or their labels differ.
    """
    from potstill.evaluate import measure_of

    question, [one, other] = _judged([a, b], data, columns)
    return measure_of(question.answer).compare(
        one.predict(question.inputs),
        other.predict(question.inputs),
        question.gold,
        names=(_title(one, a), _title(other, b)),
        seed=seed,
    )


def _title(predictor: Predictor, path: Path | str) -> str:
    """A name that tells two models of one task apart: the folder, where it says more."""
    return predictor.name if Path(path).is_file() else str(path)
