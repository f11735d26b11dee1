"""Gates, latency and price."""

from __future__ import annotations

import time

import pytest

from potstill.errors import DataError
from potstill.evaluate import Latency, check_gates, measure_latency, usd_per_million
from potstill.spec.task import Gate


def test_a_bound_that_is_met_exactly_is_met():
    results = check_gates(
        {"accuracy": Gate(min=0.75), "ece": Gate(max=0.1), "macro_f1": Gate(min=0.5, max=0.6)},
        {"accuracy": 0.75, "ece": 0.11, "macro_f1": 0.55},
    )
    assert [result.passed for result in results] == [True, False, True]
    assert results[1].reason == "ece is 0.11, above the most allowed, 0.1."


def test_an_unknown_figure_fails():
    for figures in ({}, {"ece": None}, {"ece": float("nan")}):
        (result,) = check_gates({"ece": Gate(max=0.1)}, figures)
        assert not result.passed
        assert result.reason


def test_price_by_hand():
    # 3.6 ms a million times is one hour.
    assert usd_per_million(3.6, usd_per_core_hour=0.05) == pytest.approx(0.05)


def test_latency_of_recorded_seconds():
    found = Latency.of_seconds([0.1] * 95 + [2.0] * 5)
    assert found.p50_ms == pytest.approx(100)
    assert found.p99_ms == pytest.approx(2000)
    assert (found.n, found.measured) == (100, False)


def test_latency_is_timed_without_the_warm_up():
    calls: list[object] = []

    def slow_at_first(value: object) -> None:
        calls.append(value)
        time.sleep(0.02 if len(calls) <= 20 else 0.001)

    found = measure_latency(slow_at_first, ["x", "y"], repeats=4)
    assert (found.n, len(calls)) == (8, 28)
    assert 1.0 <= found.p50_ms < 15.0
    assert found.measured


def test_nothing_cannot_be_timed():
    with pytest.raises(DataError):
        measure_latency(print, [])
    with pytest.raises(DataError):
        Latency.of_seconds([])
