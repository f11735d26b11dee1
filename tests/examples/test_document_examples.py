"""The data of `reservations`, `nda`, `clauses` and `contract`: what judges has taught nothing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from potstill.data.answers import target_reader
from potstill.data.extraction import Extraction
from potstill.data.reading import read_examples
from potstill.spec import load_task, load_workflow

EXAMPLES = Path(__file__).parents[2] / "examples"
MOST_BYTES = 2 * 2**20


def read(name: str) -> list[dict[str, Any]]:
    path = EXAMPLES / name
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("task", "train", "test"),
    [
        ("reservations/task.yaml", 8198, 1865),
        ("nda/task.yaml", 204, 50),
        ("clauses/task.yaml", 255, 65),
        ("clauses/written.yaml", 255, 65),
        ("contract/kind.yaml", 462, 153),
    ],
)
def test_every_row_of_a_task_can_be_used(task, train, test):
    loaded = load_task(EXAMPLES / task)
    data = loaded.task.data
    for name, rows in ((data.gold, train), (data.test, test)):
        path = loaded.path.parent / str(name)
        found = read_examples([path], data.columns, targets=target_reader(loaded.task.answer))
        assert found.rejected == []
        assert len(found.examples) == rows


@pytest.mark.parametrize("name", ["reservations", "nda", "clauses", "contract"])
def test_an_example_is_small_and_says_where_it_comes_from(name):
    files = [path for path in (EXAMPLES / name).iterdir() if path.suffix in (".jsonl", ".parquet")]
    assert files
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    assert "[ATTRIBUTION.md](ATTRIBUTION.md)" in readme
    assert all(f"`{path.name}`" in readme for path in files)


def test_spans_of_reservations_are_where_they_say():
    for row in [*read("reservations/train.jsonl"), *read("reservations/test.jsonl")]:
        for span in row["spans"]:
            assert row["text"][span["start"] : span["end"]] == span["text"]
        assert set(row["asked"].split(", ")) <= {
            *("", "people", "time", "date", "first_name", "last_name")
        }


def test_contracts_are_apart_and_hold_the_fields_of_the_task():
    train, test = read("nda/train.parquet"), read("nda/test.parquet")
    assert not {row["id"] for row in train} & {row["id"] for row in test}
    assert not {row["text"] for row in train} & {row["text"] for row in test}
    fields = load_task(EXAMPLES / "nda" / "task.yaml").task.fields
    held = Counter(
        name for row in [*train, *test] for name, found in row["fields"].items() if found
    )
    assert held == {"effective_date": 175, "jurisdiction": 254, "party": 252, "term": 82}
    assert list(fields) == list(train[0]["fields"])


def test_no_contract_of_a_document_that_taught_judges_a_summary():
    train, test = read("clauses/train.jsonl"), read("clauses/test.jsonl")
    taught, judged = ({row["document"] for row in rows} for rows in (train, test))
    assert (len(taught), len(judged)) == (19, 32)
    assert not taught & judged


def test_the_papers_that_judge_the_workflow_have_taught_none_of_its_models():
    gold = {row["text"] for row in read("contract/gold.parquet")}
    rows = [*read("contract/train.jsonl"), *read("nda/train.parquet"), *read("clauses/train.jsonl")]
    assert not gold & {row["text"] for row in rows}
    passages = [row["text"] for row in read("contract/train.jsonl") if row["kind"] == "nda"]
    whole = [row["text"] for row in read("contract/gold.parquet") if row["kind"] == "nda"]
    # Some companies use one form for many contracts.
    assert not any(passage in text for passage in passages for text in whole)


def test_the_gold_of_the_workflow_is_that_of_its_nodes():
    loaded = load_workflow(EXAMPLES / "contract" / "workflow.yaml")
    gold = read("contract/gold.parquet")
    for node in loaded.workflow.nodes.values():
        assert node.gold is None or node.gold in gold[0]
        if node.task is not None:
            load_task(loaded.path.parent / node.task)
    assert Counter(row["kind"] for row in gold) == {"nda": 50, "other": 103}
    assert all((row["fields"] is not None) == (row["kind"] == "nda") for row in gold)
    reader = target_reader(load_task(EXAMPLES / "nda" / "task.yaml").task.answer)
    held = [reader(row["fields"], row["text"]) for row in gold if row["fields"]]
    assert all(isinstance(found, Extraction) and found.fields for found in held)
