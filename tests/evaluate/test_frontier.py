"""The frontier of candidates: who is on it, what it costs, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from potstill.evaluate.frontier import Frontier


def _row(name: str, score: float | None, ms: float | None, **more: Any) -> dict[str, Any]:
    figures = {} if ms is None else {"latency_ms": ms, "latency_p95_ms": 2 * ms, "megabytes": 1.0}
    row = {"name": name, "rows": 900, "score": score, "seconds": 1.0, "chosen": False}
    return {**row, "dropped": None, **figures, **more}


@pytest.fixture
def frontier() -> Frontier:
    rows = [
        _row("tfidf", 0.80, 0.1),
        _row("static", 0.79, 0.1),
        _row("minilm-l6 frozen", 0.90, 4.0),
        _row("minilm-l6 tuned", 0.95, 4.0, chosen=True),
        _row("mpnet-base frozen", 0.94, 20.0),
        _row("mpnet-base tuned", None, None, rows=0, dropped="would take about 70 minutes"),
    ]
    return Frontier.of(rows, "minilm-l6 tuned has the best score, 0.950.", usd_per_core_hour=0.09)


def test_only_what_nothing_beats_is_efficient(frontier: Frontier) -> None:
    assert [point.name for point in frontier.points if point.efficient] == [
        "tfidf",
        "minilm-l6 tuned",
    ]
    assert frontier.chosen.name == "minilm-l6 tuned"


def test_a_million_answers_cost_core_time(frontier: Frontier) -> None:
    assert frontier.chosen.usd_per_million == pytest.approx(4.0 * 1e6 / 3.6e6 * 0.09)
    assert frontier.points[-1].usd_per_million is None


def test_it_says_why_and_what_became_of_the_rest(frontier: Frontier) -> None:
    assert frontier.sentences == (
        "minilm-l6 tuned has the best score, 0.950.",
        "mpnet-base tuned would take about 70 minutes.",
    )


def test_it_survives_json(frontier: Frontier) -> None:
    assert Frontier.from_json(frontier.to_json()) == frontier


def test_what_a_gate_left_out_was_not_beaten_and_the_rows_are_counted() -> None:
    judged = {"dev_rows": 30, "fold_rows": 0}
    rows = [
        _row("tfidf", 0.80, 0.1, chosen=True, left_out=None, **judged),
        _row("mpnet-base frozen", 0.94, 20.0, left_out="left out by a gate: x", **judged),
    ]
    rows[0]["fold_rows"] = 900
    found = Frontier.of(rows, "tfidf ships.")
    assert [point.outcome for point in found.points] == ["ships", "left out by a gate: x"]
    assert found.sentences[1] == (
        "The scores rest on 30 development rows, and those of frozen candidates on 900 training "
        "rows in their folds as well."
    )
