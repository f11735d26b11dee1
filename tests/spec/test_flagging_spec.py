"""What a task may say of a flag, and how it is told what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from potstill.spec.task import Task


def task(**changes: Any) -> Task:
    """A task of two labels."""
    known = {
        "kind": "task",
        "version": 1,
        "name": "fraud",
        "type": "classification",
        "labels": ["fraud", "other"],
        "data": {"gold": "gold.jsonl"},
    }
    return Task.model_validate({**known, **changes})


@pytest.mark.parametrize(
    "aim",
    [{"costs": {"miss": 50, "false_alarm": 1}}, {"precision": 0.9}, {"recall": 0.95}],
)
def test_one_aim_makes_a_flag(aim: dict[str, Any]) -> None:
    found = task(flag={"label": "fraud", **aim}).flag
    assert found is not None and found.label == "fraud"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"flag": {"label": "fraud"}}, "give one of 'costs', 'precision' and 'recall'"),
        ({"flag": {"label": "fraud", "precision": 0.9, "recall": 0.9}}, "give one of"),
        ({"flag": {"label": "theft", "recall": 0.9}}, "none of the labels"),
        ({"flag": {"label": "fraud", "recall": 1.0}}, "less than 1"),
        ({"flag": {"label": "fraud", "recall": 0.9}, "labels": ["fraud", "b", "c"]}, "two labels"),
        ({"flag": {"label": "fraud", "recall": 0.9}, "type": "multilabel"}, "two labels"),
        ({"flag": {"label": "fraud", "recall": 0.9}, "defer": {}}, "give one"),
    ],
)
def test_a_flag_that_cannot_be_meant_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        task(**changes)
