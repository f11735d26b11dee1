"""Whole runs of tasks that answer with fields and with texts, on models that learn in seconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from potstill import api
from potstill.data.example import Example, Text
from tiny_writer import rows as clauses
from tiny_writer import save_base

_FILLERS = ["please", "help", "with", "the", "bank", "today", "again", "and", "was"]
_PRODUCTS = ("card", "loan", "house", "branch")


def _lines(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _task(folder: Path, **content: Any) -> Path:
    file = folder / "task.yaml"
    file.write_text(json.dumps({"kind": "task", "version": 1, **content}))
    return file


def _message(number: int) -> dict[str, Any]:
    """Dull words, and one product among them."""
    draw = np.random.default_rng(number)
    words = draw.choice(_FILLERS, size=6).tolist()
    product = _PRODUCTS[number % len(_PRODUCTS)]
    words.insert(int(draw.integers(6)), product)
    return {"id": str(number), "text": " ".join(words), "fields": {"product": product}}


def _report(run: Path) -> dict[str, Any]:
    return orjson.loads((run / "report.json").read_bytes())


def test_an_extraction_chooses_its_base_and_says_why(tmp_path: Path, tiny_base: Path) -> None:
    _lines(tmp_path / "gold.jsonl", [_message(at) for at in range(120)])
    _lines(tmp_path / "test.jsonl", [_message(at) for at in range(500, 540)])
    task = _task(
        tmp_path,
        name="products",
        type="extraction",
        description="Which product is it about?",
        fields={"product": {"description": "The product."}},
        data={"gold": "gold.jsonl", "test": "test.jsonl", "columns": {"target": "fields"}},
        windows={"tokens": 32, "widest_value": 3},
        student={
            "base": "auto",
            "candidates": [str(tiny_base)],
            "epochs": 8,
            "batch_size": 8,
            "learning_rate": 1e-3,
        },
        accept={"value_f1": {"min": 0.9}},
    )
    done = api.run(task, runs=tmp_path / "runs", out=tmp_path / "model")
    report = _report(done.folder)
    assert all(gate["passed"] for gate in report["gates"])
    points = {point["name"]: point for point in report["frontier"]["points"]}
    assert set(points) == {f"{tiny_base} frozen", f"{tiny_base} tuned"}
    tried = [point for point in points.values() if point["dropped"] is None]
    assert tried and all(point["latency_ms"] > 0 and point["megabytes"] > 0 for point in tried)
    assert sum(point["chosen"] for point in points.values()) == 1
    (chosen,) = (point for point in points.values() if point["chosen"])
    assert chosen["name"] in report["frontier"]["reason"]
    assert report["frontier"]["reason"].split(" has ")[1] in (done.folder / "report.md").read_text()
    answer = api.load(tmp_path / "model").predict("please help with the loan again")
    assert answer.target.of("product")[0].value == "loan"


def test_a_text_is_written_where_that_is_better_and_picked_where_it_is_too_slow(
    tmp_path: Path, tiny_base: Path
) -> None:
    def row(example: Example) -> dict[str, Any]:
        assert isinstance(example.target, Text)
        return {"id": example.id, "text": example.input, "summary": example.target.text}

    _lines(tmp_path / "gold.jsonl", [row(one) for one in clauses(240)])
    _lines(tmp_path / "test.jsonl", [row(one) for one in clauses(24, start=700)])
    texts = [f"{one.input} {one.target}" for one in clauses(90)]
    content: dict[str, Any] = {
        "name": "clauses",
        "type": "generation",
        "description": "What does the clause mean?",
        "text": {"max_words": 6},
        "data": {"gold": "gold.jsonl", "test": "test.jsonl", "columns": {"target": "summary"}},
        "student": {
            "base": str(tiny_base),
            "writer": str(save_base(tmp_path / "writer", texts)),
            "epochs": 8,
            "learning_rate": 0.01,
            "beams": 2,
        },
    }
    written = api.run(_task(tmp_path, **content), runs=tmp_path / "runs", out=tmp_path / "model")
    report = _report(written.folder)
    assert report["training"]["mode"] == "abstractive"
    points = {point["name"].split()[-1]: point for point in report["frontier"]["points"]}
    assert points["writes"]["chosen"] and points["writes"]["score"] > points["picks"]["score"]
    assert "better beyond noise" in report["frontier"]["reason"]
    assert orjson.loads((tmp_path / "model" / "model.json").read_bytes())["writer"]["beams"] == 2

    content["accept"] = {"latency_p95_ms": {"max": points["picks"]["latency_p95_ms"] * 1.01}}
    picked = api.run(_task(tmp_path, **content), runs=tmp_path / "runs", out=tmp_path / "quick")
    report = _report(picked.folder)
    assert report["training"]["mode"] == "extractive"
    assert "the gates leave out" in report["frontier"]["reason"]
    answer = api.load(tmp_path / "quick").predict("One thing is here. Another one is there.")
    assert answer.target.text in ("One thing is here.", "Another one is there.")
