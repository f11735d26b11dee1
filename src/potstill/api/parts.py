"""Judging a workflow by what it answers: labels, values, a text, or several parts."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.api.attributing import Attributed, attribute
from potstill.api.judging import evaluate
from potstill.api.loading import load
from potstill.data.answers import target_reader
from potstill.data.composed import Composed
from potstill.data.reading import read_examples, read_rows
from potstill.errors import DataError, SpecError
from potstill.spec.loading import load_workflow
from potstill.spec.task import Columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from potstill.data import Example, Prediction
    from potstill.evaluate import Evaluation
    from potstill.workflow.judged import JudgedPart

_NOTHING_SAID = frozenset({"no_label", "no_text", "no_fields"})
"""Causes for which a row says nothing of a part; with any other one it says something wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsEvaluation:
    """A workflow on gold rows, part by part.

    Attributes:
        name: of the workflow.
        rows: rows of the data.
        parts: by part of the answer, how good it is on the rows that say what is right.
    """

    name: str
    rows: int
    parts: Mapping[str, Evaluation]

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        parts = {name: found.to_json() for name, found in self.parts.items()}
        return {"name": self.name, "rows": self.rows, "parts": parts}


def judge_workflow(
    path: Path | str,
    data: Path | str,
    *,
    columns: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Attributed | PartsEvaluation | Evaluation:
    """Judge a workflow on gold rows by the measure of what it answers.

    Of labels errors, time and money are attributed to its nodes (`attribute`); an answer of
    several parts is judged part by part (`evaluate_parts`).

    Args:
        path: the workflow file.
        data: JSONL, CSV or Parquet.
        columns: settings of the column map that go before the workflow's own.
        seed: of the bootstrap.

    Raises:
        PotstillError: the workflow or the data cannot be read.
    """
    from potstill.workflow import read_graph
    from potstill.workflow.types import Answer

    graph = read_graph(load_workflow(Path(path)))
    if graph.parts:
        return evaluate_parts(path, data, columns=columns, seed=seed)
    judge = attribute if isinstance(graph.answer, Answer) else evaluate
    return judge(path, data, columns=columns, seed=seed)


def evaluate_parts(
    path: Path | str,
    data: Path | str,
    *,
    columns: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> PartsEvaluation:
    """Judge each part of a workflow's answer where the data say what is right.

    A node names the column of its own right answers (``gold``); a row without a value there says
    nothing of that part. What counts is the answer of the whole: a document that a router sent
    elsewhere has no fields, and they are missed.

    Args:
        path: the workflow file, whose output has parts.
        data: JSONL, CSV or Parquet.
        columns: settings of the column map that go before the workflow's own.
        seed: of the bootstrap.

    Raises:
        PotstillError: the workflow or the data cannot be read, or no part can be judged.
    """
    from potstill.evaluate import measure_of
    from potstill.workflow import Workflow
    from potstill.workflow.judged import judged_parts

    workflow = load(path)
    if not isinstance(workflow, Workflow) or not workflow.graph.parts:
        raise SpecError("this is not a workflow whose answer has parts.", where=str(path))
    known = Columns.model_validate({**workflow.card["task"]["columns"], **(columns or {})})
    there = {column for row in read_rows(Path(data)) for column in row.fields}
    judged = [part for part in judged_parts(workflow.graph) if part.column in there]
    named = [(part, _gold(part, Path(data), known)) for part in judged]
    asked = [(part, gold) for part, gold in named if gold]
    if not asked:
        raise SpecError(
            "no part of this workflow's answer can be judged on these rows.",
            where=str(path),
            hint="Name the column of a node's right answers: 'gold: COLUMN'.",
        )
    rows = {example.id: example for _, gold in asked for example in gold}
    with closing(workflow):
        found = workflow.predict([example.input for example in rows.values()])
    answers = dict(zip(rows, found, strict=True))
    return PartsEvaluation(
        name=workflow.name,
        rows=len(rows),
        parts={
            part.name: measure_of(part.answer).evaluate(
                [_part_of(part, answers[example.id]) for example in gold],
                gold,
                name=part.name,
                seed=seed,
            )
            for part, gold in asked
        },
    )


def _part_of(part: JudgedPart, answer: Prediction) -> Prediction:
    assert isinstance(answer, Composed), "the workflow's output has parts"
    return part.of(answer)


def _gold(part: JudgedPart, data: Path, columns: Columns) -> list[Example]:
    """The rows that say what is right of a part.

    Raises:
        DataError: the file cannot be read, or what a row says cannot be.
    """
    own = columns.model_copy(update={"target": part.column})
    reading = read_examples([data], own, targets=target_reader(part.answer))
    wrong = next((row for row in reading.rejected if row.cause not in _NOTHING_SAID), None)
    if wrong is not None:
        raise DataError(
            f"what the rows say of {part.name!r} cannot be judged: {wrong.detail}.",
            where=str(data),
            hint="Mend or remove these rows; a score over the rest would not be this file's.",
        )
    return reading.examples
