"""What Python users and the command line share: one function a verb.

Nothing here prints; results are returned, mistakes are raised as `PotstillError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from potstill.data import Example, Input, Predictor
from potstill.data.reading import check_labels, read_examples, read_rows
from potstill.errors import DataError, ModelError, PotstillError
from potstill.spec import LoadedTask, load_task
from potstill.spec.task import Columns

if TYPE_CHECKING:
    from potstill.evaluate import Comparison, Evaluation
    from potstill.run.distil import Outcome
    from potstill.run.events import Listener
    from potstill.run.planning import Plan
    from potstill.runtime import Model

RUNS = Path("runs")


def run(
    task: Path | str | LoadedTask,
    *,
    overrides: Sequence[str] = (),
    runs: Path = RUNS,
    until: str | None = None,
    restart: str | None = None,
    out: Path | None = None,
    budget_usd: float | None = None,
    prices: Path | None = None,
    listener: Listener | None = None,
) -> Outcome:
    """Distil a task into a model folder; running it again resumes.

    Args:
        task: a task file, or one that is loaded.
        overrides: ``path=value`` settings that replace those of the file.
        runs: folder of all runs.
        until: last stage to do.
        restart: first stage to do again.
        out: folder that receives a copy of the finished model.
        budget_usd: the most that the task's teachers may cost in all, earlier runs included.
        prices: a price file that goes before the one that ships.
        listener: receives events while the run works.

    Raises:
        BudgetReached: the next call could pass the budget; running again goes on.
        PotstillError: any mistake in the task, the data or the environment.
    """
    from potstill.run.distil import run_task
    from potstill.run.events import ignore

    loaded = task if isinstance(task, LoadedTask) else load_task(Path(task), overrides)
    return run_task(
        loaded,
        runs=runs,
        until=until,
        restart=restart,
        out=out,
        budget_usd=budget_usd,
        prices=prices,
        listener=listener or ignore,
    )


def plan(
    task: Path | str | LoadedTask,
    *,
    overrides: Sequence[str] = (),
    runs: Path = RUNS,
    pilot: int = 0,
    budget_usd: float | None = None,
    prices: Path | None = None,
) -> Plan:
    """Estimate what `run` would ask of a live teacher, and what that costs.

    Args:
        task: a task file, or one that is loaded.
        overrides: ``path=value`` settings that replace those of the file.
        runs: folder of all runs, where the task's ledger lies.
        pilot: rows to ask for real, so that the range becomes narrow; the run does not pay
            for them again.
        budget_usd: the most that the task's teachers may cost in all, the pilot included.
        prices: a price file that goes before the one that ships.

    Raises:
        TeacherError: the task has no live teacher, or it cannot be asked.
        PotstillError: any mistake in the task or the data.
    """
    from potstill.run.planning import plan_task

    loaded = task if isinstance(task, LoadedTask) else load_task(Path(task), overrides)
    return plan_task(loaded, runs=runs, pilot=pilot, budget_usd=budget_usd, prices=prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What `check` found.

    Attributes:
        task: the task's name.
        rows: rows by role: unlabeled, train, dev, test.
        labels: rows with a person's label, for each label.
        answered: answers by teacher among the unlabelled rows.
        rejected: rows set aside, by cause.
        warnings: what a person should look at before paying.
        steps: what `run` would do, in order.
    """

    task: str
    rows: Mapping[str, int]
    labels: Mapping[str, int]
    answered: Mapping[str, int]
    rejected: Mapping[str, int]
    warnings: Sequence[str] = field(default_factory=list)
    steps: Sequence[str] = field(default_factory=list)


def check(path: Path | str, *, overrides: Sequence[str] = ()) -> CheckResult:
    """Read a task and all its data, and say what is there and what `run` would do.

    Raises:
        PotstillError: the task cannot be run at all.
    """
    from potstill.run.checking import check_task

    return CheckResult(**check_task(load_task(Path(path), overrides)))


def load(path: Path | str) -> Model:
    """The model in a folder.

    Args:
        path: a model folder, a run folder, or the folder of a task's runs (its newest model).

    Raises:
        ModelError: there is none, or it is damaged.
    """
    from potstill.runtime import Model

    return Model.load(model_folder(Path(path)))


def model_folder(path: Path) -> Path:
    """The model folder at a path; see `load` for what a path may be.

    Raises:
        ModelError: there is none.
    """
    newest = sorted(path.glob("*/model"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in (path, path / "model", *newest):
        if (folder / "model.json").is_file():
            return folder
    raise ModelError(
        "not a model folder: model.json is missing.",
        where=str(path),
        hint="Make one with: potstill run TASK.yaml",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Gold rows, and what any predictor needs to know to be judged on them.

    Attributes:
        gold: rows with a person's label.
        labels: the taxonomy.
        multilabel: whether a row may have several labels, or none.
        columns: which column of the data holds what.
    """

    gold: list[Example]
    labels: tuple[str, ...]
    multilabel: bool
    columns: Columns

    @property
    def inputs(self) -> list[Input]:
        """What the predictors are asked."""
        return [example.input for example in self.gold]


def read_question(
    models: Sequence[Model], data: Path | str, changes: Mapping[str, Any] | None = None
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
    for other in models[1:]:
        if set(other.labels) != set(models[0].labels):
            differing = sorted(set(other.labels) ^ set(models[0].labels))
            raise PotstillError(
                f"the two have different labels: {differing[0]!r} is in one alone.",
                hint="Compare models of the same task.",
            )
    known = models[0].card["task"].get("columns") if models else None
    columns = Columns.model_validate({**(known or {}), **(changes or {})})
    if models:
        multilabel = models[0].multilabel
    else:
        first = next(read_rows(Path(data)), None)
        multilabel = first is not None and isinstance(first.fields.get(columns.target), list)
    reading = read_examples([Path(data)], columns, multilabel=multilabel, labelled=True)
    rejected = list(reading.rejected)
    if models:
        rejected += check_labels(reading.examples, models[0].labels)[1]
    if rejected:
        raise DataError(
            f"{len(rejected)} of the rows cannot be judged; the first: {rejected[0].detail}.",
            where=str(data),
            hint="Mend or remove these rows; a score over the rest would not be this file's.",
        )
    found = (
        (example.target,) if isinstance(example.target, str) else example.target or ()
        for example in reading.examples
    )
    labels = (
        models[0].labels if models else tuple(sorted({name for names in found for name in names}))
    )
    return Question(gold=reading.examples, labels=labels, multilabel=multilabel, columns=columns)


def _recorded(path: Path, question: Question) -> Predictor:
    """A file of recorded answers as a predictor of the rows of a question."""
    from potstill.teacher import RecordedAnswers

    answers = RecordedAnswers.load(
        [path],
        labels=question.labels,
        multilabel=question.multilabel,
        columns=question.columns,
    )
    answers.check_coverage(question.gold)
    return answers.committee(question.gold)


def _judged(
    paths: Sequence[Path | str], data: Path | str, changes: Mapping[str, Any] | None
) -> tuple[Question, list[Predictor]]:
    """The question, and the predictors at the paths: models, or recorded answers."""
    for path in map(Path, paths):
        if not path.exists():
            raise ModelError(
                "no such model.",
                where=str(path),
                hint="Name a model folder, a run folder or a file of recorded answers.",
            )
    models = {path: load(path) for path in paths if Path(path).is_dir()}
    question = read_question(list(models.values()), data, changes)
    return question, [models.get(path) or _recorded(Path(path), question) for path in paths]


def evaluate(
    predictor: Path | str,
    data: Path | str,
    *,
    columns: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Judge a model, or recorded answers, on rows with a person's label.

    Args:
        predictor: a model folder, a run folder, or a file of recorded answers.
        data: JSONL, CSV or Parquet.
        columns: settings of the column map that go before the model's own.
        seed: of the bootstrap.

    Raises:
        PotstillError: the model or the data cannot be read.
    """
    from potstill.evaluate import evaluate as judge

    question, [found] = _judged([predictor], data, columns)
    return judge(
        found.predict(question.inputs),
        question.gold,
        labels=question.labels,
        multilabel=question.multilabel,
        seed=seed,
        name=found.name,
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
    from potstill.evaluate import compare as judge_pair

    question, [one, other] = _judged([a, b], data, columns)
    return judge_pair(
        one.predict(question.inputs),
        other.predict(question.inputs),
        question.gold,
        labels=question.labels,
        multilabel=question.multilabel,
        names=(_title(one, a), _title(other, b)),
        seed=seed,
    )


def _title(predictor: Predictor, path: Path | str) -> str:
    """A name that tells two models of one task apart: the folder, where it says more."""
    return predictor.name if Path(path).is_file() else str(path)


def trace(path: Path | str) -> dict[str, Any]:
    """Where what a model learned came from: the shares of each source.

    Args:
        path: a model folder or a run folder.

    Raises:
        ModelError: there is no lineage there.
    """
    file = model_folder(Path(path)) / "lineage.json"
    if not file.is_file():
        raise ModelError("lineage.json is missing.", where=str(file.parent))
    try:
        lineage = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ModelError(f"damaged: {error}.", where=str(file)) from error
    if not isinstance(lineage, dict) or not {"rows", "shares"} <= lineage.keys():
        raise ModelError("damaged: it names no sources.", where=str(file))
    return lineage
