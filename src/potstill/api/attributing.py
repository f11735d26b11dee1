"""Judging a workflow: how good it is as a whole, and which node its errors come from."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from potstill.api.judging import read_question
from potstill.api.loading import load
from potstill.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from potstill.evaluate import Evaluation, Interval
    from potstill.workflow.attribute import Attribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributed:
    """A workflow on gold rows.

    Attributes:
        evaluation: of the whole, on the rows that fit a label; see its `selective` for the rest.
        attribution: of errors, time and money to nodes, on all rows.
        score: share of all rows that are right: answered as the gold says, or deferred where
            no label fits.
        gains: by node, what the score would gain were that node always right.
    """

    evaluation: Evaluation
    attribution: Attribution
    score: Interval
    gains: Mapping[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        attribution = self.attribution.to_json()
        for node in attribution["nodes"]:
            node["gain_if_perfect"] = self.gains[node["node"]].to_json()
        return {
            **self.evaluation.to_json(),
            "score": self.score.to_json(),
            "attribution": attribution,
        }


def attribute(
    path: Path | str,
    data: Path | str,
    *,
    columns: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Attributed:
    """Judge a workflow on gold rows, and attribute its errors, time and money to its nodes.

    Args:
        path: the workflow file.
        data: rows with the right answer of the whole, and where the workflow names columns for
            them, of single nodes: JSONL, CSV or Parquet.
        columns: settings of the column map that go before the workflow's own.
        seed: of the bootstrap.

    Raises:
        PotstillError: the workflow or the data cannot be read.
    """
    from potstill.evaluate import measure_of
    from potstill.evaluate.intervals import difference_interval, resampled_sums, share_interval
    from potstill.evaluate.metrics import RESAMPLES
    from potstill.workflow import Workflow
    from potstill.workflow.attribute import attribute as find_faults
    from potstill.workflow.rights import read_node_gold

    workflow = load(path)
    if not isinstance(workflow, Workflow):
        raise SpecError("this is a model, not a workflow.", where=str(path))
    question = read_question([workflow], data, columns)
    rows = [*question.gold, *question.outside]
    with closing(workflow):
        found = find_faults(workflow, rows, read_node_gold(workflow.graph, Path(data)))
    right = np.array(found.right)

    def gain(node_right: Sequence[bool]) -> Interval:
        better = np.array(node_right).astype(float) - right
        many = resampled_sums(better[:, None], resamples=RESAMPLES, seed=seed)[:, 0] / len(rows)
        return difference_interval(float(better.mean()), many)

    return Attributed(
        evaluation=measure_of(question.answer).evaluate(
            found.predictions[: len(question.gold)],
            question.gold,
            seed=seed,
            name=workflow.name,
            outside=found.predictions[len(question.gold) :],
        ),
        attribution=found,
        score=share_interval(right, resamples=RESAMPLES, seed=seed),
        gains={node.node: gain(node.right_if_perfect) for node in found.nodes},
    )
