"""What Python users and the command line share: one function a verb.

Nothing here prints; results are returned, mistakes are raised as `PotstillError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from potstill.data import Example, Input, Prediction, Predictor
from potstill.data.reading import check_labels, read_examples
from potstill.errors import DataError, ModelError, PotstillError
from potstill.spec import LoadedTask, load_task
from potstill.spec.task import Columns

if TYPE_CHECKING:
    from potstill.evaluate import Comparison, Evaluation
    from potstill.run.distil import Outcome
    from potstill.run.events import Listener

RUNS = Path("runs")


def run(
    task: Path | str | LoadedTask,
    *,
    overrides: Sequence[str] = (),
    runs: Path = RUNS,
    until: str | None = None,
    restart: str | None = None,
    out: Path | None = None,
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
        listener: receives events while the run works.

    Raises:
        PotstillError: any mistake in the task, the data or the environment.
    """
    from potstill.run.distil import run_task
    from potstill.run.events import ignore

    loaded = task if isinstance(task, LoadedTask) else load_task(Path(task), overrides)
    return run_task(
        loaded, runs=runs, until=until, restart=restart, out=out, listener=listener or ignore
    )


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


def load(path: Path | str, *, examples: Sequence[Example] = ()) -> Predictor:
    """A predictor from what lies at a path.

    Args:
        path: a model folder, a run folder (its model), or a file of recorded answers.
        examples: the rows that recorded answers are looked up for.

    Raises:
        PotstillError: nothing there can predict.
    """
    path = Path(path)
    if path.is_dir():
        from potstill.runtime import Model

        return Model.load(model_folder(path))
    if not path.exists():
        raise ModelError(
            "no such model.",
            where=str(path),
            hint="Name a model folder, a run folder or a file of recorded answers.",
        )
    from potstill.teacher import RecordedAnswers

    labels = tuple(sorted({str(example.target) for example in examples}))
    answers = RecordedAnswers.load([path], labels=labels, multilabel=False)
    return answers.predictor(answers.teachers[0], examples)


def model_folder(path: Path) -> Path:
    """The model folder at a path: the folder itself, or the one inside a run folder.

    Raises:
        ModelError: neither is there.
    """
    for folder in (path, path / "model"):
        if (folder / "model.json").is_file():
            return folder
    raise ModelError(
        "not a model folder: model.json is missing.",
        where=str(path),
        hint="Make one with: potstill run TASK.yaml",
    )


def read_gold(
    data: Path | str, *, columns: Columns | None = None, labels: Sequence[str] = ()
) -> list[Example]:
    """Rows with a person's label, for judging predictors.

    Args:
        data: JSONL, CSV or Parquet.
        columns: which column holds what.
        labels: the taxonomy; a row outside it is an error here, since a score over the
            remaining rows would not be the score of this file.

    Raises:
        DataError: the file cannot be read, or a row has no text, no label or an unknown one.
    """
    reading = read_examples([Path(data)], columns or Columns(), labelled=True)
    rejected = list(reading.rejected)
    if labels:
        rejected += check_labels(reading.examples, labels)[1]
    if rejected:
        first = rejected[0]
        raise DataError(
            f"{len(rejected)} of the rows cannot be judged; the first: {first.detail}.",
            where=str(data),
            hint="Mend or remove these rows; a score over the rest would not be this file's.",
        )
    return reading.examples


def evaluate(
    predictor: Predictor | Path | str,
    data: Path | str,
    *,
    columns: Columns | None = None,
    seed: int = 0,
) -> Evaluation:
    """Judge a predictor on rows with a person's label.

    Raises:
        PotstillError: the model or the data cannot be read.
    """
    from potstill.evaluate import evaluate as judge

    if isinstance(predictor, (str, Path)):
        gold = read_gold(data, columns=columns)
        predictor = load(predictor, examples=gold)
    gold = read_gold(data, columns=columns, labels=predictor.labels)
    return judge(
        predictor.predict([example.input for example in gold]),
        gold,
        labels=predictor.labels,
        multilabel=is_multilabel(predictor),
        seed=seed,
        name=predictor.name,
    )


def is_multilabel(predictor: Predictor) -> bool:
    """Whether a predictor gives several labels an input; only models say so."""
    return bool(getattr(predictor, "multilabel", False))


def compare(
    a: Path | str, b: Path | str, data: Path | str, *, columns: Columns | None = None, seed: int = 0
) -> Comparison:
    """Judge two predictors on the same rows, paired.

    Raises:
        PotstillError: a model or the data cannot be read, or their labels differ.
    """
    from potstill.evaluate import compare as judge_pair

    gold = read_gold(data, columns=columns)
    one, other = load(a, examples=gold), load(b, examples=gold)
    models = [p for p in (one, other) if hasattr(p, "multilabel")]
    if len(models) == 2 and set(models[0].labels) != set(models[1].labels):
        differing = sorted(set(one.labels) ^ set(other.labels))
        raise PotstillError(
            f"the two have different labels: {differing[0]!r} is in one alone.",
            hint="Compare models of the same task.",
        )
    labels = (models or [one])[0].labels
    gold = read_gold(data, columns=columns, labels=labels)
    inputs = [example.input for example in gold]
    return judge_pair(
        one.predict(inputs),
        other.predict(inputs),
        gold,
        labels=labels,
        names=(_title(one, a), _title(other, b)),
        seed=seed,
    )


def _title(predictor: Predictor, path: Path | str) -> str:
    """A name that tells two models of one task apart: the folder, where it says more."""
    return predictor.name if Path(path).is_file() else str(path)


def predict(predictor: Predictor, inputs: Sequence[Input]) -> list[Prediction]:
    """Predictions in the order of the inputs; `Model.stream` is for more than fit in memory."""
    return predictor.predict(inputs)


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
        return orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ModelError(f"damaged: {error}.", where=str(file)) from error
