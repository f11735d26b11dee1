"""What every filter must do, ours and a user's; a new filter is one more line in `FILTERS`."""

import copy
import re
from collections.abc import Iterator

import numpy as np
import pytest

from potstill.data import Example, Source
from potstill.filter import (
    Agreement,
    Duplicates,
    FieldValidity,
    IdentityLeak,
    Judge,
    Noise,
    Policy,
    TextValidity,
    TraceHealth,
    Validity,
    Witness,
    apply_filters,
)
from potstill.spec.generation import TextSpec
from potstill.spec.task import Task
from potstill.spec.teacher import JudgeSpec
from potstill.teacher.request import Outcome, Reply

LABELS = ("a", "b")
PERSON = Source(kind="person", name="p", contributed=("target",), stage="read")
TEACHER = Source(kind="model", name="openai/x", contributed=("target", "reasoning"), stage="label")
TASK = Task.model_validate(
    {
        "kind": "task",
        "version": 1,
        "name": "t",
        "type": "classification",
        "labels": list(LABELS),
        "data": {"gold": "gold.jsonl"},
    }
)


class Strict:
    """An asker whose every verdict is bad."""

    class provider:  # noqa: N801
        name, identity, endpoint, concurrency, rungs = (
            "judge-1",
            "judge-1",
            "judge.test",
            1,
            ("schema",),
        )

    def ask(self, requests) -> Iterator[Outcome]:
        for request in requests:
            keys = request.schema["properties"]
            value = {
                "reason": "it is wrong",
                "score": 1,
                "better": "B" if "#0" in request.id else "A",
            }
            yield Outcome(
                request=request,
                reply=Reply(text="", model="judge-1"),
                value={key: value[key] for key in keys},
                fault=None,
                detail="",
                attempts=1,
                cost_usd=0.0,
                seconds=0.0,
                ledger=f"row-{request.id}",
                rung="schema",
            )


ROWS = [
    Example(
        id=f"{number:03d}",
        input=f"row {number // 8} says {word} and {word}",
        target=label,
        soft_target={"a": 0.6, "b": 0.4}
        if number % 3
        else {label: 0.4, "a" if label != "a" else "b": 0.39},
        reasoning="Let me read it again and again. " * 12 if number % 5 == 0 else None,
        sources=(PERSON,) if number % 7 == 0 else (TEACHER,),
        cost_usd=0.01,
    )
    for number, (word, label) in enumerate(
        [("apple", "a"), ("brick", "b"), ("", "z"), ("As an AI language model, I say apple", "a")]
        * 10
    )
]
FEATURES = {row.id: np.eye(4, dtype=np.float32)[number % 4] for number, row in enumerate(ROWS)}

FILTERS = [
    Validity(LABELS),
    FieldValidity({}),
    TextValidity(TextSpec()),
    Policy(("openai/*",)),
    TraceHealth(LABELS),
    IdentityLeak(),
    Duplicates(0.9),
    Duplicates(0.9, 0.95, FEATURES, name="duplicates"),
    Agreement(0.6),
    Noise(max_share=0.2, seed=0, features=FEATURES),
    Judge(JudgeSpec(model="local:x"), TASK, Strict()),
    Judge(JudgeSpec(model="local:x", mode="pairwise"), TASK, Strict()),
]


@pytest.fixture(
    params=FILTERS, ids=[f"{place}-{judge.name}" for place, judge in enumerate(FILTERS)]
)
def judge(request):
    return request.param


@pytest.mark.parametrize("finder", [judge for judge in FILTERS if judge.name != "noise"])
def test_it_finds_something_here(finder):
    # The rows hold something for all but the statistics of noise, which want more rows, so
    # that the other tests are no empty words.
    assert finder(ROWS)


def test_nothing_comes_of_nothing(judge):
    assert judge([]) == []


def test_it_names_rows_that_it_was_given_and_each_once(judge):
    named = [rejection.id for rejection in judge(ROWS)]
    assert set(named) <= {row.id for row in ROWS}
    assert len(set(named)) == len(named)


def test_each_rejection_says_who_why_and_what_it_cost(judge):
    by_id = {row.id: row for row in ROWS}
    for rejection in judge(ROWS):
        assert rejection.stage == f"filter:{judge.name}"
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", rejection.cause)
        assert rejection.detail.strip()
        assert rejection.cost_usd == 0.01
        assert rejection.example == by_id[rejection.id]


def test_it_answers_the_same_twice(judge):
    assert judge(ROWS) == judge(ROWS)


def test_it_leaves_its_input_alone(judge):
    rows = copy.deepcopy(ROWS)
    judge(rows)
    assert rows == ROWS


def test_what_is_kept_is_in_order_and_changed_in_its_sources_alone(judge):
    filtered = apply_filters([judge], ROWS)
    taken = {rejection.id for rejection in filtered.rejected}
    left = [row for row in ROWS if row.id not in taken]
    assert [row.id for row in filtered.kept] == [row.id for row in left]
    for before, after in zip(left, filtered.kept, strict=True):
        assert after.sources[: len(before.sources)] == before.sources
        added = after.sources[len(before.sources) :]
        assert not added or isinstance(judge, Witness)
        assert {**after.to_json(), "sources": None} == {**before.to_json(), "sources": None}


def test_a_row_of_its_own_is_judged_like_any_other(judge):
    # One row, of each kind, must not break what looks at rows in company.
    for row in ROWS[:8]:
        assert {rejection.id for rejection in judge([row])} <= {row.id}
