"""The chain of the contract example, from its task files to the answer of the whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = [sys.executable, "-c", "from potstill.cli import main; main()"]


def potstill(*arguments: str | Path, given: str = "") -> str:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_three_runs_and_the_workflow_answer_a_contract(tmp_path):
    for name in ("contract", "nda", "clauses"):
        shutil.copytree(
            EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("model", "models")
        )
    contract = tmp_path / "contract"
    for name, task in (
        ("kind", contract / "kind.yaml"),
        ("nda", tmp_path / "nda" / "task.yaml"),
        ("clauses", tmp_path / "clauses" / "task.yaml"),
    ):
        potstill(
            *("run", task, "--quiet", "--runs", tmp_path / "runs"),
            *("--out", contract / "models" / name),
        )
    workflow, gold = contract / "workflow.yaml", contract / "gold.parquet"
    judged = json.loads(potstill("evaluate", workflow, "--data", gold, "--json"))
    assert judged["parts"]["kind"]["metrics"]["accuracy"]["value"] > 0.95
    assert judged["parts"]["agreement"]["metrics"]["value_f1"]["value"] > 0.6
    papers = parquet.read_table(gold).to_pylist()
    rows = "".join(json.dumps({"text": paper["text"]}) + "\n" for paper in papers)
    answers = [json.loads(line) for line in potstill("predict", workflow, given=rows).splitlines()]
    led = 0
    for paper, answer in zip(papers, answers, strict=True):
        parts = answer["parts"]
        if parts["kind"] != "nda":
            assert parts["agreement"] is None
            continue
        for found in parts["agreement"]["fields"].values():
            for value in found or ():
                assert paper["text"][value["start"] : value["end"]] == value["text"]
        term = (parts["agreement"]["fields"].get("term") or [None])[0]
        if term is not None:
            assert parts["term_clause"] in paper["text"]
            assert term["text"] in parts["term_clause"]
            led += parts["term_in_plain_english"]["text"] != ""
    assert led > 5
