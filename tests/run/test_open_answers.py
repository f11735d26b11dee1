"""The first stages of a run whose answers are no labels: recorded answers become training rows."""

from __future__ import annotations

import json
from pathlib import Path

from potstill.api import run


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def document(number: int) -> str:
    return f"Contract {number} of firm{number} with town{number}: it lasts {number + 2} years."


def lines(folder: Path, name: str) -> list[dict]:
    (path,) = folder.glob(f"runs/**/{name}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run_until_filter(folder: Path, kind: str, section: str, answer) -> None:
    write(folder / "inbox.jsonl", [{"id": f"u{n}", "text": document(n)} for n in range(30)])
    gold = [{"id": f"g{n}", "text": document(n), **answer(n)} for n in range(100, 120)]
    write(folder / "gold.jsonl", gold)
    column = next(key for key in gold[0] if key not in ("id", "text"))
    (folder / "task.yaml").write_text(
        f"""\
kind: task
version: 1
name: open
type: {kind}
{section}
data: {{unlabeled: inbox.jsonl, gold: gold.jsonl, columns: {{target: {column}}}}}
teacher: {{answers: answers.jsonl}}
"""
    )
    run(folder / "task.yaml", runs=folder / "runs", until="filter")


def test_fields_are_located_and_what_is_lost_is_told(tmp_path):
    def said(number):
        firm = "Umbrella" if number == 3 else f"firm{number}"
        term = {"value": f"{number + 2} years", "evidence": f"it lasts {number + 2} years"}
        return {"fields": {"firm": [firm], "term": [] if number == 4 else [term]}}

    write(tmp_path / "answers.jsonl", [{"id": f"u{n}", "model": "m", **said(n)} for n in range(30)])
    section = "fields: {firm: {many: true}, term: {type: duration, required: true}}"
    run_until_filter(tmp_path, "extraction", section, said)
    silver = {row["id"]: row["target"] for row in lines(tmp_path, "dataset/silver.jsonl")}
    assert silver.keys() == {f"u{n}" for n in range(30)} - {"u4"}
    (term,) = silver["u7"]["fields"]["term"]
    assert document(7)[term["start"] : term["end"]] == term["text"] == "9 years"
    assert silver["u3"]["unsure"] == ["firm"]
    causes = {(row["id"], row["cause"]) for row in lines(tmp_path, "rejected.jsonl")}
    assert {("u3", "evidence_not_found"), ("u4", "required_missing")} <= causes
    taught = {
        row["id"] for name in ("train", "dev") for row in lines(tmp_path, f"dataset/{name}.jsonl")
    }
    assert "u7" in taught and "u4" not in taught


def test_a_text_that_invents_a_figure_does_not_teach(tmp_path):
    def said(number):
        return {"summary": f"It ends after {99 if number == 5 else number + 2} years."}

    write(tmp_path / "answers.jsonl", [{"id": f"u{n}", **said(n)} for n in range(30)])
    run_until_filter(tmp_path, "generation", "text: {max_words: 20}", said)
    taught = {row["id"]: row["target"] for row in lines(tmp_path, "dataset/train.jsonl")}
    taught |= {row["id"]: row["target"] for row in lines(tmp_path, "dataset/dev.jsonl")}
    assert taught["u7"] == {"text": "It ends after 9 years."}
    rejected = {row["id"]: row["cause"] for row in lines(tmp_path, "rejected.jsonl")}
    assert rejected == {"u5": "guard_copied"} and taught.keys() == {
        f"u{n}" for n in range(30) if n != 5
    }
