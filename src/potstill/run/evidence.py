"""The first stages of a run: read the rows, freeze the splits, have the teacher answer, filter.

The test split is drawn from a person's rows before anything else happens, and what nearly
repeats it is removed from everything that trains. Filters judge training rows; development
and test rows only have to be valid, since a cleaned yardstick flatters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from potstill.data import Example, Rejection
from potstill.data.answers import target_reader
from potstill.data.files import write_jsonl
from potstill.data.reading import Reading, check_labels, read_examples
from potstill.data.splits import remove_leaks, split_examples
from potstill.errors import DataError
from potstill.filter import Filtered, apply_filters, choose_filters, validity_of
from potstill.generate.label import Labelled, label_examples
from potstill.spec import LoadedTask
from potstill.spec.task import Task
from potstill.teacher import RecordedAnswers, examples_from_logs, is_log
from potstill.teacher.request import Asker


@dataclass(frozen=True, slots=True)
class Evidence:
    """The rows of a task before anybody teaches.

    Attributes:
        train: rows with a person's label, for training; may be empty.
        dev: rows with a person's label, for development; may be empty.
        test: rows with a person's label, frozen.
        unlabeled: rows for the teacher.
        outside: rows of any split that a person found to fit none of the labels.
        rejected: rows set aside, with their causes.
    """

    train: list[Example]
    dev: list[Example]
    test: list[Example]
    unlabeled: list[Example]
    outside: list[Example]
    rejected: list[Rejection]


def read_evidence(loaded: LoadedTask) -> Evidence:
    """Read, check against the taxonomy, split and decontaminate all rows of a task.

    Raises:
        DataError: a file cannot be read, or no test row remains.
    """
    task = loaded.task
    outside = task.data.out_of_scope
    known = task.label_names if outside is None else (*task.label_names, outside)
    rejected: list[Rejection] = []

    def gold_rows(value: str | list[str] | None) -> list[Example]:
        paths = loaded.resolve_all(value)
        if not paths:
            return []
        reading = read_examples(
            paths,
            task.data.columns,
            targets=target_reader(task.answer),
            grouped=True,
            terms=task.data.terms,
        )
        rejected.extend(reading.rejected)
        if not task.labelling:  # the reader of fields knows which there are
            return reading.examples
        kept, unknown = check_labels(reading.examples, known)
        rejected.extend(unknown)
        return kept

    gold = gold_rows(task.data.gold)
    test = [replace(example, split="test") for example in gold_rows(task.data.test)]
    divided = split_examples(gold, _gold_shares(task), task.seed)
    divided += [replace(example, split="dev") for example in gold_rows(task.data.dev)]
    test += [example for example in divided if example.split == "test"]
    if not any(example.target != outside for example in test):
        raise DataError(
            "no row with a person's answer is left for the test split.",
            where=str(loaded.path),
            hint="Raise data.gold_split.test, or name a data.test file.",
        )
    unlabeled = _unlabeled_rows(loaded, [*divided, *test])
    rejected.extend(unlabeled.rejected)

    def without(rows: Sequence[Example], frozen: Sequence[Example], name: Any) -> list[Example]:
        leak = remove_leaks(rows, frozen, task.filter_options.duplicate_similarity, name)
        rejected.extend(leak.rejected)
        return leak.kept

    dev = without([e for e in divided if e.split == "dev"], test, "test")
    train = without([e for e in divided if e.split == "train"], [*test, *dev], "test or dev")
    silver = _not_answered(unlabeled.examples, train, rejected)
    silver = without(silver, [*test, *dev], "test or dev")
    inside = ([row for row in rows if row.target != outside] for rows in (train, dev, test))
    strangers = [row for row in (*train, *dev, *test) if row.target == outside]
    return Evidence(*inside, unlabeled=silver, outside=strangers, rejected=rejected)


def _not_answered(
    rows: Sequence[Example], gold: Sequence[Example], rejected: list[Rejection]
) -> list[Example]:
    """The rows without those that a person answered; another text under one id is rejected."""
    answered = {example.id: example for example in gold}
    left: list[Example] = []
    for example in rows:
        known = answered.get(example.id)
        if known is None:
            left.append(example)
        elif known.text != example.text:
            detail = "a row of another text in 'data.gold' has the same id"
            rejected.append(
                Rejection(
                    id=example.id,
                    stage="read",
                    cause="id_conflict",
                    detail=detail,
                    example=example,
                )
            )
    return left


def _gold_shares(task: Task) -> dict[Any, float]:
    chosen = task.data.gold_split
    if chosen is not None:
        return {"train": chosen.train, "dev": chosen.dev, "test": chosen.test}
    # With test rows of their own, all the others may teach.
    trains = task.data.test is not None
    return {"train": float(trains), "dev": 0.0, "test": float(not trains)}


def _unlabeled_rows(loaded: LoadedTask, gold: Sequence[Example]) -> Reading:
    data = loaded.task.data
    logs: list[Path] = []
    tables: list[Path] = []
    for path in loaded.resolve_all(data.unlabeled):
        (logs if is_log(path) else tables).append(path)
    rows = read_examples(tables, data.columns, targets=None, grouped=True, terms=data.terms)
    logged = examples_from_logs(logs, terms=data.terms, others=[*gold, *rows.examples])
    return Reading([*logged, *rows.examples], rows.rejected)


def load_answers(loaded: LoadedTask, files: Sequence[Path] | None = None) -> RecordedAnswers:
    """The answers of the task's teachers.

    Args:
        loaded: the task.
        files: answers that a live teacher gave in this run; those that the task names unless
            given.

    Raises:
        DataError: an answers file cannot be read.
        TeacherError: it holds no answer.
    """
    teacher = loaded.task.teacher
    assert teacher is not None, "the caller asks only when there is a teacher"
    return RecordedAnswers.load(
        files if files is not None else loaded.resolve_all(teacher.answers),
        answer=loaded.task.answer,
        terms=teacher.terms,
        columns=loaded.task.data.columns,
    )


def label(task: Task, unlabeled: Sequence[Example], answers: RecordedAnswers) -> Labelled:
    """Have the teachers answer rows; see `potstill.generate.label.label_examples`."""
    # Distributions are kept here even where the student shall learn hard labels: the
    # agreement filter reads them.
    return label_examples(unlabeled, answers)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that teach, the rows that steer, and what the filters took."""

    train: list[Example]
    dev: list[Example]
    filtered: Filtered

    def check_teachable(self, where: str) -> None:
        """Refuse to train on nothing, on one label alone, or without a row to steer by.

        Args:
            where: the file that holds the rejected rows.

        Raises:
            DataError: too little is left.
        """
        labels = {row.target for row in self.train if isinstance(row.target, str | tuple)}
        if not self.train or len(labels) == 1:
            found = f"only {next(iter(labels))!r}" if self.train else "no row at all"
            causes = Counter(rejection.cause for rejection in self.filtered.rejected)
            listed = ", ".join(f"{cause} ({rows})" for cause, rows in causes.most_common(3))
            raise DataError(
                f"{found} is left to train on"
                + (f"; the filters took: {listed}." if listed else "."),
                where=where,
                hint="Add rows of other labels, or loosen 'filter'.",
            )
        if not self.dev:
            raise DataError(
                "no development row is left.",
                where=where,
                hint="Add rows, or raise data.dev_fraction.",
            )


def select(
    task: Task,
    gold_train: Sequence[Example],
    gold_dev: Sequence[Example],
    silver: Sequence[Example],
    embed: Callable[[Sequence[str]], Any],
    judge: Callable[[], Asker] | None = None,
) -> Selection:
    """Carve out development rows and filter what is left for training.

    Where a person labelled development rows, they alone are the yardstick; otherwise a
    share of the rows is set aside before any filter looks at them.

    Args:
        task: the filters and their thresholds.
        gold_train: a person's rows for training.
        gold_dev: a person's rows for development; may be empty.
        silver: rows that a teacher labelled.
        embed: texts to embeddings, for filters that compare meanings.
        judge: opens the judge, for the filter of that name.
    """
    valid = validity_of(task.answer)
    rows = [*gold_train, *silver]
    dev = list(gold_dev)
    if not dev:
        shares: dict[Any, float] = {
            "train": 1.0 - task.data.dev_fraction,
            "dev": task.data.dev_fraction,
        }
        divided = split_examples(rows, shares, task.seed)
        rows = [example for example in divided if example.split == "train"]
        dev = [example for example in divided if example.split == "dev"]
    steering = apply_filters([valid], dev)
    # The other way round than for the test split: development rows are not sacred, and
    # taking the copy out of them costs no training row.
    leak = remove_leaks(steering.kept, rows, task.filter_options.duplicate_similarity, "train")
    asker = judge() if judge is not None and task.judge is not None else None
    filtered = apply_filters(choose_filters(task, rows, embed=embed, judge=asker), rows)
    train = [replace(example, split="train") for example in filtered.kept]
    if task.teacher is not None and not task.teacher.soft_labels:
        train = [replace(example, soft_target=None) for example in train]
    merged = replace(filtered, rejected=[*filtered.rejected, *steering.rejected, *leak.rejected])
    return Selection(train, leak.kept, merged)


def save_examples(path: Path, examples: Iterable[Example]) -> None:
    """Examples as JSON lines."""
    write_jsonl(path, (example.to_json() for example in examples))


def load_saved(path: Path) -> list[Example]:
    """Examples that `save_examples` wrote."""
    with path.open("rb") as stream:
        return [Example.from_json(orjson.loads(line)) for line in stream]
