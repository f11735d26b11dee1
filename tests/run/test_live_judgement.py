"""A live teacher answers a sample of the test rows; the report compares on that sample."""

from __future__ import annotations

import re

import orjson

from potstill import api

TEACHER = """
import json


def answer(request):
    return json.dumps({"label": "cards"})
"""


def test_a_teacher_asked_about_a_sample_is_compared_on_it(task_folder, monkeypatch):
    monkeypatch.chdir(task_folder)
    (task_folder / "always.py").write_text(TEACHER)
    teacher = (
        "teacher:\n  model: python:always:answer\n  min_accuracy: 0.0\n  test_rows: 12\n"
        "  nearest_gold: false\n"
    )
    text = re.sub(r"teacher:\n(  .*\n)+", teacher, (task_folder / "task.yaml").read_text())
    text = text.replace(
        "gold: gold.jsonl", "gold: gold.jsonl\n  gold_split: {train: 0.4, test: 0.6}"
    )
    (task_folder / "live.yaml").write_text(text + "accept: {teacher_gap: {max: 0.0}}\n")
    done = api.run(task_folder / "live.yaml")
    report = done.report
    assert report is not None
    rows = {entry["role"]: entry["evaluation"]["n"] for entry in report["entries"]}
    assert rows == {"student": 36, "teacher": 12, "baseline": 36}
    answers = (done.folder / "dataset" / "test_answers.jsonl").read_bytes().splitlines()
    asked = {orjson.loads(line)["id"] for line in answers}
    assert len(asked) == 12
    lines = (done.folder / "predictions.jsonl").read_bytes().splitlines()
    judged = [orjson.loads(line) for line in lines]
    gold = {row["id"]: row["gold"] for row in judged}
    [student, *_] = report["entries"]
    name = student["evaluation"]["name"]
    said = {row["id"]: row["answers"][name]["label"] for row in judged}
    ahead = sum((said[i] == gold[i]) - (gold[i] == "cards") for i in asked) / 12
    [gate] = report["gates"]
    assert abs(gate["value"] + ahead) < 1e-9
    [against] = [c for c in report["comparisons"] if c["names"][1] == "python:always:answer"]
    assert against["n"] == 12
