"""The data of `intake`: what judges the workflow has taught, tuned and calibrated nothing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from potstill.spec import load_task, load_workflow

FOLDER = Path(__file__).parents[2] / "examples" / "intake"
ORIGINS = {"clinc": 1500, "outside": 50, "banking": 385, "complaint": 200}


def read(name: str, folder: Path = FOLDER) -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def origin(row: dict) -> str:
    return row["id"].split("-")[0]


@pytest.fixture(scope="module")
def gold() -> list[dict]:
    return read("gold.jsonl")


def test_gold_has_rows_of_every_origin_and_an_id_each(gold):
    assert Counter(map(origin, gold)) == ORIGINS
    assert len({row["id"] for row in gold}) == len(gold)


def test_development_rows_are_mixed_like_the_gold_rows(gold):
    def mixture(rows: list[dict]) -> Counter[str]:
        special = {"banking", "complaint", "oos"}
        return Counter(row["route"] if row["route"] in special else "clinc" for row in rows)

    assert mixture(read("routes/dev.jsonl")) == mixture(gold)
    assert mixture(gold) == {"clinc": 1500, "oos": 50, "banking": 385, "complaint": 200}


def test_every_row_is_of_a_label_that_its_task_knows(gold):
    router = load_task(FOLDER / "router.yaml").task
    known = {*router.label_names, router.data.out_of_scope}
    for rows in (read("routes/train.jsonl"), read("routes/dev.jsonl"), gold):
        assert {row["route"] for row in rows} == known
    banking = load_task(FOLDER / "banking.yaml").task
    for name in ("banking/train.jsonl", "banking/test.jsonl"):
        assert {row["label"] for row in read(name)} == set(banking.label_names)
    complaints = load_task(FOLDER.parent / "complaints" / "task.yaml").task
    assert {row["banking"] for row in gold if "banking" in row} == set(banking.label_names)
    assert {row["complaints"] for row in gold if "complaints" in row} == set(complaints.label_names)


def test_the_answer_end_to_end_is_that_of_the_last_node_on_the_way(gold):
    workflow = load_workflow(FOLDER / "workflow.yaml").workflow
    for row in gold:
        if row["route"] == workflow.out_of_scope:
            assert row["label"] == workflow.out_of_scope
            continue
        node = next(name for name in workflow.output.first if name in row)
        assert row["label"] == f"{node}/{row[node]}"


def test_each_node_finds_its_gold_column_and_its_task(gold):
    loaded = load_workflow(FOLDER / "workflow.yaml")
    columns = {key for row in gold for key in row}
    for node in loaded.workflow.nodes.values():
        assert node.gold in columns
        assert node.task is not None
        load_task(FOLDER / node.task)


def test_no_gold_text_has_taught_or_calibrated_anything(gold):
    seen = {row["text"] for row in read("routes/train.jsonl") + read("routes/dev.jsonl")}
    of_banking = {row["text"] for row in read("banking/train.jsonl")}
    of_complaints = {row["text"] for row in read("inbox.jsonl", FOLDER.parent / "complaints")}
    again = [row["id"] for row in gold if row["text"] in seen | of_banking | of_complaints]
    # One text stands in both of CLINC150's splits; every run takes it out of training.
    assert again == ["clinc-0898"]
    frozen = {row["text"] for row in read("gold.jsonl", FOLDER.parent / "complaints")}
    assert {row["text"] for row in gold if origin(row) == "complaint"} == frozen


def test_development_and_training_rows_of_the_router_are_apart():
    taught = {row["text"] for row in read("routes/train.jsonl")}
    steering = [row["text"] for row in read("routes/dev.jsonl")]
    # Two texts of CLINC150 and two pieces of letters; every run takes them out of training.
    assert sum(text in taught for text in steering) == 4
