"""Open questions to an endpoint that misbehaves: over HTTP, through the engine and its ledger."""

from __future__ import annotations

import json

import pytest

from potstill.data import Example, Text
from potstill.generate.label import label_examples
from potstill.generate.method import Method
from potstill.generate.open import ask_open
from potstill.spec.task import Task
from potstill.spec.teacher import Price
from potstill.teacher import RecordedAnswers
from potstill.teacher.engine import Engine
from potstill.teacher.ledger import Ledger
from potstill.teacher.providers import open_provider
from stub_endpoint import running_stub

PRICE = Price(input_usd_per_million=2.0, output_usd_per_million=8.0)
# The stub fills every string that a schema asks for with "because".
ROWS = [
    Example(
        id=f"d{n}", input=f"Case {n} was closed because nobody came." if n % 4 else f"Case {n}."
    )
    for n in range(24)
]


def make_task(kind, base_url):
    own = {"extraction": {"fields": {"reason": {"many": True}, "ground": {}}}, "generation": {}}[
        kind
    ]
    teacher = {"model": "big", "base_url": base_url, "part_tokens": 256, "terms": "stub-terms"}
    known = {"kind": "task", "version": 1, "name": "t", "type": kind, "teacher": teacher}
    return Task.model_validate(known | own | {"data": {"gold": "gold.jsonl"}})


def ask(task, ledger, rows, **method):
    engine = Engine(
        open_provider(task.teacher), ledger, price=PRICE, timeout_s=30.0, max_attempts=8
    )
    with engine:
        return list(ask_open(rows, engine, task=task, method=Method(**method)))


def load(folder, task, rows):
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return RecordedAnswers.load([path], answer=task.answer, terms="stub-terms")


def test_every_row_is_answered_or_rejected_and_every_cent_is_counted(tmp_path):
    with (
        running_stub(
            faults=0.25, kinds=("limited", "server_error", "empty"), retry_after=("0",)
        ) as stub,
        Ledger.open(tmp_path / "ledger.sqlite") as ledger,
    ):
        task = make_task("extraction", stub.base_url)
        found = ask(task, ledger, ROWS, votes=2)
        books = stub.books()
        again = ask(task, ledger, ROWS, votes=2)
        given_up = [row for row in found if "fields" not in row]  # these are asked again by right
        assert len(given_up) <= 6
        assert given_up or stub.books()["calls"] == books["calls"]
    assert sorted(row["id"] for row in found) == sorted(row.id for row in ROWS for _ in range(2))
    paid = sum(row["cost_usd"] for row in found)
    assert 0 < paid <= books["billed_usd"] + 1e-9  # the probe is billed too
    for first, second in zip(found, again, strict=True):
        assert "fields" not in first or first["fields"] == second["fields"]
    labelled = label_examples(ROWS, load(tmp_path, task, found))
    kept = {example.id for example in labelled.examples}
    gone = {rejection.id: rejection.cause for rejection in labelled.rejected}
    assert kept | gone.keys() == {row.id for row in ROWS} and not kept & gone.keys()
    assert {gone[row.id] for row in ROWS[::4]} == {"evidence_not_found"}
    for example in labelled.examples:
        (reason,) = example.target.of("reason")
        assert example.input[reason.start : reason.end] == "because"
        assert example.sources[0].terms == "stub-terms"


def test_a_long_document_is_read_in_parts_over_http(tmp_path):
    text = (
        "\n".join(f"Line {n} of a long report." for n in range(400)) + "\nIt ended because of rain."
    )
    with running_stub(context_tokens=700) as stub, Ledger.open(tmp_path / "l.sqlite") as ledger:
        task = make_task("extraction", stub.base_url)
        (row,) = ask(task, ledger, [Example(id="d", input=text)])
        books = stub.books()
    (example,) = label_examples([Example(id="d", input=text)], load(tmp_path, task, [row])).examples
    assert text[example.target.of("ground")[0].start :].startswith("because of rain")
    assert row["cost_usd"] == pytest.approx(books["billed_usd"], rel=0.1)
    assert books["calls"] > 8


def test_a_source_that_is_too_long_for_a_text_is_rejected_with_its_cause(tmp_path):
    rows = [Example(id="s", input="Short."), Example(id="l", input="Long. " * 3000)]
    with running_stub(context_tokens=700) as stub, Ledger.open(tmp_path / "l.sqlite") as ledger:
        task = make_task("generation", stub.base_url)
        found = ask(task, ledger, rows)
    labelled = label_examples(rows, load(tmp_path, task, found))
    assert [(e.id, e.target) for e in labelled.examples] == [("s", Text("because"))]
    assert [(r.id, r.cause) for r in labelled.rejected] == [("l", "context_overflow")]
