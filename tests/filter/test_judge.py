import json

import pytest

from potstill.data import Example, Source
from potstill.errors import BudgetReached
from potstill.filter import Judge, apply_filters
from potstill.filter.judge import runner_up
from potstill.spec.task import Task
from potstill.spec.teacher import JudgeSpec
from potstill.teacher.request import Outcome, Reply

TASK = Task.model_validate(
    {
        "kind": "task",
        "version": 1,
        "name": "complaints",
        "type": "classification",
        "description": "Which product is it?",
        "labels": {"card": "Plastic.", "loan": None, "account": None},
        "rules": ["A collector is never a card."],
        "data": {"gold": "gold.jsonl"},
    }
)


class Asked:
    """Answers by a function of the request, last request first; None is a fault."""

    class provider:  # noqa: N801
        name, identity, endpoint, concurrency, rungs = "judge-1", "x", "judge.test", 4, ("schema",)

    def __init__(self, answer):
        self.answer = answer
        self.requests = []

    def ask(self, requests):
        self.requests = list(requests)
        for request in reversed(self.requests):
            value = self.answer(request)
            yield Outcome(
                request=request,
                reply=None
                if value is None
                else Reply(text=json.dumps(value), model="judge-1-2026"),
                value=value,
                fault="timed_out" if value is None else None,
                detail="",
                attempts=1,
                cost_usd=0.0,
                seconds=0.1,
                ledger=f"ledger-{request.id}",
                rung="schema",
            )


def rows(*targets, soft=None):
    return [
        Example(id=f"r{n}", input=f"text {n}", target=t, soft_target=soft, cost_usd=0.5)
        for n, t in enumerate(targets)
    ]


def points(score):
    return lambda request: {"reason": "since it says so", "score": score(request)}


def judged(answer, **spec):
    return Judge(JudgeSpec(model="local:x", terms="judge-terms", **spec), TASK, Asked(answer))


def question(request):
    return request.messages[-1]["content"]


def test_low_points_reject_with_the_judges_reason():
    judge = judged(points(lambda request: 2 if "text 1" in question(request) else 3))
    (rejected,) = judge(rows("card", "loan", "card"))
    assert (rejected.id, rejected.cause, rejected.cost_usd) == ("r1", "low_score", 0.5)
    assert "2 of 5" in rejected.detail and "since it says so" in rejected.detail
    assert judge.warnings == ()


def test_the_judge_reads_task_rules_input_and_answer():
    judge = judged(points(lambda request: 5), rubric="Only the main product counts.")
    judge(rows("loan"))
    (request,) = judge.asker.requests
    system = request.messages[0]["content"]
    for part in ("Which product is it?", "card: Plastic.", "Only the main product counts."):
        assert part in system
    assert question(request).index("text 0") < question(request).index("Answer: loan")
    assert list(request.schema["properties"]) == ["reason", "score"]
    assert (request.purpose, request.temperature) == ("judge", 0.0)
    default = judged(points(lambda request: 5))
    default(rows("loan"))
    assert "A collector is never a card." in default.asker.requests[0].messages[0]["content"]


def test_rows_that_pass_carry_the_verdict_in_their_lineage():
    judge = judged(points(lambda request: 5))
    filtered = apply_filters([judge], rows("card", "loan"))
    assert [row.sources for row in filtered.kept] == [
        (
            Source(
                kind="model",
                name="judge-1",
                contributed=("verdict",),
                stage="filter:judge",
                terms="judge-terms",
                revision="judge-1-2026",
                endpoint="judge.test",
                request=f"ledger-r{n}",
            ),
        )
        for n in range(2)
    ]


def test_a_row_without_a_verdict_is_kept_and_counted():
    judge = judged(lambda r: None if "text 0" in question(r) else {"reason": "x", "score": 1})
    filtered = apply_filters([judge], rows("card", "loan"))
    assert [row.id for row in filtered.kept] == ["r0"]
    assert filtered.kept[0].sources == ()
    assert filtered.warnings == ("judge: 1 of 2 rows could not be judged; they were kept",)


def test_a_person_is_not_judged():
    person = Source(kind="person", name="p", contributed=("target",), stage="read")
    judge = judged(points(lambda request: 1))
    assert judge([Example(id="g", input="t", target="card", sources=(person,))]) == []
    assert judge.asker.requests == []


SOFT = {"card": 0.5, "loan": 0.4, "account": 0.1}


@pytest.mark.parametrize(
    ("prefers", "cause"),
    [
        (lambda text: "A" if "A: card" in text else "B", None),
        (lambda text: "B" if "A: card" in text else "A", "runner_up_preferred"),
        (lambda text: "A", None),
        (lambda text: "B", None),
    ],
    ids=["answer", "runner-up", "always first", "always second"],
)
def test_only_a_verdict_that_survives_the_swap_counts(prefers, cause):
    judge = judged(lambda r: {"reason": "x", "better": prefers(question(r))}, mode="pairwise")
    rejected = judge(rows("card", soft=SOFT))
    assert [r.cause for r in rejected] == ([cause] if cause else [])
    asked = [question(request) for request in judge.asker.requests]
    assert ["A: card\nB: loan" in text for text in asked] == [True, False]
    tie = prefers("A: card") == prefers("A: loan")
    assert bool(judge.warnings) == tie
    assert len(judge.sources["r0"]) == 2


def test_without_a_runner_up_there_is_no_pair():
    judge = judged(points(lambda request: 1), mode="pairwise")
    assert judge(rows("card")) == []
    assert "no runner-up" in judge.warnings[0]
    assert judge.asker.requests == []


def test_the_runner_up_of_several_labels_differs_in_the_least_sure_one():
    row = Example(
        id="1", input="t", target=("card",), soft_target={"card": 0.9, "loan": 0.45, "account": 0.1}
    )
    assert runner_up(row) == ("card", "loan")
    assert (
        runner_up(Example(id="1", input="t", target="card", soft_target={"card": 1.0, "loan": 0.0}))
        is None
    )


def test_money_that_runs_out_is_not_swallowed():
    judge = judged(points(lambda request: 1))

    def broke(requests):
        raise BudgetReached("the cap is reached.")
        yield

    judge.asker.ask = broke
    with pytest.raises(BudgetReached):
        judge(rows("card"))
