"""The choice between a student that picks and one that writes."""

from __future__ import annotations

from typing import Any

import pytest

from potstill.data.example import Example, Prediction, Text
from potstill.run.kinds.rivals import Rival, choose
from potstill.spec.task import Gate

_WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]


@pytest.fixture
def dev() -> list[Example]:
    return [
        Example(id=str(at), input="a source", target=Text(" ".join(_WORDS[: 3 + at % 5])))
        for at in range(40)
    ]


def rival(mode: str, said: list[str], **figures: float) -> Rival:
    facts: dict[str, Any] = {"rows": 90, "seconds": 1.5, "candidates": [], "reason": ""}
    does = "writes" if mode == "abstractive" else "picks"
    answers = [Prediction(Text(text)) for text in said]
    return Rival(f"base {does}", "base", mode, facts, answers, figures)


def test_what_writes_ships_where_it_is_clearly_better(dev: list[Example]) -> None:
    picker = rival("extractive", ["alpha other words"] * 40, latency_p95_ms=3.0)
    writer = rival("abstractive", ["alpha beta gamma"] * 40, latency_p95_ms=900.0)
    ships = choose(picker, writer, dev, accept={}, seed=0)
    assert ships["mode"] == "abstractive"
    assert ships["reason"].startswith("base writes: better beyond noise; base writes +0.")
    rows = {row["name"]: row for row in ships["candidates"]}
    assert rows["base writes"]["chosen"] and not rows["base picks"]["chosen"]
    assert rows["base writes"]["score"] > rows["base picks"]["score"] > 0
    assert rows["base picks"]["latency_p95_ms"] == 3.0


def test_what_picks_ships_within_noise(dev: list[Example]) -> None:
    said = [row.target.text if isinstance(row.target, Text) else "" for row in dev]
    picker, writer = rival("extractive", said), rival("abstractive", said)
    ships = choose(picker, writer, dev, accept={}, seed=0)
    assert ships["mode"] == "extractive" and "not better beyond noise" in ships["reason"]


def test_a_gate_keeps_out_what_writes(dev: list[Example]) -> None:
    picker = rival("extractive", ["other words"] * 40, latency_p95_ms=3.0)
    writer = rival("abstractive", ["alpha beta gamma"] * 40, latency_p95_ms=900.0)
    gates = {"latency_p95_ms": Gate(max=50.0), "rouge_l": Gate(min=0.1)}
    ships = choose(picker, writer, dev, accept=gates, seed=0)
    assert ships["mode"] == "extractive"
    assert "the gates leave out base writes (latency_p95_ms)" in ships["reason"]


def test_bases_that_were_compared_for_picking_stay_in_the_table(dev: list[Example]) -> None:
    compared = [
        {"name": "small frozen", "chosen": True},
        {"name": "large frozen", "chosen": False, "score": 0.2, "rows": 90},
    ]
    picker = rival("extractive", ["alpha"] * 40)
    picker.facts["candidates"].extend(compared)  # type: ignore[attr-defined]
    ships = choose(picker, rival("abstractive", ["beta"] * 40), dev, accept={}, seed=0)
    assert [row["name"] for row in ships["candidates"]] == [
        "large frozen picks",
        "base picks",
        "base writes",
    ]
    assert sum(row["chosen"] for row in ships["candidates"]) == 1
