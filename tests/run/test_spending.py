"""Plan against actual, from the files and the ledger of a run."""

from __future__ import annotations

import json
from contextlib import closing, contextmanager

import orjson
import pytest

from potstill.run.events import ignore
from potstill.run.folder import RunFolder, folder_of
from potstill.run.planning import PLAN, plan_task
from potstill.run.spending import audition_facts, lay_down_plan, spent_of, teaching_facts
from potstill.run.stages import Stages
from potstill.run.teaching import LEDGER, Teaching
from potstill.spec import load_task
from potstill.teacher.entries import Totals
from potstill.teacher.ledger import Ledger
from stub_teacher import StubTeacher, question, reply

TRIAL = {
    "method": {"name": "bare", "reasoning": False, "examples": 0, "shortlist": 0, "votes": 1},
    "rows": 20,
    "accuracy": {"value": 0.8, "low": 0.6, "high": 0.9},
    "fused": None,
    "unanswered": 0.05,
    "flips": None,
    "usd_per_row": None,
    "seconds_per_row": 0.5,
    "prompt_tokens_per_row": 100.0,
    "completion_tokens_per_row": None,
}
AUDITION = {
    "method": TRIAL["method"],
    "fusion": None,
    "thinks": False,
    "rows": 20,
    "split": "train",
    "majority": 0.5,
    "nearest": None,
    "trials": [TRIAL, {**TRIAL, "method": {**TRIAL["method"], "name": "3 votes", "votes": 3}}],
    "warnings": [],
}
ROUND = {
    "asked": 10,
    "changed": 2,
    "written": 0,
    "train_rows": 50,
    "score": 0.7,
    "gain": 0.1,
    "cost_usd": None,
    "gain_per_usd": None,
    "kept": True,
}


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    colours = ["red", "blue"]

    def write(name, rows, *, labelled):
        lines = [
            {"id": f"{name}{row}", "text": f"the {colours[row % 2]} one, number {name} {row}"}
            | ({"label": colours[row % 2]} if labelled else {})
            for row in range(rows)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{name}.jsonl").write_text(text)

    write("gold", 24, labelled=True)
    write("test", 12, labelled=True)
    write("inbox", 30, labelled=False)
    (tmp_path / "teach_colours.py").write_text(
        "def answer(request):\n"
        "    text = request.messages[-1]['content']\n"
        '    return \'{"label": "red"}\' if \'red\' in text else \'{"label": "blue"}\'\n'
    )
    (tmp_path / "task.yaml").write_text(
        "kind: task\nversion: 1\nname: colours\ntype: classification\nlabels: [red, blue]\n"
        "data: {unlabeled: inbox.jsonl, gold: gold.jsonl, test: test.jsonl}\n"
        "teacher:\n  model: python:teach_colours:answer\n  terms: mine\n"
        "  price: {input_usd_per_million: 1.0, output_usd_per_million: 2.0}\n"
        "rounds: {max: 1, rows: 10, votes: 3}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return load_task(tmp_path / "task.yaml")


@contextmanager
def opened(loaded, runs):
    """A run that has read its rows and laid down its plan."""
    folder = RunFolder(folder_of(loaded, runs), ignore)
    teaching = Teaching(loaded, folder.path.parent / LEDGER)
    with folder.opened({}, 0), closing(teaching):
        work = Stages(loaded, folder, teaching)
        work.read()
        lay_down_plan(work)
        yield work


def attempt(ledger, purpose, row, *, usd=0.0, fault=None):
    teacher = ledger.teacher(StubTeacher())
    row_id = ledger.begin(
        question(row, purpose=purpose),
        f"{row:032x}",
        teacher=teacher,
        number=1,
        rung=None,
        reserved_usd=None,
    )
    state, given = ("failed", None) if fault else ("answered", reply())
    ledger.end(row_id, state, reply=given, fault=fault, cost_usd=usd, seconds=0.1)
    ledger.flush()


def read_plan(work):
    return orjson.loads((work.folder.path / PLAN).read_bytes())


def test_a_plan_lies_there_before_anything_is_asked(loaded, tmp_path):
    with opened(loaded, tmp_path / "runs") as work:
        plan = read_plan(work)
        assert [step["name"] for step in plan["steps"]] == ["audition", "ask", "evaluate", "rounds"]
        assert plan["pilot"] == 0
        assert plan["total"]["usd"]["expected"] > 0
        assert work.teaching.ledger.totals().attempts == 0


def test_a_plan_is_not_laid_down_again_when_a_run_goes_on(loaded, tmp_path):
    with opened(loaded, tmp_path / "runs") as work:
        path = work.folder.path / PLAN
        path.write_bytes(orjson.dumps({**read_plan(work), "priced": "of yesterday"}))
        attempt(work.teaching.ledger, "label", 1, usd=0.5)
    with opened(loaded, tmp_path / "runs") as work:
        facts = teaching_facts(work)
        assert facts is not None and facts.spending is not None
        assert facts.spending.priced == "of yesterday"
        assert facts.spending.total.spent.known_usd == 0.5, "of the first sitting"
        assert facts.spending.earlier.attempts == 0


def test_a_pilot_s_plan_is_kept_and_its_calls_are_earlier_ones(loaded, tmp_path):
    runs = tmp_path / "runs"
    assert plan_task(loaded, runs=runs).pilot == 0
    assert not (folder_of(loaded, runs) / PLAN).exists()
    assert plan_task(loaded, runs=runs, pilot=4).pilot == 4
    with opened(loaded, runs) as work:
        attempt(work.teaching.ledger, "label", 1)
        facts = teaching_facts(work)
    assert facts is not None and facts.spending is not None
    assert facts.spending.pilot == 4
    assert facts.spending.earlier.requests == 4
    assert facts.spending.total.spent.attempts == 1
    before = (folder_of(loaded, runs) / PLAN).read_bytes()
    plan_task(loaded, runs=runs, pilot=6)
    assert (folder_of(loaded, runs) / PLAN).read_bytes() == before, "the run has begun"


def test_calls_are_counted_by_the_step_of_the_plan(loaded, tmp_path):
    with opened(loaded, tmp_path / "runs") as work:
        ledger = work.teaching.ledger
        purposes = ("probe", "audition", "label", "evaluate", "round-1", "round-2", "judge")
        for row, purpose in enumerate(purposes):
            attempt(ledger, purpose, row, usd=0.25)
        attempt(ledger, "label", 2, usd=None, fault="timed_out")
        attempt(ledger, "label", 2, usd=0.0, fault="rate_limited")
        facts = teaching_facts(work)
    assert facts is not None and facts.spending is not None
    steps = {step.name: step for step in facts.spending.steps}
    assert list(steps) == ["audition", "ask", "evaluate", "rounds", "judge"]
    assert steps["audition"].spent.attempts == steps["rounds"].spent.attempts == 2
    asked = steps["ask"].spent
    assert (asked.requests, asked.attempts, asked.unknown) == (1, 3, 1)
    assert asked.faults == {"timed_out": 1, "rate_limited": 1}
    assert asked.usd is None
    assert steps["judge"].planned is None
    total = facts.spending.total
    assert total.spent.attempts == 9
    assert total.spent.known_usd == pytest.approx(1.75)
    assert total.planned is not None


def test_tokens_that_were_not_told_are_not_zero():
    def totals(answered, tokens):
        return Totals(
            requests=1,
            answered=answered,
            attempts=1,
            prompt_tokens=tokens,
            completion_tokens=tokens,
            known_usd=0.0,
            unknown=0,
            by_fault={},
            seconds=1.0,
        )

    assert spent_of([totals(1, 0)]).prompt_tokens is None
    assert spent_of([totals(0, 0)]).prompt_tokens == 0
    assert spent_of([totals(1, 30), totals(1, 0)]).completion_tokens == 30
    assert spent_of([]).attempts == 0


def test_what_the_stages_wrote_is_told(loaded, tmp_path):
    with opened(loaded, tmp_path / "runs") as work:
        (work.dataset / "audition.json").write_bytes(orjson.dumps(AUDITION))
        work.round_folders.mkdir()
        rounds = {"chosen": 1, "rounds": [{**ROUND, "number": 0}, {**ROUND, "number": 1}]}
        (work.round_folders / "rounds.json").write_bytes(orjson.dumps(rounds))
        facts = teaching_facts(work)
    assert facts is not None and facts.audition is not None and facts.spending is not None
    assert (facts.model, facts.endpoint, facts.terms) == (
        "python:teach_colours:answer",
        None,
        "mine",
    )
    assert [way.chosen for way in facts.audition.ways] == [True, False]
    assert facts.audition.ways[0].tokens_per_row is None, "one of two counts is not known"
    assert [one.chosen for one in facts.rounds] == [False, True]
    assert facts.rounds[1].cost_usd is None
    assert facts.synthesis is None


def test_a_recorded_teacher_has_no_facts(loaded, tmp_path):
    with opened(loaded, tmp_path / "runs") as work:
        work.task = work.task.model_copy(update={"teacher": None})
        assert teaching_facts(work) is None


def test_an_address_is_told_without_its_credentials(loaded, tmp_path):
    with opened(loaded, tmp_path / "runs") as work:
        address = "https://me:secret@api.example.com/v1"
        update = {"base_url": address, "model": "m"}
        teacher = work.task.teacher.model_copy(update=update)
        work.task = work.task.model_copy(update={"teacher": teacher})
        facts = teaching_facts(work)
    assert facts is not None
    assert facts.endpoint == "api.example.com"
    assert "secret" not in orjson.dumps(facts.to_json()).decode()


def test_a_model_file_is_told_by_its_name(loaded, tmp_path):
    with opened(loaded, tmp_path / "runs") as work:
        teacher = work.task.teacher.model_copy(update={"model": "local:/home/me/big.gguf"})
        work.task = work.task.model_copy(update={"teacher": teacher})
        facts = teaching_facts(work)
    assert facts is not None and facts.model == "local:big.gguf"


def test_sums_by_purpose_agree_with_the_sums_of_each(tmp_path):
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        for row in range(4):
            attempt(ledger, "label" if row % 2 else "judge", row, usd=0.1)
        attempt(ledger, "label", 9, fault="empty")
        assert ledger.totals_by_purpose() == {
            purpose: ledger.totals(purpose) for purpose in ("judge", "label")
        }
        assert ledger.last_attempt == 5
        assert list(ledger.totals_by_purpose(after=4)) == ["label"]
        assert sum(t.attempts for t in ledger.totals_by_purpose(up_to=4).values()) == 4


def test_audition_facts_of_a_method_by_rule():
    facts = audition_facts({**AUDITION, "trials": [], "rows": 0, "majority": None})
    assert facts.chosen is None and facts.ways == ()
